import { beforeAll, expect, onTestFinished, test } from 'vitest'
import { startApp } from '../servers/apps.ts'
import { freshDatabase } from '../servers/databases.ts'

let url: string

beforeAll(async () => {
  url = await freshDatabase()
})

test('an app that is stopped answers what it has begun, stores it, and then ends by itself', async () => {
  const [app, other] = await Promise.all([
    startApp('test/shared/draining-app.ts', { DATABASE_URL: url }),
    startApp('test/shared/draining-app.ts', { DATABASE_URL: url }),
  ])
  onTestFinished(async () => {
    await Promise.all([app.stop(), other.stop()])
  })
  expect((await fetch(`${app.url}/ready`)).status).toBe(204)
  const answering = fetch(`${app.url}/slow`)
  await expect.poll(app.output).toContain('answering slowly')
  const stopped = app.stop()
  await expect.poll(app.output).toContain('stopping')
  await expect(fetch(app.url)).rejects.toThrow('fetch failed')
  app.send('go on')
  const answer = await answering
  expect([answer.status, await answer.json()]).toEqual([200, { slow: 'stored' }])
  expect(await stopped).toEqual({ code: 0, signal: null })
  const [cookie = ''] = answer.headers.getSetCookie()
  const read = await fetch(other.url, { headers: { cookie: cookie.split(';')[0]! } })
  expect(await read.json()).toEqual({ slow: 'stored' })
})
