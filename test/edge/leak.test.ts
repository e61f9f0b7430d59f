import { writeFileSync } from 'node:fs'
import { setTimeout as pause } from 'node:timers/promises'
import t from 'tap'
import { startGateway } from '../../cmd/serve.js'
import { loadServe } from '../../lib/settings/load.js'
import { startApiServer, type Answer, type Responder } from '../actors/api-server.js'
import { createAuthority } from '../actors/certificates.js'
import { tempDir, writeKubeconfig, writeServing } from '../actors/files.js'
import { startIssuer } from '../actors/issuer.js'
import { connectRaw, requestBytes, type RawConnection } from '../actors/raw-client.js'

const exec = '/api/v1/namespaces/a/pods/b/exec'
const upgrade = { Connection: 'Upgrade', Upgrade: 'websocket' }
const event = '{"type":"ADDED"}\n'

/** Sockets, timers and the like that keep this process, by kind. */
function resources(): Readonly<Record<string, number>> {
  const counts: Record<string, number> = {}
  for (const kind of process.getActiveResourcesInfo()) {
    // Names are looked up, files are read, and turns are taken now and then; none of it stays.
    if (
      /^(FSReqCallback|FSReqPromise|GetAddrInfoReqWrap|Immediate|ShutdownWrap|.*WriteWrap|TickObject)$/.test(
        kind,
      )
    )
      continue
    counts[kind] = (counts[kind] ?? 0) + 1
  }
  return counts
}

t.test('300 streams, opened and broken on either side, leave nothing behind', async t => {
  const directory = tempDir(t)
  const authority = createAuthority('gateway')
  const [issuer, api, serving] = await Promise.all([
    startIssuer(),
    startApiServer(),
    writeServing(directory, authority),
  ])
  const caFile = `${directory}/issuer.crt`
  writeFileSync(caFile, issuer.ca)
  const kubeconfig = writeKubeconfig(directory, { server: api.url, ca: api.ca, token: 'own' })
  const loaded = loadServe([
    '--bind-address=127.0.0.1',
    '--secure-port=0',
    '--admin-port=0',
    `--tls-cert-file=${serving.certFile}`,
    `--tls-private-key-file=${serving.keyFile}`,
    `--oidc-issuer-url=${issuer.url}`,
    '--oidc-client-id=kubernetes',
    `--oidc-ca-file=${caFile}`,
    `--kubeconfig=${kubeconfig}`,
    '--unsafe-use-service-account-token',
  ])
  if (!('settings' in loaded)) throw new Error(JSON.stringify(loaded))
  const gateway = await startGateway(loaded.settings)
  t.teardown(async () => {
    await gateway.close()
    await Promise.all([issuer.close(), api.close()])
  })
  const token = issuer.sign()

  const answers = new Map<string | undefined, Answer>()
  const respond: Responder = async (request, answer) => {
    answers.set(request.values('x-name')[0], answer)
    if (request.values('upgrade').length > 0) {
      await answer.raw('HTTP/1.1 101 S\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n')
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
  const fields = { Host: 'gateway', Authorization: `Bearer ${token}` }
  const asked = (name: string, isTunnel: boolean): string =>
    isTunnel
      ? requestBytes('GET', exec, { ...fields, ...upgrade, 'X-Name': name })
      : requestBytes('GET', '/api/v1/pods?watch=true', { ...fields, 'X-Name': name })
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
    const client = await connectRaw({ port: gateway.port, ca: authority.ca })
    await client.write(asked(name, n % 2 === 0))
    await client.readUntil(event)
    breaks[n % breaks.length]?.(client, answers.get(name))
    await Promise.race([client.gone, pause(5)])
    client.destroy()
  }
  const round = async (count: number): Promise<void> => {
    for (let n = 0; n < count; n += 10) {
      await Promise.all(Array.from({ length: 10 }, (_, nth) => openAndBreak(n + nth)))
    }
  }
  /** Once everything that is going has gone; keeps looking for as long as it must. */
  const atRest = async (fits: (now: Readonly<Record<string, number>>) => boolean) => {
    let now = resources()
    for (let looks = 0; looks < 200 && !fits(now); looks += 1) {
      await pause(25)
      now = resources()
    }
    return now
  }
  await round(10)
  let last = ''
  const before = await atRest(now => {
    const text = JSON.stringify(now)
    const same = text === last
    last = text
    return same
  })
  await round(300)
  const more = (now: Readonly<Record<string, number>>): string[] =>
    Object.entries(now)
      .filter(([kind, count]) => count > (before[kind] ?? 0))
      .map(([kind, count]) => `${kind}: ${count}, was ${before[kind] ?? 0}`)
  const after = await atRest(now => more(now).length === 0)
  t.strictSame(more(after), [])
  t.equal(api.forwarded.length, 310)
})
