import { describe, expect, it } from 'vitest'
import { flowFormOf, headerForm, Signer } from '../../../dist/core/signer.js'
import {
  authorize,
  begin,
  children,
  codeFor,
  expectRefused,
  flowCookies,
  flowOf,
  signedInAtHub,
  userAt,
  withQuery,
} from '../moves.ts'
import { Visitor } from '../visitor.ts'
import { secret, serveWorld, type WorldOptions } from '../world.ts'

async function worldOfTwo(options: WorldOptions = {}) {
  const world = await serveWorld(options)
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

  it('gives nothing once any character of it has changed, or when it is signed by somebody else', async () => {
    const { world, shop } = await worldOfTwo()
    const visitor = await signedInAtHub(world)
    const callback = await codeFor(visitor, shop)
    const [name] = flowCookies(visitor, shop)
    const jar = visitor.jar(shop.origin)
    const real = jar.get(name!)!
    const [text, signature] = real.split('.') as [string, string]
    const flow = flowOf(visitor, shop)
    const encoded = (changed: object) =>
      Buffer.from(JSON.stringify({ ...flow, ...changed })).toString('base64url')
    const evil = encoded({ returnTo: 'https://evil.test/' })
    const forged = [
      ...Array.from(real, (character, at) => {
        const other = character === 'A' ? 'B' : 'A'
        return real.slice(0, at) + other + real.slice(at + 1)
      }),
      '',
      text,
      `${text}.`,
      `.${signature}`,
      `${evil}.${signature}`,
      `${text}.${signature}=`,
      `${real}.${signature}`,
      new Signer('a secret of somebody else').sign(text),
      new Signer('a secret of somebody else', flowFormOf('shop')).sign(evil),
      // What the same secret signs for other uses.
      new Signer(secret).sign(evil),
      new Signer(secret).sign(evil).slice('s:'.length),
      new Signer(secret, headerForm).sign(evil),
      new Signer(secret, flowFormOf('blog')).sign(evil),
      new Signer(secret, flowFormOf('')).sign(evil),
      new Signer(secret, flowFormOf('__proto__')).sign(evil),
    ]
    for (const value of forged) {
      const headers = { cookie: `${name}=${value}` }
      const answer = await new Visitor().open(callback, { headers, follow: false })
      expect([answer.status, answer.headers.get('location')], value).toEqual([400, null])
      expect(answer.text, value).toContain('This browser has not begun it')
    }
    expect(await children(world.store)).toEqual([])
  })

  it('counts even where forged ones of its name come before it', async () => {
    const { world, shop } = await worldOfTwo()
    for (const order of [0, 1]) {
      const visitor = await signedInAtHub(world)
      const callback = await codeFor(visitor, shop)
      const [name] = flowCookies(visitor, shop)
      const real = `${name}=${visitor.jar(shop.origin).get(name!)}`
      const forged = Array.from({ length: 50 }, (_, at) => `${name}=forged${at}.${'a'.repeat(43)}`)
      const cookie = (order === 0 ? [...forged, real] : [real, ...forged]).join('; ')
      expect((await visitor.open(callback, { headers: { cookie }, follow: false })).status).toBe(303)
      expect(await userAt(visitor, shop)).toBe('ada')
    }
  })

  it('is that of the whole state, and not of the part of it that is in its name', async () => {
    const { world, shop } = await worldOfTwo()
    const visitor = await signedInAtHub(world)
    const callback = await codeFor(visitor, shop)
    const { state } = flowOf(visitor, shop)
    for (const other of [
      state.slice(0, 12),
      state.slice(0, -1),
      `${state.slice(0, -1)}${state.endsWith('A') ? 'Q' : 'A'}`,
      `${state}=`,
      `${state.slice(0, 3)};${state.slice(3)}`,
      `${state} `,
      state.toUpperCase(),
    ]) {
      // Without the code, which such a request would end.
      const stray = withQuery(callback, { state: other, code: undefined })
      await expectRefused(world, await visitor.open(stray), { message: 'This browser has not begun it' })
    }
    await visitor.open(callback)
    expect(await userAt(visitor, shop)).toBe('ada')
  })

  it('is no session, and a session is no flow', async () => {
    const { world, shop } = await worldOfTwo()
    const visitor = await signedInAtHub(world)
    const callback = await codeFor(visitor, shop)
    const [name] = flowCookies(visitor, shop)
    const flow = visitor.jar(shop.origin).get(name!)!
    for (const sid of [flow, `s:${flow}`, encodeURIComponent(`s:${flow}`)]) {
      const thief = new Visitor()
      thief.jar(shop.origin).set('sid', sid)
      expect(await userAt(thief, shop)).toBeNull()
    }
    await visitor.open(callback)
    const thief = new Visitor()
    thief.jar(shop.origin).set(name!, visitor.jar(shop.origin).get('sid')!)
    expect((await thief.open(callback)).status).toBe(400)
  })

  it('is HttpOnly, of the whole host, for five minutes; on HTTPS, Secure and of no other host', async () => {
    const redirectUri = 'https://shop.test/handoff/callback'
    for (const isSecure of [false, true]) {
      const world = await serveWorld({ clients: ['shop'], ...(isSecure && { site: { redirectUri } }) })
      const response = await fetch(`${world.sites['shop']!.origin}/handoff/sign-in`, { redirect: 'manual' })
      const [cookie] = response.headers.getSetCookie()
      const prefix = isSecure ? '__Host-' : ''
      expect(cookie).toMatch(
        new RegExp(
          `^${prefix}handoff\\.[\\w-]{12}=[\\w-]+\\.[\\w-]{43}; Max-Age=300; Path=/; HttpOnly;${isSecure ? ' Secure;' : ''} SameSite=Lax$`,
        ),
      )
      await response.body?.cancel()
    }
  })

  it('is one of a few: they take no more than four KiB, however many flows were begun', async () => {
    const { world, shop } = await worldOfTwo()
    for (const length of [1, 300, 1_490, 3_000]) {
      const visitor = await signedInAtHub(world)
      let callback = ''
      for (let count = 0; count < 20; count++) {
        callback = await codeFor(visitor, shop, `/${'a'.repeat(length)}`)
        const kept = flowCookies(visitor, shop).map((name) => `${name}=${visitor.jar(shop.origin).get(name)}`)
        expect(kept.length).toBeLessThanOrEqual(5)
        expect(kept.join('; ').length).toBeLessThanOrEqual(4_096)
      }
      // The last one goes on.
      expect((await visitor.open(callback, { follow: false })).status).toBe(303)
      expect(await userAt(visitor, shop)).toBe('ada')
    }
  })

  it('is dropped when its flow is over', async () => {
    const { world, shop } = await worldOfTwo()
    const visitor = await signedInAtHub(world)
    await visitor.open(`${shop.origin}/members`)
    expect(flowCookies(visitor, shop)).toEqual([])
  })
})

