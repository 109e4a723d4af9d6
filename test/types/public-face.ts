// Checked by `npm run check`, never run.
import {
  createSessions,
  MemoryStore,
  type RequestSession,
  type SessionError,
  type SessionInfo,
  type SessionReference,
  type SessionRoot,
  type Sessions,
  type SignInOptions,
  type SiteSessionInfo,
  type SitePolicy,
  type Synchronous,
  type UnitOfWork,
} from 'coatcheck'
import { expectTypeOf } from 'vitest'

declare const sessions: Sessions
declare const session: RequestSession

// Sessions are what createSessions makes
export const createdSessions = () => {
  expectTypeOf(createSessions).returns.toEqualTypeOf<Sessions>()
  expectTypeOf(MemoryStore).toBeConstructibleWith({ maxSessions: 10 })
  expectTypeOf<Sessions['sites']>().toEqualTypeOf<SitePolicy>()
  expectTypeOf<Sessions['load']>().toEqualTypeOf<(...tokens: readonly string[]) => Promise<UnitOfWork>>()
  expectTypeOf<Sessions['close']>().returns.toEqualTypeOf<Promise<void>>()
}

// No member of the public face is any
export const nothingIsAny = () => {
  expectTypeOf<Sessions>().not.toBeAny()
  expectTypeOf<RequestSession>().not.toBeAny()
  expectTypeOf<RequestSession['publicId']>().toEqualTypeOf<string>()
  expectTypeOf<RequestSession['id']>().toEqualTypeOf<string>()
  expectTypeOf<RequestSession['createdAt']>().toEqualTypeOf<Date | undefined>()
  expectTypeOf<RequestSession['userId']>().toEqualTypeOf<string | undefined>()
  expectTypeOf<RequestSession['root']>().toEqualTypeOf<SessionRoot | undefined>()
  expectTypeOf<SessionRoot['data']>().not.toBeAny()
  expectTypeOf<SessionInfo['sites']>().toEqualTypeOf<readonly SiteSessionInfo[]>()
  expectTypeOf<UnitOfWork['outcome']>().not.toBeAny()
  expectTypeOf<SessionError['cause']>().toEqualTypeOf<unknown>()
}

// Events are typed by their name
export const events = () => {
  sessions.on('created', (event) => expectTypeOf(event).toEqualTypeOf<SessionReference>())
  sessions.on('rotated', (event) => expectTypeOf(event).toEqualTypeOf<SessionReference>())
  sessions.on('committed', ({ version }) => expectTypeOf(version).toEqualTypeOf<number>())
  sessions.on('destroyed', ({ reason }) =>
    expectTypeOf(reason).toEqualTypeOf<'destroy' | 'limit' | 'regenerate' | 'revoke' | 'signOut'>(),
  )
  sessions.on('expired', ({ count }) => expectTypeOf(count).toEqualTypeOf<number>())
  sessions.on('storeError', (error) => expectTypeOf(error).toEqualTypeOf<SessionError>())
  // @ts-expect-error no event of ours has this name
  sessions.on('destroy', () => undefined)
  // @ts-expect-error a listener gets what the event has
  sessions.on('expired', (event: string) => event)
}

// Methods take a callback, or return a promise
export const methods = () => {
  for (const name of ['regenerate', 'destroy', 'reload', 'save'] as const) {
    expectTypeOf(session[name]()).toEqualTypeOf<Promise<void>>()
    expectTypeOf(session[name]((error) => expectTypeOf(error).toEqualTypeOf<unknown>())).toEqualTypeOf<void>()
  }
  expectTypeOf(session.signIn).parameters.toEqualTypeOf<
    [userId: string | number | bigint, options?: SignInOptions | undefined]
  >()
  // @ts-expect-error names are texts
  void session.signIn(1, { keep: [1] })
  // @ts-expect-error there is no such option
  void session.signIn(1, { kept: ['cart'] })
  expectTypeOf(session.signOut()).toEqualTypeOf<Promise<void>>()
  expectTypeOf(session.rotate()).toEqualTypeOf<Promise<void>>()
  // @ts-expect-error a user is named by a text or a number
  void session.signIn({ id: 1 })
  // @ts-expect-error nobody is no user
  void session.signIn(undefined)
  // @ts-expect-error the token is not ours to set
  session.id = 'x'
  // @ts-expect-error the hub's session is not ours to set
  session.root = undefined
  // @ts-expect-error the publicId is not ours to set
  session.publicId = 'x'
}

// `update` takes a change that returns anything but a promise
export const updates = () => {
  expectTypeOf(session.update(() => 4)).toEqualTypeOf<Promise<number>>()
  expectTypeOf(session.update(() => {})).toEqualTypeOf<Promise<void>>()
  expectTypeOf(session.update((): unknown => 4)).toEqualTypeOf<Promise<unknown>>()
  // @ts-expect-error it may run again, so it must not wait
  void session.update(async () => 4)
  // @ts-expect-error nor return a promise
  void session.update((inHand) => inHand.save())
  // @ts-expect-error not even now and then
  void session.update(({ userId }) => (userId === undefined ? 4 : Promise.resolve(4)))
  const wrap = <Result>(change: (inHand: RequestSession) => Synchronous<Result>) => session.update(change)
  expectTypeOf(wrap<number>).returns.toEqualTypeOf<Promise<number>>()
}

// A user's sessions are listed as read-only descriptions
export const userSessions = async () => {
  const user = sessions.user(42n)
  expectTypeOf(await user.list()).toEqualTypeOf<SessionInfo[]>()
  expectTypeOf(await user.revoke('publicId')).toEqualTypeOf<boolean>()
  expectTypeOf(await user.revokeAll({ except: session })).toEqualTypeOf<number>()
  expectTypeOf(await user.revokeAll({ except: 'publicId' })).toEqualTypeOf<number>()
  // @ts-expect-error a misspelt option would end the session in hand
  await user.revokeAll({ exclude: session })
  // @ts-expect-error a description changes nothing
  ;(await user.list())[0]!.publicId = 'x'
  // @ts-expect-error nobody is no user
  sessions.user(undefined)
  expectTypeOf<SessionInfo['createdAt']>().toEqualTypeOf<Date>()
}
