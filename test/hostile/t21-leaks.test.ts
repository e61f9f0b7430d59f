/*
 * T21: a token that shows up in a log, an answer, a metric or an error message works for whoever reads
 * it there. Precedents: CVE-2019-11250 (client-go logged bearer tokens), CVE-2020-8563 to -8566 (secrets
 * in the logs of Kubernetes' components).
 */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { openCluster } from '../../lib/upstream/cluster.js'
import { bytes, redirect } from '../actors/api-server-answers.js'
import { startApiServer, statusBody, type Responder } from '../actors/api-server.js'
import { tempDir, writeKubeconfig } from '../actors/files.js'
import { runProgram } from '../actors/gateway.js'
import { h2Request } from '../actors/h2-client.js'
import type { HeaderLines } from '../actors/http1.js'
import { rawRequest, type RawExchange } from '../actors/raw-client.js'
import { createSigningKey } from '../actors/signing-key.js'
import { startedWorld } from '../actors/world.js'

/** Looks like what the kubelet projects. */
const ownToken = [
  Buffer.from('{"alg":"RS256","kid":"cluster"}').toString('base64url'),
  Buffer.from('{"sub":"system:serviceaccount:gateway:gateway"}').toString('base64url'),
  Buffer.from('signature of the API server').toString('base64url'),
].join('.')

