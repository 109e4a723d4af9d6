import { isError, SessionError } from '../../core/errors.js'
import type { SessionId } from '../../core/store/record.js'
import type { SessionWrite, WriteResult } from '../../core/store/session-store.js'
import { NoFreeConnection } from './client.js'
import { LostStatement } from './connection.js'
import { classifyMySQLError } from './errors.js'

/** What became of the writes of a batch so far. */
export type Results = Map<SessionId, WriteResult | Error>

/**
 * Carries out a batch part by part. `send` sets the results of a part's writes; if it fails, that is the failure of
 * those alone that have none yet. A part that was refused for what one of its writes holds goes on write by write.
 *
 * @param parts an iterator: several may take their next part from one.
 */
export async function carryOut<Write extends SessionWrite>(
  parts: IterableIterator<readonly Write[]>,
  results: Results,
  send: (part: readonly Write[]) => Promise<void>,
): Promise<void> {
  for (const part of parts) {
    try {
      await send(part)
    } catch (error) {
      if (part.length > 1 && isRefusal(error)) {
        const left = part.filter(({ id }) => !results.has(id))
        await carryOut(singly(left), results, send)
        continue
      }
      fail(part, results, error as Error)
      // The others would wait in vain as well, each as long as this one did.
      if (failsAllAlike(error)) for (const untried of parts) fail(untried, results, error as Error)
    }
  }
}

/** Each as a part of its own. */
export function singly<Write>(writes: readonly Write[]): IterableIterator<readonly Write[]> {
  return writes.map((write) => [write]).values()
}

function fail(part: readonly SessionWrite[], results: Results, error: Error): void {
  for (const { id } of part) if (!results.has(id)) results.set(id, error)
}

/**
 * Whether a statement was refused because of a value in it, so that nothing of it took effect. It was refused before it
 * was sent, or by the server, which then undoes all of it. After a lost connection nobody knows what took effect.
 */
function isRefusal(error: unknown): boolean {
  return error instanceof SessionError || classifyMySQLError(error).kind === 'data'
}

/**
 * Whether all other statements would fail in the same way. The server cannot be reached or does not answer in time, or
 * the app's user or table is wrong. A lost connection is no such failure, because this one statement may have caused
 * it.
 */
export function failsAllAlike(error: unknown): boolean {
  if (error instanceof NoFreeConnection) return true
  if (error instanceof LostStatement) return error.limit !== undefined
  const { kind, isListed } = classifyMySQLError(error)
  if (kind === 'configuration') return isListed
  return isError(error) && 'syscall' in error && ['connect', 'getaddrinfo'].includes(String(error.syscall))
}
