import type { ServerResponse } from 'node:http'
import { describe, expect, test } from 'vitest'
import { express5Framework } from './frameworks.ts'
import { serve, Wire } from './serve.ts'

const destroyed = expect.objectContaining({ code: 'ERR_STREAM_DESTROYED' }) as unknown
/** Ends with what its callback is called with. */
type Call = (response: ServerResponse, callback: (error?: Error | null) => void) => void

const calls: Record<string, Call> = {
  write: (response, callback) => void response.write('a part', callback),
  'write with an encoding': (response, callback) => void response.write('a part', 'utf8', callback),
  end: (response, callback) => void response.end('hello', callback),
  'end without a chunk': (response, callback) => void response.end(callback),
}

/** A server whose handler makes this call, and a store that holds the session back. */
async function held(call: Call) {
  const called = Promise.withResolvers<Error | null | undefined>()
  const answered = Promise.withResolvers<ServerResponse>()
  const served = await serve({
    framework: express5Framework,
    handler: (request, response) => {
      request.session.seen = 'yes'
      call(response, called.resolve)
      answered.resolve(response)
    },
  })
  const gate = served.store.hold('write')
  const wire = new Wire(served.port)
  wire.send('GET', '/')
  await gate.reached
  return { gate, wire, called: called.promise, response: await answered.promise }
}

describe.each(Object.entries(calls))('the callback of a held %s', (name, call) => {
  test('gets an error where the save failed', async () => {
    const { gate, called } = await held(call)
    gate.fail()
    expect(await called).toEqual(destroyed)
  })

  test('is called once the answer goes out', async () => {
    const { gate, wire, called, response } = await held(call)
    gate.open()
    expect(await called).not.toBeInstanceOf(Error)
    response.end()
    await wire.until('HTTP/1.1 200')
  })

  // Nobody can leave an answer that is complete: its connection stays open for it.
  test.runIf(name.startsWith('write'))('gets an error where the client has gone', async () => {
    const { gate, wire, called, response } = await held(call)
    const gone = new Promise<void>((resolve) => response.once('close', resolve))
    wire.socket.destroy()
    await gone
    gate.open()
    expect(await called).toEqual(destroyed)
  })
})

test('the callback of what is written behind a call that Node refused gets an error', async () => {
  const { gate, called } = await held((response, callback) => {
    response.writeHead(200, { 'X-Own': 'a\nb' })
    response.write('a part', callback)
  })
  gate.open()
  expect(await called).toEqual(destroyed)
})

test('the callback of a late end gets an error where its save failed', async () => {
  const called = Promise.withResolvers<Error | null | undefined>()
  const { store, port } = await serve({
    framework: express5Framework,
    handler: (request, response) => {
      request.session.seen = 'yes'
      response.write('a part')
      response.once('drain', () => {
        store.down.add('write')
        request.session.more = 'yes'
        response.end('the last', (error?: Error) => called.resolve(error))
      })
    },
  })
  new Wire(port).send('GET', '/')
  expect(await called.promise).toEqual(destroyed)
})

test('the callback of a write to an answer that was replaced gets an error', async () => {
  const called = Promise.withResolvers<Error | null | undefined>()
  const { gate, response, wire } = await held((response) => void response.write('a part'))
  gate.fail()
  await wire.until('could not be stored')
  response.write('more', called.resolve)
  expect(await called.promise).toEqual(destroyed)
})
