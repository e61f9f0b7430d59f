import type { HeaderList } from '../exchange.js'

/**
 * Whether the client says anything about impersonation itself: a field whose name, with `_` and `%2D`
 * read as `-`, begins with `Impersonate`, whatever may follow.
 */
export function asksToImpersonate(headers: HeaderList): boolean {
  return headers.some(
    ([name]) => name.length >= 11 && name.slice(0, 11).toLowerCase() === 'impersonate',
  )
}
