import { single } from './answers.js'

/** What a site asks the hub for, once it is known which site asks. */
export interface AuthorizeRequest {
  readonly state: string
  /** The PKCE challenge, by the method S256 (RFC 7636). */
  readonly challenge: string
  readonly nonce: string
  /** `none`: show no page. `login`: the user proves again who they are (OpenID Connect Core, section 3.1.2.1). */
  readonly prompt: 'none' | 'login' | undefined
  /** The most seconds since the user signed in. */
  readonly maxAge: number | undefined
  /** The user must have signed in at or after this time. The hub adds it when it sends the browser to its sign-in page. */
  readonly authenticatedAfter: number | undefined
}

/** A request that the site gets an error for (RFC 6749, section 4.1.2.1). */
export interface AuthorizeFault {
  readonly error: 'invalid_request' | 'unsupported_response_type'
  readonly description: string
  readonly state: string | undefined
}

const longestText = 512 // characters

/** Reads what a site asks for, besides `client_id` and `redirect_uri`. Pure. */
export function readAuthorizeRequest(parameters: URLSearchParams): AuthorizeRequest | AuthorizeFault {
  const state = single(parameters, 'state') ?? undefined
  const fault = (
    description: string,
    error: AuthorizeFault['error'] = 'invalid_request',
  ): AuthorizeFault => ({
    error,
    description,
    state: isText(state) ? state : undefined,
  })
  for (const name of [
    'state',
    'nonce',
    'code_challenge',
    'code_challenge_method',
    'response_type',
    'prompt',
    'max_age',
    'authenticated_after',
  ]) {
    if (single(parameters, name) === null) return fault(`${name} is there more than once`)
  }
  const get = (name: string): string | undefined => single(parameters, name) ?? undefined
  const nonce = get('nonce')
  const challenge = get('code_challenge')
  if (!isText(state) || !isText(nonce)) return fault('state and nonce must be there')
  if (get('response_type') !== 'code') return fault('response_type must be code', 'unsupported_response_type')
  // Never without PKCE, and never by the method plain (RFC 9700, section 2.1.1).
  if (get('code_challenge_method') !== 'S256' || challenge === undefined || !/^[\w-]{43}$/.test(challenge))
    return fault('code_challenge must be there, by the method S256')
  const prompt = get('prompt')
  if (prompt !== undefined && prompt !== 'none' && prompt !== 'login')
    return fault('prompt must be none or login')
  const [maxAge, authenticatedAfter] = [get('max_age'), get('authenticated_after')]
  for (const number of [maxAge, authenticatedAfter])
    if (number !== undefined && !/^\d{1,15}$/.test(number))
      return fault('max_age must be a number of seconds')
  return {
    state,
    nonce,
    challenge,
    prompt,
    maxAge: maxAge === undefined ? undefined : Number(maxAge),
    authenticatedAfter: authenticatedAfter === undefined ? undefined : Number(authenticatedAfter),
  }
}

function isText(text: string | undefined): text is string {
  return text !== undefined && text.length <= longestText
}

/** Who is signed in at the hub. Times are by the store's clock. */
interface SignedIn {
  readonly userId: string | undefined
  readonly authenticatedAt: number | undefined
  readonly readAt: number | undefined
}

/** What the hub does next. */
type Step =
  | { readonly do: 'go on' }
  | { readonly do: 'signIn'; readonly authenticatedAfter: number | undefined }
  | { readonly do: 'fail'; readonly error: 'login_required' }

/**
 * Whether the user has to sign in first. Pure.
 *
 * A site that needs a fresh proof checks it itself when it redeems the code, so nothing is gained by removing a
 * parameter.
 */
export function nextAt(request: AuthorizeRequest, { userId, authenticatedAt = 0, readAt }: SignedIn): Step {
  const { prompt, maxAge, authenticatedAfter } = request
  const isOld = userId !== undefined && maxAge !== undefined && authenticatedAt < readAt! - maxAge * 1_000
  const isTooOld = authenticatedAfter !== undefined && authenticatedAt < authenticatedAfter
  if (userId !== undefined && prompt !== 'login' && !isOld && !isTooOld) return { do: 'go on' }
  if (prompt === 'none') return { do: 'fail', error: 'login_required' }
  const after = userId === undefined ? authenticatedAfter : (authenticatedAfter ?? readAt)
  return { do: 'signIn', authenticatedAfter: after }
}
