import t from 'tap'
import { startApiServer, statusBody, type Responder } from '../actors/api-server.js'
import { deferred } from '../actors/deferred.js'
import { tempDir, writeKubeconfig, type Teardown } from '../actors/files.js'
import { runProgram, startGatewayProcess } from '../actors/gateway.js'
import type { HeldRights } from '../actors/rights.js'
import { startedWorld } from '../actors/world.js'

const impersonate = (resource: string, resourceNames?: readonly string[]) => ({
  verbs: ['impersonate'],
  apiGroups: [''],
  resources: [resource],
  ...(resourceNames && { resourceNames }),
})
const least: HeldRights = { rules: [impersonate('users'), impersonate('groups', ['dev'])] }
const secrets = { verbs: ['get', 'list'], apiGroups: [''], resources: ['secrets'] }
const open: HeldRights = { rules: [impersonate('users'), impersonate('groups')] }
const excess: HeldRights = {
  rules: [...least.rules, secrets, impersonate('groups', ['dev', 'system:masters'])],
}

/** The flags of a gateway that comes with its own credential, before this API server. */
async function flagsFor(t: Teardown, rights: HeldRights | Responder): Promise<readonly string[]> {
  const api = await startApiServer({ rights })
  t.teardown(() => api.close())
  const kubeconfig = writeKubeconfig(tempDir(t), { server: api.url, ca: api.ca, token: 'own' })
  return [
    '--bind-address=127.0.0.1',
    '--secure-port=0',
    '--admin-port=0',
    // Nobody answers there, and nobody needs to.
    '--oidc-issuer-url=https://127.0.0.1:1',
    '--oidc-client-id=kubernetes',
    '--oidc-groups-claim=groups',
    `--kubeconfig=${kubeconfig}`,
    '--unsafe-use-service-account-token',
  ]
}

t.test('a credential with the least rights is worth no word of warning', async t => {
  const world = await startedWorld(t, { mode: 'gateway', api: { rights: least } })
  t.equal((await world.ask()).response?.status, 200)
  t.equal(await world.gateway.metric('gateway_credential_rights{verdict="least"}'), 1)
  t.equal(await world.gateway.metric('gateway_credential_rights{verdict="excess"}'), 0)
  const { body } = await world.gateway.admin('/readyz?verbose')
  t.strictSame(
    body.split('\n').filter(line => line.startsWith('[!]')),
    [
      '[!]privileged mode: requests are forwarded with the credential of the gateway (--unsafe-use-service-account-token)',
    ],
  )
  t.match(
    world.gateway.logs.filter(({ level, ...line }) => level === 'warn' && !('claim' in line)),
    { length: 1, 0: { msg: /^UNSAFE: --unsafe-use/ } },
    'that of the mode',
  )
})

t.test('one with more is refused, each right by its name', async t => {
  const flags = await flagsFor(t, excess)
  const { code, stdout, stderr } = await runProgram(['serve', ...flags])
  t.same([code, stdout], [2, ''])
  t.same(faults(stderr), [
    'the credential of the gateway has a right too much: get, list on secrets',
    'the credential of the gateway has a right too much: impersonate on groups, named "dev", "system:masters"',
    'impersonation-gateway rbac, with the same flags, prints the rights that are needed; --allow-overprivileged-credential starts with more',
  ])
})

t.test('the role of open groups serves, and says everywhere that it is open', async t => {
  const world = await startedWorld(t, {
    mode: 'gateway',
    api: { rights: open },
    flags: ['--oidc-groups-claim=groups'],
  })
  t.equal((await world.ask()).response?.status, 200)
  t.equal(await world.gateway.metric('gateway_credential_rights{verdict="open"}'), 1)
  t.match(
    (await world.gateway.admin('/readyz?verbose')).body,
    /^\[!\]the credential of the gateway can say system:masters \(impersonate on groups\); /m,
  )
  t.match(
    world.gateway.logs.filter(({ level }) => level === 'warn'),
    [
      { msg: /^UNSAFE: .*system:masters/, open: 'impersonate on groups' },
      { msg: /^UNSAFE: --unsafe/ },
    ],
  )
})

