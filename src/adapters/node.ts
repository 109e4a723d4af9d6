import { ServerResponse } from 'node:http'
import { SessionError } from '../core/errors.js'
import { clearTimeout, nextTick, setTimeout } from '../core/scheduling.js'
import type { Exchange, ResponseChanges } from '../http/exchange.js'
import { clientHasGone, sharesConnection } from './client-connection.js'
import { ConnectionGuard } from './connection-guard.js'
import { type DrainListeners, emitDrain, noteDrainListeners } from './drain-listeners.js'
import { type HeldRequest, isHandshake, warnOf } from './handshake.js'
import {
  type AnyFunction,
  type Held,
  heldBy,
  type HeldMethods,
  heldOutside,
  type HeldResponse,
  type Hold,
  takeOver,
} from './held-methods.js'
import { bufferFull, callBack, failCallback, KeptCalls } from './kept-calls.js'
import { type Answering, headersSent, ResponseGuards } from './response-guards.js'
import { addToken, addVary, keepFromSharedCaches, removeContentHeaders } from './response-head.js'

/** How long the app may take to answer an error that it was told of, before a plain text answer goes out in its place. */
const patience = 2_000 // milliseconds

/**
 * Holds a Node response back until the session is stored: the first byte leaves after the commit.
 *
 * Takes a stand-in for a response too, as engine.io and ws pass for an upgrade, and does without what that lacks.
 *
 * @param request whose `session` the app sees.
 * @param fail passes an error to the app, which answers with it; called once at most.
 */
export function holdResponse(
  response: ServerResponse,
  exchange: Exchange,
  request: HeldRequest,
  fail: (error: unknown) => void,
): void {
  if (response.headersSent) exchange.work.closeHeaders()
  new ResponseHold(response as HeldResponse, exchange, request, fail).install()
}

/**
 * - `open`: the handler has not answered yet, or its answer was taken back and the app's error handler has not.
 * - `committing`: it has begun to; what it writes is kept, and `write` returns false, so that a pipe pauses.
 * - `released`: what was kept went out, and all else passes straight through.
 * - `finishing`: the handler has ended a stream, and what it changed since the first byte is being stored.
 * - `discarding`: the commit failed and the client was told, or has gone; the rest is dropped.
 */
class ResponseHold implements Answering, Hold {
  readonly #response: HeldResponse
  readonly #exchange: Exchange
  readonly #request: HeldRequest
  readonly #fail: (error: unknown) => void
  readonly #writeHead: AnyFunction | undefined
  readonly #write: AnyFunction | undefined
  readonly #end: AnyFunction | undefined
  readonly #flushHeaders: AnyFunction | undefined
  #state: 'open' | 'committing' | 'released' | 'finishing' | 'discarding'
  #kept: KeptCalls | undefined
  /** Once an answer was held. */
  #guards: ResponseGuards | undefined
  /** What was added to the head. */
  #changes: ResponseChanges | undefined
  #ended = false
  #statusCode = 200
  /** There will be no other commit: the last one was made, or one failed and the answer went out all the same. */
  #settled = false
  /** The app got an error. It gets no second one: an error handler must not be called for its own answer. */
  #told = false
  #drainListeners: DrainListeners | undefined
  /** Set once the answer was ended before it could be sent. */
  #connection: ConnectionGuard | undefined
  /** Runs while the app has an error to answer: whoever waited for `next` only once, as engine.io does, never will. */
  #answerDue: NodeJS.Timeout | undefined
  /** Its error handler may be slow, and answer still. */
  #answeredForApp = false
  /** The head of an upgrade was written, before the commit. */
  #handshakeSent = false

