import type { SessionKey, SessionRecord } from '../../core/record.js'
import type { SessionContent, SessionWrite, WriteResult } from '../../core/store.js'
import { LostStatement } from './mysql-connection.js'
import type { MySQLLayout } from './mysql-layout.js'

type Result = WriteResult | Error

/**
 * Finds out what became of writes whose statement was lost with its connection, by one look at the records, and sends once
 * more what is known not to have taken effect. What cannot be told stays the Error that it is.
 *
 * A lost statement may still be on its way, or wait in the server. So only what is harmless then is sent again: what names the version
 * that it replaces, and what does the same however often it is done. Not an insert: come late, it would bring back a
 * session that was ended meanwhile.
 *
 * @param results what `writes` came to, in their order
 */
export async function settle(
  layout: MySQLLayout,
  writes: readonly SessionWrite[],
  results: Result[],
): Promise<Result[]> {
  const lost = writes.filter((_, index) => results[index] instanceof LostStatement)
  if (lost.length === 0) return results
  const settled = new Map<SessionKey, Result>()
  try {
    const found = await recordsOf(layout, lost)
    const again: SessionWrite[] = []
    for (const write of lost) {
      const finding = findingOf(write, found)
      if (finding === 'not done') again.push(write)
      else if (finding !== 'unknown') settled.set(write.key, finding)
    }
    const sent = again.length === 0 ? [] : await layout.write(again)
    again.forEach((write, index) => {
      const result = resultOfSecond(write, sent[index]!)
      if (result !== 'unknown') settled.set(write.key, result)
    })
    for (const result of [...results, ...sent])
      if (result instanceof LostStatement) result.answeredSince = true
  } catch {
    // There is still no way to the database: then nobody knows, and the first failure stands.
  }
  return writes.map(({ key }, index) => settled.get(key) ?? results[index]!)
}

async function recordsOf(
  layout: MySQLLayout,
  writes: readonly SessionWrite[],
): Promise<ReadonlyMap<SessionKey, SessionRecord>> {
  const keys = writes.flatMap((write) => (write.type === 'rotate' ? [write.key, write.newKey] : write.key))
  const records = (await layout.find(keys)).filter((record) => record !== undefined)
  return new Map(records.map((record) => [record.key, record]))
}

function findingOf(
  write: SessionWrite,
  found: ReadonlyMap<SessionKey, SessionRecord>,
): WriteResult | 'not done' | 'unknown' {
  const record = found.get(write.key)
  switch (write.type) {
    case 'insert':
      return record?.publicId === write.publicId && hasContent(record, write) ? 'done' : 'unknown'
    case 'update':
      if (!record) return 'gone'
      if (record.version === write.version) return 'not done'
      // The next version is somebody else's. With the same content it may be either's: two that count up write alike, and to
      // take the other's change for this one would lose one. Of later versions nothing can be told.
      return record.version === write.version + 1 && !hasContent(record, write) ? 'stale' : 'unknown'
    case 'rotate':
      // Nobody else knows the new key.
      if (!record) return found.has(write.newKey) ? 'done' : 'gone'
      return record.version === write.version ? 'not done' : 'stale'
    case 'touch':
      return record ? 'not done' : 'gone'
    case 'remove':
      // It may as well be that another rotated it meanwhile: whoever ends a session looks further then.
      return record ? 'not done' : 'gone'
  }
}

/** What a write came to that was sent twice: the first may have taken effect just before the second. */
function resultOfSecond(write: SessionWrite, result: Result): Result | 'unknown' {
  if (write.type === 'update' && result === 'stale') return 'unknown'
  if (write.type === 'rotate' && result === 'gone') return 'unknown'
  return result instanceof LostStatement ? 'unknown' : result
}

function hasContent(record: SessionRecord, { userId, data }: SessionContent): boolean {
  return record.userId === userId && Buffer.from(record.data).equals(data)
}
