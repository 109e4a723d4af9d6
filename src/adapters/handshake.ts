import { ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import { isError, SessionError, warnOfError } from '../core/errors.js'

/** The request that a held response belongs to, as far as the hold has to know it. */
export interface HeldRequest {
  readonly session?: unknown
  readonly socket?: Socket | null
  /** Set by Node on a request that leaves HTTP, as for a WebSocket. */
  readonly upgrade?: boolean
}

/**
 * Whether others write the response on the connection, as ws does for a WebSocket, and this is their stand-in for it. They go on
 * as soon as `writeHead` returns, so the head cannot wait.
 */
export function isHandshake(request: HeldRequest, response: ServerResponse): boolean {
  return request.upgrade === true && !(response instanceof ServerResponse)
}

/** Warns of an error that no error handler can get. Failures of the store are reported by `storeError` already. */
export function warnOf(error: unknown): void {
  if (error instanceof SessionError && error.code.startsWith('ERR_SESSION_STORE_')) return
  warnOfError(isError(error) ? error : new Error(String(error)))
}
