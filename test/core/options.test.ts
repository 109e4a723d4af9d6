import '../faked-timers.ts'
import { runInNewContext } from 'node:vm'
import { createSessions, MemoryStore, SessionError, type SessionsOptions, type SessionStore } from 'coatcheck'
import { describe, expect, onTestFinished, test, vi } from 'vitest'
import { secret, WatchedStore } from './works.ts'

/** Options as a program in JavaScript may give them. */
function create(options: Record<string, unknown>) {
  return createSessions({ store: new MemoryStore(), secret, sweep: false, ...options } as SessionsOptions)
}

/** [what is wrong, the options, what the message says to write or to mend] */
const wrong: [string, Record<string, unknown>, RegExp][] = [
  ['an unknown option', { sesave: false }, /no option "sesave".*store, secret, cookie/],
  ['an unknown option of cookie', { cookie: { maxAge: 1 } }, /cookie has no option "maxAge".*persistent/],
  [
    'an unknown option of lifetime',
    { lifetime: { rolling: true } },
    /lifetime has no option "rolling".*idle, absolute/,
  ],
  ['an unknown option of sweep', { sweep: { interval: 1 } }, /sweep has no option "interval".*every, batch/],
  ['a number as the lifetime', { lifetime: 60_000 }, /lifetime was given a number.*\{ idle: … \}/],
  ['a text as the lifetime', { lifetime: '30m' }, /lifetime was given a text.*\{ idle: … \}/],
  ['a list as the lifetime', { lifetime: ['30m', '7d'] }, /lifetime was given an array.*\{ idle: … \}/],
  ['true as the cookie', { cookie: true }, /cookie was given a boolean.*\{ name: … \}/],
  ['a text as the cookie', { cookie: 'sid' }, /cookie was given a text.*\{ name: … \}/],
  ['a Map as the cookie', { cookie: new Map() }, /cookie was given a Map.*\{ name: … \}/],
  ['true as the sweep', { sweep: true }, /sweep was given a boolean.*\{ every: … \}/],
  [
    'a number as the storeLimits',
    { storeLimits: 5_000 },
    /storeLimits was given a number.*\{ deadline: … \}/,
  ],
  ['a Date as the storeLimits', { storeLimits: new Date() }, /storeLimits was given a Date/],
  [
    'a number as sessionsPerUser',
    { sessionsPerUser: 3 },
    /sessionsPerUser was given a number.*\{ most: … \}/,
  ],
  ['null as sessionsPerUser', { sessionsPerUser: null }, /sessionsPerUser was given null/],
  ['null as the codec', { codec: null }, /codec must have the functions/],
  ['an object as touchAfter', { touchAfter: Object.create(null) }, /touchAfter must be.*not an object/],
  ['an object as the size limit', { sizeLimit: Object.create(null) }, /sizeLimit must be.*not an object/],
  [
    'an object as rotationGrace',
    { rotationGrace: Object.create(null) },
    /rotationGrace must be.*not an object/,
  ],
  ['an object as userOf', { userOf: Object.create(null) }, /userOf must be.*not an object/],
  ['an object as the encryption', { encryption: Object.create(null) }, /encryption takes.*not an object/],
  ['a function as the size limit', { sizeLimit: () => 'hunter2' }, /sizeLimit must be.*not a function.$/],
  ['no store', { store: undefined }, /store is missing.*MySQLStore.*MemoryStore/],
  ['a store that is none', { store: { get() {}, set() {} } }, /store lacks find, alive, write, list/],
  ['no secret', { secret: undefined }, /secret is missing.*32 random bytes.*openssl rand.*SESSION_SECRET/],
  ['an empty list of secrets', { secret: [] }, /secret is missing/],
  ['a first secret that is unset', { secret: [undefined, secret] }, /secret is missing.*first one signs/],
  [
    'a short secret',
    { secret: 'keyboard cat' },
    /secret is too short.*less than 16 bytes.*32 random bytes.*openssl rand/,
  ],
  ['a short secret in a list', { secret: [secret, 'keyboard cat'] }, /secret\[1\] is too short/],
  ['a secret of one repeated character', { secret: 'x'.repeat(32) }, /secret is one repeated.*openssl rand/],
  ['a secret that is a number', { secret: 123_456_789_012_345 }, /secret must be a text, a Buffer/],
  [
    'an idle time that is no duration',
    { lifetime: { idle: 'soon' } },
    /lifetime\.idle must be.*'30m'.*not "soon"/,
  ],
  ['an idle time of nothing', { lifetime: { idle: 0 } }, /lifetime\.idle must be a positive/],
  ['an absolute time that is no duration', { lifetime: { absolute: '1y' } }, /lifetime\.absolute must be/],
  ['an absolute time of true', { lifetime: { absolute: true } }, /lifetime\.absolute must be/],
  [
    'an absolute time that is shorter than the idle time',
    { lifetime: { idle: '2h', absolute: '1h' } },
    /lifetime\.absolute .* is shorter than lifetime\.idle: give a longer absolute/,
  ],
  ['a touchAfter that is no duration', { touchAfter: -1 }, /touchAfter must be/],
  [
    'a touchAfter as long as the idle time',
    { touchAfter: '1d' },
    /touchAfter must be shorter than lifetime\.idle/,
  ],
  ['a codec without decode', { codec: { encode() {} } }, /codec must have the functions encode and decode/],
  ['a size limit of nothing', { sizeLimit: 0 }, /sizeLimit must be a positive whole number, not 0/],
  ['a size limit that is a text', { sizeLimit: '64kb' }, /sizeLimit must be.*"64kb"/],
  ['a sweep that is no duration', { sweep: { every: '0s' } }, /sweep\.every must be/],
  ['a sweep longer than a timer', { sweep: { every: '30d' } }, /sweep\.every.*24 days/],
  ['a batch of nothing', { sweep: { batch: 0 } }, /sweep\.batch must be a positive whole number/],
  [
    'an unknown option of storeLimits',
    { storeLimits: { timeout: 1 } },
    /storeLimits has no option "timeout".*deadline, queue/,
  ],
  [
    'a deadline that is no duration',
    { storeLimits: { deadline: 'never' } },
    /storeLimits\.deadline must be.*not "never"/,
  ],
  ['a deadline longer than a timer', { storeLimits: { deadline: '25d' } }, /storeLimits\.deadline.*24 days/],
  [
    'a queue of nothing',
    { storeLimits: { queue: 0 } },
    /storeLimits\.queue must be a positive whole number, not 0/,
  ],
  ['a queue without an end', { storeLimits: { queue: Infinity } }, /storeLimits\.queue must be.*Infinity/],
  ['a site without a scheme', { sites: ['example.com'] }, /sites.*https:\/\/example\.com/],
  ['sites that are no list', { sites: 'https://example.com' }, /sites must be an array/],
  [
    'a sameSite that is none',
    { cookie: { sameSite: 'Lax' } },
    /cookie\.sameSite must be 'auto', 'lax', 'strict' or 'none'/,
  ],
  ['SameSite=None without Secure', { cookie: { sameSite: 'none' } }, /'none' needs cookie\.secure true/],
]

