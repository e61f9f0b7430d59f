/**
 * At most `limit` characters of what a client wrote, with anything in it that looks like a signed token
 * replaced by `[token]`: header and payload of a JWT are JSON objects, so both begin with `ey` or `ew`.
 */
export function bounded(text: string, limit: number): string {
  const short = text.length > limit ? `${text.slice(0, limit)}…` : text
  // Only texts with a dot before an `e` can hold one, and hardly any does.
  return mayHold.test(short) ? short.replace(token, '[token]') : short
}

/** A path may hold its dots percent-encoded. */
const mayHold = /(?:\.|%2e)e/i
const token = /e[yw][\w-]{6,}={0,2}(?:\.|%2e)e[yw][\w-]*={0,2}(?:(?:\.|%2e)[\w-]*={0,2})?/gi
