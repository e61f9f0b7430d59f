import { execFile } from 'node:child_process'
import { chmod, readdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import t from 'tap'
import { findKubectl, unpackKubectl } from '../../lib/demo/kubectl.js'

const run = promisify(execFile)

t.test('the kubectl on PATH is taken before any other', async t => {
  const folder = t.testdir({ nothing: {}, there: { kubectl: '' } })
  const path = join(folder, 'there', 'kubectl')
  await writeFile(path, '#!/bin/sh\n')
  await chmod(path, 0o755)
  const env = { PATH: `${folder}/nothing:${folder}/there` }
  t.same(await findKubectl({ env }), { path, onPath: true })
})

t.test('without one, kubectl 1.35 and helm are unpacked once, whole', async t => {
  const cacheFolder = t.testdir()
  const options = { env: { PATH: '' }, cacheFolder }
  const [found, again] = await Promise.all([findKubectl(options), findKubectl(options)])
  t.same(found, again)
  t.equal(found.onPath, false)
  const { stdout } = await run(found.path, ['version', '--client', '-o', 'json'])
  t.match(JSON.parse(stdout), { clientVersion: { gitVersion: /^v1\.35\./ } })

  const { kubectl, helm } = await unpackKubectl()
  t.match((await run(helm, ['version', '--short'])).stdout, /^v4\./)
  t.match(kubectl, /kubectl$/)
  const [folder = ''] = await readdir(cacheFolder)
  t.same(await readdir(join(cacheFolder, folder)), ['kubectl'], 'nothing half-written is left')
})