t.test('with groups closed by --allowed-groups the open role is refused', async t => {
  const flags = await flagsFor(t, open)
  const { code, stderr } = await runProgram(['serve', ...flags, '--allowed-groups=dev'])
  t.equal(code, 2)
  t.same(faults(stderr).slice(0, 1), [
    'the credential of the gateway has a right too much: impersonate on groups',
  ])
})

t.test('a cluster administrator is refused before a port is opened', async t => {
  const all = { verbs: ['*'], apiGroups: ['*'], resources: ['*'] }
  const flags = await flagsFor(t, { rules: [all] })
  const { code, stderr } = await runProgram(['serve', ...flags])
  t.equal(code, 2)
  t.notMatch(stderr, '"listening"')
  t.same(
    faults(stderr)[0],
    'the credential of the gateway has a right too much: everything (*) on everything (*)',
  )
})

t.test('--allow-overprivileged-credential goes on, and says so everywhere', async t => {
  const world = await startedWorld(t, {
    mode: 'gateway',
    api: { rights: excess },
    flags: ['--allow-overprivileged-credential'],
  })
  t.equal((await world.ask()).response?.status, 200)
  t.equal(await world.gateway.metric('gateway_credential_rights{verdict="excess"}'), 1)
  t.match(
    (await world.gateway.admin('/readyz?verbose')).body,
    /^\[!\]the credential of the gateway has rights too much: get, list on secrets; /m,
  )
  t.match(
    world.gateway.logs.filter(({ level }) => level === 'warn'),
    [{ msg: /^UNSAFE: --allow-overprivileged-credential is on/ }, { msg: /^UNSAFE: --unsafe/ }],
  )
})

t.test('what cannot be found out is warned of, and requests are served', async t => {
  const none: Responder = (_, answer) => answer.reply(404, {}, statusBody(404, 'NotFound'))
  const world = await startedWorld(t, { mode: 'gateway', api: { rights: none } })
  t.equal((await world.ask()).response?.status, 200)
  t.equal(await world.gateway.metric('gateway_credential_rights{verdict="unknown"}'), 1)
  t.match(
    (await world.gateway.admin('/readyz?verbose')).body,
    '[!]credential rights unknown: status 404',
  )
  t.match(
    world.gateway.logs.filter(({ level }) => level === 'warn'),
    [{ msg: /could not be proven/, error: 'status 404' }, {}],
  )
})

t.test('an API server that is away does not keep a gateway from starting', async t => {
  const flags = await flagsFor(t, (_, answer) => answer.reset())
  const gateway = await startGatewayProcess(t, flags)
  t.match((await gateway.admin('/readyz?verbose')).body, '[!]credential rights unknown: ')
})

t.test('one that takes its time is not waited for; what it says then counts', async t => {
  const answer = deferred()
  const flags = await flagsFor(t, async (request, reply) => {
    await answer.promise
    const review = JSON.parse(String(request.body)) as object
    await reply.reply(201, {}, { ...review, status: { allowed: true } })
  })
  const gateway = await startGatewayProcess(t, flags)
  answer.resolve()
  t.same(await gateway.exited, { code: 2, signal: null })
  t.match(
    gateway.logs.find(({ text }) => text !== undefined),
    {
      text: 'the credential of the gateway has a right too much: everything (*) on everything (*)',
    },
  )
})

t.test("in caller's-token mode nothing is asked, and there is nothing to allow", async t => {
  const world = await startedWorld(t, { mode: 'caller' })
  t.equal((await world.ask()).response?.status, 200)
  t.strictSame(world.api.aboutRights, [])
  t.equal(await world.gateway.metric('gateway_credential_rights{verdict="least"}'), undefined)
  const { code, stderr } = await runProgram([
    'serve',
    '--oidc-issuer-url=https://127.0.0.1:1',
    '--oidc-client-id=kubernetes',
    `--kubeconfig=${world.kubeconfig}`,
    '--allow-overprivileged-credential',
  ])
  t.same(
    [code, stderr],
    [
      2,
      '--allow-overprivileged-credential: has no effect without --unsafe-use-service-account-token; leave it out\n',
    ],
  )
})

/** What is not of the log. */
const faults = (stderr: string): readonly string[] =>
  stderr.split('\n').filter(line => line !== '' && !line.startsWith('{'))
