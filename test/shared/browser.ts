/** A client that keeps cookies, as a browser does, for apps on one host. */
export class Browser {
  readonly cookies: Map<string, string>

  constructor(cookies: Readonly<Record<string, string>> = {}) {
    this.cookies = new Map(Object.entries(cookies))
  }

  /** Another browser with the same cookies. */
  clone(): Browser {
    return new Browser(Object.fromEntries(this.cookies))
  }

  get(origin: string, path: string): Promise<Answer> {
    return this.#request(origin, path, 'GET')
  }

  post(origin: string, path: string, form?: Readonly<Record<string, string>>): Promise<Answer> {
    return this.#request(origin, path, 'POST', form)
  }

  async #request(
    origin: string,
    path: string,
    method: string,
    form?: Readonly<Record<string, string>>,
  ): Promise<Answer> {
    const cookie = [...this.cookies].map(([name, value]) => `${name}=${value}`).join('; ')
    const response = await fetch(origin + path, {
      method,
      redirect: 'manual',
      headers: cookie === '' ? {} : { cookie },
      ...(form && { body: new URLSearchParams(form) }),
    })
    for (const header of response.headers.getSetCookie()) {
      const [pair = '', ...attributes] = header.split('; ')
      const equals = pair.indexOf('=')
      const name = pair.slice(0, equals)
      if (attributes.includes('Max-Age=0')) this.cookies.delete(name)
      else this.cookies.set(name, pair.slice(equals + 1))
    }
    const text = await response.text()
    const isJson = response.headers.get('content-type')?.startsWith('application/json') ?? false
    return {
      status: response.status,
      headers: response.headers,
      text,
      body: isJson ? (JSON.parse(text) as Record<string, unknown>) : {},
    }
  }
}

export interface Answer {
  readonly status: number
  readonly headers: Headers
  readonly text: string
  /** The JSON body; empty if it is none. */
  readonly body: Record<string, unknown>
}