  constructor(
    response: HeldResponse,
    exchange: Exchange,
    request: HeldRequest,
    fail: (error: unknown) => void,
  ) {
    this.#response = response
    this.#exchange = exchange
    this.#request = request
    this.#fail = fail
    // A session that is opened only after the first byte can still be stored before the last.
    this.#state = response.headersSent ? 'released' : 'open'
    // Field by field: this is done for every request.
    const { writeHead, write, end, flushHeaders } =
      heldOutside(response) ?? (response as unknown as HeldMethods)
    this.#writeHead = writeHead
    this.#write = write
    this.#end = end
    this.#flushHeaders = flushHeaders
  }

  install(): void {
    const response = this.#response
    // The compression package replaces `on`, to move those who wait for 'drain' to a stream of its own.
    if (Object.hasOwn(response, 'on') && !response[heldBy]) {
      const isHeld = (): boolean => this.#state === 'open' || this.#state === 'committing'
      this.#drainListeners = noteDrainListeners(response, isHeld)
    }
    response[heldBy] = this
    takeOver(response)
  }

  call(method: Held, parameters: unknown[]): unknown {
    switch (this.#state) {
      case 'open':
        return this.#begin(method, parameters)
      case 'committing':
        return this.#keep(method, parameters)
      case 'released':
        if (method === 'writeHead') return this.#writeLastHead(parameters)
        return method === 'end' ? this.#endLate(parameters) : this.#pass(method, parameters)
      case 'discarding':
        if (method === 'end') this.#pass('end', []) // so that those who wait for it are told
    }
    // Node calls writeHead itself for the first byte, and throws if that has left.
    return method === 'writeHead' && !this.#answeredForApp
      ? this.#pass(method, parameters)
      : this.#drop(method, parameters)
  }

