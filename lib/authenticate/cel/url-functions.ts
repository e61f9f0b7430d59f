import { EvaluationFailure } from './fault.js'
import { define, type Definition } from './function.js'
import { faultOfUrl, parseUrl, UrlFault, type Url } from './urls.js'

const type = 'kubernetes.URL'

/** Kubernetes' library for URLs. */
export const urlFunctions: readonly Definition[] = [
  define('url', ['string'], type, (text: string) => {
    const url = parseUrl(text)
    if (url instanceof UrlFault) throw new EvaluationFailure(`URL parse error: ${url.says}`)
    return url
  }),
  define('isURL', ['string'], 'bool', (text: string) => faultOfUrl(text) === undefined),
  define('.getScheme', [type], 'string', (url: Url) => url.scheme),
  define('.getHost', [type], 'string', (url: Url) => url.host),
  define('.getHostname', [type], 'string', (url: Url) => url.hostname),
  define('.getPort', [type], 'string', (url: Url) => url.port),
  define('.getEscapedPath', [type], 'string', (url: Url) => url.escapedPath),
  define('.getQuery', [type], { map: ['string', { list: 'string' }] }, (url: Url) => url.query),
]
