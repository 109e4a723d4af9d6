import { isError } from '../core/errors.js'
import type { ServerResponse } from 'node:http'

type Close = (...parameters: unknown[]) => unknown
/** How a connection, or a stream of HTTP/2, is closed, by Node and by apps. */
const closings = ['destroy', 'destroySoon', 'resetAndDestroy', 'end', 'close'] as const

/** Where a connection keeps its guard. */
const guardedBy = Symbol('coatcheck connection guard')
type GuardedSocket = Partial<Record<(typeof closings)[number], Close>> & { [guardedBy]?: ConnectionGuard }

/**
 * Keeps a connection open while an ended response is held on it. Without a session, `end` would have sent that response, so
 * whoever closes the connection next would not cut it off. Closing it is put off until the response is sent.
 */
export class ConnectionGuard {
  readonly #held = new Set<ServerResponse>()
  /** What was passed on to Node since a closing was put off, and is not sent yet: the client may have sent several requests at once. */
  readonly #leaving = new Set<ServerResponse>()
  /** The first closing that was put off. */
  #close: (() => void) | undefined

  /** The guard of a connection, or of a stream that shares one, which it keeps for good. `undefined` where a test's stand-in for a connection takes none. */
  static of(socket: object | null | undefined): ConnectionGuard | undefined {
    if (typeof socket !== 'object' || socket === null) return undefined
    const guarded = socket as GuardedSocket
    try {
      return (guarded[guardedBy] ??= new ConnectionGuard(guarded))
    } catch {
      return undefined
    }
  }

  private constructor(socket: GuardedSocket) {
    for (const name of closings) {
      const close = socket[name]
      if (typeof close !== 'function') continue
      socket[name] = (...parameters) => {
        if (this.#held.size === 0 || isBroken(parameters[0])) return close.apply(socket, parameters)
        this.closeLater(() => close.apply(socket, parameters))
        return socket
      }
    }
  }

  /** From now on, closing the connection waits for this response. */
  hold(response: ServerResponse): void {
    this.#held.add(response)
  }

  closeLater(close: () => void): void {
    this.#close ??= close
  }

  /** The response was passed on to Node. A closing that was put off waits until it is sent; a later one does not. */
  release(response: ServerResponse): void {
    this.#held.delete(response)
    if (!this.#close) return
    this.#leaving.add(response)
    const sent = (): void => {
      // Once for each response: a closing may send something too.
      if (!this.#leaving.delete(response) || this.#leaving.size + this.#held.size > 0) return
      const close = this.#close
      this.#close = undefined
      close?.()
    }
    response.once('finish', sent).once('close', sent)
  }

  /** Nothing waits for this response any more. The caller closes the connection where it has to be. */
  forget(response: ServerResponse): void {
    this.#held.delete(response)
    if (this.#held.size === 0) this.#close = undefined
  }
}

/** Whether the network closes a connection: nothing can be sent on it any more. */
function isBroken(error: unknown): boolean {
  return isError(error) && 'errno' in error
}
