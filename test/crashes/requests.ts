// The requests in which apps are killed, and what each promises to a client that may never have heard the answer.
import assert from 'node:assert/strict'
import { isDeepStrictEqual } from 'node:util'

/** A session as an app shows it to whoever has its token: its data, user and names; empty if the token leads nowhere. */
export type View = Readonly<Record<string, unknown>>

/** One app that was killed in the middle of a request, as it looks from outside. */
export interface Crash {
  /** The user, who is also the canary of their session. */
  readonly name: string
  /** What the client's session was before. */
  readonly before: View
  /** Whether the client got the whole answer, and it told of success. */
  readonly acknowledged: boolean
  /** Whether the token from before a rotation still finds what the session was. */
  readonly grace: boolean
  /** What the client finds now. */
  now(): Promise<View>
  /** What whoever still has the cookie from before finds now. */
  byFormerCookie(): Promise<View>
  /** What the user's other device finds now, and what it found before. */
  onOtherDevice(): Promise<View>
  readonly otherBefore: View
  /** The user's sessions, by their publicIds. */
  listed(): Promise<string[]>
  /** The client asks for the same again, at another app: that must succeed. */
  retry(): Promise<void>
}

export interface CrashedRequest {
  readonly title: string
  readonly path: string
  /** As who the client asks. */
  readonly as: 'nobody' | 'anonymous' | 'user'
  /** Whether the app gives no grace. */
  readonly hasty?: boolean
  /** Throws if something is not as it must be, before a retry or after it. */
  check(crash: Crash): Promise<void>
}

/** So many sessions may a user have in these apps. */
export const mostSessions = 2
export const nobody: View = {}

export const crashedRequests: readonly CrashedRequest[] = [
  {
    title: 'first visit',
    path: '/begin',
    as: 'nobody',
    async check(crash) {
      const begun = async () => assert.equal((await crash.now())['canary'], crash.name)
      if (crash.acknowledged) await begun()
      else assert.deepEqual(await crash.now(), nobody)
      await crash.retry()
      await begun()
    },
  },
  {
    title: 'change of two places',
    path: '/change',
    as: 'user',
    async check(crash) {
      const changed = { ...crash.before, left: 'new', right: 'new' }
      assertOneOf(await crash.now(), crash.acknowledged ? [changed] : [crash.before, changed])
      await crash.retry()
      assert.deepEqual(await crash.now(), changed)
    },
  },
  {
    title: 'count by update()',
    path: '/count',
    as: 'user',
    async check(crash) {
      const counted = (count: number) => ({ ...crash.before, count })
      const after = await crash.now()
      assertOneOf(after, crash.acknowledged ? [counted(1)] : [counted(0), counted(1)])
      await crash.retry()
      // Whoever counts again what may be counted already counts it twice, but never less than once.
      const least = Number(after['count']) + 1
      assertOneOf(await crash.now(), [counted(least), counted(2)])
    },
  },
  { title: 'sign-in', path: '/sign-in', as: 'anonymous', check: checkSignIn },
  {
    title: 'sign-in, the grace being over',
    path: '/sign-in',
    as: 'anonymous',
    hasty: true,
    check: checkSignIn,
  },
  { title: 'rotation', path: '/rotate', as: 'user', check: checkRotation },
  { title: 'rotation, the grace being over', path: '/rotate', as: 'user', hasty: true, check: checkRotation },
  { title: 'sign-out', path: '/sign-out', as: 'user', check: checkEnding },
  { title: 'destroy', path: '/destroy', as: 'user', check: checkEnding },
  {
    title: 'regenerate',
    path: '/regenerate',
    as: 'user',
    async check(crash) {
      const fresh = async () => {
        const now = await crash.now()
        assert.deepEqual(dataOf(now), { canary: crash.name, fresh: true })
        assert.equal(now['userId'], undefined)
        assert.notEqual(now['publicId'], crash.before['publicId'])
      }
      if (crash.acknowledged) await fresh()
      await checkEnding(crash)
      await fresh()
    },
  },
  {
    title: 'revokeAll',
    path: '/revoke-all',
    as: 'user',
    async check(crash) {
      const { acknowledged, otherBefore } = crash
      assertOneOf(await crash.onOtherDevice(), acknowledged ? [nobody] : [otherBefore, nobody])
      await checkEnding(crash)
      assert.deepEqual(await crash.onOtherDevice(), nobody)
      assert.deepEqual(await crash.listed(), [])
    },
  },
]

/**
 * The old cookie never leads to the user. For the grace it leads to what it did before. Where the sign-in was stored and its token never
 * arrived, signing in again begins anew, within the grace and after it.
 */
async function checkSignIn(crash: Crash): Promise<void> {
  const { acknowledged, before, grace, name } = crash
  const data = dataOf(before)
  assertOneOf(await crash.byFormerCookie(), grace ? [before] : acknowledged ? [nobody] : [before, nobody])
  if (acknowledged) await signedIn(data)
  await crash.retry()
  await (acknowledged ? signedIn(data) : signedIn(data, { canary: name }))
  assertOneOf(await crash.byFormerCookie(), [before, nobody])

  async function signedIn(...kept: readonly View[]): Promise<void> {
    const now = await crash.now()
    assert.equal(now['userId'], name)
    assert.notEqual(now['authenticatedAt'], undefined)
    assertOneOf(dataOf(now), kept)
    const listed = await crash.listed()
    assert.ok(listed.includes(now['publicId'] as string))
    assert.ok(listed.length <= mostSessions, 'more sessions than a user may have')
  }
}

/**
 * The session is never lost to its user, who can list and end it, and never do both tokens lead to it. A client that lost
 * the answer never gets the new token: for the grace it finds by the old one what the session was, then it has to sign in.
 */
async function checkRotation(crash: Crash): Promise<void> {
  const { acknowledged, before, grace } = crash
  const isListed = async () =>
    assert.equal((await crash.listed()).filter((publicId) => publicId === before['publicId']).length, 1)
  assertOneOf(await crash.byFormerCookie(), grace ? [before] : acknowledged ? [nobody] : [before, nobody])
  await isListed()
  if (acknowledged) assert.deepEqual(await crash.now(), before)
  await crash.retry()
  await isListed()
  const after = await crash.now()
  if (grace || acknowledged || after['userId'] !== undefined) assert.deepEqual(after, before)
}

/** Acknowledged it is final; otherwise the session is as it was or has ended, and trying again ends it. */
async function checkEnding(crash: Crash): Promise<void> {
  const { acknowledged, before } = crash
  assertOneOf(await crash.byFormerCookie(), acknowledged ? [nobody] : [before, nobody])
  await crash.retry()
  assert.deepEqual(await crash.byFormerCookie(), nobody)
  assert.ok(!(await crash.listed()).includes(before['publicId'] as string))
}

function dataOf(view: View): View {
  const own = ['publicId', 'userId', 'createdAt', 'authenticatedAt']
  return Object.fromEntries(Object.entries(view).filter(([name]) => !own.includes(name)))
}

export function assertOneOf(view: View, allowed: readonly View[]): void {
  const fits = allowed.some((each) => isDeepStrictEqual(view, each))
  assert.ok(fits, `${JSON.stringify(view)} is none of ${JSON.stringify(allowed)}`)
}
