import { createRequire } from 'node:module'
import { expect, it } from 'vitest'
import session from 'coatcheck/express'
import { freshDatabase, onEachServer } from '../servers/databases.ts'
import { openPool, openStore } from '../stores/mysql-subject.ts'
import { type App, serveDropIn, serveSessions, Visitor } from './visitors.ts'

const layout = 'express-mysql-session'
const emoji = 'a party 🎉'
const refused = '500 ERR_SESSION_DATA_REFUSED'

/** As many tables as were made before utf8mb4 was the default. */
async function oldDatabase(server: string, type = 'MEDIUMTEXT'): Promise<string> {
  const url = await freshDatabase(server)
  await openPool(url).query(
    `CREATE TABLE sessions (session_id VARCHAR(128) NOT NULL PRIMARY KEY, expires INT UNSIGNED NOT NULL, data ${type}) CHARACTER SET utf8mb3`,
  )
  return url
}

const forms: Record<string, (url: string) => Promise<App>> = {
  'session(sessions)': (url) => serveSessions(openStore(url, { layout })),
  'session({ store })': (url) => serveDropIn(openStore(url, { layout })),
  'the store of coatcheck/express-mysql-session': async (url) => {
    const require = createRequire(import.meta.url)
    const make = require('coatcheck/express-mysql-session') as (
      module: unknown,
    ) => new (options: object, connection: object) => { close(): Promise<void> }
    const Store = make(session)
    return serveDropIn(new Store({ clearExpired: false }, openPool(url)))
  },
}

onEachServer('a session that the table has no characters for,', ({ server }) => {
  it.each(Object.entries(forms))('shuts out no other visitor: %s', async (_name, serve) => {
    const app = await serve(await oldDatabase(server))
    const others = Array.from({ length: 3 }, () => new Visitor(app))
    for (const [index, other] of others.entries())
      expect(await other.say(`note ${index}`)).toBe(`note ${index}`)
    for (let tries = 0; tries < 12; tries++) expect(await new Visitor(app).say(emoji)).toBe(refused)
    const known = new Visitor(app)
    expect(await known.say('plain')).toBe('plain')
    for (let tries = 0; tries < 12; tries++) expect(await known.say(emoji)).toBe(refused)
    expect(await known.recall()).toBe('plain')
    for (const [index, other] of others.entries()) {
      expect(await other.recall()).toBe(`note ${index}`)
      expect(await other.say(`changed ${index}`)).toBe(`changed ${index}`)
    }
    expect(app.errors[0]!.message).toMatch(/utf8mb4/)
  })

  it('fails alone, of all that are stored in the same moment', async () => {
    const app = await forms['session(sessions)']!(await oldDatabase(server))
    const visitors = Array.from({ length: 20 }, () => new Visitor(app))
    for (const round of ['begin', 'change']) {
      const answers = await Promise.all(
        visitors.map((visitor, index) => visitor.say(index % 5 === 4 ? emoji : `${round} ${index}`)),
      )
      expect(answers).toEqual(visitors.map((_, index) => (index % 5 === 4 ? refused : `${round} ${index}`)))
    }
  })

  it('is told with the cure where it is too long for the column', async () => {
    const app = await forms['session({ store })']!(await oldDatabase(server, 'TEXT'))
    expect(await new Visitor(app).say('x'.repeat(70_000))).toBe(refused)
    expect(app.errors[0]!.message).toMatch(/too long.*MEDIUMTEXT/)
    expect(await new Visitor(app).say('short')).toBe('short')
  })
})
