import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { promisify } from 'node:util'
import { expect, onTestFinished, test } from 'vitest'
import { createSessions, MemoryStore, SessionError } from 'coatcheck'
import { MySQLStore } from 'coatcheck/mysql'
import { openStore } from 'coatcheck/open'
import { PostgreSQLStore } from 'coatcheck/postgresql'
import { RedisStore } from 'coatcheck/redis'
import { SQLiteStore } from 'coatcheck/sqlite'

const run = promisify(execFile)

async function emptyFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'coatcheck-open-'))
  onTestFinished(() => rm(folder, { recursive: true, force: true }))
  return folder
}

test.each([
  ['mysql://app:password@127.0.0.1:1/shop', MySQLStore],
  ['MYSQL://app:password@127.0.0.1:1/shop', MySQLStore],
  ['mariadb://app:password@127.0.0.1:1/shop', MySQLStore],
  ['postgres://app:password@127.0.0.1:1/shop', PostgreSQLStore],
  ['postgresql://app:password@127.0.0.1:1/shop', PostgreSQLStore],
  ['redis://:password@127.0.0.1:1', RedisStore],
  ['rediss://app:password@127.0.0.1:1/1', RedisStore],
  ['sqlite::memory:', SQLiteStore],
  ['sqlite:sessions?mode=memory', SQLiteStore],
  ['file::memory:', SQLiteStore],
  ['memory:', MemoryStore],
])('%s is the URL of the right store', async (url, Store) => {
  const store = openStore(url, { createTable: false })
  expect(store).toBeInstanceOf(Store)
  await store.close()
})

test.each([
  ['an absolute path', (file: string) => `sqlite:${file}`],
  ['an absolute path behind slashes', (file: string) => `sqlite://${file}`],
  ['a URL that Node makes', (file: string) => pathToFileURL(file).href],
  ['a URL with this host', (file: string) => `file://localhost${file}`],
])('sessions are kept in the SQLite file that %s names', async (_, urlOf) => {
  const file = join(await emptyFolder(), 'sessions.db')
  const sessions = createSessions({ store: openStore(urlOf(file)), secret: 'a secret of this test' })
  await sessions.ready()
  await sessions.close()
  expect(existsSync(file)).toBe(true)
})

test('a space in the name of an SQLite file is written %20', async () => {
  const file = join(await emptyFolder(), 'shop sessions.db')
  const store = openStore(`sqlite:${file.replace(' ', '%20')}`)
  await store.find([])
  await store.close()
  expect(existsSync(file)).toBe(true)
})

test('the options reach the store', async () => {
  expect(() => openStore('sqlite::memory:', { table: 'sqlite_own' })).toThrow(/table must not begin/)
  const store = openStore('sqlite::memory:', { createTable: false })
  await expect(store.removeExpired(1)).rejects.toMatchObject({ code: 'ERR_SESSION_MISSING_TABLE' })
  await store.close()
})

test.each([
  ['no URL', undefined, /^openStore needs a URL, such as process\.env\.DATABASE_URL\. Write mysql:/],
  ['an empty URL', '', /^openStore needs a URL/],
  [
    'another database',
    'mongodb://app:password@host/shop',
    /^openStore has no store for mongodb:\/\/\. Write /,
  ],
  ['the name of a property', 'constructor://app:password@host', /has no store for constructor:\/\/\. Write /],
  ['a URL without a scheme', 'app:password@host/shop', /^openStore was given no URL\. Write mysql:/],
  ['a path', './sessions.db', /^openStore was given no URL\. Write .*sqlite:sessions\.db/],
  ['an SQLite file on a host', 'sqlite://sessions.db', /names a host\. Write sqlite:sessions\.db /],
  ['an SQLite URL without a file', 'sqlite:', /names no file\. Write sqlite:sessions\.db/],
  ['an SQLite URL with parameters alone', 'file:?mode=ro', /names no file/],
  ['a URL that the store refuses', 'mysql://app:password@host', /database/],
])('%s is refused, without the password', (_, url, message) => {
  const error = thrownBy(() => openStore(url))
  expect(error).toBeInstanceOf(SessionError)
  expect(error).toMatchObject({
    code: 'ERR_SESSION_OPTION',
    message: expect.stringMatching(message) as string,
  })
  expect((error as Error).message.replaceAll('user:password@', '')).not.toContain('password')
})

test('an option of one store only is refused, because another store would ignore it', () => {
  expect(() => openStore('sqlite::memory:', { busyTimeout: '1s' } as object)).toThrow(
    /openStore .*busyTimeout/,
  )
})

test('only the driver of the URL is loaded', async () => {
  const loaded = async (url: string) => {
    const code = `
      const { openStore } = require('coatcheck/open')
      openStore('${url}')
      const files = Object.keys(require.cache).join('\\n')
      console.log(['mysql2', 'pg'].filter((name) => files.includes('/node_modules/' + name + '/')).join())
      process.exit()`
    const { stdout } = await run(process.execPath, ['--eval', code], { cwd: import.meta.dirname })
    return stdout.trim()
  }
  expect(await loaded('memory:')).toBe('')
  expect(await loaded('sqlite::memory:')).toBe('')
  expect(await loaded('mysql://app@127.0.0.1:1/shop')).toBe('mysql2')
  expect(await loaded('postgres://app@127.0.0.1:1/shop')).toBe('pg')
})

function thrownBy(work: () => unknown): unknown {
  try {
    work()
  } catch (error) {
    return error
  }
  return undefined
}
