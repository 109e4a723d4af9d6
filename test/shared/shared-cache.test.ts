import express, { type Request, type Response } from 'express'
import { createSessions, MemoryStore } from 'coatcheck'
import session from 'coatcheck/express'
import { Agent, interceptors, request } from 'undici'
import { expect, onTestFinished, test } from 'vitest'

/** Serves pages that say that caches may keep them. Each answers with how many it has answered. */
async function servePages(): Promise<string> {
  const sessions = createSessions({ store: new MemoryStore(), secret: 'a secret of this test only' })
  const app = express()
  let answers = 0
  const page = (_request: Request, response: Response): void => {
    response.setHeader('Cache-Control', 'public, max-age=600')
    response.send(`answer ${++answers}`)
  }
  app.get('/own-cookie', (request, response) => {
    response.cookie('own', `${answers}`)
    page(request, response)
  })
  app.use(session(sessions))
  app.get('/visit', (request, response) => {
    Object.assign(request.session, { visited: true })
    page(request, response)
  })
  app.get('/read', page)
  app.get('/sign-in/:user', async (request, response) => {
    await request.session.signIn(request.params.user)
    page(request, response)
  })
  app.get('/me', (request, response) => {
    response.setHeader('Cache-Control', 'public, max-age=600')
    response.send(`answer ${++answers} for ${request.session.userId ?? 'nobody'}`)
  })
  const server = app.listen(0, '127.0.0.1')
  await new Promise((resolve) => server.once('listening', resolve))
  onTestFinished(async () => {
    await new Promise((resolve) => server.close(resolve))
    await sessions.close()
  })
  return `http://127.0.0.1:${(server.address() as { port: number }).port}`
}

/**
 * A cache that many share, and that keeps responses with a Set-Cookie as caches of large sites can be told to. It keeps
 * one answer for a path, whoever asks.
 */
function cacheOfMany() {
  const agent = new Agent().compose(interceptors.cache({ type: 'private' }))
  onTestFinished(() => agent.close())
  return async (url: string, cookie?: string) => {
    const response = await request(url, {
      dispatcher: agent,
      headers: cookie === undefined ? {} : { cookie },
    })
    return { body: await response.body.text(), cookies: [response.headers['set-cookie'] ?? []].flat() }
  }
}

test('a cache that many share gives nobody the session of another', async () => {
  const url = await servePages()
  const get = cacheOfMany()
  const [ada, bob] = [await get(`${url}/visit`), await get(`${url}/visit`)]
  expect([ada.cookies.length, bob.cookies.length]).toEqual([1, 1])
  expect(ada.cookies).not.toEqual(bob.cookies)
})

test.each(['/own-cookie', '/read'])('that cache does keep %s, which says that it may', async (path) => {
  const url = await servePages()
  const get = cacheOfMany()
  const [first, second] = [await get(url + path), await get(url + path)]
  expect(second).toEqual(first)
  expect(first.body).toBe('answer 1')
})

test('a page that reads the session is kept for each visitor apart', async () => {
  const url = await servePages()
  const get = cacheOfMany()
  const cookieOf = async (user: string) => (await get(`${url}/sign-in/${user}`)).cookies[0]!.split(';', 1)[0]
  const [ada, bob] = [await cookieOf('ada'), await cookieOf('bob')]
  const bodyFor = async (cookie?: string) => (await get(`${url}/me`, cookie)).body
  const bodies = [await bodyFor(ada), await bodyFor(bob), await bodyFor()]
  expect(bodies).toEqual([
    expect.stringMatching(/ for ada$/),
    expect.stringMatching(/ for bob$/),
    expect.stringMatching(/ for nobody$/),
  ])
  // And it is kept.
  expect([await bodyFor(ada), await bodyFor(bob), await bodyFor()]).toEqual(bodies)
})
