import { readFileSync } from 'node:fs'
import { request } from 'node:https'
import type { Duplex } from 'node:stream'
import { startEcho } from './child.js'
import { gateway } from './contenders.js'
import { comparisons, type Sample } from './report.js'
import { createWorld } from './world.js'

const rounds = 15
const keystrokes = 200
/** A keystroke as kubectl sends it: a masked frame of two bytes, the channel and the key. */
const keystroke = Buffer.from([0x82, 0x82, 1, 2, 3, 4, 1, 0x63])

/**
 * What a keystroke in `kubectl exec` costs: the time until its echo is there, through the gateway and directly, in
 * turns within a round. Says so in a few lines.
 */
export async function execEcho(program: string): Promise<string> {
  const open: Array<{ close(): unknown }> = []
  try {
    const world = await createWorld()
    open.push(world)
    const { files } = world
    const shell = await startEcho(files.cert, files.key)
    open.push(shell)
    const between = await gateway(
      { world, upstreamPort: shell.port, program },
      { name: 'gateway', logLevel: 'info' },
    )
    open.push(between)
    const token = world.newToken()
    const ways: Array<readonly [string, Duplex]> = []
    for (const [name, { port }] of Object.entries({ direct: shell, gateway: between })) {
      const tunnel = await exec(port, readFileSync(files.ca), token)
      open.push({ close: () => tunnel.destroy() })
      ways.push([name, tunnel])
    }
    const samples: Sample[] = []
    for (let round = 0; round <= rounds; round += 1) {
      for (const [contender, tunnel] of ways) {
        const sample = { contender, round, requests: keystrokes, ...(await type(tunnel)) }
        // Compilers warm up on what is not counted.
        if (round > 0) samples.push(sample)
      }
    }
    const about = { of: 'gateway', to: 'direct' }
    return `exec: a keystroke and its echo (${rounds} rounds of ${keystrokes})\n${comparisons(
      samples,
      [
        { label: 'p50 beyond direct', by: 'p50', ...about },
        { label: 'p99 beyond direct', by: 'p99', ...about },
        { label: 'echoes a second / direct', by: 'throughput', ...about },
      ],
    )}`
  } finally {
    for (const each of open.toReversed()) await each.close()
  }
}

function exec(port: number, ca: Buffer, token: string): Promise<Duplex> {
  return new Promise((resolve, reject) => {
    const asked = request({
      port,
      ca,
      host: '127.0.0.1',
      servername: 'localhost',
      agent: false,
      path: '/api/v1/namespaces/default/pods/shell/exec?command=sh&stdin=true&stdout=true&tty=true',
      headers: {
        Authorization: `Bearer ${token}`,
        Connection: 'Upgrade',
        Upgrade: 'websocket',
        'Sec-WebSocket-Version': '13',
        'Sec-WebSocket-Key': 'x3JJHMbDL1EzLkh9GBhXDw==',
        'Sec-WebSocket-Protocol': 'v5.channel.k8s.io',
      },
    })
    asked.once('error', reject)
    asked.once('response', ({ statusCode }) => reject(new Error(`exec: status ${statusCode}`)))
    asked.once('upgrade', (_, socket) => {
      asked.setNoDelay(true)
      resolve(socket)
    })
    asked.end()
  })
}

/** One keystroke after another, each when the last one's echo is there. */
async function type(
  tunnel: Duplex,
): Promise<Pick<Sample, 'seconds' | 'p50Ms' | 'p99Ms' | 'failures'>> {
  const times: number[] = []
  const startedAt = performance.now()
  while (times.length < keystrokes) {
    const typedAt = performance.now()
    const echoed = echo(tunnel)
    tunnel.write(keystroke)
    await echoed
    times.push(performance.now() - typedAt)
  }
  const seconds = (performance.now() - startedAt) / 1000
  const sorted = times.toSorted((a, b) => a - b)
  const at = (part: number): number => sorted[Math.floor(part * (sorted.length - 1))] ?? 0
  return { seconds, p50Ms: at(0.5), p99Ms: at(0.99), failures: 0 }
}

function echo(tunnel: Duplex): Promise<void> {
  return new Promise((resolve, reject) => {
    let missing = keystroke.length
    const lost = (): void => reject(new Error('the tunnel broke'))
    const read = (chunk: Buffer): void => {
      missing -= chunk.length
      if (missing > 0) return
      tunnel.off('data', read).off('close', lost)
      resolve()
    }
    tunnel.on('data', read).once('close', lost)
  })
}
