import { execFileSync } from 'node:child_process'
import { existsSync, readdirSync, readFileSync } from 'node:fs'

/** Whether this system tells the CPU time of other processes in the way of Linux. */
export const cpuIsMeasured = process.platform === 'linux'

/**
 * CPU time that a process and its children have used up to now, user and system, in microseconds; 0 where it
 * cannot be known. To the nanosecond where the kernel says so (`/proc/<pid>/task/<tid>/schedstat`), for the
 * threads that there are now; else in steps of one clock tick, commonly 10 ms. (`/proc/<pid>/stat`, fields 14
 * to 17, proc(5))
 */
export function cpuMicroseconds(pid: number): number {
  if (!cpuIsMeasured) return 0
  return existsSync(`/proc/${pid}/schedstat`)
    ? nanosecondsOf(pid) / 1e3
    : (ticksOf(pid) * 1e6) / ticksPerSecond()
}

function nanosecondsOf(pid: number): number {
  let sum = 0
  for (const thread of readdirSync(`/proc/${pid}/task`)) {
    try {
      const [onCpu] = readFileSync(`/proc/${pid}/task/${thread}/schedstat`, 'latin1').split(' ')
      sum += Number(onCpu)
    } catch {
      // It ended meanwhile.
    }
  }
  return childrenOf(pid).reduce((total, child) => total + nanosecondsOf(child), sum)
}

function ticksOf(pid: number): number {
  // The name, in brackets, may itself hold blanks and brackets.
  const stat = readFileSync(`/proc/${pid}/stat`, 'latin1')
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  const own = [11, 12, 13, 14].reduce((sum, at) => sum + Number(fields[at]), 0)
  return childrenOf(pid).reduce((sum, child) => sum + ticksOf(child), own)
}

function childrenOf(pid: number): readonly number[] {
  try {
    const children = readFileSync(`/proc/${pid}/task/${pid}/children`, 'latin1')
    return children.split(' ').filter(Boolean).map(Number)
  } catch {
    // Kernels may be built without this file; then a process without children is all that is asked for.
    return []
  }
}

let ticks: number | undefined
const ticksPerSecond = (): number => (ticks ??= Number(execFileSync('getconf', ['CLK_TCK'])))
