import { createSessions, MemoryStore } from 'coatcheck'
import cors from 'coatcheck/cors'
import session from 'coatcheck/express'
import { MySQLStore } from 'coatcheck/mysql'
import { describe, expect, onTestFinished, test } from 'vitest'
import { secret } from './works.ts'

const store = new MemoryStore()

/** The message of the ERR_SESSION_OPTION that `call` throws. */
function refusal(call: () => unknown): string {
  let thrown: unknown
  try {
    call()
  } catch (error) {
    thrown = error
  }
  expect(thrown).toMatchObject({ code: 'ERR_SESSION_OPTION' })
  return (thrown as Error).message
}

function create(options: Record<string, unknown>) {
  return createSessions({ store, secret, sweep: false, ...options } as never)
}

/** [the options, and what the message says of them, in whole] */
const told: [Record<string, unknown>, string][] = [
  // Of express-session.
  [{ name: 'sid' }, 'Write cookie: { name }.'],
  [{ key: 'sid' }, 'In place of key write cookie: { name }.'],
  [{ proxy: true }, 'Write session(sessions, { proxy }).'],
  [{ trustProxy: true }, 'In place of trustProxy write session(sessions, { proxy: true }).'],
  [{ maxAge: 1 }, expect.stringMatching(/^In place of maxAge write lifetime: .*persistent/) as string],
  // Of other libraries.
  [{ ttl: 3600 }, expect.stringMatching(/^In place of ttl write lifetime: .*milliseconds/) as string],
  [{ expiration: 1 }, expect.stringMatching(/^In place of expiration write lifetime: /) as string],
  [
    { secrets: [secret] },
    expect.stringMatching(/^In place of secrets write secret, .*\[newSecret, oldSecret\]\.$/) as string,
  ],
  [{ domain: 'example.com' }, 'Write cookie: { domain }.'],
  [{ sameSite: 'lax', httpOnly: true }, 'Write cookie: { sameSite }. Write cookie: { httpOnly }.'],
  [{ origin: '*' }, "In place of origin write sites: ['https://app.example.com']."],
  [{ allowedOrigins: [] }, "In place of allowedOrigins write sites: ['https://app.example.com']."],
  [
    { csrfProtection: true },
    expect.stringMatching(/^Leave csrfProtection out: .*by default.* option csrf/) as string,
  ],
  [{ table: 'sessions' }, 'Give table to the store: new MySQLStore(url, { table }).'],
  [{ skip: () => true }, 'Write session(sessions, { skip }).'],
  [{ idle: '30m' }, 'Write lifetime: { idle }.'],
  // Spelled in another way.
  [{ sizelimit: 1 }, 'In place of sizelimit write sizeLimit.'],
]

/** Options of express-session without a counterpart, and what the message says to do in their place. */
const leftOut: [string, RegExp][] = [
  ['resave', /^Leave resave out: without a change, nothing is saved\. /],
  ['saveUninitialized', /^Leave saveUninitialized out: .* holds data or a user\. /],
  ['rolling', /^Leave rolling out: .*lifetime\.idle.*persistent: true/],
  ['unset', /^Leave unset out, .*await req\.session\.signOut\(\)\. /],
  ['genid', /^Leave genid out: .*not possible, because/],
]

describe('createSessions says what to write in place of', () => {
  test.each(told)('%o', (options, hint) => {
    const names = Object.keys(options)
      .map((name) => JSON.stringify(name))
      .join(', ')
    const lead = `createSessions has no option ${names}. `
    const message = refusal(() => create(options))
    expect(message.slice(0, lead.length)).toBe(lead)
    expect(message.slice(lead.length)).toEqual(hint)
  })

  test.each(leftOut)('%s, and names the form that has it', (name, hint) => {
    const message = refusal(() => create({ [name]: undefined }))
    expect(message.replace(`createSessions has no option "${name}". `, '')).toMatch(hint)
    expect(message).toMatch(
      / Or write session\(options\) without createSessions, which takes the options of express-session\.$/,
    )
  })

  test('all of them at once, and lists the options if it has no hint for one', () => {
    const message = refusal(() => create({ resave: false, name: 'sid', colour: 'red' }))
    expect(message).toMatch(/^createSessions has no option "resave", "name", "colour"\. Leave resave out: /)
    expect(message).toMatch(/ Write cookie: \{ name \}\. Its options are store, secret, cookie, /)
  })

  test.each<[Record<string, unknown>, RegExp]>([
    [{ maxAge: 60_000 }, /"maxAge"\. In place of cookie\.maxAge write lifetime: .* persistent: true/],
    [{ expires: new Date() }, /"expires"\. In place of cookie\.expires write lifetime: .* persistent: true/],
    [{ samesite: 'lax' }, /In place of samesite write sameSite\.$/],
    [{ sameSite: true }, /not true\. For express-session's true write 'strict'\.$/],
    [{ sameSite: false }, /not false\. Leave it out: 'auto' is 'lax' unless/],
    [{ sameSite: 'None' }, /not "None"\. Write 'none'\.$/],
    [{ secure: 'false' }, /must be true, false or 'auto', not "false"\.$/],
  ])('cookie: %o', (cookie, message) => {
    expect(refusal(() => create({ cookie }))).toMatch(message)
  })
})

test.each(['constructor', '__proto__', 'toString'])('an option named %s gets no hint', (name) => {
  const given = Object.defineProperty({ store, secret }, name, { value: 1, enumerable: true })
  expect(refusal(() => createSessions(given as never))).toMatch(/no option "\w+"\. Its options are store/)
})

test('session(sessions), cors(sessions) and MySQLStore say where an option belongs', async () => {
  const sessions = create({ sites: ['https://app.example.com'] })
  onTestFinished(() => sessions.close())
  expect(refusal(() => session(sessions, { cookie: {} } as never))).toMatch(
    /"cookie"\. Give cookie to createSessions\.$/,
  )
  expect(refusal(() => session(sessions, { resave: false } as never))).toMatch(/Leave resave out: /)
  expect(refusal(() => cors(sessions, { origin: true } as never))).toMatch(
    /"origin"\. In place of origin give sites to/,
  )
  expect(refusal(() => cors(sessions, { credentials: true } as never))).toMatch(/Leave credentials out: /)
  expect(refusal(() => new MySQLStore('mysql://localhost/shop', { expiration: 1 } as never))).toMatch(
    /In place of expiration give lifetime to createSessions\.$/,
  )
})
