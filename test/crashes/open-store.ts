import { DatabaseSync } from 'node:sqlite'
import type { SessionStore } from 'coatcheck'
import type { SQLiteDatabase, SQLiteValue } from 'coatcheck/sqlite'
import { departs } from './steps.ts'

/** The store of an app that is killed, as its environment says. Only the driver that is needed: the sooner it is up, the more can be killed. */
export async function openStore(): Promise<SessionStore> {
  const { STORE: kind, WHERE: where } = process.env as Readonly<Record<'STORE' | 'WHERE', string>>
  if (kind === 'sqlite') {
    const { SQLiteStore } = await import('coatcheck/sqlite')
    return new SQLiteStore(watched(where))
  }
  if (kind === 'postgresql') {
    const { PostgreSQLStore } = await import('coatcheck/postgresql')
    return new PostgreSQLStore(where)
  }
  const { MySQLStore } = await import('coatcheck/mysql')
  return new MySQLStore(where, kind === 'mysql' ? {} : { layout: 'express-mysql-session' })
}

/** An SQLite file as the store opens one, whose every statement is a step: also those within a transaction. */
function watched(file: string): SQLiteDatabase {
  const database = new DatabaseSync(file)
  // Only here may it wait for others, who open the file in the same moment.
  database.exec('PRAGMA busy_timeout = 5000; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL')
  database.exec('PRAGMA busy_timeout = 0')
  return {
    exec: (sql: string) => database.exec(sql),
    close: () => database.close(),
    prepare(sql: string) {
      const statement = database.prepare(sql)
      return {
        run(...values: SQLiteValue[]) {
          departs()
          return statement.run(...values)
        },
        all(...values: SQLiteValue[]) {
          departs()
          return statement.all(...values)
        },
      }
    },
  }
}
