/** Work on input of size n. What only prepares it is outside of the function that is to be measured. */
export type HostileWork = (size: number) => () => unknown

/** What an attacker can make the package do, by name. The package is loaded by this call. */
export async function hostileWorks(): Promise<Record<string, HostileWork>> {
  const { cookieValues } = await import('../../dist/http/cookie.js')
  const { merge } = await import('../../dist/core/data/merge.js')
  const { jsonCodec } = await import('../../dist/core/data/codec.js')
  const { resolveSites } = await import('../../dist/http/sites.js')
  const { Signer } = await import('../../dist/core/signer.js')
  const { sameButForCookie } = await import('../../dist/express-session/model/stored-text.js')

  const signer = new Signer('the secret of this test alone')
  const site = (at: number) => `https://app${at}.example.com`
  const sites = resolveSites(Array.from({ length: 100 }, (_, at) => site(at)))

  return {
    'a Cookie header of other cookies': (size) => {
      const header = `${'x=1; '.repeat(size)}sid=1`
      return () => cookieValues(header, 'sid')
    },
    'a Cookie header of dead cookies of our name': (size) => {
      const header = 'sid=%; sid=s%3Ax.y; '.repeat(size)
      return () => cookieValues(header, 'sid').map((value) => signer.verify(value))
    },
    'a Cookie header of separators': (size) => {
      const header = `${' =;\t'.repeat(size)}sid=1`
      return () => cookieValues(header, 'sid')
    },
    'a long value instead of a signed token': (size) => {
      const value = `s:${'.'.repeat(size)}`
      return () => signer.verify(value)
    },
    'a long origin': (size) => {
      const origin = `https://${'a.'.repeat(size)}example.com`
      return () => sites.trusts(origin)
    },
    'a merge of many keys': (size) => {
      const [base, stored, own] = [
        keys(size),
        { ...keys(size), ...keys(size, 's') },
        { ...keys(size), ...keys(size, 'o') },
      ]
      return () => merge(base, own, stored)
    },
    'a merge of deep data': (size) => {
      const [base, stored, own] = [nested(size, 0), nested(size, 1), { ...nested(size, 0), own: true }]
      return () => merge(base, own, stored)
    },
    'decoding many keys': (size) => {
      const bytes = text(keys(size))
      return () => jsonCodec.decode(bytes)
    },
    'comparing texts of express-session': (size) => {
      const [one, other] = [
        text({ cookie: { a: 1 }, ...keys(size) }),
        text({ cookie: { a: 2 }, ...keys(size) }),
      ]
      return () => sameButForCookie(one, other)
    },
  }
}

const keys = (count: number, prefix = 'k') =>
  Object.fromEntries(Array.from({ length: count }, (_, at) => [`${prefix}${at}`, { at }]))
const nested = (depth: number, leaf: unknown) => {
  let data: Record<string, unknown> = { leaf }
  for (let level = 0; level < depth; level++) data = { data }
  return data
}
const text = (data: unknown) => Buffer.from(JSON.stringify(data))
