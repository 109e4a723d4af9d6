import { once } from 'node:events'
import {
  type ClientHttp2Session,
  type ClientHttp2Stream,
  connect,
  createServer,
  type ServerHttp2Stream,
} from 'node:http2'
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { createSessions } from 'coatcheck'
import session from 'coatcheck/express'
import { describe, expect, onTestFinished, test, vi } from 'vitest'
import { CommandedStore } from './commanded-store.ts'
import type { SessionRequest } from './frameworks.ts'
import { secret, settle } from './serve.ts'

type Answer = (request: SessionRequest, response: ServerResponse) => unknown
const plainAnswer = 'The session could not be stored. Please try again.\n'

const streamOf = (response: ServerResponse) => (response as unknown as { stream: ServerHttp2Stream }).stream

/** A server for HTTP/2, with one client connection to it. A path is a session's change, and `/plain` is none. */
async function serve(answer: Answer, onError: (error: unknown, response: ServerResponse) => unknown) {
  const store = new CommandedStore()
  const sessions = createSessions({ store, secret, sweep: false })
  sessions.on('storeError', () => undefined)
  const middleware = session(sessions)
  const server = createServer((incoming, outgoing) => {
    const request = incoming as unknown as SessionRequest
    const response = outgoing as unknown as ServerResponse
    middleware(request as unknown as IncomingMessage, response, (error) => {
      if (error !== undefined) return onError(error, response)
      if (request.url !== '/plain') request.session.seen = 'yes'
      return answer(request, response)
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const client = connect(`http://127.0.0.1:${(server.address() as AddressInfo).port}`)
  onTestFinished(() => {
    client.destroy()
    server.close()
  })
  return { store, client }
}

/** What a client gets on a stream of its own. */
async function get(client: ClientHttp2Session, path: string) {
  const stream = client.request({ ':path': path })
  let body = ''
  stream.setEncoding('utf8').on('data', (text: string) => (body += text))
  let status: unknown
  stream.on('response', (headers) => (status = headers[':status']))
  stream.on('error', () => undefined) // shows in the code
  await once(stream, 'close')
  return { status, body, code: stream.rstCode }
}

describe('over HTTP/2,', () => {
  test('a stream whose save failed gets a plain 503, and the others of its connection go on', async () => {
    const warn = vi.spyOn(process, 'emitWarning')
    onTestFinished(() => warn.mockRestore())
    const other = Promise.withResolvers<ServerResponse>()
    const told = Promise.withResolvers<unknown>()
    const { store, client } = await serve((request, response) => {
      response.write('a part, ')
      if (request.url === '/plain') other.resolve(response)
    }, told.resolve)
    store.down.add('write')
    const plain = get(client, '/plain')
    const otherResponse = await other.promise
    expect(await get(client, '/')).toEqual({ status: 503, body: plainAnswer, code: 0 })
    expect(await told.promise).toMatchObject({ code: 'ERR_SESSION_STORE_UNAVAILABLE' })
    otherResponse.end('and the rest')
    expect(await plain).toEqual({ status: 200, body: 'a part, and the rest', code: 0 })
    // As Node does where HTTP/1 only knows what is set.
    expect(warn.mock.calls).toEqual([])
  })

  test('a pipeline into a stream whose save failed lets go of its source', async () => {
    const source = new Readable({ read: () => undefined })
    source.push('a part')
    const piped = Promise.withResolvers<unknown>()
    const { store, client } = await serve(
      (_, response) => void pipeline(source, response).then(piped.resolve, piped.resolve),
      () => undefined,
    )
    store.down.add('write')
    expect(await get(client, '/')).toMatchObject({ status: 503, body: plainAnswer })
    await piped.promise
    expect(source.destroyed).toBe(true)
  })
  test.each<[string, Answer]>([
    ['req.socket.destroy()', (request) => request.socket.destroy()],
    ['res.destroy()', (_, response) => response.destroy()],
    ['req.destroy()', (request) => request.destroy()],
    ['res.stream.destroy()', (_, response) => streamOf(response).destroy()],
    ['res.stream.close(8)', (_, response) => streamOf(response).close(8)],
  ])('%s after end cuts nothing off', async (_, close) => {
    const closed = Promise.withResolvers<void>()
    const { store, client } = await serve(
      async (request, response) => {
        response.end('hello')
        await close(request, response)
        closed.resolve()
      },
      () => undefined,
    )
    const gate = store.hold('write')
    const answer = get(client, '/')
    await gate.reached
    await closed.promise
    await settle()
    gate.open()
    expect(await answer).toMatchObject({ status: 200, body: 'hello' })
  })

  test.each<[string, (client: ClientHttp2Session, stream: ClientHttp2Stream) => unknown]>([
    ['its stream', (_, stream) => stream.close(8)],
    ['its connection', (client) => client.destroy()],
  ])('a client that closes %s while its answer is held is none to tell', async (_, leave) => {
    const errors: unknown[] = []
    const answered = Promise.withResolvers<ServerHttp2Stream>()
    const { store, client } = await serve(
      (_request, response) => {
        response.end('hello')
        answered.resolve(streamOf(response))
      },
      (error) => errors.push(error),
    )
    const gate = store.hold('write')
    const asking = client.request({ ':path': '/' }).on('error', () => undefined)
    const stream = await answered.promise
    await gate.reached
    leave(client, asking)
    await once(asking, 'close')
    await settle()
    gate.open()
    if (!stream.destroyed) await once(stream, 'close')
    await settle()
    expect(errors).toEqual([])
    expect(await store.stored()).toHaveLength(1)
  })
  test('a client that closes its stream while the rest of one is held leaves none open', async () => {
    const ended = Promise.withResolvers<ServerHttp2Stream>()
    const { store, client } = await serve(
      async (request, response) => {
        response.write('a part')
        await once(response, 'drain')
        request.session.more = 'yes'
        gate = store.hold('write')
        response.end('the rest')
        ended.resolve(streamOf(response))
      },
      () => undefined,
    )
    let gate = store.hold('write')
    const asking = client.request({ ':path': '/' }).on('error', () => undefined)
    await gate.reached
    gate.open()
    const stream = await ended.promise
    await gate.reached
    asking.close(8)
    await once(asking, 'close')
    await settle()
    gate.open()
    if (!stream.destroyed) await once(stream, 'close')
    expect(JSON.stringify(await store.stored())).toContain('"more":"yes"')
  })
})
