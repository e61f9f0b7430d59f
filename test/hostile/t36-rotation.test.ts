/*
 * T36: everything that expires is replaced while requests run, and one of them notices: serving
 * certificate, authorities, the gateway's token, the API server's address, the issuer's keys. Precedent: the
 * kubelet, which replaces projected tokens and the files of mounted Secrets in place. The files are looked at
 * every ten seconds, and so long the tests take.
 */
import { once } from 'node:events'
import { appendFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { connect } from 'node:tls'
import t, { type Test } from 'tap'
import { stream } from '../actors/api-server-answers.js'
import { startApiServer, statusBody, type ApiServer, type Responder } from '../actors/api-server.js'
import { createAuthority } from '../actors/certificates.js'
import { tempDir, writeKubeconfig, writeServing } from '../actors/files.js'
import { h2Connect, h2Request } from '../actors/h2-client.js'
import { connectRaw, requestBytes } from '../actors/raw-client.js'
import { startedWorld, type World } from '../actors/world.js'

t.jobs = 2

t.test('everything is replaced, and no request fails', async t => {
  const directory = tempDir(t)
  const tokenFile = join(directory, 'token')
  writeFileSync(tokenFile, 'first-token')
  const [first, second] = await Promise.all([startApiServer(), startApiServer()])
  t.teardown(() => second.close())
  const kubeconfigOf = (api: ApiServer): string =>
    writeKubeconfig(directory, { server: api.url, ca: api.ca, tokenFile })
  const world = await startedWorld(t, {
    mode: 'gateway',
    api: first,
    flags: [`--kubeconfig=${kubeconfigOf(first)}`],
  })
  const { issuer, gateway } = world
  const events = stream()
  const accept = (...tokens: readonly string[]): Responder => {
    const accepted = tokens.map(token => `Bearer ${token}`)
    return (request, answer) => {
      if (!accepted.includes(request.values('authorization').join())) {
        return answer.reply(401, {}, statusBody(401, 'Unauthorized'))
      }
      const isWatch = request.target.includes('watch')
      return isWatch ? events.respond(request, answer) : answer.reply(200, {}, { ok: true })
    }
  }
  first.respondWith(accept('first-token'))
  second.respondWith(accept('first-token', 'second-token'))
  const signer = { kid: 'one' }
  let serial = 0
  const load = startLoad(t, world, () =>
    issuer.sign({ jti: String((serial += 1)) }, { kid: signer.kid }),
  )
  const watch = await connectRaw(world.target)
  t.teardown(() => watch.destroy())
  await watch.write(
    requestBytes('GET', '/api/v1/pods?watch=1', {
      Host: 'gateway',
      Authorization: `Bearer ${issuer.sign()}`,
    }),
  )
  await events.send('{"n":1}\n')
  await watch.readUntil('{"n":1}\n')
  const certificate = await servedCertificate(world)

  // The order in which they are looked at is left to the gateway.
  await writeServing(world.directory, world.authority)
  appendFileSync(join(world.directory, 'issuer-ca.crt'), createAuthority('next').ca)
  writeFileSync(`${tokenFile}.new`, 'second-token\n')
  renameSync(`${tokenFile}.new`, tokenFile)
  kubeconfigOf(second)
  first.respondWith(accept('first-token', 'second-token'))
  await issuer.addKey({ kid: 'two' })
  signer.kid = 'two'
  await load.more()
  issuer.publish('two')

  while ((await servedCertificate(world)) === certificate) await pause(50)
  await gateway.waitForLog(({ msg }) => msg === 'API server connection reloaded')
  await gateway.waitForLog(({ file }) => String(file).endsWith('issuer-ca.crt'))
  const used = (): string | undefined => second.forwarded.at(-1)?.values('authorization').join()
  while (used() !== 'Bearer second-token') await pause(20)
  second.respondWith(accept('second-token'))
  await load.more()
  await events.send('{"n":2}\n')
  await watch.readUntil('{"n":2}\n')
  t.equal(watch.closed, 'open', 'a watch goes on where it was')
  await events.finish()
  await watch.readUntil('\r\n0\r\n\r\n')
  await first.down()
  await load.more()

  const answers = await load.stop()
  t.strictSame(
    Object.keys(answers).toSorted(),
    ['h2 200', 'keep-alive 200', 'new connections 200', 'uploads 200'],
    JSON.stringify(answers),
  )
  t.strictSame([...first.faults, ...second.faults], [])
  t.strictSame(
    gateway.logs.filter(({ level }) => level === 'error'),
    [],
  )
})

t.test('what breaks or disappears stays in force as it was', async t => {
  const directory = tempDir(t)
  const tokenFile = join(directory, 'token')
  writeFileSync(tokenFile, 'good-token')
  const api = await startApiServer()
  const kubeconfig = writeKubeconfig(directory, { server: api.url, ca: api.ca, tokenFile })
  const world = await startedWorld(t, {
    mode: 'gateway',
    api,
    flags: [`--kubeconfig=${kubeconfig}`],
  })
  const { gateway, issuer } = world
  const load = startLoad(t, world, () => issuer.sign())
  const certificate = await servedCertificate(world)

  rmSync(tokenFile)
  writeFileSync(kubeconfig, 'clusters: [')
  // A certificate without its key, as between two writes.
  writeFileSync(join(world.directory, 'tls.crt'), (await world.authority.issue()).cert)
  writeFileSync(join(world.directory, 'issuer-ca.crt'), 'no certificate\n')
  for (const begins of [
    'cluster configuration cannot be used, the last good one stays',
    'serving certificate and key do not match, the last good pair stays',
  ]) {
    await gateway.waitForLog(({ msg }) => String(msg).startsWith(begins))
  }
  t.match(
    await gateway.waitForLog(({ file }) => String(file).endsWith('issuer-ca.crt')),
    { level: 'error', msg: 'file cannot be used, the last good one stays in force' },
    'the authority of the issuer',
  )
  await issuer.addKey({ kid: 'two' })
  t.equal(
    (await world.ask({ token: issuer.sign({}, { kid: 'two' }) })).response?.status,
    200,
    'and new keys still come from the issuer',
  )
  await load.more()

  const answers = await load.stop()
  t.strictSame(
    Object.keys(answers).toSorted(),
    ['h2 200', 'keep-alive 200', 'new connections 200', 'uploads 200'],
    JSON.stringify(answers),
  )
  t.equal(await servedCertificate(world), certificate)
  const credentials = api.forwarded.map(request => request.values('authorization').join())
  t.strictSame([...new Set(credentials)], ['Bearer good-token'])
})

interface Load {
  /** Resolves when each kind of request has been answered twice more. */
  more(): Promise<void>
  /** Resolves with how often what happened. */
  stop(): Promise<Readonly<Record<string, number>>>
}

/** Asks without a break: by one connection, by new ones, by HTTP/2, and with bodies that cannot be sent twice. */
function startLoad(t: Test, world: World, token: () => string): Load {
  const counted: Record<string, number> = {}
  const rounds: number[] = []
  const state = { running: true }
  const loop = async (kind: number, name: string, ask: () => Promise<number | undefined>) => {
    rounds[kind] = 0
    while (state.running) {
      const what = await ask().then(
        status => `${name} ${status === undefined ? 'unanswered' : String(status)}`,
        (error: unknown) => `${name} ${String(error)}`,
      )
      counted[what] = (counted[what] ?? 0) + 1
      rounds[kind] = (rounds[kind] ?? 0) + 1
      await pause(10)
    }
  }
  const fields = (): Record<string, string> => ({
    Host: 'gateway',
    Authorization: `Bearer ${token()}`,
  })
  const keepAlive = async (): Promise<void> => {
    const connection = await connectRaw(world.target)
    await loop(0, 'keep-alive', async () => {
      await connection.write(requestBytes('GET', '/api/v1/pods', fields()))
      return (await connection.readResponse()).status
    })
    connection.destroy()
  }
  const h2 = async (): Promise<void> => {
    const session = await h2Connect(world.target)
    session.setMaxListeners(0)
    await loop(1, 'h2', async () => {
      const headers = { ':path': '/api/v1/pods', authorization: `Bearer ${token()}` }
      return (await h2Request({ ...world.target, session, headers })).status
    })
    session.destroy()
  }
  const ask = (asked: Parameters<World['ask']>[0]) => async () =>
    (await world.ask({ token: token(), ...asked })).response?.status
  const body = '{"kind":"ConfigMap"}'
  const upload = {
    method: 'POST',
    headers: [['Content-Length', String(body.length)]] as const,
    body,
  }
  const loops = Promise.all([
    keepAlive(),
    h2(),
    loop(2, 'new connections', ask({})),
    loop(3, 'uploads', ask(upload)),
  ])
  const stop = async (): Promise<Readonly<Record<string, number>>> => {
    state.running = false
    await loops
    return counted
  }
  t.teardown(stop)
  return {
    stop,
    more: async () => {
      const before = [0, 1, 2, 3].map(kind => rounds[kind] ?? 0)
      while (before.some((count, kind) => (rounds[kind] ?? 0) < count + 2)) await pause(10)
    },
  }
}

/** Of a new connection. */
async function servedCertificate({ target }: World): Promise<string> {
  const socket = connect({ ...target, host: '127.0.0.1', servername: 'localhost' })
  await once(socket, 'secureConnect')
  const { fingerprint256 } = socket.getPeerCertificate()
  socket.destroy()
  return fingerprint256
}
