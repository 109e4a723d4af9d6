import type { VerifiedToken } from '../core/signer.js'
import type { UnitOfWork } from '../core/session/unit-of-work.js'
import type { ExchangeRequest } from './exchange-request.js'

/** How the token of one request travels: from the client, and back to it. */
export interface Transport {
  /** The tokens of the request that this app has signed, in their order. */
  tokens(request: ExchangeRequest): VerifiedToken[]
  /**
   * The response header that gives the client a token. `undefined`: this response cannot carry it.
   * @throws if the header cannot be made
   */
  giving(token: string, request: ExchangeRequest): ResponseHeader | undefined
  /** The response header that makes the client drop its token. */
  clearing(request: ExchangeRequest): ResponseHeader
  /** Whether to give the client its token again, although it is the same. */
  givesAgain(work: UnitOfWork): boolean
  /** What the response depends on if its handler has read the session, for `Vary`; `undefined`: leave `Vary` alone. */
  readonly vary: string | undefined
  /** Whether the app's own Cache-Control stays, even if it lets shared caches keep the token. */
  readonly leavesCaching: boolean
  /** Whether it is a warning, not an error, if a session begins too late for its token. */
  readonly toleratesLate: boolean
}

/** A header of a response. `Set-Cookie` goes beside others of that name. Any other replaces what is there. */
export interface ResponseHeader {
  readonly name: string
  readonly value: string
}