  #begin(method: Held, parameters: unknown[]): unknown {
    clearTimeout(this.#answerDue)
    if (this.#exchange.isAsRefused) {
      this.#exchange.work.closeHeaders()
      this.#state = 'released'
      this.#addHeaders(undefined, method === 'writeHead' ? parameters : undefined)
      return this.#pass(method, parameters)
    }
    const finished = this.#exchange.finish()
    if (finished instanceof Promise) {
      // First of all, because what follows may throw if this is a stand-in for a response.
      finished
        .then(
          (changes) => this.#release(changes),
          (error: unknown) => this.#refuse(error),
        )
        .catch((error: unknown) => this.#cutShort(error))
      const result =
        method === 'writeHead' && isHandshake(this.#request, this.#response)
          ? this.#sendHandshake(parameters)
          : undefined
      this.#state = 'committing'
      this.#statusCode = this.#response.statusCode
      this.#guard()
      return this.#handshakeSent ? result : this.#keep(method, parameters)
    }
    this.#state = 'released'
    this.#addHeaders(finished, method === 'writeHead' ? parameters : undefined)
    return this.#pass(method, parameters)
  }

  #guard(): void {
    this.#guards = new ResponseGuards(this.#response, this)
    this.#guards.install()
  }

  #addHeaders(changes: ResponseChanges | undefined, head: unknown[] | undefined): void {
    this.#changes = changes
    if (changes) addToken(this.#response, changes, head)
    const { vary } = this.#exchange
    if (vary !== undefined) addVary(this.#response, vary, head)
  }

  /** Node calls `writeHead` for the first byte, after what others have set as headers at the last moment. */
  #writeLastHead(parameters: unknown[]): unknown {
    if (this.#changes) keepFromSharedCaches(this.#response, this.#changes, parameters)
    const { vary } = this.#exchange
    if (vary !== undefined) addVary(this.#response, vary, parameters)
    return this.#pass('writeHead', parameters)
  }

  /** The cookie goes out before the commit, as with express-session. If the commit fails, the connection ends. */
  #sendHandshake(parameters: unknown[]): unknown {
    const changes = this.#exchange.expectedChanges
    if (changes) addToken(this.#response, changes, parameters)
    this.#handshakeSent = true
    return this.#pass('writeHead', parameters)
  }

  #keep(method: Held, parameters: unknown[]): unknown {
    if (method === 'writeHead' && (this.#kept || this.#handshakeSent)) throw headersSent()
    if (this.#ended) return this.#drop(method, parameters)
    this.#kept ??= new KeptCalls()
    this.#kept.add(method, parameters)
    if (this.#kept.isFull) this.#takeBack(bufferFull())
    if (method === 'end') this.#holdConnection()
    return method === 'write' ? false : this.#response
  }

  /** The answer was ended: without us it would be on its way, so nobody may close the connection before it is. */
  #holdConnection(): void {
    this.#ended = true
    const shares = sharesConnection(this.#response)
    // A stand-in for a response closes the connection itself when it is ended.
    if (!shares && !(this.#response instanceof ServerResponse)) return
    this.#connection ??= ConnectionGuard.of(shares ? this.#response.stream : this.#request.socket)
    this.#connection?.hold(this.#response)
  }

  #release(changes?: ResponseChanges): void {
    if (this.#state !== 'committing') return
    this.#state = 'released'
    this.#guards?.lowerFlag()
    if (clientHasGone(this.#response)) return this.#letGo() // what the handler did is stored
    this.#connection?.release(this.#response)
    try {
      if (!isHandshake(this.#request, this.#response)) this.#response.statusCode = this.#statusCode
      const kept = this.#kept
      if (!this.#handshakeSent) this.#addHeaders(changes, kept?.head)
      let flowing = true
      kept?.passTo((method, parameters, isFirst) => {
        const late = method === 'end' && !isFirst
        const result = late ? this.#endLate(parameters) : this.#pass(method, parameters)
        if (method === 'write') flowing = result !== false
      })
      this.#kept = undefined
      if (flowing && !this.#ended) emitDrain(this.#response, this.#drainListeners)
    } catch (error) {
      // Node refused what the handler gave it: it would have thrown at the handler.
      this.#takeBack(error)
    }
  }

  #refuse(error: unknown): void {
    if (this.#state !== 'committing') return
    const saysThatItFailed = Number(this.#kept?.head?.[0] ?? this.#statusCode) >= 500
    if (!saysThatItFailed) return this.#takeBack(error)
    // An answer that says that the server failed claims nothing, so it may go: it often is the app's answer
    // to this very error.
    this.#settled = true
    this.#release()
  }

  /** Takes the answer back, and lets the app answer with the error; but not where this is its answer to one. */
  #takeBack(error: unknown): void {
    const response = this.#response
    this.#dropKept()
    this.#state = 'discarding'
    this.#guards?.lowerFlag()
    if (clientHasGone(this.#response)) return this.#letGo()
    if (response.headersSent || isHandshake(this.#request, this.#response)) return this.#cutShort(error)
    this.#connection?.release(response)
    removeContentHeaders(response)
    if (this.#changes) response.removeHeader?.(this.#changes.name)
    // So that an error handler that sets no status does not claim success.
    response.statusCode = error instanceof SessionError ? error.status : 500
    if (!sharesConnection(this.#response)) response.statusMessage = ''
    if (!this.#ended || this.#told) return this.#answerInstead(error)
    this.#state = 'open'
    this.#ended = false
    // What others wrapped around these methods belongs to the answer that was taken back.
    this.install()
    this.#tell(error)
    this.#answerDue = setTimeout(() => this.#answerForApp(error), patience).unref()
  }

  #answerForApp(error: unknown): void {
    try {
      if (this.#state === 'discarding' || clientHasGone(this.#response) || this.#response.writableEnded)
        return
      this.#dropKept()
      this.#state = 'discarding'
      this.#guards?.lowerFlag()
      this.#answerInstead(error)
      this.#answeredForApp = true
    } catch {
      this.#cutShort(error)
    }
  }

  #tell(error: unknown): void {
    if (this.#told) return
    this.#told = true
    // To call `next` again would upgrade the connection again.
    if (isHandshake(this.#request, this.#response)) warnOf(error)
    else nextTick(() => this.#passOn(error))
  }

  #passOn(error: unknown): void {
    try {
      this.#fail(error)
    } catch (thrown) {
      // Nobody is left who could catch it, so it would end the process.
      warnOf(thrown)
      this.#answerForApp(error)
    }
  }

  /** The handler is still writing, and an error page of the app would be mixed with that; or this is in place of that page. */
  #answerInstead(error: unknown): void {
    const response = this.#response
    const text = 'The session could not be stored. Please try again.\n'
    response.setHeader?.('Content-Type', 'text/plain; charset=utf-8')
    response.setHeader?.('Content-Length', Buffer.byteLength(text))
    if (!sharesConnection(this.#response)) response.setHeader?.('Connection', 'close')
    if (!response.socket) {
      this.#pass('end', [text])
      return this.#tell(error)
    }
    // HTTP/1 closes: only that tells a pipeline to let go of its source.
    response.once('close', () => this.#tell(error))
    this.#pass('flushHeaders', [])
    this.#pass('write', [text])
    if (sharesConnection(this.#response)) this.#pass('end', [])
    else response.socket.destroySoon()
  }

  /** The status has left already; cutting the response short is the only way left to say that it failed. */
  #cutShort(error: unknown): void {
    const response = this.#response
    this.#dropKept()
    this.#state = 'discarding'
    this.#guards?.lowerFlag()
    this.#connection?.forget(response)
    this.#tell(error)
    try {
      if (response.destroy) response.destroy()
      else response.socket?.destroy()
    } catch {
      // A stand-in that cannot be closed; and nobody is left who could be told.
    }
  }

  #pass(method: Held, parameters: unknown[]): unknown {
    switch (method) {
      case 'writeHead':
        return this.#writeHead?.apply(this.#response, parameters)
      case 'write':
        return this.#write?.apply(this.#response, parameters)
      case 'end':
        return this.#end?.apply(this.#response, parameters)
      case 'flushHeaders':
        return this.#flushHeaders?.apply(this.#response, parameters)
    }
  }

  /** After the first byte: what the handler changed since then is stored before the response ends. */
  #endLate(parameters: unknown[]): unknown {
    // Node takes a second `end` with text for an error, which ends the process. Under express-session it does nothing.
    if (this.#response.writableEnded) return this.#drop('end', parameters)
    const late = this.#settled || this.#exchange.isAsRefused ? undefined : this.#exchange.finishLate()
    this.#settled = true
    if (!late) return this.#pass('end', parameters)
    this.#state = 'finishing'
    this.#holdConnection()
    this.#guard()
    late.then(
      () => {
        this.#state = 'released'
        this.#connection?.release(this.#response)
        try {
          this.#pass('end', parameters)
          if (clientHasGone(this.#response)) this.#letGo()
        } catch (error) {
          this.#cutShort(error) // what Node refuses would have been thrown at the handler
        }
      },
      (error: unknown) => {
        failCallback('end', parameters)
        this.#cutShort(error)
      },
    )
    return this.#response
  }

  #drop(method: Held, parameters: unknown[]): unknown {
    if (this.#state === 'discarding') failCallback(method, parameters)
    else callBack(parameters)
    return method === 'write' ? false : this.#response
  }

  /** Nobody is there to be answered. */
  #letGo(): void {
    this.#dropKept()
    this.#connection?.forget(this.#response)
    this.#response.stream?.destroy?.() // the guard put that off
  }

  #dropKept(): void {
    this.#kept?.drop()
    this.#kept = undefined
  }

  get presentsAsSent(): boolean {
    return this.#state === 'committing'
  }

  get ignoresHeaders(): boolean {
    return this.#answeredForApp
  }

  get ended(): boolean {
    return this.#ended
  }

  closeLater(close: () => void): boolean {
    const isHeld = this.#ended && (this.#state === 'committing' || this.#state === 'finishing')
    if (!isHeld || !this.#connection) return false
    this.#connection.closeLater(() => {
      close()
      // By then Node may have taken the connection off the response.
      this.#request.socket?.destroy()
    })
    return true
  }
}
