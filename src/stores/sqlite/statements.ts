import { markLength, marksKept } from '../../core/store/mark.js'

/** SQLite's clock, in whole milliseconds. It stands still within one statement. */
export const now = `CAST(round(unixepoch('subsec') * 1000) AS INTEGER)`

/** What a row keeps from before its last new secret, and the columns that it comes from. */
const formerColumns = Object.entries({
  former_hash: 'secret_hash',
  former_user_id: 'user_id',
  former_authenticated_at: 'authenticated_at',
  former_data: 'data',
})

/** What is kept of that while the grace holds, else NULL. */
const formerInGrace = formerColumns.map(
  ([former]) => [former, `CASE WHEN former_until > ${now} THEN ${former} END`] as const,
)

const aliveColumns = 'id, secret_hash, user_id'
const otherColumns = `authenticated_at, about, format, version, root_id, created_at, seen_at, expires_at, ${now} AS read_at`
const listedColumns = `${aliveColumns}, ${otherColumns}`

/** A blob with an even number of bytes: a zero byte more where that is odd. */
function even(blob: string): string {
  return `(${blob} || substr(x'00', 1, length(${blob}) % 2))`
}

/**
 * What `foundRecord` reads. Five blobs come as one, because Node takes as long for a blob as for all numbers of a row. They are joined as a
 * text of their bytes, which in a database of UTF-16 loses an odd last byte.
 */
const foundColumns = `${otherColumns},
  CAST(id || coalesce(secret_hash, x'') || coalesce(marks, x'') || ${even(`coalesce(user_id, x'')`)} || ${even(`coalesce(data, x'')`)} AS BLOB) AS blobs,
  length(secret_hash) AS hash_length, length(marks) AS marks_length, length(user_id) AS user_length, length(data) AS data_length,
  ${formerInGrace.map(([former, value]) => `${value} AS ${former}`).join(', ')}`

/** `min(now + idle, created_at + absolute)`: two parameters, Infinity for no absolute limit. */
const expiry = `CAST(min(${now} + ?, created_at + ?) AS INTEGER)`

/** User id, data, about or null, format, mark, idle, absolute. Two blobs are joined as a text of their bytes, hence the cast. */
const content = `user_id = ?, data = ?, about = coalesce(?, about), format = ?, version = version + 1,
  marks = substr(CAST(? || marks AS BLOB), 1, ${markLength * marksKept}), seen_at = ${now}, expires_at = ${expiry}`

const forgetFormer = formerInGrace.map(([former, value]) => `${former} = ${value}`).join(', ')

/** Hash, grace, 1 if the user has just signed in. */
function newSecret(keepFormer: boolean): string {
  const former = formerColumns.map(([name, source]) => `${name} = ${keepFormer ? source : 'NULL'}`).join(', ')
  return `secret_hash = ?, former_until = ${now} + ?, authenticated_at = CASE ? WHEN 1 THEN ${now} ELSE authenticated_at END, ${former}`
}

/** Every statement that is used on a table of sessions. The question marks are named above each. */
export function statements(table: string) {
  const found = `expires_at > ${now} AND (root_id IS NULL OR EXISTS (SELECT 1 FROM "${table}" AS root
    WHERE root.id = session.root_id AND root.expires_at > ${now} AND root.user_id IS session.user_id))`
  const read = (columns: string, ids: number) =>
    `SELECT ${columns} FROM "${table}" AS session WHERE id IN (${'?, '.repeat(ids - 1)}?) AND ${found}`
  const list = (data: boolean) =>
    `SELECT ${listedColumns}, ${data ? 'data' : 'NULL AS data'} FROM "${table}" AS session
    WHERE secret_hash IS NOT NULL AND ${found}`
  const update = (former: string) =>
    `UPDATE "${table}" SET ${content}, ${former} WHERE id = ? AND version = ? AND expires_at > ${now}`
  const lists = { withData: list(true), without: list(false) }
  // The page is found first: to sort all of a user's sessions with their data takes long.
  const listByUser = (data: boolean) =>
    `SELECT ${listedColumns}, ${data ? 'data' : 'NULL AS data'} FROM "${table}" WHERE id IN
    (SELECT id FROM "${table}" AS session WHERE secret_hash IS NOT NULL AND ${found} AND user_id = ? AND (seen_at, id) < (?, ?)
    ORDER BY seen_at DESC, id DESC LIMIT ?) ORDER BY seen_at DESC, id DESC`
  const listsByUser = { withData: listByUser(true), without: listByUser(false) }
  const replaceSecret = { withGrace: update(newSecret(true)), without: update(newSecret(false)) }
  return {
    /** As many ids as asked for. */
    find: (ids: number) => read(foundColumns, ids),
    /** As many ids as asked for. */
    alive: (ids: number) => read(aliveColumns, ids),
    /** Id. A row if the record lives. */
    isLive: `SELECT 1 FROM "${table}" WHERE id = ? AND expires_at > ${now}`,
    /** Id, hash or null, user id, 1 if the user has just signed in, data, about, format, mark, root id, lifetime; id. Replaces an expired record, as a whole. */
    insert: `INSERT OR REPLACE INTO "${table}" (id, secret_hash, user_id, authenticated_at, data, about, format,
      version, marks, root_id, created_at, seen_at, expires_at)
      SELECT ?, ?, ?, CASE ? WHEN 1 THEN ${now} END, ?, ?, ?, 1, ?, ?, ${now}, ${now}, CAST(${now} + ? AS INTEGER)
      WHERE NOT EXISTS (SELECT 1 FROM "${table}" WHERE id = ? AND expires_at > ${now})`,
    /** Content; id, version. */
    update: update(forgetFormer),
    /** Content; hash, grace, 1 if the user has just signed in; id, version. */
    replaceSecret: (grace: boolean) => replaceSecret[grace ? 'withGrace' : 'without'],
    /** Idle, absolute; id, hash. */
    touch: `UPDATE "${table}" SET seen_at = ${now}, expires_at = max(expires_at, ${expiry})
      WHERE id = ? AND secret_hash = ? AND expires_at > ${now}`,
    /** Id, user id or null. */
    remove: `DELETE FROM "${table}" WHERE id = ? AND user_id IS ? AND expires_at > ${now}`,
    /** Id to start before, limit. */
    list: (data: boolean) => `${lists[data ? 'withData' : 'without']} AND id < ? ORDER BY id DESC LIMIT ?`,
    /** User id, moment and id to start before, limit. */
    listByUser: (data: boolean) => listsByUser[data ? 'withData' : 'without'],
    /** User id, id to spare or null, limit. One row for each record removed, `live` being 1 or 0. */
    removeByUser: `DELETE FROM "${table}" WHERE id IN (SELECT id FROM "${table}" WHERE user_id = ? AND id IS NOT ? LIMIT ?)
      RETURNING expires_at > ${now} AS live`,
    /** Limit. */
    removeExpired: `DELETE FROM "${table}" WHERE id IN
      (SELECT id FROM "${table}" WHERE expires_at <= ${now} ORDER BY expires_at LIMIT ?)`,
  }
}
