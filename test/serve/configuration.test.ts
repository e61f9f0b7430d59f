import { renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { followConfiguration } from '../../cmd/configuration.js'
import { facts, type Notice } from '../../lib/channels.js'
import { tempDir, writeKubeconfig } from '../actors/files.js'

t.test('a change of --config says what a restart would bring', async t => {
  const directory = tempDir(t)
  const kubeconfig = writeKubeconfig(directory, { server: 'https://127.0.0.1:6443' })
  const path = join(directory, 'config.yaml')
  const write = (...lines: readonly string[]): void => {
    const flags = ['oidc-issuer-url: https://issuer.example', 'oidc-client-id: a', ...lines]
    writeFileSync(`${path}.next`, flags.join('\n'))
    renameSync(`${path}.next`, path)
  }
  write('max-groups: 10')
  const said: Notice[] = []
  let heard: (() => void) | undefined
  const stop = facts.notice.subscribe(notice => {
    said.push(notice)
    heard?.()
  })
  t.teardown(stop)
  const next = (): Promise<void> => new Promise(resolve => (heard = resolve))
  const args = [`--config=${path}`, `--kubeconfig=${kubeconfig}`, '--log-level=debug']
  const following = followConfiguration(args, 5)
  t.teardown(() => following.close())
  // Its own clock keeps nobody alive.
  const alive = setInterval(() => undefined, 1_000)
  t.teardown(() => clearInterval(alive))

  let told = next()
  write('max-groups: 20', 'log-level: error', 'trusted-proxies: 10.0.0.0/8')
  await told
  t.strictSame(said, [
    {
      level: 'warn',
      msg: 'the configuration file has changed: a restart brings these flags into force',
      fields: { file: path, flags: ['max-groups', 'trusted-proxies'] },
    },
  ])

  told = next()
  write('max-groups: many')
  await told
  t.strictSame(said[1], {
    level: 'error',
    msg: 'the configuration file has faults: the flags of the start stay in force, and it would not start again',
    fields: {
      file: path,
      faults: [`${path}:3: max-groups "many": must be a whole number, without quotes`],
    },
  })

  told = next()
  rmSync(path)
  await told
  t.match(said[2], { level: 'error', fields: { file: path, faults: [/cannot be read/] } })

  told = next()
  write('max-groups: 10')
  await told
  t.strictSame(said[3], { level: 'info', msg: 'the configuration file says what is in force' })
})

t.test('without --config there is nothing to look after', async () => {
  followConfiguration(['--log-level=debug']).close()
})
