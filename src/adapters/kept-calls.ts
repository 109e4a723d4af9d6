import { SessionError } from '../core/errors.js'
import { nextTick } from '../core/scheduling.js'
import type { Held } from './held-methods.js'

interface KeptCall {
  readonly method: Held
  readonly parameters: unknown[]
}

/** What a handler may write while the commit is under way, before it is taken for one that ignores back-pressure. */
const bufferLimit = 16 * 2 ** 20 // bytes

/** The calls on a response that is held, until they are made or dropped. */
export class KeptCalls {
  readonly #calls: KeptCall[] = []
  #passed = 0
  /** Of all writes but the first, which no back-pressure could stop. */
  #bytes: number | undefined

  add(method: Held, parameters: unknown[]): void {
    this.#calls.push({ method, parameters })
    if (method === 'write')
      this.#bytes = this.#bytes === undefined ? 0 : this.#bytes + byteLength(parameters[0])
  }

  get isFull(): boolean {
    return this.#bytes !== undefined && this.#bytes > bufferLimit
  }

  /** What `writeHead` was called with. */
  get head(): unknown[] | undefined {
    return this.#calls.find(({ method }) => method === 'writeHead')?.parameters
  }

  /** Makes the calls. If one throws, `drop` is for those after it. */
  passTo(pass: (method: Held, parameters: unknown[], isFirst: boolean) => void): void {
    while (this.#passed < this.#calls.length) {
      const isFirst = this.#passed === 0
      const { method, parameters } = this.#calls[this.#passed++]!
      pass(method, parameters, isFirst)
    }
  }

  drop(): void {
    for (const { method, parameters } of this.#calls.slice(this.#passed)) failCallback(method, parameters)
  }
}

/** Calls the callback of a call that will never be made, as Node does once a stream is destroyed. */
export function failCallback(method: Held, parameters: unknown[]): void {
  const error = new Error(`Cannot call ${method} after a stream was destroyed`)
  callBack(parameters, Object.assign(error, { code: 'ERR_STREAM_DESTROYED' }))
}

export function callBack(parameters: unknown[], error?: Error): void {
  const callback = parameters.findLast((parameter) => typeof parameter === 'function')
  if (callback) nextTick(callback as (error?: Error) => void, error)
}

export function bufferFull(): SessionError {
  return new SessionError(
    'ERR_SESSION_RESPONSE_BUFFER',
    `The response wrote more than ${bufferLimit} bytes while its session was being stored. Heed the return value of write(), as pipe() and pipeline() do.`,
    { status: 503 },
  )
}

function byteLength(chunk: unknown): number {
  return typeof chunk === 'string' || chunk instanceof Uint8Array ? chunk.length : 0
}
