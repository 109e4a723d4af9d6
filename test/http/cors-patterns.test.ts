import cors from 'coatcheck/cors'
import { expect, test } from 'vitest'

test.each([/example\.com/, /^https:\/\/.*\.example\.com/, /example\.com$/, /^https:\/\/app\.example\.com\$/])(
  'with credentials, %s is refused at start-up: it matches origins of others',
  (origin) => {
    expect(() => cors({ origin, credentials: true })).toThrow(
      expect.objectContaining({ code: 'ERR_SESSION_OPTION' }),
    )
    expect(() => cors({ origin: ['https://app.example.com', origin], credentials: true })).toThrow(
      'evil.test',
    )
    expect(() => cors({ origin })).not.toThrow()
  },
)

test.each([/^https:\/\/app\.example\.com$/, /\.example\.com$/, /\/\/app\.example\.com$/])(
  'with credentials, %s is taken: nobody else can have such an origin',
  (origin) => {
    expect(() => cors({ origin, credentials: true })).not.toThrow()
  },
)
