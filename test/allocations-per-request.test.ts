import { IncomingMessage, ServerResponse } from 'node:http'
import { Socket } from 'node:net'
import { getHeapStatistics, type HeapInfo } from 'node:v8'
import { createSessions, MemoryStore, type Sessions } from 'coatcheck'
import session from 'coatcheck/express'
import { afterAll, beforeAll, expect, test } from 'vitest'

// Bytes are counted as they are allocated, so neither the collector nor the clock has a say. The bounds are twice what it
// takes, and more: they are there to catch a copy of the session too many, not a closure.

/** A request whose headers are there already, and a response to nobody. */
type Handler = (request: IncomingMessage & { session: { visits?: number } }, response: ServerResponse) => void

const warmUp = 3_000
const measured = 3_000
const socket = new Socket()
let sessions: Sessions
let middleware: ReturnType<typeof session>
let cookie: string

beforeAll(async () => {
  sessions = createSessions({ store: new MemoryStore(), secret: 'only for these tests', sweep: false })
  middleware = session(sessions)
  const { setCookie } = await answered(change, '')
  cookie = setCookie!.split(';', 1)[0]!
})

afterAll(async () => {
  socket.destroy()
  await sessions?.close()
})

const leaveAlone: Handler = () => undefined
const read: Handler = ({ session }) => void session.visits
const change: Handler = ({ session }) => {
  session.visits = (session.visits ?? 0) + 1
}

/** Tells when the response has really ended: the session is stored by then. */
class ResponseToNobody extends ServerResponse {
  readonly ended = Promise.withResolvers<void>()

  override end(): this {
    this.ended.resolve()
    return super.end()
  }
}

async function answered(handler: Handler, cookie: string, through = middleware) {
  const request = new IncomingMessage(socket)
  request.method = 'GET'
  request.url = '/'
  if (cookie !== '') request.headers.cookie = cookie
  const response = new ResponseToNobody(request)
  through(request, response, () => {
    handler(request as Parameters<Handler>[0], response)
    response.end()
  })
  await response.ended.promise
  return { setCookie: response.getHeader('Set-Cookie')?.toString() }
}

async function bytesPerRequest(handler: Handler, cookie: string, through = middleware): Promise<number> {
  const allocated = () =>
    (getHeapStatistics() as HeapInfo & { total_allocated_bytes: number }).total_allocated_bytes
  for (let count = 0; count < warmUp; count++) await answered(handler, cookie, through)
  const before = allocated()
  for (let count = 0; count < measured; count++) await answered(handler, cookie, through)
  return (allocated() - before) / measured
}

test.each<[string, Handler, () => string, number]>([
  ['comes without a cookie', leaveAlone, () => '', 3],
  ['does not open its session', leaveAlone, () => cookie, 15],
  ['reads its session', read, () => cookie, 18],
  ['changes its session', change, () => cookie, 30],
])(
  'a request that %s allocates little above what it does without sessions',
  async (_name, handler, cookieOf, most) => {
    const without = await bytesPerRequest(leaveAlone, cookieOf(), (_request, _response, next) => next())
    const bytes = (await bytesPerRequest(handler, cookieOf())) - without
    expect(bytes).toBeLessThan(most * 1_000)
  },
)
