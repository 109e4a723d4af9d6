import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { setFlagsFromString } from 'node:v8'
import { runInThisContext } from 'node:vm'
import { createSessions, MemoryStore } from 'coatcheck'
import session from 'coatcheck/express'
import express from 'express'
import { afterEach, expect, test } from 'vitest'

// V8 keeps an object's properties in fixed places until too many are added or an accessor takes the place of a value. From then on all that
// Node and the app do with the object is several times slower.

setFlagsFromString('--allow-natives-syntax')
const isFast = runInThisContext('(object) => %HasFastProperties(object)') as (object: object) => boolean

const leftovers: (() => unknown)[] = []

afterEach(async () => {
  for (const leftover of leftovers.splice(0).toReversed()) await leftover()
})

type Visited = IncomingMessage & { session: { visits?: number } }

test.each([
  [
    'plain http',
    (middleware: ReturnType<typeof session>) => (request: Visited, response: ServerResponse) =>
      middleware(request, response, () => answer(request, response)),
  ],
  [
    'Express',
    (middleware: ReturnType<typeof session>) =>
      express().use(middleware, (request, response) => answer(request as unknown as Visited, response)),
  ],
] as const)(
  'requests and responses stay fast on %s, whether the answer is held or not',
  async (_name, appWith) => {
    // prettier-ignore
    const sessions = createSessions({ store: new MemoryStore(), secret: 'x1'.repeat(16), sweep: false })
    leftovers.push(() => sessions.close())
    const finished: { path: string; fast: boolean[] }[] = []
    const app = appWith(session(sessions)) as (request: IncomingMessage, response: ServerResponse) => void
    const server = createServer((request, response) => {
      response.once('finish', () =>
        finished.push({ path: request.url!, fast: [request, response].map(isFast) }),
      )
      app(request, response)
    })
    leftovers.push(() => server.close())
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
    const first = await fetch(`${url}/change`)
    const cookie = first.headers.get('set-cookie')!.split(';', 1)[0]!
    await first.text()
    for (const path of ['/read', '/change']) {
      // Shapes are shared by objects that are made alike: the first ones may differ.
      for (let count = 0; count < 20; count++) await (await fetch(url + path, { headers: { cookie } })).text()
      expect(finished.at(-1)).toEqual({ path, fast: [true, true] })
    }
  },
)

function answer(request: Visited, response: ServerResponse): void {
  const visits = request.session.visits ?? 0
  if (request.url === '/change') request.session.visits = visits + 1
  response.end(String(visits))
}
