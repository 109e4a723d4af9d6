import { request as send } from 'node:http'
import express from 'express'
import { describe, expect, it } from 'vitest'
import { serveWorld, type World } from '../world.ts'

/** Sends a request with a target that no browser sends. */
function get(origin: string, target: string): Promise<number | undefined> {
  const { hostname, port } = new URL(origin)
  return new Promise((resolve, reject) => {
    const request = send({ hostname, port, path: target, headers: { accept: 'text/html' } }, (response) => {
      response.resume()
      resolve(response.statusCode)
    })
    request.on('error', reject).end()
  })
}

describe('a page for signed-in users stays closed', () => {
  it.each(['SELF/members', 'http://other.test/members', 'HTTP://OTHER.test/members?a=b'])(
    'to a target that is a whole address (RFC 9112, section 3.2.2): %s',
    async (target) => {
      const { origin } = (await serveWorld()).sites['shop']!
      expect(await get(origin, '/members')).toBe(303)
      expect(await get(origin, target.replace('SELF', origin))).toBe(303)
    },
  )

  it.each([
    '/all/x',
    '/all/../handoff/callback',
    '/all/%2e%2e/handoff/sign-in',
    'http://other.test/all/../handoff/callback',
    '/all/..\\handoff\\callback',
  ])('where all paths below another show it: %s', async (target) => {
    const worlds: World[] = []
    const before = express.Router()
    before.use('/all', (...given) => worlds[0]!.sites['shop']!.site.signedIn()(...given))
    before.use('/all', (_request, response) => void response.send('for users'))
    const world = await serveWorld({ before })
    worlds.push(world)
    expect(await get(world.sites['shop']!.origin, target)).toBe(303)
  })
})
