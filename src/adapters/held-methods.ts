import type { ServerResponse } from 'node:http'
import type { ServerHttp2Stream } from 'node:http2'

export type AnyFunction = (this: ServerResponse, ...parameters: unknown[]) => unknown
export type Held = 'writeHead' | 'write' | 'end' | 'flushHeaders'

/** What holds a response back. */
export interface Hold {
  /** Called in place of the response's own method. */
  call(method: Held, parameters: unknown[]): unknown
}

/** Where a response keeps the hold on it. */
export const heldBy = Symbol('coatcheck hold')
/** A stand-in for a response may lack some of them. */
export type HeldMethods = Partial<Record<Held, AnyFunction>>
export type HeldResponse = ServerResponse & {
  [heldBy]?: Hold
  /** Of HTTP/2, where several share the connection. */
  readonly stream?: Partial<Pick<ServerHttp2Stream, 'session' | 'closed' | 'destroy'>>
}

/** From now on what is called on the response goes to its hold. */
export function takeOver(response: HeldResponse): void {
  // The same functions for all responses, and field by field: this is done for every request.
  response.writeHead = held.writeHead as HeldResponse['writeHead']
  response.write = held.write as HeldResponse['write']
  response.end = held.end as HeldResponse['end']
  response.flushHeaders = held.flushHeaders
}

const held: Record<Held, AnyFunction> = {
  writeHead(...parameters) {
    return holdOf(this).call('writeHead', parameters)
  },
  write(...parameters) {
    return holdOf(this).call('write', parameters)
  },
  end(...parameters) {
    return holdOf(this).call('end', parameters)
  },
  flushHeaders() {
    return holdOf(this).call('flushHeaders', [])
  },
}

function holdOf(response: ServerResponse): Hold {
  return (response as HeldResponse)[heldBy]!
}

/** The hold of another request object that was given the same response: this one's answer goes through it. */
export function heldOutside(response: HeldResponse): HeldMethods | undefined {
  const hold = response[heldBy]
  if (!hold) return undefined
  const through =
    (method: Held): AnyFunction =>
    (...parameters) =>
      hold.call(method, parameters)
  return {
    writeHead: through('writeHead'),
    write: through('write'),
    end: through('end'),
    flushHeaders: through('flushHeaders'),
  }
}
