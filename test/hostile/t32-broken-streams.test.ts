/*
 * T32: streams that are opened and broken, again and again, on either side and in every way: whatever is kept of
 * each (a socket, a timer, a buffer) is what the gateway runs out of.
 */
import { readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import t from 'tap'
import type { Answer, Responder } from '../actors/api-server.js'
import { tempDir } from '../actors/files.js'
import { connectRaw, requestBytes, type RawConnection } from '../actors/raw-client.js'
import { startedWorld, type World } from '../actors/world.js'
import { exec, head101, webSocket } from './upgrades.js'

const event = '{"type":"ADDED"}\n'
const asMany = 1_000
/** Descriptors of files that are read, and of connections that are kept for the next request. */
const few = 5

/** Makes the gateway say what it holds when it is sent SIGUSR2, its garbage collected. */
const reporter = `
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
setFlagsFromString('--expose-gc')
const gc = runInNewContext('gc')
process.on('SIGUSR2', () => {
  gc()
  const held = {}
  for (const kind of process.getActiveResourcesInfo()) held[kind] = (held[kind] ?? 0) + 1
  const { heapUsed, external } = process.memoryUsage()
  process.stderr.write(JSON.stringify({ msg: 'held', held, bytes: heapUsed + external }) + '\\n')
})
`

interface Held {
  /** Sockets, timers and the like that keep the process, by kind. */
  readonly resources: Readonly<Record<string, number>>
  readonly descriptors: number
  /** On the heap and beside it. */
  readonly bytes: number
}

async function heldBy({ gateway }: World): Promise<Held> {
  const before = gateway.logs.filter(({ msg }) => msg === 'held').length
  gateway.kill('SIGUSR2')
  const reports = (): typeof gateway.logs => gateway.logs.filter(({ msg }) => msg === 'held')
  while (reports().length === before) await pause(5)
  const { held, bytes } = reports().at(-1) as unknown as {
    readonly held: Readonly<Record<string, number>>
    readonly bytes: number
  }
  // Files are read and names are looked up now and then; none of it stays.
  const stays = ([kind]: readonly [string, number]): boolean =>
    !/^(FSReqCallback|FSReqPromise|GetAddrInfoReqWrap|Immediate|ShutdownWrap|.*WriteWrap|TickObject)$/.test(
      kind,
    )
  return {
    resources: Object.fromEntries(Object.entries(held).filter(stays)),
    descriptors: process.platform === 'linux' ? readdirSync(`/proc/${gateway.pid}/fd`).length : 0,
    bytes,
  }
}

t.test('a thousand streams, opened and broken on either side, leave nothing behind', async t => {
  const preload = join(tempDir(t), 'reporter.mjs')
  writeFileSync(preload, reporter)
  const world = await startedWorld(t, {
    mode: 'gateway',
    flags: ['--close-streams-at-token-expiry'],
    process: { nodeArgs: [`--import=${preload}`] },
  })
  const { api, issuer, target } = world
  const token = issuer.sign()

  const answers = new Map<string | undefined, Answer>()
  const respond: Responder = async (request, answer) => {
    answers.set(request.values('x-name')[0], answer)
    if (request.values('upgrade').length > 0) {
      await answer.raw(head101('websocket'))
      const { socket } = answer.hijack()
      // As an API server does; otherwise half a tunnel lives on, as it should.
      socket.on('data', () => undefined).on('end', () => socket.end())
      socket.write(event)
      return
    }
    await answer.raw('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n')
    await answer.raw(`${event.length.toString(16)}\r\n${event}\r\n`)
    await request.gone
  }
  api.respondWith(respond)
  const asked = (name: string, isTunnel: boolean): string =>
    requestBytes('GET', isTunnel ? exec : '/api/v1/pods?watch=true', [
      ['Host', 'gateway'],
      ['Authorization', `Bearer ${token}`],
      ['X-Name', name],
      ...(isTunnel ? webSocket : []),
    ])
  const breaks: ReadonlyArray<(client: RawConnection, answer: Answer | undefined) => unknown> = [
    client => client.reset(),
    client => client.destroy(),
    client => client.end(),
    (_, answer) => answer?.reset(),
    (_, answer) => answer?.end(),
  ]
  let nextName = 0
  const openAndBreak = async (n: number): Promise<void> => {
    const name = `${nextName++}`
    const client = await connectRaw(target)
    await client.write(asked(name, n % 2 === 0))
    await client.readUntil(event)
    breaks[n % breaks.length]?.(client, answers.get(name))
    answers.delete(name)
    await Promise.race([client.gone, pause(5)])
    client.destroy()
  }
  const round = async (count: number): Promise<void> => {
    for (let n = 0; n < count; n += 10) {
      await Promise.all(Array.from({ length: 10 }, (_, nth) => openAndBreak(n + nth)))
    }
  }
  /** Once everything that is going has gone; keeps looking for as long as it must. */
  const atRest = async (fits: (now: Held) => boolean): Promise<Held> => {
    let now = await heldBy(world)
    for (let looks = 0; looks < 200 && !fits(now); looks += 1) {
      await pause(50)
      now = await heldBy(world)
    }
    return now
  }

  // Caches, pools and compiled code come with the first of them.
  await round(400)
  let last = ''
  const before = await atRest(({ resources, descriptors }) => {
    const text = JSON.stringify([resources, descriptors])
    const same = text === last
    last = text
    return same
  })
  await round(asMany)
  const more = (now: Held): string[] =>
    Object.entries(now.resources)
      .filter(([kind, count]) => count > (before.resources[kind] ?? 0))
      .map(([kind, count]) => `${kind}: ${count}, was ${before.resources[kind] ?? 0}`)
  const perStream = (now: Held): number => (now.bytes - before.bytes) / asMany
  const after = await atRest(
    now =>
      more(now).length === 0 &&
      now.descriptors <= before.descriptors + few &&
      perStream(now) < 2_048,
  )
  t.strictSame(more(after), [], 'sockets and timers')
  t.ok(
    after.descriptors <= before.descriptors + few,
    `${after.descriptors} descriptors, ${before.descriptors} before`,
  )
  // A stream that was kept would be far above: its buffers and sockets alone are tens of kilobytes.
  t.ok(perStream(after) < 2_048, `${Math.round(perStream(after))} bytes a stream`)
  t.equal(await world.gateway.metric('gateway_open_streams{kind="watch"}'), 0)
  t.equal(await world.gateway.metric('gateway_open_streams{kind="exec"}'), 0)
  t.equal(api.forwarded.length, 400 + asMany)
})
