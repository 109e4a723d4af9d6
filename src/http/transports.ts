import type { Signer } from '../core/token.js'
import type { CookiesByRequest } from './cookie-function.js'
import type { SessionCookie } from './cookie.js'
import { CookieTransport } from './cookie-transport.js'
import type { ExchangeRequest } from './exchange-request.js'
import type { Transport } from './transport.js'

/** Finds out how the token of a request travels, by the options of `createSessions`. */
export class Transports {
  readonly #signer: Signer
  /** The same for every request, unless the attributes depend on the request. */
  readonly #cookie: CookieTransport | CookiesByRequest

  constructor(signer: Signer, cookie: SessionCookie | CookiesByRequest) {
    this.#signer = signer
    this.#cookie = 'of' in cookie ? cookie : new CookieTransport(cookie, signer)
  }

  /** @throws what `CookiesByRequest.of` throws */
  of(request: ExchangeRequest): Transport {
    const cookie = this.#cookie
    return 'of' in cookie ? new CookieTransport(cookie.of(request), this.#signer) : cookie
  }
}
