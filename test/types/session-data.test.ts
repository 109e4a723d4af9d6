import { execFile } from 'node:child_process'
import { mkdtemp, mkdir, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, expect, test } from 'vitest'

// Augmenting SessionData holds for a whole program, so each of these is a program of its own: an app's
// folder with coatcheck in its node_modules, compiled as its author would.

const repository = fileURLToPath(new URL('../..', import.meta.url))
let folder: string

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'coatcheck-types-'))
  await mkdir(join(folder, 'node_modules', '@types'), { recursive: true })
  await symlink(repository, join(folder, 'node_modules', 'coatcheck'))
  const needed = ['express', 'node', 'express-serve-static-core', 'serve-static', 'body-parser', 'send']
  const types = [...needed, 'connect', 'http-errors', 'mime', 'qs', 'range-parser'].map(
    (name) => `@types/${name}`,
  )
  for (const name of types) {
    await symlink(join(repository, 'node_modules', name), join(folder, 'node_modules', name))
  }
})

afterAll(() => rm(folder, { recursive: true }))

/** Compiles an app of one file and gives what the compiler says: nothing if all is well. */
async function compiled(name: string, source: string, type = 'module'): Promise<string> {
  const app = join(folder, name)
  await mkdir(app)
  await writeFile(join(app, 'package.json'), JSON.stringify({ type }))
  await writeFile(join(app, 'app.ts'), source)
  const compilerOptions = {
    module: 'nodenext',
    target: 'es2023',
    strict: true,
    noEmit: true,
    // The libraries' own types are checked once.
    skipLibCheck: name !== 'declared',
    types: ['node'],
  }
  await writeFile(
    join(app, 'tsconfig.json'),
    JSON.stringify({
      compilerOptions: { ...compilerOptions, exactOptionalPropertyTypes: true },
      files: ['app.ts'],
    }),
  )
  const compiler = join(dirname(fileURLToPath(import.meta.resolve('typescript/package.json'))), 'bin', 'tsc')
  return new Promise((resolve) => {
    execFile(process.execPath, [compiler, '--project', app, '--pretty', 'false'], (error, stdout, stderr) => {
      resolve(stdout + stderr || (error?.message ?? ''))
    })
  })
}

const anApp = `
import express from 'express'
import { createSessions, MemoryStore } from 'coatcheck'
import session from 'coatcheck/express'
const sessions = createSessions({ store: new MemoryStore(), secret: process.env.SESSION_SECRET })
const app = express()
app.use(session(sessions, { skip: (req) => req.url === '/healthz' }))
`

test('data that an app declares once is typed wherever the session is met', async () => {
  const errors = await compiled(
    'declared',
    `${anApp}
declare module 'coatcheck' {
  interface SessionData { cart?: string[]; name: string }
}
app.get('/', async (req, res) => {
  const cart: string[] | undefined = req.session.cart
  const name: string | undefined = req.session.name
  const publicId: string = req.session.publicId
  const token: string = req.sessionID
  req.session.cart = [...(cart ?? []), 'coat']
  delete req.session.name
  await req.session.signIn(7)
  await sessions.user(7).revokeAll({ except: req.session })
  const [first] = await sessions.user(7).list()
  const listed: string[] | undefined = first?.data.cart
  res.json({ name, publicId, listed, length: token.length })
})
`,
  )
  expect(errors).toBe('')
})

const anOldApp = `
import express from 'express'
import session from 'coatcheck/express'
const app = express()
app.use(session({ secret: process.env.SESSION_SECRET }))
`

test('data of an app that is called userId or createdAt has the type that the app gave it, with session(options)', async () => {
  const errors = await compiled(
    'shadowing',
    `${anOldApp}
declare module 'coatcheck' {
  interface SessionData { userId?: number; createdAt?: string }
}
app.get('/', (req, res) => {
  req.session.userId = 7
  const userId: number | undefined = req.session.userId
  const createdAt: string | undefined = req.session.createdAt
  // @ts-expect-error it is the app's number now, not our text
  const text: string | undefined = req.session.userId
  const boundUserId: string | undefined = req.session.boundUserId
  res.json({ userId, createdAt, text, boundUserId, publicId: req.session.publicId })
})
`,
  )
  expect(errors).toBe('')
})

test.each(['userId?: number', 'save: boolean'])(
  'session(sessions) takes no data declared as %s',
  async (member) => {
    const [name] = member.split(/\W/)
    const errors = await compiled(
      `reserved-${name}`,
      `${anApp}
declare module 'coatcheck' {
  interface SessionData { ${member}; cart?: string[] }
}
`,
    )
    expect(errors).toMatch(
      new RegExp(`error TS.*SessionData declares ${name}, which is part of every session: rename your data`),
    )
  },
)

