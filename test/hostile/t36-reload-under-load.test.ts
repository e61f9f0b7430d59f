/*
 * T36: who may come in changes ten times while a thousand requests a second come in: the rules of the file, the
 * authority of the issuer, its signing keys. Whoever is allowed before and after is never refused, and
 * whoever is not allowed any more is not let through once the change is told to be in force. In between, for
 * those that a change is about, either answer is right. Precedent: an API server that reloads the same file.
 */
import { renameSync, writeFileSync } from 'node:fs'
import { setTimeout as pause } from 'node:timers/promises'
import t from 'tap'
import { createBusyClient } from '../actors/busy-client.js'
import { createAuthority } from '../actors/certificates.js'
import { hastyFiles } from '../actors/hasty-files.js'
import { startIssuer, type Issuer } from '../actors/issuer.js'
import { startedWorld, type World } from '../actors/world.js'

const perSecond = 1_000
const tickMs = 10
/** Of each caller so many wait at most; where the machine is slower, or all wait, less is asked. */
const mostOpen = 12
const keysChanged = 'signing keys of the issuer changed'
/** Sent at most, however long it takes. */
const mostSent = 60_000

type Answer = 'in' | 'out'

/** Somebody who asks all the time. */
interface Caller {
  readonly name: string
  token(): string
  /** What is right now; undefined while that changes. */
  right: Answer | undefined
  /** Counts changes of `right`, so that an answer is judged only where one rule held throughout. */
  epoch: number
  /** The last change after which an answer was judged. */
  judgedEpoch: number
  /** Requests without an answer yet. */
  open: number
}

interface Rules {
  readonly domain?: string
  readonly with?: readonly Issuer[]
  readonly ca?: string
}

const document = (issuer: Issuer, { domain, with: others = [], ca }: Rules): string =>
  JSON.stringify({
    apiVersion: 'apiserver.config.k8s.io/v1',
    kind: 'AuthenticationConfiguration',
    jwt: [issuer, ...others].map(each => ({
      issuer: {
        url: each.url,
        audiences: ['kubernetes'],
        certificateAuthority: each === issuer ? (ca ?? each.ca) : each.ca,
      },
      claimMappings: { username: { claim: 'sub', prefix: '' } },
      ...(domain !== undefined && {
        claimValidationRules: [
          { expression: `claims.?hd.orValue("${domain}") == "${domain}"`, message: 'other domain' },
        ],
      }),
    })),
  })

// Some twenty seconds where nothing else runs.
t.setTimeout(180_000)

t.test('ten changes of file, authority and keys: everybody gets the right answer', async t => {
  t.setTimeout(180_000)
  const [first, guests] = await Promise.all([
    startIssuer({ alg: 'ES256' }),
    startIssuer({ alg: 'ES256' }),
  ])
  t.teardown(() => guests.close())
  const world = await startedWorld(t, {
    mode: 'gateway',
    issuer: first,
    configuration: issuer => document(issuer, {}),
    process: { nodeArgs: hastyFiles },
  })
  const { issuer, gateway } = world
  let generation = 1
  const rewrite = async (rules: Rules): Promise<void> => {
    const { configurationFile: file } = world
    writeFileSync(`${file}.next`, document(issuer, rules))
    renameSync(`${file}.next`, file)
    generation += 1
    const told = `generation ${String(generation)},`
    while (!(await gateway.admin('/readyz?verbose')).body.includes(told)) await pause(20)
  }

  let kid = 'one'
  let serial = 0
  const tokens = { staff: '', stranger: '' }
  const signAnew = (): void => {
    tokens.staff = issuer.sign({ sub: 'alice', hd: 'example.com' }, { kid })
    tokens.stranger = issuer.sign({ sub: 'mallory', hd: 'example.net' }, { kid })
  }
  signAnew()
  const caller = (name: string, right: Answer, token: () => string): Caller => ({
    name,
    right,
    token,
    epoch: 0,
    judgedEpoch: -1,
    open: 0,
  })
  const always = (token: string) => (): string => token
  const known = caller('known', 'in', () => tokens.staff)
  const fresh = caller('new', 'in', () => issuer.sign({ jti: String((serial += 1)) }, { kid }))
  const stranger = caller('of another domain', 'in', () => tokens.stranger)
  const former = caller('of the first key', 'in', always(issuer.sign()))
  let ofSecondKey = issuer.sign()
  const latter = caller('of the second key', 'in', () => ofSecondKey)
  const guest = caller('of another issuer', 'out', always(guests.sign()))
  const elsewhere = caller('for another audience', 'out', always(issuer.sign({ aud: 'else' })))
  const load = startLoad(world, [
    known,
    fresh,
    known,
    stranger,
    known,
    former,
    known,
    latter,
    known,
    guest,
    known,
    elsewhere,
  ])
  t.teardown(() => load.stop())

  let changes = 0
  /** A change about some, which ends when it is in force; then everybody asks for a while. */
  const change = async (
    about: ReadonlyArray<readonly [Caller, Answer | undefined]>,
    make: () => Promise<unknown>,
  ): Promise<void> => {
    for (const [each] of about) settle(each, undefined)
    await make()
    for (const [each, right] of about) settle(each, right)
    changes += 1
    await load.more(300)
    // Those that wait for keys to be asked for anew have no answer for seconds.
    for (const [each, right] of about) {
      if (right === undefined) continue
      // oxlint-disable-next-line no-await-in-loop
      while (each.judgedEpoch !== each.epoch) await pause(20)
    }
  }
  const guestsAreKnown = async (): Promise<void> => {
    const series = `gateway_issuer_ready{issuer="${guests.url}"}`
    while ((await gateway.metric(series)) !== 1) await pause(20)
  }
  const domain = 'example.com'
  const [more, others] = [createAuthority('more').ca, createAuthority('others').ca]
  await load.more(300)

  await change([[stranger, 'out']], () => rewrite({ domain }))
  await change([], () => rewrite({ domain, ca: `${issuer.ca}${more}` }))
  await change([], async () => {
    await issuer.addKey({ kid: 'two', alg: 'ES256' })
    kid = 'two'
    signAnew()
    ofSecondKey = issuer.sign({}, { kid })
  })
  await change([[guest, 'in']], async () => {
    await rewrite({ domain, with: [guests], ca: `${issuer.ca}${more}` })
    await guestsAreKnown()
  })
  await change([[former, undefined]], async () => issuer.publish('two'))
  // With another authority the issuer is asked anew, and has forgotten a key.
  await change([[former, 'out']], async () => {
    await rewrite({ domain, with: [guests], ca: `${more}${issuer.ca}` })
    await gateway.waitForLog(({ msg, kids }) => msg === keysChanged && String(kids) === 'two')
  })
  await change(
    [
      [guest, 'out'],
      [stranger, 'in'],
    ],
    () => rewrite({ ca: `${more}${issuer.ca}` }),
  )
  await change([[latter, 'out']], async () => {
    const signing = [known, fresh, stranger]
    for (const each of signing) settle(each, undefined)
    await issuer.replaceKey('two')
    signAnew()
    for (const each of signing) settle(each, 'in')
    const { response } = await world.ask({ token: issuer.sign({}, { kid }) })
    t.equal(response?.status, 200)
  })
  await change([], () => rewrite({ ca: `${issuer.ca}${others}` }))
  await change(
    [
      [guest, 'in'],
      [stranger, 'out'],
    ],
    async () => {
      await rewrite({ domain, with: [guests], ca: `${issuer.ca}${others}` })
      await guestsAreKnown()
    },
  )

  const { sent, judged, wrong, seconds } = await load.stop()
  t.comment(`${String(sent)} requests, ${String(Math.round(sent / seconds))} a second`)
  t.strictSame(wrong, {})
  t.equal(changes, 10)
  const expected = [known, fresh, stranger, former, latter, guest]
  t.strictSame(
    expected.flatMap(({ name }) => [`${name}: in`, `${name}: out`]).filter(one => !judged.has(one)),
    ['known: out', 'new: out'],
    'all others have been let in and kept out',
  )
  t.strictSame(
    gateway.logs.filter(({ level }) => level === 'error'),
    [],
  )
})

