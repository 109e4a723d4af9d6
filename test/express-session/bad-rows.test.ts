import { once } from 'node:events'
import { createServer, type IncomingMessage } from 'node:http'
import type { AddressInfo } from 'node:net'
import { jsonCodec, MemoryStore } from 'coatcheck'
import session from 'coatcheck/express'
import { describe, expect, onTestFinished, test, vi } from 'vitest'
import { signedMetadata } from '../../dist/core/data/embedded-metadata.js'
import { Signer } from '../../dist/core/signer.js'
import { createToken, hashOf, idOf } from '../../dist/core/token.js'
import { plainJson } from '../../dist/express-session/model/stored-text.js'
import { ExpressRecord, subjectOf } from '../../dist/stores/mysql-express/record.js'

const secret = 'thirty-two characters of a secret'
const token = createToken()
const deep = '['.repeat(100_000) + ']'.repeat(100_000)

const rows: readonly [what: string, row: string][] = [
  ['a text as its maxAge', '{"cookie":{"originalMaxAge":"soon"},"name":"Ada"}'],
  ['an object as its maxAge', '{"cookie":{"originalMaxAge":{}},"name":"Ada"}'],
  ['true as its maxAge', '{"cookie":{"originalMaxAge":true},"name":"Ada"}'],
  ['a maxAge beyond the end of time', '{"cookie":{"originalMaxAge":1e300},"name":"Ada"}'],
  ['an infinite maxAge', '{"cookie":{"originalMaxAge":1e999},"name":"Ada"}'],
  [
    'no date as the end of it',
    '{"cookie":{"originalMaxAge":null,"expires":{"toString":1,"valueOf":1}},"name":"Ada"}',
  ],
  ['null in the place of a session', 'null'],
  ['a nesting of 100,000 levels', `{"cookie":{"originalMaxAge":null},"name":${deep}}`],
]

/** An app on a store of coatcheck's, and on one of express-session's kind, with this row in it. */
const stores = {
  "a store of coatcheck's": async (row: string) => {
    const store = new MemoryStore()
    const lifetime = { idle: 3_600_000, absolute: undefined }
    const content = { userId: undefined, data: Buffer.from(row), format: 1, mark: Buffer.alloc(8), lifetime }
    await store.write([{ type: 'insert', id: idOf(token), hash: hashOf(token), signedIn: false, ...content }])
    return store
  },
  "a store of express-session's kind": async (row: string) => {
    const store = new session.MemoryStore()
    store.sessions[token] = row
    return store
  },
}

describe.each(Object.entries(stores))('on %s, a row with', (_store, open) => {
  test.each(rows)('%s fails no response to its holder', async (_what, row) => {
    const handle = session({ store: await open(row), secret, rolling: true })
    const server = createServer(
      (request: IncomingMessage & { session?: Record<string, unknown> }, response) => {
        handle(request, response, (error) => {
          if (error) response.statusCode = 500
          else request.session!['seen'] = true
          response.end(String(error))
        })
      },
    ).listen(0, '127.0.0.1')
    onTestFinished(() => void server.close())
    await once(server, 'listening')

    const { port } = server.address() as AddressInfo
    const cookie = `connect.sid=${encodeURIComponent(new Signer(secret).sign(token))}`
    const response = await fetch(`http://127.0.0.1:${port}/`, { headers: { cookie } })
    expect([response.status, response.headers.getSetCookie()]).toEqual([
      200,
      [expect.stringMatching(/^connect\.sid=[^;]+; Path=\/; HttpOnly$/)],
    ])
  })
})

test('a row of express-mysql-session with a user in it, nested too deep for JSON.stringify, is there and unreadable', () => {
  const metadata = { userId: 'ada', publicId: 'public', createdAt: 1 }
  const signed = JSON.stringify(signedMetadata('key', subjectOf('id'), metadata))
  const text = `{"cookie":{},"name":${deep},"coatcheck":${signed}}`
  const row = {
    id_bytes: Buffer.from('id'),
    data_bytes: Buffer.from(text),
    expires_at: 2,
    fingerprint: 3,
    read_at: 1_500,
  }
  // As it is up to Node 24: newer ones go as deep as JSON.parse does.
  const { stringify: usual } = JSON
  const stringify = vi.spyOn(JSON, 'stringify').mockImplementation((value: unknown) => {
    if (Array.isArray(value)) return usual(value)
    throw new RangeError('Maximum call stack size exceeded')
  })
  onTestFinished(() => stringify.mockRestore())
  const record = new ExpressRecord(row as unknown as ConstructorParameters<typeof ExpressRecord>[0], ['key'])
  expect(record).toMatchObject({ id: 'id', userId: 'ada', publicId: 'public' })
  expect(() => plainJson.decode(record.data)).toThrow('1000 levels')
  expect(() => jsonCodec.decode(record.data)).toThrow('never stored')
})

test('as deep as a session may be nested, it is stored and read, and no deeper', () => {
  const nested = (levels: number) => ({
    text: 'a " and a \\',
    data: JSON.parse(`${'['.repeat(levels)}${']'.repeat(levels)}`) as unknown,
  })
  expect(plainJson.decode(plainJson.encode(nested(1_000)))).toEqual(nested(1_000))
  expect(() => plainJson.encode(nested(1_001))).toThrow(expect.objectContaining({ code: 'ERR_SESSION_DATA' }))
  expect(() => plainJson.decode(Buffer.from(JSON.stringify(nested(1_001))))).toThrow('1000 levels')
})
