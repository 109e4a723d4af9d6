// The cells of the matrix, made from its axes: where a page stands, what it does, and with which credentials.

/** Where the page that acts stands, as its visitor's browser sees it. */
export interface Place {
  readonly name: string
  /** `undefined`: the app's own host. */
  readonly host?: string
  /** Whether it came by plain HTTP. */
  readonly isPlain?: true
  /** How the app's `sites` names the page's origin. */
  readonly listed: 'exactly' | 'by a wildcard' | 'not'
  /** Whether its responses say `Referrer-Policy: no-referrer`, as helmet has them do by default. */
  readonly hidesReferrer?: true
  /** Whether it has an opaque origin (Content-Security-Policy `sandbox`), as a sandboxed frame has. */
  readonly isSandboxed?: true
}

export const places: readonly Place[] = [
  { name: 'the app itself', listed: 'not' },
  { name: 'the app itself, with no-referrer', listed: 'not', hidesReferrer: true },
  { name: 'the app itself, sandboxed', listed: 'not', isSandboxed: true },
  { name: 'the host of the app, by plain HTTP', listed: 'not', isPlain: true },
  { name: 'a sibling in sites', host: 'shop.example.com', listed: 'exactly' },
  {
    name: 'a sibling in sites, with no-referrer',
    host: 'shop.example.com',
    listed: 'exactly',
    hidesReferrer: true,
  },
  { name: 'a sibling that a wildcard matches', host: 'notes.apps.example.com', listed: 'by a wildcard' },
  { name: 'a sibling not in sites', host: 'blog.example.com', listed: 'not' },
  { name: 'another site in sites', host: 'partner.test', listed: 'exactly' },
  { name: 'another site that a wildcard matches', host: 'one.partners.test', listed: 'by a wildcard' },
  { name: 'another site not in sites', host: 'evil.test', listed: 'not' },
]

/** What the list `sites` of the apps holds, for pages on that port. Wildcards match one label here. */
export function sitesOn(port: number): string[] {
  const exact = places.filter(({ listed }) => listed === 'exactly').map(({ host }) => host)
  const hosts = [...new Set(exact), '*.apps.example.com', '*.partners.test']
  return hosts.map((host) => `https://${host}:${port}`)
}

/** An app, and the `SameSite` attribute of its session's cookie. */
export interface Target {
  readonly host: string
  readonly sameSite: 'lax' | 'none'
}

export const targets: readonly Target[] = [
  { host: 'bank.example.com', sameSite: 'lax' },
  { host: 'vault.example.com', sameSite: 'none' },
]

/** A request's credentials mode (Fetch standard). `same-origin` is what `fetch` does if told nothing. */
export type Credentials = 'include' | 'same-origin' | 'omit'

/** What the page does. */
export interface Kind {
  readonly name: string
  readonly way: 'fetch' | 'form' | 'image' | 'stream' | 'socket'
  readonly method: string
  /** The request's mode (Fetch standard). */
  readonly mode: 'cors' | 'no-cors' | 'navigate' | 'websocket'
  /** Those that the page can ask for. All others are no cells. */
  readonly credentials: readonly Credentials[]
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: string
  /** Whether a form could not send it, so that a preflight goes before it to another origin. */
  readonly isPreflighted?: true
}

const any = ['include', 'same-origin', 'omit'] as const
/** The attribute `crossorigin` of an image and `withCredentials` of an EventSource know two of the three. */
const withOrWithout = ['include', 'same-origin'] as const
/** A page has no say in it. */
const always = ['include'] as const
const json = { 'Content-Type': 'application/json' }

export const kinds: readonly Kind[] = [
  { name: 'fetch GET', way: 'fetch', method: 'GET', mode: 'cors', credentials: any },
  {
    name: 'fetch GET with a header of its own',
    way: 'fetch',
    method: 'GET',
    mode: 'cors',
    credentials: any,
    headers: { 'X-Own': '1' },
    isPreflighted: true,
  },
  { name: 'fetch POST', way: 'fetch', method: 'POST', mode: 'cors', credentials: any, body: 'text' },
  { name: 'fetch POST no-cors', way: 'fetch', method: 'POST', mode: 'no-cors', credentials: any, body: '{}' },
  {
    name: 'fetch POST of JSON',
    way: 'fetch',
    method: 'POST',
    mode: 'cors',
    credentials: any,
    headers: json,
    body: '{}',
    isPreflighted: true,
  },
  { name: 'fetch PUT', way: 'fetch', method: 'PUT', mode: 'cors', credentials: any, isPreflighted: true },
  { name: 'form GET', way: 'form', method: 'GET', mode: 'navigate', credentials: always },
  { name: 'form POST', way: 'form', method: 'POST', mode: 'navigate', credentials: always },
  { name: 'WebSocket', way: 'socket', method: 'GET', mode: 'websocket', credentials: always },
  { name: 'image', way: 'image', method: 'GET', mode: 'no-cors', credentials: always },
  { name: 'image crossorigin', way: 'image', method: 'GET', mode: 'cors', credentials: withOrWithout },
  { name: 'EventSource', way: 'stream', method: 'GET', mode: 'cors', credentials: withOrWithout },
]

export interface Cell {
  /** Its own in the whole run: part of its address, by which the app's record of it is found. */
  readonly id: string
  readonly name: string
  readonly target: Target
  readonly place: Place
  readonly kind: Kind
  readonly credentials: Credentials
}

/** All cells of a page: each kind with each of the credentials that it can ask for. */
export function cellsOf(run: string, target: Target, place: Place): Cell[] {
  return kinds.flatMap((kind) =>
    kind.credentials.map((credentials) => {
      const name = `${kind.name}, ${credentials}`
      const id = [run, target.host, place.name, name].join(' ').replace(/[^a-z0-9]+/gi, '-')
      return { id, name, target, place, kind, credentials }
    }),
  )
}