function settle(caller: Caller, right: Answer | undefined): void {
  caller.right = right
  caller.epoch += 1
}

interface Load {
  /** Resolves when so many more have been answered, or no more are sent. */
  more(answers: number): Promise<void>
  /** Resolves when everybody has an answer. */
  stop(): Promise<LoadResult>
}

interface LoadResult {
  readonly sent: number
  readonly seconds: number
  /** `caller: answer`, of right answers. */
  readonly judged: ReadonlySet<string>
  /** The same of wrong ones, with how often. */
  readonly wrong: Readonly<Record<string, number>>
}

/** Sends in turn for each caller, at the rate, as far as the machine can. */
function startLoad({ target }: World, callers: readonly Caller[]): Load {
  const client = createBusyClient(target)
  const startedAt = performance.now()
  const judged = new Set<string>()
  const wrong: Record<string, number> = {}
  const count = { sent: 0, answered: 0 }
  let [turn, credit] = [0, 0]
  let stopped: Promise<LoadResult> | undefined

  const send = async (caller: Caller): Promise<void> => {
    const { right, epoch } = caller
    caller.open += 1
    count.sent += 1
    const answer = await client.ask('/api/v1/pods', caller.token()).then(told, String)
    caller.open -= 1
    count.answered += 1
    if (right === undefined || epoch !== caller.epoch) return
    caller.judgedEpoch = epoch
    const what = `${caller.name}: ${answer}`
    if (answer === right) judged.add(what)
    else wrong[what] = (wrong[what] ?? 0) + 1
  }
  /** Whoever waits for answers leaves its turn to the next one. */
  const nextTurn = (): Caller | undefined => {
    for (let tried = 0; tried < callers.length; tried += 1) {
      turn = (turn + 1) % callers.length
      const caller = callers[turn]
      if (caller !== undefined && caller.open < mostOpen) return caller
    }
    return undefined
  }
  const tick = setInterval(() => {
    credit = Math.min(credit + (perSecond * tickMs) / 1_000, perSecond / 10)
    while (credit >= 1 && count.sent < mostSent) {
      const caller = nextTurn()
      if (caller === undefined) break
      credit -= 1
      void send(caller)
    }
  }, tickMs)
  const finish = async (): Promise<LoadResult> => {
    clearInterval(tick)
    const seconds = (performance.now() - startedAt) / 1_000
    while (count.answered < count.sent) await pause(10)
    client.close()
    return { sent: count.sent, seconds, judged, wrong }
  }
  return {
    more: async answers => {
      const enough = count.answered + answers
      while (count.answered < enough && count.sent < mostSent) await pause(10)
    },
    stop: () => (stopped ??= finish()),
  }
}

/** `in`, `out`, or the status that is neither. */
const told = (status: number): string =>
  status === 200 ? 'in' : status === 401 ? 'out' : String(status)
