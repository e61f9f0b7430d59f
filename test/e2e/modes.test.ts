import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t, { type Test } from 'tap'
import { startIssuer, type Issuer } from '../../lib/demo/issuer.js'
import { createAuthority } from '../actors/certificates.js'
import { tempDir, writeKubeconfig, writeServing, type Teardown } from '../actors/files.js'
import { startGatewayProcess, type GatewayProcess } from '../actors/gateway.js'
import { apiClient } from './api-client.js'
import { auditEvent } from './audit.js'
import { kubectlAs, type KubectlOptions } from './kubectl.js'
import { needs, type Feature } from './needs.js'
import { freePorts, startServer } from './server-process.js'
import { modes, world, type User } from './world.js'

/*
 * docs/modes.md, followed as it is written: its files and commands, in its order, in one folder. Only what stands
 * there for the reader's own is replaced: addresses of issuers, API server and proxy.
 */

const root = fileURLToPath(new URL('../..', import.meta.url))
const page = readFileSync(join(root, 'docs/modes.md'), 'utf8')

interface Block {
  readonly kind: string
  readonly text: string
}

/** What stands between fences below the heading that begins so. */
function blocksOf(letter: string): readonly Block[] {
  const section = page.split(/^## /m).find(one => one.startsWith(`${letter}. `)) ?? ''
  return [...section.matchAll(/^```(\w+)\n(.*?)^```$/gms)].map(([, kind = '', text = '']) => ({
    kind,
    text,
  }))
}

const isServe = ({ text }: Block): boolean => text.startsWith('impersonation-gateway serve')
/** Of the kubeconfig of a and b. */
const isKubeconfig = ({ text }: Block): boolean => text.includes('kubectl config')
/** Each role is there for both kinds of impersonation, and the API server of this run has one of them. */
const fits = ({ text }: Block): boolean =>
  !text.includes('impersonation-gateway rbac') ||
  text.includes('--mode=constrained') === (impersonation === 'constrained')

const { impersonation, issuer, ca, admin, apiServer, kubeApiServer, kubectl, tokens } = world()
const folder = tempDir(t)
const issuersCa = join(folder, 'issuers.crt')
let gatewayCa: string
let other: Issuer

t.before(async () => {
  other = await startIssuer({ users: { bob: { email: 'bob@example.com', groups: ['viewers'] } } })
  t.teardown(() => other.close())
  const authority = createAuthority('gateway')
  gatewayCa = authority.ca
  await writeServing(folder, authority)
  writeFileSync(join(folder, 'ca.crt'), ca)
  writeFileSync(issuersCa, `${issuer.ca}\n${other.ca}`)
  const program = join(folder, 'impersonation-gateway')
  writeFileSync(
    program,
    `#!/bin/sh\nexec ${process.execPath} ${join(root, 'dist/cmd/main.js')} "$@"\n`,
  )
  chmodSync(program, 0o700)
  symlinkSync(kubectl, join(folder, 'kubectl'))
})

/** Does what the blocks say. Resolves with the gateway that the last of them starts. */
async function follow(
  t: Teardown,
  blocks: readonly Block[],
  server: string,
): Promise<GatewayProcess> {
  const own = new Map([
    ['https://issuer.example.com', issuer.url],
    ['https://other-issuer.example.com', other.url],
    ['https://api.example.com:6443', server],
    ['10.20.0.0/24', '127.0.0.0/8'],
  ])
  let gateway: GatewayProcess | undefined
  for (const block of blocks) {
    const text = [...own].reduce((all, [theirs, ours]) => all.replaceAll(theirs, ours), block.text)
    const [, file] = /^# (\S+)\n/.exec(text) ?? []
    if (block.kind === 'yaml' && file !== undefined) {
      writeFileSync(join(folder, file), text)
    } else if (isServe(block)) {
      const [, , ...flags] = text.replaceAll('\\\n', ' ').trim().split(/\s+/)
      const env = { NODE_EXTRA_CA_CERTS: issuersCa }
      gateway = await startGatewayProcess(t, flags, { from: 'dist', cwd: folder, env })
    } else {
      await shell(text)
    }
  }
  if (gateway === undefined) throw new Error('the page starts no gateway there')
  return gateway
}

/** As the cluster's administrator. @throws with what was said, when the last command of a line fails */
async function shell(script: string): Promise<void> {
  const KUBECONFIG = writeKubeconfig(folder, { server: apiServer.url, ca, clientCert: admin })
  const child = spawn('sh', ['-ec', script], {
    cwd: folder,
    env: { PATH: `${folder}:${process.env['PATH'] ?? ''}`, HOME: folder, KUBECONFIG },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let said = ''
  for (const output of [child.stdout, child.stderr]) {
    output.on('data', (piece: Buffer) => (said += piece.toString()))
  }
  const [code] = (await once(child, 'close')) as [number | null]
  if (code !== 0) throw new Error(`${script}\nstatus ${String(code)}\n${said}`)
}

/** One more API server of the same cluster, with these flags of the page. Its log of audit is beside it. */
async function apiServerWith(t: Teardown, name: string, flags: readonly string[]) {
  const [port = 0] = await freePorts(1)
  const auditLog = join(folder, `${name}-audit.log`)
  const running = startServer(
    name,
    kubeApiServer.program,
    [...kubeApiServer.flags, `--secure-port=${port}`, `--audit-log-path=${auditLog}`, ...flags],
    { folder, env: { SSL_CERT_FILE: issuersCa } },
  )
  t.teardown(() => running.stop())
  const url = `https://127.0.0.1:${port}`
  const client = apiClient({ url, ca }, admin)
  await running.ready(async () => (await client.ask('GET', '/readyz')).status === 200)
  client.close()
  return { url, auditLog }
}

/** Real kubectl through a gateway that the page has started. */
const through = (t: Teardown, { port }: GatewayProcess, user: User, options?: KubectlOptions) =>
  kubectlAs(t, user, { url: `https://127.0.0.1:${port}`, ca: gatewayCa }, options)

async function othersBob(t: Test, gateway: GatewayProcess): Promise<void> {
  const bob = through(t, gateway, 'bob', { token: await other.tokenFor('bob') })
  t.match(
    (await bob.run('auth', 'whoami')).out,
    /^Username +other:bob\nGroups +\[other:viewers system:authenticated\]$/m,
  )
}

const can = needs('self-subject-review')
const callers = (...more: readonly Feature[]): ReturnType<typeof needs> =>
  modes().includes('caller')
    ? needs('self-subject-review', ...more)
    : { skip: 'this run is about the account of the gateway' }

t.test("a, c: the caller's token", callers(), async t => {
  const flags =
    blocksOf('a')
      .find(({ kind }) => kind === 'text')
      ?.text.trim()
      .split('\n') ?? []
  t.equal(flags.length, 6)
  const server = await apiServerWith(
    t,
    'modes-a',
    flags.map(flag => flag.replace('https://issuer.example.com', issuer.url)),
  )

  await t.test('an API server that accepts the issuer’s tokens', async t => {
    const blocks = blocksOf('a').filter(({ kind }) => kind !== 'text')
    const gateway = await follow(t, blocks, server.url)
    const alice = through(t, gateway, 'alice')
    t.match((await alice.run('auth', 'whoami')).out, /^Username +oidc:alice$/m)
    t.equal((await alice.run('get', 'pods')).status, 0)
    t.match((await through(t, gateway, 'carol').run('get', 'pods')).err, 'User "oidc:carol" cannot')
    t.equal(await gateway.metric('gateway_privileged_mode'), 0)
  })

  await t.test('a trusted proxy in front that brings each caller’s own token', async t => {
    const gateway = await follow(t, blocksOf('c'), server.url)
    const url = `https://127.0.0.1:${gateway.port}`
    const proxy = apiClient({ url, ca: gatewayCa }, { token: tokens.alice })
    t.teardown(() => proxy.close())
    const answer = await proxy.must('GET', '/api/v1/namespaces/default/pods', {
      headers: { 'X-Forwarded-For': '198.51.100.7', 'X-Remote-User': 'admin' },
    })
    const event = await auditEvent(server, String(answer.headers['audit-id']))
    t.match(event, { user: { username: 'oidc:alice' }, sourceIPs: ['198.51.100.7', '127.0.0.1'] })
    t.notHas(event, 'impersonatedUser')
  })
})

t.test('b: an API server that cannot be told about the issuer', async t => {
  const gateway = await follow(t, blocksOf('b').filter(fits), apiServer.url)
  t.equal(await gateway.metric('gateway_credential_rights{verdict="least"}'), 1)
  const bob = through(t, gateway, 'bob')
  t.equal((await bob.run('get', 'pods')).status, 0)
  t.match((await bob.run('create', 'configmap', 'x')).err, 'User "oidc:bob" cannot create')
  const alice = await through(t, gateway, 'alice').run('get', '--raw=/api')
  if (impersonation === 'constrained') t.equal(alice.status, 0)
  else t.match(alice.err, 'cannot impersonate resource "groups"', 'in a group that was not named')
})

t.test('b: the API server takes the example that the page points to', async t => {
  const example = join(root, 'examples/service-account-mode')
  await t.resolves(shell(`kubectl apply --dry-run=server -k ${example}`))
})

t.test("d: several issuers, with the gateway's account", can, async t => {
  const blocks = blocksOf('d').filter(fits)
  const serve = blocks.filter(isServe)
  t.equal(serve.length, 2)
  const gateway = await follow(
    t,
    blocks.filter(block => block !== serve[0]),
    apiServer.url,
  )
  t.equal(await gateway.metric('gateway_credential_rights{verdict="least"}'), 1)
  const bob = through(t, gateway, 'bob')
  t.match((await bob.run('auth', 'whoami')).out, /^Username +oidc:bob$/m)
  t.equal((await bob.run('get', 'pods')).status, 0)
  await othersBob(t, gateway)
})

t.test("d: several issuers, the caller's token", callers('authentication-config'), async t => {
  // The test before has written the file.
  const flags = ['--authentication-config=authentication.yaml']
  const { url } = await apiServerWith(t, 'modes-d', flags)
  const serve = blocksOf('d').filter(isServe)
  const blocks = [...blocksOf('a').filter(isKubeconfig), ...serve.slice(0, 1)]
  const gateway = await follow(t, blocks, url)
  t.match((await through(t, gateway, 'alice').run('auth', 'whoami')).out, /^Username +oidc:alice$/m)
  t.equal((await through(t, gateway, 'alice').run('get', 'pods')).status, 0)
  await othersBob(t, gateway)
  t.equal(await gateway.metric('gateway_privileged_mode'), 0)
})