test('session(sessions) takes data of any name, where the app declares so', async () => {
  const errors = await compiled(
    'any-name',
    `${anApp}
declare module 'coatcheck' {
  interface SessionData { [name: string]: unknown }
}
`,
  )
  expect(errors).toBe('')
})

test('nobody signs in by assigning userId: it is read-only', async () => {
  const errors = await compiled(
    'read-only',
    `${anApp}
app.post('/', async (req, res) => {
  // @ts-expect-error signIn says who
  req.session.userId = '1'
  await req.session.update((session) => {
    // @ts-expect-error signIn says who
    session.userId = '1'
  })
  res.end()
})
`,
  )
  expect(errors).toBe('')
})

test('data that nobody declared is an error, and nothing becomes any behind its back', async () => {
  const errors = await compiled(
    'undeclared',
    `${anApp}
type IsAny<T> = 0 extends 1 & T ? true : false
declare module 'coatcheck' {
  interface SessionData { cart?: string[] }
}
app.get('/', (req, res) => {
  const isAny: [IsAny<typeof req.session>, IsAny<typeof req.session.cart>, IsAny<typeof req.sessionID>] = [false, false, false]
  // @ts-expect-error not declared
  req.session.basket = []
  // @ts-expect-error of another type
  req.session.cart = 'coat'
  // @ts-expect-error the session itself is not for replacing
  req.session = { cart: [] }
  // @ts-expect-error a wrong option
  session(sessions, { whenUnavailable: 'never' })
  res.json(isAny)
})
`,
  )
  expect(errors).toBe('')
})

test('a mistake is found in such a program at all', async () => {
  const errors = await compiled(
    'mistake',
    `${anApp}\nconst port: number = 'not a number'\napp.listen(port)\n`,
  )
  expect(errors).toMatch(/^mistake\/app\.ts|app\.ts\(\d+,\d+\): error TS2322/)
})

const theirApp = `
import expressMySQLSession = require('coatcheck/express-mysql-session')
import session = require('coatcheck/express')
import type { OldMembers } from 'coatcheck/express'
import cors = require('coatcheck/cors')
import express = require('express')
`
const theirModuleApp = `
import expressMySQLSession from 'coatcheck/express-mysql-session'
import session, { MemoryStore, type OldMembers, type SessionOptions } from 'coatcheck/express'
import cors, { type CorsOptions, type CorsOptionsDelegate } from 'coatcheck/cors'
import express from 'express'
export const options: SessionOptions = { store: new MemoryStore(), secret: 'a' }
export const delegate: CorsOptionsDelegate = (_request, callback) => callback(null, { origin: true } satisfies CorsOptions)
`
const theirBody = `
declare module 'coatcheck' {
  interface SessionData {
    user?: string
  }
  interface Session extends OldMembers {}
}

class OwnStore extends session.Store {
  override get(_id: string, callback: (error?: unknown, data?: session.SessionData | null) => void): void {
    callback(null, null)
  }
  override set(_id: string, _session: object, callback?: (error?: unknown) => void): void {
    callback?.()
  }
  override destroy(_id: string, callback?: (error?: unknown) => void): void {
    callback?.()
  }
}

const MySQLStore = expressMySQLSession(session)
const stores = [new OwnStore(), new session.MemoryStore(), new MySQLStore({ host: 'localhost', database: 'shop' })]
const app = express()
const corsOptions: cors.CorsOptions = { origin: 'https://app.example.com', credentials: true }
app.use(cors(corsOptions))
for (const store of stores) {
  app.use(session({ store, secret: ['a', 'b'], resave: false, saveUninitialized: false, rolling: true, unset: 'destroy',
    genid: (request: express.Request) => request.path, name: 'sid', proxy: true,
    cookie: { maxAge: 60_000, secure: 'auto', sameSite: true, priority: 'high', partitioned: false } }))
}
app.get('/', (request, response, next) => {
  const user: string | undefined = request.session.user
  request.session.cookie.maxAge = 3_600_000
  request.session.resetMaxAge()
  request.sessionStore.get(request.sessionID, (error, found) => {
    if (error) return next(error)
    request.session.regenerate((failure) => (failure ? next(failure) : response.json([user, found])))
  })
})
`

test('an app in the forms of express-session is typed, as a CommonJS module and as an ES module', async () => {
  expect(await compiled('their-app', theirApp + theirBody, 'commonjs')).toBe('')
  expect(await compiled('their-module-app', theirModuleApp + theirBody)).toBe('')
})
