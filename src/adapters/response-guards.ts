import { ServerResponse } from 'node:http'

type AnyFunction = (this: ServerResponse, ...parameters: unknown[]) => unknown

/** Who knows whether a response is being held. */
export interface Answering {
  /** While the answer is held it counts as sent. */
  readonly presentsAsSent: boolean
  /** Whether somebody else has answered for the app, so that what it sets comes too late. */
  readonly ignoresHeaders: boolean
  /** Whether the handler has ended it. */
  readonly ended: boolean
  /** Puts off closing the connection until an answer that was ended is sent. `false` if there is no such answer. */
  closeLater(close: () => void): boolean
}

/** Where a response keeps its guards. */
const guardedBy = Symbol('coatcheck guards')
type GuardedResponse = ServerResponse & { [guardedBy]?: ResponseGuards; _headerSent?: unknown }

/**
 * Makes a response look sent while its answer is held: a second answer must fail as it would without us. The guards stay
 * for good, because taking properties off an object again makes all that is done with it slow.
 */
export class ResponseGuards {
  readonly answering: Answering
  readonly #response: GuardedResponse
  /** Properties of the response's own that guards have taken the place of. */
  #own: Map<string, PropertyDescriptor> | undefined
  /** What Node's own flag was, while it says that the head was sent. */
  #flag: boolean | undefined

  constructor(response: ServerResponse, answering: Answering) {
    this.#response = response
    this.answering = answering
  }

  install(): void {
    const response = this.#response
    if (this.answering.presentsAsSent) this.#raiseFlag()
    const before = response[guardedBy]
    response[guardedBy] = this
    if (before) {
      this.#own = before.#own
      return
    }
    const isNodes = response instanceof ServerResponse
    for (const name of guardedNames) {
      // What a stand-in for a response lacks, it goes on lacking.
      if (!(name in response)) continue
      const own = Object.getOwnPropertyDescriptor(response, name)
      if (own) (this.#own ??= new Map()).set(name, own)
      // Assigned where that does the same, for it takes a fifth of the time.
      const method = own === undefined && isNodes ? methods[name] : undefined
      if (method) (response as unknown as Record<string, unknown>)[name] = method
      else Reflect.defineProperty(response, name, guards[name]!)
    }
  }

  /** `_headerSent`, which Node goes by before it answers 408 or 400 itself. Set, because a guard in its place makes all that is done with the response slow. */
  #raiseFlag(): void {
    const { _headerSent: flag } = this.#response
    // Where the head has left, such as that of a handshake, Node needs the flag itself.
    if (typeof flag !== 'boolean' || this.behind('headersSent') === true) return
    if (Reflect.set(this.#response, '_headerSent', true)) this.#flag = flag
  }

  /** The answer is not held any more: it goes out, or another one will. */
  lowerFlag(): void {
    // Somebody may have sent the head around us: then it is not to be sent again.
    if (this.#flag !== undefined && this.behind('headersSent') !== true)
      this.#response._headerSent = this.#flag
    this.#flag = undefined
  }

  /** What the response has of its own, or else inherits, under a name that a guard stands at. */
  behind(name: string): unknown {
    const own = this.#own?.get(name)
    if (!own) return Reflect.get(Object.getPrototypeOf(this.#response) as object, name, this.#response)
    return own.get ? own.get.call(this.#response) : (own.value as unknown)
  }

  /** For stand-ins of a response, as tests of apps use, whose properties are plain values that they assign. */
  putBehind(name: string, value: unknown): void {
    this.#own ??= new Map()
    this.#own.set(name, { value, writable: true })
  }
}

function guardsOf(response: ServerResponse): ResponseGuards {
  return (response as GuardedResponse)[guardedBy]!
}

/** The same for all responses. */
const guards: PropertyDescriptorMap = {}
const methods: Record<string, AnyFunction> = {}

/** What tells whether a response is sent. */
const presented: Record<string, (answering: Answering) => boolean> = {
  headersSent: ({ presentsAsSent }) => presentsAsSent,
  writableEnded: ({ presentsAsSent, ended }) => presentsAsSent && ended,
}
for (const [name, isPresented] of Object.entries(presented)) {
  guards[name] = {
    get(this: ServerResponse) {
      const there = guardsOf(this)
      return isPresented(there.answering) || there.behind(name)
    },
    set(this: ServerResponse, value: unknown) {
      guardsOf(this).putBehind(name, value)
    },
    configurable: true,
  }
}
methods.destroy = function (...parameters) {
  const there = guardsOf(this)
  const destroy = (): unknown => Reflect.apply(there.behind('destroy') as AnyFunction, this, parameters)
  return there.answering.closeLater(destroy) ? this : destroy()
}
for (const name of ['setHeader', 'appendHeader', 'removeHeader', 'setHeaders']) {
  methods[name] = function (...parameters) {
    const there = guardsOf(this)
    if (there.answering.presentsAsSent) throw headersSent()
    if (there.answering.ignoresHeaders) return this
    return Reflect.apply(there.behind(name) as AnyFunction, this, parameters)
  }
}
for (const [name, value] of Object.entries(methods))
  guards[name] = { value, writable: true, configurable: true }
const guardedNames = Object.keys(guards)

/** What Node says of headers that come too late. */
export function headersSent(): Error {
  const error = new Error('Cannot set headers after they are sent to the client')
  return Object.assign(error, { code: 'ERR_HTTP_HEADERS_SENT' })
}
