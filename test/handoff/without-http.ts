import type { Sessions, UnitOfWork } from 'coatcheck'
import type { Hub, Site } from 'coatcheck/handoff'

/** What a browser sends: the token of its session, and the other cookies of that origin. */
export interface Sent {
  readonly token?: string | undefined
  readonly cookies?: ReadonlyMap<string, string>
  readonly method?: string
}

/** A request as a browser sends it for a page. */
export function pageRequest(url: string, { cookies = new Map(), method = 'GET' }: Sent = {}): Request {
  const cookie = [...cookies].map(([name, value]) => `${name}=${value}`).join('; ')
  const headers = { accept: 'text/html', 'sec-fetch-dest': 'document', ...(cookie !== '' && { cookie }) }
  return new Request(url, { method, headers })
}

/** Loads a session as an adapter does for a request. */
export function loaded(sessions: Sessions, { token }: Sent): Promise<UnitOfWork> {
  return token === undefined ? sessions.load() : sessions.load(token)
}

/** Has a hub or a site answer a request of a browser as an adapter does. The session is stored before the answer leaves. */
export async function answer(
  role: Hub | Site,
  sessions: Sessions,
  url: string,
  sent: Sent = {},
): Promise<{ readonly work: UnitOfWork; readonly response: Response }> {
  const work = await loaded(sessions, sent)
  const response = await role.respond(pageRequest(url, sent), work.session!)
  if (!response) throw new Error(`nobody answers ${url}`)
  await work.commit()
  return { work, response }
}

/** Does with a browser's cookies what a response asks for. */
export function keepCookies(cookies: Map<string, string>, response: Response): void {
  for (const header of response.headers.getSetCookie()) {
    const [pair = '', ...attributes] = header.split('; ')
    const name = pair.slice(0, pair.indexOf('='))
    if (attributes.includes('Max-Age=0')) cookies.delete(name)
    else cookies.set(name, pair.slice(name.length + 1))
  }
}

/** Where a redirect leads. */
export function locationOf(response: Response): string {
  return response.headers.get('location')!
}
