import type { Exchange } from '../channels.js'

/** One line about one exchange, for a person who watches: when, who, what, and how it ended. */
export function exchangeLine(exchange: Exchange, at: Date): string {
  const { context, identity, refusal, outcome, endedAt } = exchange
  const time = at.toTimeString().slice(0, 8)
  const who = printable(identity?.username ?? '(nobody)').padEnd(8)
  const took = `${Math.max(1, Math.round(endedAt - context.receivedAt))} ms`
  const why = refusal ? `  ${refusal.code}` : ''
  const what = `${context.head.method.padEnd(6)} ${shortened(printable(context.head.target))}`
  return `${time}  ${who}  ${outcome.status}  ${what}  ${took}${why}`
}

const longest = 100

function shortened(text: string): string {
  return text.length > longest ? `${text.slice(0, longest - 1)}…` : text
}

/** Nothing that a client sends moves the cursor. */
function printable(text: string): string {
  return text.replace(/\p{C}/gu, '?')
}