/** A store that never answers, and how often it was asked. */
function silentStore() {
  const store = new WatchedStore()
  const find = vi.fn<SessionStore['find']>(() => new Promise<never>(() => undefined))
  return { store: Object.assign(store, { find }), find }
}

describe('createSessions throws at start-up and names the cure', () => {
  test.each(wrong)('for %s', (_name, options, message) => {
    let error: unknown
    try {
      create(options)
    } catch (caught) {
      error = caught
    }
    expect(error).toBeInstanceOf(SessionError)
    expect(error).toMatchObject({
      code: 'ERR_SESSION_OPTION',
      message: expect.stringMatching(message) as string,
    })
  })
})

test('the least that it needs is a store and a secret', async () => {
  const sessions = createSessions({ store: new MemoryStore(), secret })
  expect(sessions.sites.entries).toEqual([])
  await sessions.close()
})

test('every option but encryption, which no unset variable may turn off, can be left out by undefined', () => {
  const names = ['cookie', 'lifetime', 'touchAfter', 'codec', 'sizeLimit', 'sites', 'sweep', 'storeLimits']
  expect(() => create(Object.fromEntries(names.map((name) => [name, undefined])))).not.toThrow()
})

test('lengths may be as long as a timer waits, and none is then taken for a millisecond', async () => {
  const overflows: string[] = []
  const note = (warning: Error): void => void overflows.push(warning.name)
  process.on('warning', note)
  onTestFinished(() => void process.off('warning', note))
  const longest = 2 ** 31 - 1
  // A sweep comes up to a tenth later than that.
  for (let attempt = 0; attempt < 20; attempt++) {
    const sessions = create({ sweep: { every: longest }, storeLimits: { deadline: longest } })
    await sessions.load('token')
    await sessions.close()
  }
  await new Promise(setImmediate)
  expect(overflows).toEqual([])
})

