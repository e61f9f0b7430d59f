import type { Socket } from 'node:net'

/**
 * Ends a TCP connection by RST alone. `resetAndDestroy` sends a FIN first, and a peer that reads it
 * believes in an orderly end; so the flag behind it is set here by its (internal) name.
 */
export function reset(socket: Socket): void {
  Object.assign(socket, { resetAndClosing: true }).destroy()
}