t.test('no token is in anything that comes out of the gateway', async t => {
  const directory = tempDir(t)
  const api = await startApiServer()
  const own = { server: api.url, ca: api.ca, token: ownToken }
  const kubeconfig = writeKubeconfig(directory, own)
  const world = await startedWorld(t, {
    mode: 'gateway',
    api,
    flags: [`--kubeconfig=${kubeconfig}`, '--log-level=debug'],
  })
  const { issuer, gateway, target } = world
  const stranger = await createSigningKey('one')
  const answers: Buffer[] = []
  const secrets = new Set<string>()
  let serial = 0
  /** Another one each time, remembered as something that may be seen nowhere. */
  const token = (claims: object = {}, options: Parameters<typeof issuer.sign>[1] = {}): string => {
    const made = issuer.sign({ jti: `secret-${String((serial += 1))}`, ...claims }, options)
    secrets.add(made)
    return made
  }
  const heard = ({ bytes: all }: Pick<RawExchange, 'bytes'>): void => void answers.push(all)
  const ask = async (asked: Parameters<typeof world.ask>[0]): Promise<void> =>
    heard(await world.ask({ token: token(), timeoutMs: 20_000, ...asked }))

  // As a credential: good, and bad in every way.
  const exp = Math.floor(Date.now() / 1000)
  const credentials = [
    token(),
    token({ exp: exp - 10 }),
    token({ exp: undefined }),
    token({ nbf: exp + 1000 }),
    token({ aud: 'other' }),
    token({ iss: 'https://other.example' }),
    token({ iss: token(), aud: token() }),
    token({ sub: '' }),
    token({ sub: 1 }),
    token({ groups: [token(), null] }),
    token({}, { header: { alg: 'none' } }),
    token({}, { header: { alg: token() } }),
    token({}, { header: { typ: token() } }),
    token({}, { header: { crit: [token()] } }),
    token({}, { key: stranger }),
    token({}, { header: { kid: token() } }),
    `${token()}=`,
    `${token()}.${token()}`,
    token().slice(0, -8),
  ]
  await Promise.all(credentials.map(credential => ask({ token: credential })))
  for (const scheme of ['Basic', 'Token', 'Bearer,', 'Bearer a']) {
    await ask({ token: false, headers: [['Authorization', `${scheme} ${token()}`]] })
  }

  // In every header field, beside a good credential and without one.
  const fields = `Accept Accept-Encoding Accept-Language Audit-ID Authorization Cache-Control Connection
    Content-Length Content-Type Cookie Expect Forwarded From HTTP2-Settings Host If-Match If-None-Match
    Impersonate-Extra-Token Impersonate-Group Impersonate-Uid Impersonate-User Keep-Alive Origin Prefer
    Proxy-Authorization Proxy-Connection Range Referer Sec-WebSocket-Key Sec-WebSocket-Protocol TE
    Traceparent Trailer Transfer-Encoding Upgrade User-Agent Via Warning X-Auth-Request-Access-Token
    X-Forwarded-Access-Token X-Forwarded-For X-Forwarded-Host X-Original-URL X-Real-IP X-Remote-User
    X-Request-Id`
  for (const name of fields.trim().split(/\s+/)) {
    const upgrades = name === 'Upgrade' || name.startsWith('Sec-')
    const also: HeaderLines = upgrades ? [['Connection', 'upgrade']] : []
    const websocket: HeaderLines = name.startsWith('Sec-') ? [['Upgrade', 'websocket']] : []
    const headers = (value: string): HeaderLines => [[name, value], ...also, ...websocket]
    await ask({ headers: headers(token()) })
    await ask({ token: false, headers: headers(`Bearer ${token()}`) })
  }
  const subprotocol = `base64url.bearer.authorization.k8s.io.${Buffer.from(token()).toString('base64url')}`
  for (const path of ['/api/v1/namespaces/a/pods/b/exec', '/api/v1/pods']) {
    const headers: HeaderLines = [
      ['Connection', 'upgrade'],
      ['Upgrade', 'websocket'],
      ['Sec-WebSocket-Protocol', `${subprotocol}, v5.channel.k8s.io`],
    ]
    await ask({ token: false, path, headers })
  }

  // In the query, the path, the body, and where no token belongs at all.
  for (const credential of [token(), false] as const) {
    const post = { method: 'POST', token: credential }
    await ask({ token: credential, path: `/api/v1/pods?access_token=${token()}&token=${token()}` })
    await ask({ token: credential, path: `/api/v1/pods?x=%2E${token().replaceAll('.', '%2E')}` })
    await ask({ token: credential, path: `/api/v1/namespaces/${token()}/pods` })
    await ask({ token: credential, path: `/${token()}` })
    await ask({ token: credential, path: `/x_${token()}` })
    await ask({ token: credential, path: `/${token().replaceAll('.', '%2E')}` })
    await ask({ token: credential, path: `/${'x'.repeat(1000)}${token()}` })
    await ask({ token: credential, path: `//${token()}` })
    await ask({ token: credential, path: `/#${token()}` })
    await ask({ token: credential, path: `https://${token()}@example.com/` })
    const body = JSON.stringify({ spec: { token: token() } })
    await ask({ ...post, body, headers: [['Content-Length', String(body.length)]] })
    await ask({ ...post, body: `x\r\n${token()}`, headers: [['Transfer-Encoding', 'chunked']] })
  }
  for (const line of [
    `${token()} / HTTP/1.1`,
    `GET / ${token()}`,
    token(),
    `GET / HTTP/1.1\r\n${token()}: x`,
    `GET / HTTP/1.1\r\n${token()}`,
    `GET / HTTP/1.1\r\nHost: x\r\nA: \0${token()}`,
    `CONNECT ${token()}:443 HTTP/1.1\r\nHost: x`,
    `TRACE /${token()} HTTP/1.1\r\nHost: x`,
  ]) {
    heard(await rawRequest({ ...target, bytes: `${line}\r\n\r\n` }))
  }
  for (const headers of [
    { authorization: `Bearer ${token()}`, 'user-agent': token(), cookie: token() },
    { ':path': `/${token()}`, ':authority': token() },
  ]) {
    const answer = await h2Request({ ...target, headers })
    answers.push(Buffer.from(JSON.stringify(answer.headers)), answer.body)
  }

  // By way of an API server that repeats what it was sent.
  const repeated =
    (answer: (credential: string) => Responder): Responder =>
    (request, to) =>
      answer(request.values('authorization').join())(request, to)
  for (const answer of [
    repeated(it => (_, to) => to.reply(401, { 'WWW-Authenticate': it }, statusBody(401, it))),
    repeated(it => bytes(it)),
    repeated(it => bytes(`HTTP/1.1 ${it} OK\r\n\r\n`)),
    repeated(it => bytes(`HTTP/1.1 200 OK\r\n${it}\r\n\r\n`)),
    repeated(it => bytes(`HTTP/1.1 200 OK\r\nContent-Length: ${it}\r\n\r\n`)),
    repeated(it => bytes(`HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n${it}\r\n`)),
    redirect('/elsewhere'),
  ]) {
    api.respondWith(answer)
    await ask({})
    await ask({ method: 'POST', headers: [['Content-Length', '2']], body: '{}' })
  }
  await api.down()
  await ask({})
  await api.up()

  // By way of a kubeconfig that breaks: the API server's no makes the gateway look at it at once.
  writeFileSync(kubeconfig, broken(ownToken)[0] ?? '')
  await gateway.waitForLog(({ msg }) =>
    String(msg).startsWith('cluster configuration cannot be used'),
  )

  for (const path of ['/metrics', '/readyz?verbose', `/${token()}`, `/readyz?${token()}`]) {
    answers.push(Buffer.from((await gateway.admin(path)).body))
  }
  t.strictSame(await gateway.stop(), { code: 0, signal: null })

  t.ok(
    gateway.logs.filter(({ msg }) => msg === 'request').length > 150,
    'there is a log to look at',
  )
  const said = {
    log: gateway.logs.map(line => JSON.stringify(line)).join('\n'),
    output: gateway.stdout,
    answers: Buffer.concat(answers).toString('latin1'),
  }
  secrets.add(ownToken)
  for (const [where, text] of Object.entries(said)) {
    t.strictSame(found(text, secrets), [], where)
    t.strictSame(
      text.match(/e[yw][\w-]{8,}(?:\.|%2e)e[yw][\w-]{8,}/gi),
      null,
      `${where}: nothing like a JWT`,
    )
  }
})

