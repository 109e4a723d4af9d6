import { once } from 'node:events'
import { type ClientHttp2Session, connect, createServer } from 'node:http2'
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { createSessions } from 'coatcheck'
import session from 'coatcheck/express'
import { describe, expect, onTestFinished, test, vi } from 'vitest'
import { CommandedStore } from './commanded-store.ts'
import type { SessionRequest } from './frameworks.ts'
import { secret } from './serve.ts'

type Answer = (request: SessionRequest, response: ServerResponse) => unknown
const plainAnswer = 'The session could not be stored. Please try again.\n'

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
})
