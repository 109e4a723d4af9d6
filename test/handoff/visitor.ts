/** One request and its answer, as it went over the wire. */
export interface Exchanged {
  readonly method: string
  readonly url: string
  readonly cookie: string | undefined
  readonly status: number
  readonly headers: Headers
  readonly text: string
}

export interface VisitOptions {
  readonly method?: string
  readonly form?: Readonly<Record<string, string>>
  readonly headers?: Readonly<Record<string, string>>
  /** Whether to follow redirects. Default: true. */
  readonly follow?: boolean
}

type Fetch = (url: URL, init: SentRequest) => Promise<Response>
interface SentRequest {
  readonly method: string
  readonly redirect: 'manual'
  readonly headers: Readonly<Record<string, string>>
  readonly body?: URLSearchParams
}

/** A client as a browser is: it has cookies for each origin, follows redirects, and says how it loads a page. */
export class Visitor {
  /** By origin. */
  readonly jars: Map<string, Map<string, string>>
  /** All that went over the wire. */
  readonly log: Exchanged[] = []

  readonly #fetch: Fetch

  constructor(jars: Iterable<readonly [string, Map<string, string>]> = [], send: Fetch = fetch) {
    this.jars = new Map([...jars].map(([origin, jar]) => [origin, new Map(jar)]))
    this.#fetch = send
  }

  /** Another browser with the same cookies, such as a thief's. */
  clone(): Visitor {
    return new Visitor(this.jars, this.#fetch)
  }

  jar(origin: string): Map<string, string> {
    let jar = this.jars.get(origin)
    if (!jar) this.jars.set(origin, (jar = new Map()))
    return jar
  }

  /** Opens a page, and follows its redirects as a browser does. */
  async open(url: string, options: VisitOptions = {}): Promise<Exchanged> {
    let exchanged = await this.send(url, options)
    for (let hops = 0; options.follow !== false && isRedirect(exchanged); hops++) {
      if (hops === 20) throw new Error(`too many redirects, at ${exchanged.url}`)
      exchanged = await this.send(nextOf(exchanged), { headers: options.headers ?? {} })
    }
    return exchanged
  }

  post(
    url: string,
    form: Readonly<Record<string, string>> = {},
    options: VisitOptions = {},
  ): Promise<Exchanged> {
    return this.open(url, { ...options, method: 'POST', form })
  }

  async send(address: string, { method = 'GET', form, headers = {} }: VisitOptions = {}): Promise<Exchanged> {
    const url = new URL(address)
    const jar = this.jar(url.origin)
    const cookie = [...jar].map(([name, value]) => `${name}=${value}`).join('; ')
    const response = await this.#fetch(url, {
      method,
      redirect: 'manual',
      headers: {
        accept: 'text/html',
        'sec-fetch-dest': 'document',
        'sec-fetch-mode': 'navigate',
        ...(method === 'POST' && { origin: url.origin }),
        ...(cookie !== '' && { cookie }),
        ...headers,
      },
      ...(form && { body: new URLSearchParams(form) }),
    })
    for (const header of response.headers.getSetCookie()) {
      const [pair = '', ...attributes] = header.split('; ')
      const name = pair.slice(0, pair.indexOf('='))
      if (attributes.includes('Max-Age=0')) jar.delete(name)
      else jar.set(name, pair.slice(name.length + 1))
    }
    const exchanged = {
      method,
      url: url.href,
      cookie: cookie === '' ? undefined : cookie,
      status: response.status,
      headers: response.headers,
      text: await response.text(),
    }
    this.log.push(exchanged)
    return exchanged
  }
}

export function isRedirect({ status }: Exchanged): boolean {
  return status >= 300 && status < 400
}

/** Where a redirect leads. */
export function nextOf({ headers, url }: Exchanged): string {
  return new URL(headers.get('location')!, url).href
}