t.test('a kubeconfig that cannot be used is not quoted', async t => {
  const directory = tempDir(t)
  const kubeconfig = join(directory, 'broken')
  // A short one too: parsers quote only so much of a line.
  for (const secret of [ownToken, 'abcdef.0123456789abcdef']) {
    for (const text of broken(secret)) {
      writeFileSync(kubeconfig, text)
      const fault = await openCluster({ kubeconfig, useOwnCredential: true }).then(
        () => t.fail(`should not be usable: ${text}`),
        (error: unknown) => error,
      )
      t.strictSame(found(said(fault), [secret]), [], said(fault))
    }
  }
  const { code, stdout, stderr } = await runProgram([
    'serve',
    '--oidc-issuer-url=https://issuer.example',
    '--oidc-client-id=kubernetes',
    '--unsafe-use-service-account-token',
    `--kubeconfig=${kubeconfig}`,
  ])
  t.equal(code, 2)
  t.strictSame(found(`${stdout}${stderr}`, [ownToken]), [])
})

/** Kubeconfigs that hold a secret and are none. */
function broken(secret: string): readonly string[] {
  const good = [
    'apiVersion: v1',
    'kind: Config',
    'clusters: [{name: a, cluster: {server: "https://127.0.0.1:1"}}]',
    'contexts: [{name: a, context: {cluster: a, user: a}}]',
    'current-context: a',
  ].join('\n')
  const user = (text: string): string => `${good}\nusers:\n- name: a\n  user:\n    ${text}\n`
  return [
    user(`token: ${secret}\n   bad: indentation`),
    user(`token: "${secret}`),
    user(`token: ${secret}: x`),
    user(`token: ${secret}\n    token: ${secret}`),
    user(`token: !!int ${secret}`),
    user(`token: *${secret}`),
    user(`token: "${secret} ${secret}"`),
    user(`token: [${secret}]`),
    user(`token: !${secret}`),
    user(`token: &${secret} *b`),
    user(`token: {a: ${secret}}`),
    user(`tokenFile: /nowhere\n    token: ${secret}`),
    user(`username: a\n    password: ${secret}`),
    user(`client-certificate-data: ${secret}\n    client-key-data: ${secret}`),
    user(
      `exec: {command: "false", apiVersion: client.authentication.k8s.io/v1, args: [${secret}]}`,
    ),
    user(`exec: {command: echo, apiVersion: client.authentication.k8s.io/v1, args: [${secret}]}`),
    JSON.stringify({ kind: 'Config', users: [{ name: 'a', user: { token: secret } }] }).slice(
      0,
      -3,
    ),
    secret,
  ]
}

/** Which of these, or what of them works or tells the same, is in the text. */
function found(text: string, secrets: Iterable<string>): readonly string[] {
  return [...secrets].filter(secret =>
    [...secret.split('.').slice(1), Buffer.from(secret).toString('base64url').slice(0, -2)].some(
      part => part.length > 8 && text.includes(part),
    ),
  )
}

const said = (error: unknown): string =>
  error instanceof Error ? `${error.message} ${JSON.stringify(error)}` : String(error)
