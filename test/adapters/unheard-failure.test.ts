import { describe, expect, test } from 'vitest'
import { frameworks, type Middleware } from './frameworks.ts'
import { cookieOf, serve, settle } from './serve.ts'

const unavailable = expect.objectContaining({ code: 'ERR_SESSION_STORE_UNAVAILABLE', status: 503 })
const unavailablePage = 'app error page: ERR_SESSION_STORE_UNAVAILABLE'

/** A cookie of a session that holds `{ seen: 'yes' }`. */
const signedUp = async (url: string) => cookieOf(await fetch(url))

describe.each(frameworks)('in $name, when the store fails to save,', (framework) => {
  test.each<[string, Middleware]>([
    ['save', ({ session }) => void session.save()],
    ['destroy', ({ session }) => void session.destroy()],
    ['signOut', ({ session }) => void session.signOut()],
    ['regenerate', ({ session }) => void session.regenerate()],
    ['save with a callback', ({ session }) => session.save(() => undefined)],
    ['null', (request) => Object.assign(request, { session: null })],
  ])('a %s that nobody awaited fails the response, and not the process', async (_, act) => {
    const { url, store, errors } = await serve({
      framework,
      handler: (request, response, next) => {
        if (request.headers.cookie === undefined) request.session.seen = 'yes'
        else {
          if (request.session.seen !== 'yes') throw new Error('the session is lost')
          request.session.seen = 'no'
          void act(request, response, next)
        }
        response.end('done')
      },
    })
    const cookie = await signedUp(url)
    store.down.add('write')
    const response = await fetch(url, { headers: { cookie } })
    expect([response.status, await response.text()]).toEqual([503, unavailablePage])
    expect(errors).toEqual([unavailable])
    await settle()
    expect(await store.stored()).toEqual([{ seen: 'yes' }])
  })

  test.each(['destroy', 'signOut', 'regenerate'] as const)(
    'a %s that failed long before the answer, and that nobody awaited, fails the response',
    async (method) => {
      const { url, store } = await serve({
        framework,
        handler: async (request, response) => {
          if (request.headers.cookie === undefined) request.session.seen = 'yes'
          else {
            void request.session[method]()
            await settle()
          }
          response.end('done')
        },
      })
      const cookie = await signedUp(url)
      store.down.add('write')
      expect((await fetch(url, { headers: { cookie } })).status).toBe(503)
    },
  )
})
