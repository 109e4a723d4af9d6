import { createPool, type Pool, type RowDataPacket } from 'mysql2/promise'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type App, startApp } from '../servers/apps.ts'
import { freshDatabase, onEachServer } from '../servers/databases.ts'
import type { DatabaseServer } from '../servers/server-process.ts'
import { Browser } from './browser.ts'

onEachServer('two app processes', ({ start }) => {
  /** Two processes of the same app on one database. */
  let one: App
  let other: App
  let pool: Pool
  /** Its own: the statements counted here are to be these apps' alone. */
  let server: DatabaseServer

  beforeAll(async () => {
    server = await start()
    const url = await freshDatabase(server.url)
    const file = 'test/shared/app.ts'
    ;[one, other] = await Promise.all([
      startApp(file, { DATABASE_URL: url }),
      startApp(file, { DATABASE_URL: url }),
    ])
    pool = createPool({ uri: url, connectionLimit: 1 })
  })

  afterAll(async () => {
    await Promise.all([one?.stop(), other?.stop(), pool?.end()])
    await server?.stop()
  })

  async function signedIn(user: string): Promise<Browser> {
    const browser = new Browser()
    await browser.post(one.url, `/sign-in/${user}`)
    return browser
  }

  describe('two app processes on one database', () => {
    test('what one app writes, the next request to the other reads: 1,000 of 1,000', async () => {
      const browser = await signedIn('reader')
      let read = 0
      for (let round = 0; round < 1_000; round++) {
        const [writer, reader] = round % 2 === 0 ? [one, other] : [other, one]
        await browser.post(writer.url, `/value/${round}`)
        const { body } = await browser.get(reader.url, '/value')
        if (body.value === String(round)) read++
      }
      expect(read).toBe(1_000)
    })

    test('a sign-out in one app is a 401 in the other at once: 1,000 of 1,000', async () => {
      let refused = 0
      for (let round = 0; round < 1_000; round++) {
        const browser = await signedIn(`leaver-${round}`)
        const stolen = browser.clone() // the cookie from before, as a thief would keep it
        const known = await stolen.get(other.url, '/value')
        await browser.post(one.url, '/sign-out')
        const after = await stolen.get(other.url, '/value')
        if (known.status === 200 && after.status === 401) refused++
      }
      expect(refused).toBe(1_000)
    })

    test('signing out everywhere ends every session of the user, in both apps', async () => {
      const browsers = await Promise.all(Array.from({ length: 20 }, () => signedIn('everywhere')))
      const bystander = await signedIn('bystander')
      const { body } = await browsers[0]!.post(other.url, '/sign-out-everywhere')
      expect(body.ended).toBe(20)
      const statuses = await Promise.all(
        browsers.flatMap((browser) =>
          [one, other].map(async ({ url }) => (await browser.get(url, '/value')).status),
        ),
      )
      expect(new Set(statuses)).toEqual(new Set([401]))
      expect((await bystander.get(other.url, '/value')).status).toBe(200)
    })

    test('a read-only request costs one statement and a changed one two, counted at the server', async () => {
      const browser = await signedIn('counter')
      await browser.get(one.url, '/value') // the statements are prepared now
      await browser.post(one.url, '/value/warm')

      expect(await statementsDuring(100, (round) => browser.get(one.url, `/value?${round}`))).toBe(100)
      expect(await statementsDuring(100, (round) => browser.post(one.url, `/value/${round}`))).toBe(200)
    })

    test('a request without a cookie, and an empty session, cost no statement', async () => {
      expect(await statementsDuring(20, () => new Browser().get(one.url, '/value'))).toBe(0)
    })

    test('nothing in a dump of the table works as a cookie', async () => {
      const browser = await signedIn('dumped')
      await browser.post(one.url, '/value/secret')
      const [rows] = await pool.query<RowDataPacket[]>('SELECT * FROM coatcheck_sessions')
      expect(rows.length).toBeGreaterThan(0)
      const token = decodeURIComponent(browser.cookies.get('sid')!)
      const signature = token.slice(token.lastIndexOf('.') + 1)
      const bare = token.slice(2, token.lastIndexOf('.'))
      let tried = 0
      for (const column of rows.flatMap((row) => Object.values(row) as unknown[])) {
        for (const text of spellings(column)) {
          expect(bare).not.toBe(text)
          for (const value of [
            text,
            `s:${text}`,
            `s:${text}.`,
            `s:${text}.${text}`,
            `s:${text}.${signature}`,
          ]) {
            const thief = new Browser({ sid: encodeURIComponent(value) })
            const { status } = await thief.get(other.url, '/value')
            expect(status).toBe(401)
            tried++
          }
        }
      }
      expect(tried).toBeGreaterThan(40)
      expect((await browser.get(other.url, '/value')).status).toBe(200)
    })
  })

  /** How many statements the server carried out while `request` ran so many times, one after the other. */
  async function statementsDuring(
    times: number,
    request: (round: number) => Promise<unknown>,
  ): Promise<number> {
    const before = await statementsSoFar()
    for (let round = 0; round < times; round++) await request(round)
    return (await statementsSoFar()) - before - 1 // the second count is a statement itself
  }

  async function statementsSoFar(): Promise<number> {
    const [rows] = await pool.query<RowDataPacket[]>("SHOW GLOBAL STATUS LIKE 'Questions'")
    return Number(rows[0]!.Value)
  }

  /** A stored value in the ways somebody might turn it into text. */
  function spellings(value: unknown): string[] {
    if (value === null || value === undefined) return []
    if (!Buffer.isBuffer(value)) return [typeof value === 'string' ? value : JSON.stringify(value)]
    return [
      value.toString('hex'),
      value.toString('base64'),
      value.toString('base64url'),
      value.toString('latin1'),
    ]
  }
})
