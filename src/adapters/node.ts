import type { OutgoingHttpHeader, OutgoingHttpHeaders, ServerResponse } from 'node:http'
import { SessionError } from '../core/errors.ts'
import type { Exchange, ResponseChanges } from '../http/exchange.ts'

type AnyFunction = (this: ServerResponse, ...parameters: unknown[]) => unknown
type Held = 'writeHead' | 'write' | 'end' | 'flushHeaders'

/** What a handler may write while the commit is under way, before it is taken for one that ignores back-pressure. */
const bufferLimit = 16 * 2 ** 20 // bytes

/** Headers that describe the answer that a failed commit takes back. */
const contentHeaders = [
  'Accept-Ranges', 'Cache-Control', 'Content-Disposition', 'Content-Encoding', 'Content-Language', 'Content-Length',
  'Content-Location', 'Content-Range', 'Content-Type', 'ETag', 'Expires', 'Last-Modified', 'Location', 'Refresh',
  'Set-Cookie', 'Trailer', 'Transfer-Encoding',
] // prettier-ignore

/**
 * Holds a Node response back until the session is stored: the first byte leaves after the commit.
 *
 * @param fail passes an error to the app, which answers with it
 */
export function holdResponse(
  response: ServerResponse,
  exchange: Exchange,
  fail: (error: unknown) => void,
): void {
  const hold = new ResponseHold(response, exchange, fail)
  hold.install()
}

/**
 * - `open`: the handler has not answered yet.
 * - `committing`: it has begun to; what it writes is kept, and `write` returns false, so that a pipe pauses.
 * - `released`: what was kept went out, and all else passes straight through.
 * - `discarding`: the commit failed in the middle of a stream; an error went out instead, the rest is dropped.
 */
class ResponseHold {
  readonly #response: ServerResponse
  readonly #exchange: Exchange
  readonly #fail: (error: unknown) => void
  readonly #original: Record<Held, AnyFunction>
  readonly #own: Record<Held, AnyFunction>
  #state: 'open' | 'committing' | 'released' | 'discarding' = 'open'
  #kept: { readonly method: Held; readonly parameters: unknown[] }[] = []
  #keptBytes = 0
  #ended = false
  #statusCode = 200
  /** The commit failed: the error response that follows stores nothing. */
  #failed = false
  #lateDone = false