describe('storeLimits', () => {
  test.each<[string, Record<string, unknown>, number]>([
    ['given', { storeLimits: { deadline: '2s' } }, 2_000],
    ['left out', {}, 10_000],
  ])('say after what time a request without an answer fails: %s', async (_name, options, deadline) => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
    onTestFinished(() => void vi.useRealTimers())
    const sessions = create({ store: silentStore().store, ...options })
    const told: unknown[] = []
    sessions.on('storeError', (error) => told.push(error))
    let failed: unknown
    const loading = sessions.load('token').catch((error: unknown) => (failed = error))
    vi.advanceTimersByTime(deadline)
    await new Promise((resolve) => setImmediate(resolve))
    expect(failed).toBeUndefined()
    vi.advanceTimersByTime(deadline / 10)
    await loading
    expect(failed).toMatchObject({ code: 'ERR_SESSION_STORE_TIMEOUT', status: 503 })
    expect((failed as Error).message).toMatch(new RegExp(`within ${deadline} ms.*storeLimits.deadline`))
    expect(told).toEqual([failed])
  })

  test.each<[string, Record<string, unknown>, number]>([
    ['given', { storeLimits: { queue: 3 } }, 3],
    ['left out', {}, 10_000],
  ])('say how many may wait: %s', async (_name, options, queue) => {
    const { store, find } = silentStore()
    const sessions = create({ store, ...options })
    sessions.on('storeError', () => undefined)
    const waiting = Array.from({ length: queue }, () => sessions.load('token'))
    await expect(sessions.load('one more')).rejects.toMatchObject({
      code: 'ERR_SESSION_STORE_BUSY',
      status: 503,
    })
    expect(waiting).toHaveLength(queue)
    expect(find).not.toHaveBeenCalled()
  })
})

/** Options of a class of the app's own, some of them inherited, some worked out. */
class Config {
  idle = '30m'
  get absolute() {
    return '1h'
  }
}

test.each<[string, object]>([
  ['have no prototype', Object.assign(Object.create(null) as object, { idle: '30m', absolute: '1h' })],
  ['are inherited', Object.create({ idle: '30m', absolute: '1h' }) as object],
  ['are of a class of the app', new Config()],
  ['are of another realm', runInNewContext("({ idle: '30m', absolute: '1h' })") as object],
])('options that %s are taken', async (_name, lifetime) => {
  const store = new WatchedStore()
  const work = create({ store, lifetime }).begin()
  await work.signIn('ada')
  await work.commit()
  expect(store.writes).toMatchObject([{ lifetime: { idle: 1_800_000, absolute: 3_600_000 } }])
})

test('options are read, not changed, and changing them later changes nothing', async () => {
  const options = {
    store: new WatchedStore(),
    secret: [secret],
    cookie: Object.freeze({ name: 'app' }),
    lifetime: { idle: '30m' as '30m' | 'never', absolute: '1h' },
    sites: ['https://example.com'],
    sweep: false,
  }
  const before = structuredClone({ ...options, store: undefined })
  const sessions = create(options)
  expect({ ...options, store: undefined }).toEqual(before)
  options.lifetime.idle = 'never'
  options.sites.push('https://evil.example')
  options.secret[0] = 'another secret of some length'
  expect(sessions.sites.trusts('https://evil.example')).toBe(false)
  const work = sessions.begin()
  await work.signIn('ada')
  await work.commit()
  expect(options.store.writes).toMatchObject([{ lifetime: { idle: 1_800_000, absolute: 3_600_000 } }])
})
