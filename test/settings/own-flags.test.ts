import t from 'tap'
import { takeFlags } from '../../lib/settings/own-flags.js'

const flags = { name: {}, kind: { choices: ['a', 'b'] }, entry: { repeated: true } } as const

t.test("a command's own flags are found among those of serve, which are left in order", async t => {
  t.same(
    takeFlags(
      ['--other=1', '--name', 'x', '--entry=a,b', 'y', '--kind=b', '--entry', 'c', '--names=2'],
      flags,
    ),
    {
      values: { name: ['x'], kind: ['b'], entry: ['a,b', 'c'] },
      rest: ['--other=1', 'y', '--names=2'],
      faults: [],
    },
  )
})

t.test('what is wrong with them is told, all of it', async t => {
  const { values, faults } = takeFlags(
    ['--name=1', '--name=2', '--kind=c', '--entry=', '--entry'],
    flags,
  )
  t.same(values, { name: ['1', '2'], kind: ['c'], entry: [''] })
  t.same(faults, [
    '--entry: needs a value, as --entry=<…>',
    '--name: is given more than once; give it once',
    '--kind "c": must be one of a, b',
    '--entry "": must not be empty',
  ])
})
