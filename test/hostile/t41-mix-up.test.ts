/*
 * T41: users share the verdict cache, the pool of upstream connections and, behind a load balancer, the
 * connections to the gateway itself. One slip and somebody gets somebody else's answer, or acts as somebody
 * else. Many users interleave here on connections that all of them use; each answer says whose it is.
 */
import { setTimeout as pause } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { h2Connect, h2Request } from '../actors/h2-client.js'
import { connectRaw } from '../actors/raw-client.js'
import { gatewayToken, startedWorld, type World } from '../actors/world.js'

interface User {
  readonly name: string
  readonly token: string
  readonly groups: readonly string[]
}

/** Whom the API server saw, and what for. */
interface Seen {
  readonly target: string
  readonly authorization: readonly string[]
  readonly user: readonly string[]
  readonly groups: readonly string[]
  readonly auditId: readonly string[]
  readonly note: readonly string[]
  readonly body: string
}

const count = 30

function users({ issuer }: World): readonly User[] {
  return Array.from({ length: count }, (_, n) => {
    const groups = [`team-${String(n % 3)}`, `only-${String(n)}`]
    const sub = `user-${String(n)}`
    return { name: `${issuer.url}#${sub}`, groups, token: issuer.sign({ sub, groups }) }
  })
}

/** Repeatable, so that a failure can be seen again. */
function* chances(seed: number): Generator<number, never> {
  for (let state = seed; ;) {
    state = (state * 1_103_515_245 + 12_345) % 2 ** 31
    yield state / 2 ** 31
  }
}

async function interleave(
  t: Test,
  world: World,
  expected: (user: User) => Partial<Seen>,
): Promise<void> {
  const { api, target } = world
  const everybody = users(world)
  const chance = chances(41)
  const next = (): number => chance.next().value
  api.respondWith(async (request, answer) => {
    // Some answers come at once, some late, so that they overtake each other.
    if (next() < 0.3) await pause(next() * 5)
    const seen: Seen = {
      target: request.target,
      authorization: request.values('authorization'),
      user: request.values('impersonate-user'),
      groups: request.values('impersonate-group'),
      auditId: request.values('audit-id'),
      note: request.values('x-note'),
      body: String(request.body),
    }
    await answer.reply(200, {}, seen)
  })
  let asked = 0
  const mixedUp: unknown[] = []
  const question = () => {
    const user = everybody[Math.floor(next() * everybody.length)]
    if (!user) throw new Error('nobody')
    asked += 1
    const auditId = `00000000-0000-4000-8000-${String(asked).padStart(12, '0')}`
    const path = `/api/v1/namespaces/${user.name.split('#')[1] ?? ''}/pods/${String(asked)}`
    return { user, auditId, path, note: `note ${String(asked)}`, body: next() < 0.3 ? path : '' }
  }
  const check = (
    asks: ReturnType<typeof question>,
    answer: string,
    ids: readonly string[],
  ): void => {
    const { user, auditId, path, note, body } = asks
    const wanted = JSON.stringify({
      target: path,
      authorization: [],
      user: [],
      groups: [],
      auditId: [auditId],
      note: [note],
      body,
      ...expected(user),
    })
    if (answer !== wanted || ids.join() !== auditId) mixedUp.push({ answer, wanted, ids })
  }

  const sessions = await Promise.all([0, 1, 2].map(() => h2Connect(target)))
  const overHttp2 = async (worker: number): Promise<void> => {
    const session = sessions[worker % sessions.length]
    if (!session) return
    for (let n = 0; n < 40; n += 1) {
      const asks = question()
      const { user, auditId, path, note, body } = asks
      const answer = await h2Request({
        ...target,
        session,
        headers: {
          ':method': body === '' ? 'GET' : 'PUT',
          ':path': path,
          authorization: `Bearer ${user.token}`,
          'audit-id': auditId,
          'x-note': note,
        },
        ...(body !== '' && { body }),
        timeoutMs: 20_000,
      })
      const ids = answer.headers.filter(([name]) => name === 'audit-id').map(([, value]) => value)
      check(asks, String(answer.body), ids)
    }
  }
  const overHttp1 = async (): Promise<void> => {
    const connection = await connectRaw(target)
    for (let n = 0; n < 40; n += 1) {
      // Several at once, by several users, on one connection: as behind a load balancer that pools.
      const batch = Array.from({ length: 1 + Math.floor(next() * 3) }, question)
      const bytes = batch.map(
        ({ user, auditId, path, note, body }) =>
          `${body === '' ? 'GET' : 'PUT'} ${path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${user.token}\r\n` +
          `Audit-ID: ${auditId}\r\nX-Note: ${note}\r\nContent-Length: ${String(body.length)}\r\n\r\n${body}`,
      )
      await connection.write(bytes.join(''))
      for (const asks of batch) {
        const answer = await connection.readResponse()
        check(asks, String(answer.body), answer.values('audit-id'))
      }
    }
    connection.destroy()
  }
  await Promise.all([
    ...Array.from({ length: 18 }, (_, worker) => overHttp2(worker)),
    ...Array.from({ length: 6 }, () => overHttp1()),
  ])
  for (const session of sessions) session.destroy()
  t.strictSame(mixedUp.slice(0, 3), [], 'every answer is the asker’s own')
  t.ok(asked > 1_000, `${String(asked)} requests`)
  t.ok(new Set(api.forwarded.map(({ connection }) => connection.id)).size > 1)
  t.ok(api.connections.length < api.forwarded.length / 2, 'upstream connections are shared')
  t.strictSame(api.faults, [])
}

t.test('with the credential of the gateway each acts as himself', async t => {
  const world = await startedWorld(t, { mode: 'gateway' })
  await interleave(t, world, user => ({
    authorization: [`Bearer ${gatewayToken}`],
    user: [user.name],
    groups: user.groups,
  }))
})

t.test('with their own tokens neither', async t => {
  const world = await startedWorld(t, { mode: 'caller' })
  // The API server knows every second user; the others are impersonated.
  const known = ({ groups }: { readonly groups: readonly string[] }): boolean =>
    Number(groups[1]?.slice(5)) % 2 === 0
  world.api.know(token => {
    const payload = Buffer.from(token.split('.')[1] ?? '', 'base64url').toString()
    const { iss, sub, groups } = JSON.parse(payload) as Record<'iss' | 'sub', string> & {
      readonly groups: readonly string[]
    }
    return known({ groups }) ? { username: `${iss}#${sub}`, groups } : undefined
  })
  await interleave(t, world, user => ({
    authorization: [`Bearer ${user.token}`],
    ...(!known(user) && { user: [user.name], groups: user.groups }),
  }))
})
