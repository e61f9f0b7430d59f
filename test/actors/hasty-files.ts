/**
 * Options of Node with which a process looks at its files twenty times a second: whatever it does every ten
 * seconds. For tests that change one file several times; that ten seconds are enough is T36's to show.
 */
export const hastyFiles: readonly string[] = [
  `--import=data:text/javascript,${encodeURIComponent(`
    const patient = globalThis.setInterval
    globalThis.setInterval = (run, ms, ...rest) => patient(run, ms === 10_000 ? 50 : ms, ...rest)
  `)}`,
]
