import type {
  InsertWrite,
  Lifetime,
  SessionContent,
  SessionWrite,
  UpdateWrite,
  WriteResult,
} from '../../core/store/session-store.js'
import { userIdBytes } from '../../core/users/user-id.js'
import type { SQLiteValue } from './driver.js'
import { idBytes } from './record.js'
import type { statements } from './statements.js'
import type { SQLiteTable } from './table.js'

type Statements = ReturnType<typeof statements>

/** Carries out one write within a transaction. Only where nothing was changed, it looks why. */
export function carryOut(write: SessionWrite, table: SQLiteTable, sql: Statements): WriteResult {
  const id = idBytes(write.id)
  const done = (statement: string, ...values: SQLiteValue[]) => table.run(statement, ...values) === 1
  const why = (found: WriteResult) => (table.rows(sql.isLive, id).length > 0 ? found : 'gone')
  switch (write.type) {
    case 'insert':
      return done(sql.insert, ...insertValues(write, id)) ? 'done' : 'exists'
    case 'update': {
      const statement = write.secret ? sql.replaceSecret(write.secret.grace > 0) : sql.update
      return done(statement, ...updateValues(write, id)) ? 'done' : why('stale')
    }
    case 'touch':
      return done(sql.touch, ...lifetimeValues(write.lifetime), id, write.hash) ? 'done' : why('moved')
    case 'remove':
      return done(sql.remove, id, userValue(write)) ? 'done' : why('moved')
  }
}

function insertValues(write: InsertWrite, id: Uint8Array): SQLiteValue[] {
  const { hash = null, rootId, signedIn, data, format, mark, lifetime } = write
  const root = rootId === undefined ? null : idBytes(rootId)
  const life = Math.min(...lifetimeValues(lifetime))
  return [id, hash, userValue(write), Number(signedIn), data, aboutValue(write), format, mark, root, life, id]
}

function updateValues(write: UpdateWrite, id: Uint8Array): SQLiteValue[] {
  const { data, format, mark, lifetime, secret, version } = write
  const content = [userValue(write), data, aboutValue(write), format, mark, ...lifetimeValues(lifetime)]
  const secretValues = secret ? [secret.hash, secret.grace, Number(secret.signedIn)] : []
  return [...content, ...secretValues, id, version]
}

function lifetimeValues({ idle, absolute = Infinity }: Lifetime): [idle: number, absolute: number] {
  return [idle, absolute]
}

function userValue({ userId }: Pick<SessionContent, 'userId'>): Uint8Array | null {
  return userId === undefined ? null : userIdBytes(userId)
}

function aboutValue({ about }: SessionContent): Uint8Array | null {
  return about === undefined ? null : Buffer.from(about)
}
