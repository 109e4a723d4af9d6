import { describe, expect, it } from 'vitest'
import { authorize, begin, expectRefused, flowCookies, signedInAtHub, userAt, withQuery } from '../moves.ts'
import { serveWorld } from '../world.ts'

async function worldOfTwo() {
  const world = await serveWorld()
  return { world, shop: world.sites['shop']!, blog: world.sites['blog']! }
}

describe('the cookie of a flow', () => {
  it('is nothing at another site, whatever code comes with it', async () => {
    const { world, shop, blog } = await worldOfTwo()
    const visitor = await signedInAtHub(world)
    const address = withQuery(await begin(visitor, shop), {
      client_id: 'blog',
      redirect_uri: `${blog.origin}/handoff/callback`,
    })
    const [name] = flowCookies(visitor, shop)
    visitor.jar(blog.origin).set(name!, visitor.jar(shop.origin).get(name!)!)
    await expectRefused(world, await visitor.open(await authorize(visitor, address)), {
      message: 'This browser has not begun it',
    })
    expect(await userAt(visitor, blog)).toBeNull()
  })
})
