// Secrets must not be on a page. The part that is left of each is enough to find it again in another header.

/**
 * A token is `coat_`, the session's id, at another site the id of its root too, and 32 characters that are a secret. In
 * a cookie, a dot and its signature follow.
 */
const token = /coat_([\w-]{16})([\w-]{16})?[\w-]{32}(?![\w-])(?:\.[\w%+/-]+)?/

/** The token in a Cookie or Set-Cookie header. It is a secret: never show it. */
export function tokenIn(cookies: string): string | undefined {
  return token.exec(cookies)?.[0].split('.')[0]
}

/** The id of a token's session. It is no secret. */
export function idOf(token: string): string {
  return token.slice(5, 21)
}

/** The id of the root, if the token is that of a session by hand-off. */
export function rootIdOf(given: string): string | undefined {
  return token.exec(given)?.[2]
}

/** A Cookie header. Of a session's cookie it shows the id; of other cookies, the name. */
export function shortenCookies(header: string): string {
  return header.split('; ').map(shortenCookie).join('; ')
}

/** A Set-Cookie header, with its attributes. */
export function shortenSetCookie(header: string): string {
  const [cookie = '', ...attributes] = header.split('; ')
  return [shortenCookie(cookie), ...attributes].join('; ')
}

function shortenCookie(cookie: string): string {
  // It says why a site does not ask the hub, and is no secret.
  if (cookie.startsWith('handoff-mark=')) return cookie
  const short = cookie.replace(token, (_, id: string, root = '') => `coat_${id}${root}…`)
  return short === cookie ? cookie.replace(/=.+/, '=…') : short
}

const longest = 400 // characters

/** Any other header, or an address. */
export function shorten(text: string): string {
  const short = text.replaceAll(/([?&](?:code|state|nonce|code_\w+)=[\w-]{6})[\w.~-]+/g, '$1…')
  return short.length > longest ? `${short.slice(0, longest)}…` : short
}
