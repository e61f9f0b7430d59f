import type { Dispatcher } from 'undici'
import type { AssertedHeaders } from './headers.js'

/**
 * Connections to the API server that take a request only with a header list that was looked at once more.
 * undici's pools are such connections; nothing else of theirs can be reached through this.
 */
export interface GrantedDispatcher {
  dispatch(
    options: Omit<Dispatcher.DispatchOptions, 'headers'> & { readonly headers: AssertedHeaders },
    handler: Dispatcher.DispatchHandler,
  ): boolean
}