  constructor(response: ServerResponse, exchange: Exchange, fail: (error: unknown) => void) {
    this.#response = response
    this.#exchange = exchange
    this.#fail = fail
    const methods = response as unknown as Record<Held, AnyFunction>
    this.#original = {
      writeHead: methods.writeHead,
      write: methods.write,
      end: methods.end,
      flushHeaders: methods.flushHeaders,
    }
    this.#own = {
      writeHead: (...parameters) => this.#call('writeHead', parameters),
      write: (...parameters) => this.#call('write', parameters),
      end: (...parameters) => this.#call('end', parameters),
      flushHeaders: () => this.#call('flushHeaders', []),
    }
  }

  install(): void {
    Object.assign(this.#response, this.#own)
  }

  #call(method: Held, parameters: unknown[]): unknown {
    const first = this.#state === 'open'
    if (first) this.#begin(method, parameters)
    switch (this.#state) {
      case 'released':
        return first ? this.#pass(method, parameters) : this.#passLate(method, parameters)
      case 'discarding':
        return this.#discard(method, parameters)
      default:
        return this.#keep(method, parameters)
    }
  }

  #begin(method: Held, parameters: unknown[]): void {
    const finished = this.#exchange.finish()
    if (finished instanceof Promise) {
      this.#state = 'committing'
      this.#statusCode = this.#response.statusCode
      this.#presentAsSent()
      finished.then(
        (changes) => this.#release(changes),
        (error: unknown) => this.#refuse(error),
      )
      return
    }
    this.#state = 'released'
    if (finished) {
      this.#apply(finished, method === 'writeHead' ? parameters : undefined)
    }
  }

  #keep(method: Held, parameters: unknown[]): unknown {
    if (this.#ended) return method === 'write' ? false : this.#response
    if (method === 'write' && this.#kept.some((kept) => kept.method === 'write')) {
      this.#keptBytes += byteLength(parameters[0])
      if (this.#keptBytes > bufferLimit) {
        this.#refuse(bufferFull())
        return this.#discard(method, parameters)
      }
    }
    this.#kept.push({ method, parameters })
    if (method === 'end') this.#ended = true
    return method === 'write' ? false : this.#response
  }

  #release(changes: ResponseChanges | undefined): void {
    if (this.#state !== 'committing') return
    const response = this.#response
    this.#presentAsOpen()
    this.#state = 'released'
    if (response.destroyed || response.socket?.destroyed) return // the client has gone; what it did is stored
    response.statusCode = this.#statusCode
    const head = this.#kept.find(({ method }) => method === 'writeHead')
    if (changes) this.#apply(changes, head?.parameters)
    const [first, ...later] = this.#kept
    this.#kept = []
    let flowing = this.#pass(first!.method, first!.parameters) !== false
    for (const { method, parameters } of later) {
      const result = this.#passLate(method, parameters)
      if (method === 'write') flowing = result !== false
    }
    if (flowing && !this.#ended) response.emit('drain')
  }

  /** Takes the answer back, and lets the app answer with the error. */
  #refuse(error: unknown): void {
    if (this.#state !== 'committing') return
    const response = this.#response
    this.#presentAsOpen()
    this.#kept = []
    this.#failed = true
    for (const name of contentHeaders) response.removeHeader(name)
    response.statusMessage = ''
    if (response.destroyed || response.socket?.destroyed) {
      this.#state = 'discarding'
    } else if (this.#ended) {
      this.#state = 'released'
      response.statusCode = 200
      // What others wrapped around these methods belongs to the answer that was taken back.
      this.install()
      this.#fail(error)
    } else {
      // The handler is still writing: an error page of the app would be mixed with that. So this one is ours.
      this.#state = 'discarding'
      response.statusCode = error instanceof SessionError ? error.status : 500
      response.setHeader('Content-Type', 'text/plain; charset=utf-8')
      this.#original.end.call(response, 'The session could not be stored. Please try again.\n')
    }
  }

  #pass(method: Held, parameters: unknown[]): unknown {
    return this.#original[method].apply(this.#response, parameters)
  }

  /** After the first byte: what the handler changed since then is stored before the response ends. */
  #passLate(method: Held, parameters: unknown[]): unknown {
    const late =
      method === 'end' && !this.#failed && !this.#lateDone ? this.#exchange.finishLate() : undefined
    if (!late) return this.#pass(method, parameters)
    this.#lateDone = true
    const end = () => this.#pass('end', parameters)
    // The status has left already; cutting the response short is the only way left to say that it failed.
    late.then(end, (error: Error) => this.#response.destroy(error))
    return this.#response
  }

  #discard(method: Held, parameters: unknown[]): unknown {
    const callback = parameters.findLast((parameter) => typeof parameter === 'function')
    if (callback) process.nextTick(callback as () => void)
    return method === 'write' ? true : this.#response
  }

  #apply(changes: ResponseChanges, head: unknown[] | undefined): void {
    const response = this.#response
    if (response.headersSent) return
    // Headers given to writeHead would replace what was set before it: set them first.
    if (head) takeHeaders(response, head)
    response.appendHeader('Set-Cookie', changes.setCookie)
    const caching = String(response.getHeader('Cache-Control') ?? '')
    // A shared cache must not hand one person's cookie to another (RFC 9111, section 7.3).
    if (!/\b(no-store|private)\b/i.test(caching)) response.setHeader('Cache-Control', 'no-store')
  }

  /** While the answer is held it counts as sent: a second one must fail as it would without us. */
  #presentAsSent(): void {
    const sent = () => {
      const error = new Error('Cannot set headers after they are sent to the client')
      throw Object.assign(error, { code: 'ERR_HTTP_HEADERS_SENT' })
    }
    for (const name of ['setHeader', 'appendHeader', 'removeHeader', 'setHeaders']) {
      Object.defineProperty(this.#response, name, { value: sent, configurable: true, writable: true })
    }
    Object.defineProperty(this.#response, 'headersSent', { get: () => true, configurable: true })
    Object.defineProperty(this.#response, 'writableEnded', { get: () => this.#ended, configurable: true })
  }

  #presentAsOpen(): void {
    const response = this.#response as unknown as Record<string, unknown>
    for (const name of [
      'setHeader',
      'appendHeader',
      'removeHeader',
      'setHeaders',
      'headersSent',
      'writableEnded',
    ]) {
      delete response[name]
    }
  }
}

function bufferFull(): SessionError {
  return new SessionError(
    'ERR_SESSION_RESPONSE_BUFFER',
    `The response wrote more than ${bufferLimit} bytes while its session was being stored. Heed the return value of write(), as pipe() and pipeline() do.`,
    { status: 503 },
  )
}

function byteLength(chunk: unknown): number {
  return typeof chunk === 'string' ? chunk.length : chunk instanceof Uint8Array ? chunk.byteLength : 0
}

/** Sets the headers that were given to writeHead, and leaves it the status alone. */
function takeHeaders(response: ServerResponse, head: unknown[]): void {
  const headers = head.at(-1) as OutgoingHttpHeaders | readonly unknown[] | undefined
  if (typeof headers !== 'object' || headers === null) return
  head.pop()
  const seen = new Set<string>()
  for (const [name, value] of headerPairs(headers)) {
    const values = Array.isArray(value) ? (value as string[]) : String(value)
    if (seen.has(name.toLowerCase())) response.appendHeader(name, values)
    else response.setHeader(name, values)
    seen.add(name.toLowerCase())
  }
}

function headerPairs(headers: OutgoingHttpHeaders | readonly unknown[]): [string, OutgoingHttpHeader][] {
  if (!Array.isArray(headers)) {
    return Object.entries(headers).filter(
      (pair): pair is [string, OutgoingHttpHeader] => pair[1] !== undefined,
    )
  }
  if (Array.isArray(headers[0])) return headers as [string, OutgoingHttpHeader][]
  const flat = headers as OutgoingHttpHeader[]
  return flat.flatMap((name, index) =>
    index % 2 === 0 ? [[String(name), flat[index + 1]!] as [string, OutgoingHttpHeader]] : [],
  )
}
