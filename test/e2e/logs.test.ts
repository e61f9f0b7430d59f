import { appendFileSync } from 'node:fs'
import { get } from 'node:https'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import t from 'tap'
import { kubectlAs } from './kubectl.js'
import { needs } from './needs.js'
import { until } from './until.js'
import { inBothModes, world, type GatewayInFront } from './world.js'

/** As a container runtime writes it. */
function log(...lines: readonly string[]): void {
  const now = new Date().toISOString()
  appendFileSync(world().containerLog, lines.map(line => `${now} stdout F ${line}\n`).join(''))
}

const numbered = (name: string, count: number): readonly string[] =>
  Array.from({ length: count }, (_, at) => `${name} ${at}`)

const text = (lines: readonly string[]): string => lines.map(line => `${line}\n`).join('')

inBothModes(t, needs('nodes'), (t, gateway) => {
  const kubectl = kubectlAs(t, 'alice', gateway)

  t.test('logs shows what there is', async t => {
    log('one', 'two')
    t.same(await kubectl.run('logs', 'web', '--tail=2'), { status: 0, out: 'one\ntwo\n', err: '' })
  })

  t.test('logs -f shows each line when it is written, and loses none', async t => {
    const lines = numbered('followed', 1_000)
    log('start')
    const following = kubectl.start({}, 'logs', '-f', 'web', '--tail=1')
    await following.until('start')
    for (const line of lines) log(line)
    const said = await following.until(`${lines.at(-1)}\n`)
    t.equal(said, `start\n${text(lines)}`)
    await following.stop()
  })

  t.test('logs -f that nothing is written to for ten seconds goes on', async t => {
    log('before')
    const following = kubectl.start({}, 'logs', '-f', 'web', '--tail=1')
    await following.until('before')
    await pause(10_000)
    log('after')
    t.equal(await following.until('after\n'), 'before\nafter\n')
    await following.stop()
  })

  t.test('a kubectl that is killed while nothing is written leaves no stream behind', async t => {
    log('idle')
    const following = kubectl.start({}, 'logs', '-f', 'web', '--tail=1')
    await following.until('idle')
    following.child.kill('SIGKILL')
    await closed(gateway, 'log')
    t.pass('none is open')
  })

  t.test('--request-timeout ends what would go on', async t => {
    log('limited')
    const said = await kubectl.run('logs', '-f', 'web', '--tail=1', '--request-timeout=3s')
    t.match(said.out, 'limited\n')
    await closed(gateway, 'log')
    t.pass('and its stream through the gateway')
  })

  t.test('two hundred that follow at once lose no line', async t => {
    const lines = numbered('shared', 500)
    const token = world().tokens.alice
    const file = join(world().nodeFolder, 'shell.log')
    appendFileSync(file, 'start\n')
    const target = `${gateway.url}/api/v1/namespaces/default/pods/shell/log?follow=true&tailLines=1`
    const followers = Array.from({ length: 200 }, () => {
      let said = ''
      let heard: () => void = () => undefined
      const asked = get(target, {
        agent: false,
        ca: gateway.ca,
        headers: { Authorization: `Bearer ${token}` },
      })
      asked.on('error', () => undefined)
      asked.on('response', response => {
        response.on('error', () => undefined)
        response.on('data', (piece: Buffer) => {
          said += piece.toString()
          heard()
        })
      })
      t.teardown(() => asked.destroy())
      return {
        has: async (line: string): Promise<string> => {
          while (!said.includes(line)) await new Promise<void>(resolve => (heard = resolve))
          return said
        },
      }
    })
    await Promise.all(followers.map(follower => follower.has('start\n')))
    for (const line of lines) appendFileSync(file, `${line}\n`)
    const said = await Promise.all(followers.map(follower => follower.has(`${lines.at(-1)}\n`)))
    const unlike = said.filter(one => one !== `start\n${text(lines)}`)
    t.same(unlike, [])
  })

  for (const [transport, setting] of [
    ['WebSocket', 'true'],
    ['SPDY/3.1', 'false'],
  ] as const) {
    t.test(`attach over ${transport} shows what is written from then on`, async t => {
      const env = { KUBECTL_REMOTE_COMMAND_WEBSOCKETS: setting }
      const attached = kubectl.start({ env }, 'attach', 'web')
      const beats = setInterval(() => log(`attached over ${transport}`), 200)
      t.match(await attached.until(`attached over ${transport}\n`), `attached over ${transport}\n`)
      clearInterval(beats)
      t.equal(await gateway.process.metric('gateway_open_streams{kind="attach"}'), 1)
      await attached.stop()
      await closed(gateway, 'attach')
    })
  }
})

const closed = ({ process }: GatewayInFront, kind: string): Promise<void> =>
  until(`no ${kind} is open`, async () => {
    return (await process.metric(`gateway_open_streams{kind="${kind}"}`)) === 0
  })
