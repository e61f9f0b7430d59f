import t, { type Test } from 'tap'
import { createIssuerClient, type IssuerClient } from '../../lib/authenticate/issuer-client.js'
import { createAuthority } from '../actors/certificates.js'
import { json, startHttpsIssuer, type HttpsIssuer } from './https-issuer.js'

const authority = createAuthority()
const { signal } = new AbortController()

async function start(
  t: Test,
  options: { readonly timeoutMs?: number; readonly maxBytes?: number } = {},
): Promise<{
  client: IssuerClient
  issuer: HttpsIssuer
  said: (path: string) => Promise<unknown>
}> {
  const issuer = await startHttpsIssuer(authority)
  const client = createIssuerClient({ ca: authority.ca, ...options })
  t.teardown(async () => {
    await client.close()
    await issuer.close()
  })
  const said = (path: string): Promise<unknown> =>
    client
      .getJson(`${issuer.url}${path}`, signal)
      .catch((error: unknown) => (error instanceof Error ? error.message : error))
  return { client, issuer, said }
}

/** A document of so many bytes. */
const ofSize = (size: number): string => JSON.stringify('x'.repeat(size - 2))

t.test('a document is asked for as JSON, without any credential', async t => {
  const { issuer, client } = await start(t)
  let headers: unknown
  issuer.on('/document', (request, response) => {
    headers = request.headers
    json({ a: 'ü' })(request, response)
  })
  t.strictSame(await client.getJson(`${issuer.url}/document`, signal), { a: 'ü' })
  t.strictSame(headers, {
    host: issuer.url.slice('https://'.length),
    connection: 'keep-alive',
    accept: 'application/json',
    'user-agent': 'impersonation-gateway',
  })
})

t.test('a redirect is not followed', async t => {
  const { issuer, said } = await start(t)
  issuer.on('/target', json({}))
  for (const status of [301, 302, 303, 307, 308]) {
    issuer.on('/moved', (_request, response) => {
      response.writeHead(status, { location: `${issuer.url}/target` }).end()
    })
    t.equal(await said('/moved'), `answered with status ${status}`)
  }
  t.notOk(issuer.asked.includes('/target'))
})

t.test('any status but 200 is a failure, whatever the body', async t => {
  const { issuer, said } = await start(t)
  for (const status of [201, 204, 206, 304, 400, 404, 500, 503]) {
    issuer.on('/document', (_request, response) => {
      response.writeHead(status).end(status === 204 || status === 304 ? undefined : '{}')
    })
    t.equal(await said('/document'), `answered with status ${status}`)
  }
})

t.test('a document may have a mebibyte, and not a byte more', async t => {
  const { issuer, said } = await start(t)
  issuer.on('/most', (_request, response) => void response.end(ofSize(1024 * 1024)))
  issuer.on('/more', (_request, response) => void response.end(ofSize(1024 * 1024 + 1)))
  issuer.on('/endless', (_request, response) => {
    const more = (): void => {
      while (!response.destroyed && response.write('x'.repeat(65_536)));
    }
    response.on('drain', more)
    more()
  })
  t.equal(await said('/most'), 'x'.repeat(1024 * 1024 - 2))
  t.equal(await said('/more'), 'answered with more than 1048576 bytes')
  t.equal(await said('/endless'), 'answered with more than 1048576 bytes')
})

t.test('what is not JSON in UTF-8 is a failure that repeats none of it', async t => {
  const { issuer, said } = await start(t)
  for (const body of ['', '<html>', '{"keys":', Buffer.from([0x22, 0xff, 0x22]), '{} {}']) {
    issuer.on('/document', (_request, response) => void response.end(body))
    t.equal(await said('/document'), 'answered with something else than JSON')
  }
})

t.test('a body that breaks off is a failure', async t => {
  const { issuer, said } = await start(t)
  issuer.on('/document', (_request, response) => {
    response.writeHead(200, { 'content-length': '100' })
    response.write('{}', () => response.destroy())
  })
  t.type(await said('/document'), 'string')
})

t.test('silence ends: before the head, and in the body', async t => {
  const { issuer, said } = await start(t, { timeoutMs: 100 })
  issuer.on('/silent', () => {})
  issuer.on('/stuck', (_request, response) => void response.write('{'))
  t.equal(await said('/silent'), 'no answer within 100 ms')
  t.equal(await said('/stuck'), 'no answer within 100 ms')
})

t.test('whoever asked can stop asking', async t => {
  const { issuer, client } = await start(t)
  const abort = new AbortController()
  issuer.on('/silent', () => abort.abort())
  await t.rejects(client.getJson(`${issuer.url}/silent`, abort.signal))
  await t.rejects(client.getJson(`${issuer.url}/silent`, abort.signal), 'aborted before')
})

t.test('only https, and only the authority that was given', async t => {
  const { issuer, client, said } = await start(t)
  issuer.on('/document', json({}))
  await t.rejects(client.getJson(issuer.url.replace('https', 'http'), signal), {
    message: 'the address is not https',
  })
  const stranger = createIssuerClient()
  t.teardown(() => stranger.close())
  await t.rejects(stranger.getJson(`${issuer.url}/document`, signal), /certificate/)
  t.strictSame(await said('/document'), {})

  client.setCa(createAuthority('another').ca)
  t.match(await said('/document'), /certificate/, 'no connection of the old authority is left')
  client.setCa(authority.ca)
  t.strictSame(await said('/document'), {})
})
