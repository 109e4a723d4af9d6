import 'reflect-metadata'
import { Controller, Get, Module, Post, Req, Session as SessionOf } from '@nestjs/common'
import { NestFactory } from '@nestjs/core'
import type { NestExpressApplication } from '@nestjs/platform-express'
import type { Request } from 'express'
import { describe, expect, onTestFinished, test } from 'vitest'
import { forms, Visitor } from './served.ts'

class Visits {
  look(bag: { visits?: number }): { visits: number } {
    bag.visits = (bag.visits ?? 0) + 1
    return { visits: bag.visits }
  }

  async end(request: Request): Promise<string> {
    await request.session.destroy()
    return 'ended'
  }
}

class App {}

// What decorators do, written out: the tests run without a compiler that knows them.
const look = Object.getOwnPropertyDescriptor(Visits.prototype, 'look')!
Get()(Visits.prototype, 'look', look)
SessionOf()(Visits.prototype, 'look', 0)
const end = Object.getOwnPropertyDescriptor(Visits.prototype, 'end')!
Post('end')(Visits.prototype, 'end', end)
Req()(Visits.prototype, 'end', 0)
Controller('visits')(Visits)
Module({ controllers: [Visits] })(App)

describe.each(Object.entries(forms))('%s', (_form, makeSession) => {
  test('NestJS: controllers get the session, by @Session() and on the request', async () => {
    const app = await NestFactory.create<NestExpressApplication>(App, { logger: false })
    app.use(makeSession())
    await app.listen(0, '127.0.0.1')
    onTestFinished(() => app.close())
    const visitor = new Visitor(await app.getUrl())
    await visitor.ask('/visits')
    expect(await (await visitor.ask('/visits')).json()).toEqual({ visits: 2 })
    expect(await (await visitor.ask('/visits/end', { method: 'POST' })).text()).toBe('ended')
    expect(await (await visitor.ask('/visits')).json()).toEqual({ visits: 1 })
  })
})
