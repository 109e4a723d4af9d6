import type { SessionId } from '../../core/store/record.js'
import type { WriteResult } from '../../core/store/session-store.js'

/** What became of the writes of a batch so far. */
export type Results<Result = WriteResult> = Map<SessionId, Result | Error>

/** A write of one record. */
interface RecordWrite {
  readonly id: SessionId
}

/** What a database's errors say about the other statements of a batch. */
export interface Judgement {
  /**
   * Whether a statement was refused because of a value in it, so that nothing of it took effect. It was refused before it
   * was sent, or by the server, which then undoes all of it. After a lost connection nobody knows what took effect.
   */
  readonly isRefusal: (error: unknown) => boolean
  /**
   * Whether all other statements would fail in the same way. The server cannot be reached or does not answer in time, or
   * the app's user or table is wrong. A lost connection is no such failure, because this one statement may have caused
   * it.
   */
  readonly failsAllAlike: (error: unknown) => boolean
}

/**
 * Carries out a batch part by part. `send` sets the results of a part's writes; if it fails, that is the failure of
 * those alone that have none yet. A part that was refused for what one of its writes holds goes on write by write.
 *
 * @param parts an iterator: several may take their next part from one.
 */
export async function carryOut<Write extends RecordWrite, Result>(
  parts: IterableIterator<readonly Write[]>,
  results: Results<Result>,
  judgement: Judgement,
  send: (part: readonly Write[]) => Promise<void>,
): Promise<void> {
  for (const part of parts) {
    try {
      await send(part)
    } catch (error) {
      if (part.length > 1 && judgement.isRefusal(error)) {
        const left = part.filter(({ id }) => !results.has(id))
        await carryOut(singly(left), results, judgement, send)
        continue
      }
      fail(part, results, error as Error)
      // The others would wait in vain as well, each as long as this one did.
      if (judgement.failsAllAlike(error)) for (const untried of parts) fail(untried, results, error as Error)
    }
  }
}

/** Each as a part of its own. */
export function singly<Write>(writes: readonly Write[]): IterableIterator<readonly Write[]> {
  return writes.map((write) => [write]).values()
}

function fail<Result>(part: readonly RecordWrite[], results: Results<Result>, error: Error): void {
  for (const { id } of part) if (!results.has(id)) results.set(id, error)
}
