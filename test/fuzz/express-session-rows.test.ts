import assert from 'node:assert/strict'
import { describe, test } from 'vitest'
import { MemoryStore, SessionError } from 'coatcheck'
import session from 'coatcheck/express'
import { Signer } from '../../dist/core/signer.js'
import { createToken, hashOf, idOf } from '../../dist/core/token.js'
import { resolveOptions } from '../../dist/express-session/model/options.js'
import { RequestForm } from '../../dist/express-session/model/request-form.js'
import { CookieTransport } from '../../dist/http/cookie-transport.js'
import { Exchange, type ExchangeContext } from '../../dist/http/exchange.js'
import { bag, secret } from '../core/works.ts'
import { fuzz } from './fuzz.ts'
import { assertNoPollution, largeRows, rows } from './rows.ts'

const signer = new Signer(secret)
const lifetime = { idle: 3_600_000, absolute: undefined }

/** A store of coatcheck's, and how a row is put into it by somebody who does not go through the library. */
function ours() {
  // Few, so that the rows that were tried make way for others.
  const store = new MemoryStore({ maxSessions: 10 })
  const plant = async (token: string, data: Uint8Array) => {
    const content = { userId: undefined, data, format: 1, mark: Buffer.alloc(8), lifetime }
    await store.write([{ type: 'insert', id: idOf(token), hash: hashOf(token), signedIn: false, ...content }])
  }
  return { store, plant }
}

/** The same of express-session's kind, where a row is a text. */
function theirs() {
  const store = new session.MemoryStore()
  const plant = async (token: string, row: Uint8Array) => {
    store.sessions[token] = Buffer.from(row).toString()
  }
  return { store, plant }
}

/** One app in express-session's form. */
function appOn({ store, plant }: ReturnType<typeof ours> | ReturnType<typeof theirs>) {
  const cookie = { path: '/app', sameSite: 'lax' } as const
  const options = resolveOptions({ store, secret, rolling: true, cookie })
  const problems: string[] = []
  options.engine.on('storeError', ({ code }) => problems.push(code))

  /** Has `handle` answer a request, and gives the Set-Cookie of the answer. */
  const request = async (token: string, handle: (session: Record<string, unknown>) => unknown) => {
    const form = new RequestForm(options, {}, false)
    const engine = options.engine as unknown as ExchangeContext['engine']
    const beforeCommit = form.moveCookie.bind(form)
    const transport = new CookieTransport(form, signer)
    const exchange = await Exchange.begin(
      { engine, transportOf: () => transport, form, beforeCommit },
      {
        cookieHeader: `connect.sid=${encodeURIComponent(signer.sign(token))}`,
        secure: false,
        anonymousWhenUnavailable: false,
      },
    )
    await handle(bag(exchange.work))
    return (await exchange.finish())?.value
  }
  return { plant, problems, request }
}

const methods = ['touch', 'resetMaxAge', 'save', 'reload', 'destroy', 'regenerate']
/** Names that a session never shows, or that are not the app's own. */
const reserved = new Set([...methods, 'id', 'req', 'cookie', 'coatcheck'])

/** The app's own data in a row, if it is any. */
function dataIn(row: Uint8Array): Record<string, unknown> {
  try {
    const data = JSON.parse(Buffer.from(row).toString()) as Record<string, unknown> | null
    return Array.isArray(data) || typeof data !== 'object' ? {} : ownData(data ?? {})
  } catch {
    return {}
  }
}

function ownData(data: Record<string, unknown>): Record<string, unknown> {
  const isOwn = (name: string) => !reserved.has(name) && !(name in Object.prototype)
  return Object.fromEntries(Object.entries(data).filter(([name]) => isOwn(name)))
}

/** Never with the row's own attributes. */
const expectedCookie = /^connect\.sid=[^;]+; Path=\/app; (Expires=[^;]+; )?HttpOnly; SameSite=Lax$/

async function assertHarmless(
  row: Uint8Array,
  { plant, problems, request }: ReturnType<typeof appOn>,
): Promise<void> {
  problems.length = 0
  const [token, neighbour] = [createToken(), createToken()]
  await plant(token, row)
  await plant(neighbour, Buffer.from('{"cookie":{"originalMaxAge":null},"canary":1}'))
  const expected = dataIn(row)
  let takesName = false

  const answered = request(token, (read) => {
    const own = ownData(read)
    // As JSON has it: stores of their kind give objects, which go through it once more.
    if (Object.keys(own).length > 0) assert.equal(JSON.stringify(own), JSON.stringify(expected))
    for (const name of methods) assert.equal(typeof read[name], 'function', name)
    takesName = Object.hasOwn(read, 'coatcheck')
    read['seen'] = true
  })
  try {
    assert.match((await answered) ?? 'none', expectedCookie)
    assert.deepEqual(
      problems.filter((code) => code !== 'ERR_SESSION_CORRUPT'),
      [],
    )
  } catch (error) {
    // Data by a name that is taken on stores of their kind: it can be read, and the error names it.
    const isReserved = error instanceof SessionError && error.code === 'ERR_SESSION_RESERVED_NAME'
    if (!takesName || !isReserved) throw error
  }
  await request(neighbour, (read) => assert.deepEqual(ownData(read), { canary: 1 }))
  assertNoPollution()
}

describe.each([
  ["a store of coatcheck's", ours],
  ["a store of express-session's kind", theirs],
])("in express-session's form, on %s,", (_what, open) => {
  const app = appOn(open())

  test(
    'whatever lies in a row is read, or its holder is signed out',
    fuzz({ ci: 50_000, nightly: 5_000_000 }, rows, (row) => assertHarmless(row, app)),
  )

  test.each(largeRows)('so are %s by the 100,000', async (_name, _expected, row) => {
    await assertHarmless(Buffer.from(row), appOn(open()))
  })
})
