import type { HeldResponse } from './held-methods.js'

/** As over HTTP/2, which has no status message either. */
export function sharesConnection(response: HeldResponse): boolean {
  return response.stream?.session !== undefined
}

/** Whether the client has gone, so that nobody can be answered. */
export function clientHasGone({ destroyed, socket, stream }: HeldResponse): boolean {
  // A stream stays until its guard lets go of it.
  const streamGone = stream !== undefined && (stream.closed === true || stream.session?.destroyed === true)
  return destroyed || socket?.destroyed === true || streamGone
}
