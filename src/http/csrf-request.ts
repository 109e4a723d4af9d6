/** What the check goes by. */
export interface CsrfRequest {
  /** The request's own method, not one that a package such as method-override put in its place. */
  readonly method: string
  /** Whether the request asks for another protocol, as the handshake of a WebSocket does. */
  readonly isUpgrade: boolean
  /** The address that was asked, with or without a query. */
  readonly url: string
  /** Whether it came by HTTPS. */
  readonly secure: boolean
  /** `:authority` of HTTP/2, or the Host header. */
  readonly host: string | undefined
  readonly secFetchSite: string | undefined
  /** The Origin header. A repeated one is the values with `, ` between. */
  readonly origin: string | undefined
  readonly referer: string | undefined
}

/**
 * Which rule decided. The first that holds does:
 *
 * - `safeMethod`: GET, HEAD and OPTIONS pass, unless they ask for an upgrade.
 * - `acceptedPath`: the option `accept` lists the origin for this very path.
 * - `badHeader`: `Sec-Fetch-Site` is repeated, or has a value that no browser sends.
 * - `sameOrigin`: the browser says that the page is the app's own.
 * - `noPage`: the browser says that the user started it (`none`). `noPageButOrigin`: the same, with a foreign `Origin`.
 * - `trustedSite`, `otherSite`: the browser says that a page of another origin sent it; `sites` lists that, or not.
 * - `ownOrigin`, `trustedOrigin`, `otherOrigin`: without `Sec-Fetch-Site`, the `Origin` header decides.
 * - `otherReferer`: with neither, the `Referer` names another origin.
 * - `withoutHeaders`: none of the three headers is there; current browsers always send one. The option of that name decides.
 */
export type CsrfRule =
  | 'safeMethod'
  | 'acceptedPath'
  | 'badHeader'
  | 'sameOrigin'
  | 'noPage'
  | 'noPageButOrigin'
  | 'trustedSite'
  | 'otherSite'
  | 'ownOrigin'
  | 'trustedOrigin'
  | 'otherOrigin'
  | 'otherReferer'
  | 'withoutHeaders'

/** What the check says of a request. */
export interface CsrfVerdict {
  readonly allowed: boolean
  readonly rule: CsrfRule
}

/** Why a request was refused. */
export interface CsrfReason {
  /** The rule that decided. */
  readonly rule: CsrfRule
  /** What the request had and what to set if it was no forgery, for developers: it shows headers of the request. */
  readonly explanation: string
}
