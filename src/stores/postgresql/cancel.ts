import { connect } from 'node:net'
import { clearTimeout, setTimeout } from '../../core/scheduling.js'

/** What a client of pg knows of its connection. */
export interface Cancellable {
  /** Or the folder of a socket. */
  readonly host?: string
  readonly port?: number
  /** What the server gave it to cancel its statements by. */
  readonly processID?: number | null
  readonly secretKey?: number | null
}

/** What says that a message is one (PostgreSQL's manual, section 55.7: CancelRequest). */
const cancelRequest = 80_877_102
/** Milliseconds. */
const longest = 5_000

/**
 * Asks the server to cancel the statement that a connection has under way. Otherwise it would go on, and wait for its lock, long
 * after its connection was closed. As psql does, by a connection without TLS: the key is of no use later.
 *
 * Resolves when the server has taken the request, or cannot. Never rejects.
 */
export async function cancelStatement({ host, port, processID, secretKey }: Cancellable): Promise<void> {
  if (host === undefined || port === undefined) return
  if (typeof processID !== 'number' || typeof secretKey !== 'number') return
  const request = Buffer.alloc(16)
  for (const [index, value] of [request.length, cancelRequest, processID, secretKey].entries())
    request.writeInt32BE(value, index * 4)
  const socket = connect(host.startsWith('/') ? { path: `${host}/.s.PGSQL.${port}` } : { host, port }).unref()
  const timer = setTimeout(() => socket.destroy(), longest).unref()
  // The server answers by closing it.
  await new Promise<void>((resolve) => {
    socket.once('close', () => resolve())
    socket.on('error', () => undefined)
    socket.resume().write(request)
  })
  clearTimeout(timer)
}
