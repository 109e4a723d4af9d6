import { once } from 'node:events'
import { Agent, type IncomingMessage, request as ask } from 'node:http'
import { describe, expect, onTestFinished, test } from 'vitest'
import { Signer } from '../../dist/core/signer.js'
import { createToken } from '../../dist/core/token.js'
import { CommandedStore } from './commanded-store.ts'
import { express5Framework, frameworks, type Framework, type Middleware } from './frameworks.ts'
import { cookieOf, secret, serve } from './serve.ts'

// Anybody on a sibling host can put cookies of our name beside the visitor's own. What is expected here is worked out from
// the rule, not from the code: every value of the name counts, only one that we signed and that leads to a session is
// live, live ones of two users are nobody, and a sign-out ends all that are live.

const app: Middleware = async (request, response) => {
  const { session } = request
  if (request.url === '/visit') session.visitor = true
  if (request.url?.startsWith('/login/')) await session.signIn(request.url.slice('/login/'.length))
  if (request.url === '/sign-out') await session.signOut()
  return response.end(JSON.stringify({ user: session.userId, visitor: session.visitor }))
}

/** One cookie of a header: how it is written, and what a browser's cookie of that form is to us. */
interface Piece {
  readonly what: string
  readonly text: string
  /** Whose session it leads to: a user's, a visitor's who never signed in, or none. */
  readonly owner: 'ada' | 'bob' | 'visitor' | undefined
}

const agent = new Agent({ keepAlive: true, maxSockets: 8 })

async function open(framework: Framework) {
  const { url, store } = await serve({
    framework,
    handler: app,
    store: new CommandedStore(),
    keepAlive: true,
  })
  onTestFinished(() => agent.destroy())
  const send = async (path: string, cookie?: string) => {
    const request = ask(url + path, { agent, headers: cookie === undefined ? {} : { cookie } })
    request.end()
    const [response] = (await once(request, 'response')) as [IncomingMessage]
    let text = ''
    for await (const chunk of response.setEncoding('utf8')) text += String(chunk)
    return {
      said: JSON.parse(text) as { user?: string; visitor?: true },
      set: response.headers['set-cookie'] ?? [],
    }
  }
  const valueOf = async (path: string) => cookieOf(await fetch(url + path)).slice('sid='.length)
  const makePieces = async (): Promise<Piece[]> => {
    const [ada, second, bob, visitor] = await Promise.all(
      ['/login/ada', '/login/ada', '/login/bob', '/visit'].map(valueOf),
    )
    const dead = encodeURIComponent(new Signer(secret).sign(createToken()))
    const foreign = encodeURIComponent(new Signer('the secret of somebody else').sign(createToken()))
    const unsigned = decodeURIComponent(bob!).slice('s:'.length).split('.', 1)[0]!
    return [
      { what: "the visitor's own", text: `sid=${ada}`, owner: 'ada' },
      { what: 'a second one of the user', text: `sid=${second}`, owner: 'ada' },
      { what: "another user's", text: `sid=${bob}`, owner: 'bob' },
      { what: "a visitor's", text: `sid=${visitor}`, owner: 'visitor' },
      { what: 'one that leads nowhere', text: `sid=${dead}`, owner: undefined },
      { what: 'one of another secret', text: `sid=${foreign}`, owner: undefined },
      { what: 'one that nobody signed', text: `sid=${unsigned}`, owner: undefined },
      { what: 'one in upper case', text: `SID=${bob}`, owner: undefined },
      { what: 'one in mixed case', text: `Sid=${bob}`, owner: undefined },
      { what: 'one between blanks', text: ` \tsid \t=\t ${ada}\t `, owner: 'ada' },
      { what: "another user's between blanks", text: `\tsid\t=${bob} \t`, owner: 'bob' },
      { what: 'one behind a no-break space', text: `\u00a0sid=${bob}`, owner: undefined },
      { what: 'one with a no-break space before its value', text: `sid=\u00a0${bob}`, owner: undefined },
    ]
  }
  return { send, store, makePieces }
}

/** All ways to take up to `most` of the pieces, in all orders. */
function* orders(pieces: readonly Piece[], most: number): Generator<Piece[]> {
  for (const [index, piece] of pieces.entries()) {
    yield [piece]
    if (most > 1) for (const rest of orders(pieces.toSpliced(index, 1), most - 1)) yield [piece, ...rest]
  }
}

const headerOf = (pieces: readonly Piece[]) => `a=1;${pieces.map(({ text }) => text).join('; ')};z=1`
const named = (pieces: readonly Piece[]) => pieces.map(({ what }) => what).join(', then ')

/** What the app sees by the rule. */
function expected(pieces: readonly Piece[]): { user?: string; visitor?: true } {
  const owners = new Set(pieces.flatMap(({ owner }) => owner ?? []))
  const users = [...owners].filter((owner) => owner !== 'visitor')
  if (users.length > 1) return {}
  if (users.length === 1) return { user: users[0]! }
  return owners.has('visitor') ? { visitor: true } : {}
}

describe.each(frameworks.filter(({ name }) => name === express5Framework.name || name === 'node:http'))(
  'in $name, of cookies in any number and order',
  (framework) => {
    test('the live ones say who it is, and reading them sets none', async () => {
      const { send, makePieces } = await open(framework)
      let tried = 0
      for (const pieces of orders(await makePieces(), 3)) {
        const { said, set } = await send('/read', headerOf(pieces))
        expect([said, set], named(pieces)).toEqual([expected(pieces), []])
        tried++
      }
      expect(tried).toBe(13 + 13 * 12 + 13 * 12 * 11)
    })

    test('a sign-out ends all live ones, and no other, and clears the cookie', async () => {
      const { send, makePieces } = await open(framework)
      const kinds = (await makePieces()).length
      for (const places of orders(
        Array.from({ length: kinds }, (_, at) => ({ what: String(at), text: '', owner: undefined })),
        2,
      )) {
        const all = await makePieces()
        const pieces = places.map(({ what }) => all[Number(what)]!)
        const { said, set } = await send('/sign-out', headerOf(pieces))
        const anyLive = pieces.some(({ owner }) => owner !== undefined)
        const cleared = set.map((cookie) => cookie.split('; ', 2))
        expect([said, cleared], named(pieces)).toEqual([{}, anyLive ? [['sid=', 'Max-Age=0']] : []])
        for (const piece of all.slice(0, 4)) {
          const value = piece.text.slice('sid='.length)
          const isEnded = pieces.some(({ text, owner }) => owner !== undefined && text.includes(value))
          expect((await send('/read', piece.text)).said, `${piece.what} after ${named(pieces)}`).toEqual(
            isEnded ? {} : expected([piece]),
          )
        }
      }
    })
  },
)