describe('a Cookie header of 16 KiB', () => {
  it('costs nobody their sign-in, up to the most that Node takes', async () => {
    const { world, shop } = await worldOfTwo()
    const visitor = await signedInAtHub(world)
    const callback = await codeFor(visitor, shop)
    const [name] = flowCookies(visitor, shop)
    const flow = `${name}=${visitor.jar(shop.origin).get(name!)}`
    const cookie = `${'x=1; '.repeat(2_900)}${flow}`
    expect((await visitor.open(callback, { headers: { cookie }, follow: false })).status).toBe(303)
    expect(await userAt(visitor, shop)).toBe('ada')
    const tooLong = await visitor.open(callback, {
      headers: { cookie: 'x=1; '.repeat(4_000) },
      follow: false,
    })
    expect(tooLong.status).toBe(431)
    expect(await userAt(visitor, shop)).toBe('ada')
  })

  it('is read no further, where the server takes longer ones', async () => {
    const { world, shop } = await worldOfTwo({ maxHeaderSize: 1_048_576 })
    const visitor = await signedInAtHub(world)
    const callback = await codeFor(visitor, shop)
    const [name] = flowCookies(visitor, shop)
    const flow = `${name}=${visitor.jar(shop.origin).get(name!)}`
    const cookie = `${'x=1; '.repeat(200_000)}${flow}`
    const answer = await visitor.open(callback, { headers: { cookie } })
    await expectRefused(world, answer, { message: 'This browser has not begun it' })
  })
})
