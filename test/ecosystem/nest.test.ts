import 'reflect-metadata'
import { mkdtemp, rm } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import * as common from '@nestjs/common'
import * as core from '@nestjs/core'
import type { NestExpressApplication } from '@nestjs/platform-express'
import type { Request, RequestHandler } from 'express'
import { createSessions, MemoryStore } from 'coatcheck'
import session from 'coatcheck/express'
import { afterAll, beforeAll, describe, expect, onTestFinished, test, vi } from 'vitest'
import { installInto } from '../package/nodes.ts'
import { forms, Visitor } from './served.ts'

type Nest = Pick<typeof common, 'Controller' | 'Get' | 'Module' | 'Post' | 'Req' | 'Session'> &
  Pick<typeof core, 'NestFactory'>

const nests: Record<string, Nest> = { 'NestJS 12': { ...common, ...core } }
let folder: string

// Its own folder, because the packages of one version find each other by name. On Express 4, compiled to CommonJS.
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'coatcheck-nest-'))
  const packages = ['common', 'core', 'platform-express'].map((name) => `@nestjs/${name}@8.4.7`)
  await installInto(folder, [...packages, 'reflect-metadata@0.1.14', 'rxjs@7.8.2'])
  const require = createRequire(join(folder, 'package.json'))
  nests['NestJS 8'] = { ...(require('@nestjs/common') as Nest), ...(require('@nestjs/core') as Nest) }
}, 600_000)
afterAll(() => rm(folder, { recursive: true, force: true }))

/** An app with a controller that counts visits in the session. */
function appOf({ Controller, Get, Module, Post, Req, Session }: Nest) {
  class Visits {
    look(bag: { visits?: number }): { visits: number } {
      bag.visits = (bag.visits ?? 0) + 1
      return { visits: bag.visits }
    }

    async end(request: Request): Promise<string> {
      await new Promise((resolve) => request.session.destroy(resolve))
      return 'ended'
    }
  }

  class App {}

  // What decorators do, written out: the tests run without a compiler that knows them.
  const look = Object.getOwnPropertyDescriptor(Visits.prototype, 'look')!
  Get()(Visits.prototype, 'look', look)
  Session()(Visits.prototype, 'look', 0)
  const end = Object.getOwnPropertyDescriptor(Visits.prototype, 'end')!
  Post('end')(Visits.prototype, 'end', end)
  Req()(Visits.prototype, 'end', 0)
  Controller('visits')(Visits)
  Module({ controllers: [Visits] })(App)
  return App
}

process.env['NO_DEPRECATION'] ??= 'express-session'
const incumbent = createRequire(import.meta.url)('express-session') as (options: object) => RequestHandler
const sides = {
  ...forms,
  'express-session': () => incumbent({ secret: 'a secret', resave: false, saveUninitialized: false }),
}

describe.each(['NestJS 12', 'NestJS 8'])('%s', (version) => {
  test.each(Object.entries(sides))(
    'controllers get the session, by @Session() and on the request: %s',
    async (_form, makeSession) => {
      const nest = nests[version]!
      const app = await nest.NestFactory.create<NestExpressApplication>(appOf(nest), { logger: false })
      app.use(makeSession())
      await app.listen(0, '127.0.0.1')
      onTestFinished(() => app.close())
      const visitor = new Visitor(await app.getUrl())
      await visitor.ask('/visits')
      expect(await (await visitor.ask('/visits')).json()).toEqual({ visits: 2 })
      expect(await (await visitor.ask('/visits/end', { method: 'POST' })).text()).toBe('ended')
      expect(await (await visitor.ask('/visits')).json()).toEqual({ visits: 1 })
    },
  )

  test.each(['read', 'saved'] as const)(
    'a session that cannot be %s is answered with the status of its error',
    async (doing) => {
      const nest = nests[version]!
      const store = new MemoryStore()
      const sessions = createSessions({ store, secret: 'a secret of sixteen bytes', sweep: false })
      sessions.on('storeError', () => undefined)
      const app = await nest.NestFactory.create<NestExpressApplication>(appOf(nest), { logger: false })
      app.use(session(sessions))
      await app.listen(0, '127.0.0.1')
      onTestFinished(() => app.close())
      const visitor = new Visitor(await app.getUrl())
      await visitor.ask('/visits')
      vi.spyOn(store, doing === 'read' ? 'find' : 'write').mockRejectedValue(new Error('away'))
      const answer = await visitor.ask('/visits')
      expect(answer.status).toBe(503)
      expect(await answer.json()).toMatchObject({ statusCode: 503 })
    },
  )
})
