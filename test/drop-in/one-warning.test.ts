import { expect, onTestFinished, test, vi } from 'vitest'
import type { Handler, SessionOptions } from './express-session-types.ts'
import { secret, Side } from './sides.ts'

// One fault of the options gives one warning, also where two places look at it. What is warned of once a process is warned of once in this file.

function watched() {
  const warn = vi.spyOn(process, 'emitWarning').mockImplementation(() => undefined)
  onTestFinished(() => warn.mockRestore())
  return () =>
    warn.mock.calls.map(([message, options]) => [(options as { code: string }).code, String(message)])
}

const side = new Side('coatcheck/express')

test.each([{ cookie: { secret } }, { keys: [secret] }, { secrets: secret }])(
  'a secret in the wrong place or by the wrong name is not reported as missing too: %o',
  (options) => {
    const warnings = watched()
    side.session(options as SessionOptions)
    expect(warnings()).toEqual([['COATCHECK_UNKNOWN_OPTION', expect.stringMatching(/Write .*secret/)]])
  },
)

test('a missing secret', () => {
  const warnings = watched()
  side.session({})
  side.session({ secret, cookie: {} })
  expect(warnings()).toEqual([
    ['COATCHECK_SECRET', expect.stringMatching(/^session\(\) was given no secret/)],
  ])
})

test('a secret that is short, or one repeated character or byte, in any place of the list', () => {
  const warnings = watched()
  for (const weak of ['keyboard cat', 'x'.repeat(32), Buffer.alloc(32), 'keyboard cat']) {
    side.session({ secret: [secret, weak as string] })
    side.session({ secret: weak as string })
  }
  expect(warnings()).toEqual([
    ['COATCHECK_SHORT_SECRET', expect.stringMatching(/openssl rand -base64 32/)],
    ['COATCHECK_REPEATED_SECRET', expect.stringMatching(/openssl rand -base64 32/)],
  ])
})

const change: Handler = (request, response) => {
  request.session['views'] = 1
  response.end()
}

test.each(['plain', 'by a function of the request'])(
  "cookie.secure that is a text such as 'false', %s: not again of a request over http",
  async (kind) => {
    const warnings = watched()
    const cookie = { secure: kind === 'plain' ? 'false' : 'off' }
    const app = await side.serve(
      { cookie: kind === 'plain' ? cookie : () => cookie } as SessionOptions,
      change,
    )
    expect((await app.get('/')).cookies).toEqual([])
    expect(warnings()).toEqual([['COATCHECK_OPTION', expect.stringMatching(/^cookie\.secure is the text/)]])
  },
)

test('cookie.secure true: of the first request over http', async () => {
  const warnings = watched()
  const app = await side.serve({ cookie: { secure: true } }, change)
  await app.get('/')
  await app.get('/')
  expect(warnings()).toEqual([
    ['COATCHECK_INSECURE_REQUEST', expect.stringMatching(/^No session cookie was set/)],
  ])
})
