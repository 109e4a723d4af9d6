import { beforeEach, describe, expect, test, vi } from 'vitest'
import cors, { type CorsOptions } from 'coatcheck/cors'
import { warningsOf } from '../../dist/http/cors-warnings.js'

const mine = 'https://app.example.com'
const credentials = true

const one: [options: unknown, code: string, ...says: string[]][] = [
  [{ origin: '*', credentials }, 'COATCHECK_CORS_ORIGIN', 'no browser', mine],
  [{ credentials }, 'COATCHECK_CORS_ORIGIN', 'no browser', mine],

  [{ origin: true, credentials }, 'COATCHECK_CORS_OPEN', 'true lets in every site', mine],
  [{ origin: [mine, true], credentials }, 'COATCHECK_CORS_OPEN', 'true lets in every site'],
  [{ origin: 'null', credentials }, 'COATCHECK_CORS_OPEN', "'null' lets in the sandboxed frames"],
  [{ origin: [mine, 'null'], credentials }, 'COATCHECK_CORS_OPEN', "'null' lets in the sandboxed frames"],
  [{ origin: /\.example\.com$/, credentials }, 'COATCHECK_CORS_OPEN', '$/ lets in http://evil.example.com', 'Begin'],
  [{ origin: [mine, /^.*$/], credentials }, 'COATCHECK_CORS_OPEN', '/^.*$/ lets in https://evil.test'],
  [{ origin: [/a\.example/, 'null', true], credentials }, 'COATCHECK_CORS_OPEN', '/a\\.example/ lets', "'null' lets", 'true lets'],
  [{ origin: undefined, credentials }, 'COATCHECK_CORS_ORIGIN', 'origin is undefined', 'environment variable', 'Write false'],
  [{ origin: '' }, 'COATCHECK_CORS_ORIGIN', 'origin is ""', 'Write false'],
  [{ origin: null }, 'COATCHECK_CORS_ORIGIN', 'origin is null', 'Write false'],

  [{ origin: new Set([mine]) }, 'COATCHECK_CORS_OPEN', 'a Set counts as true, and lets in every site'],
  [{ origin: new URL(mine), credentials }, 'COATCHECK_CORS_OPEN', 'a URL counts as true', 'signed in'],
  [{ origin: [() => false] }, 'COATCHECK_CORS_OPEN', 'a function counts as true'],
  [{ origin: 1 }, 'COATCHECK_CORS_OPEN', '1 counts as true'],

  [{ origin: 'http://localhost:3000/' }, 'COATCHECK_CORS_ORIGIN', 'ends in a slash', "Write 'http://localhost:3000'"],
  [{ origin: ['http://localhost:3000/', mine], credentials }, 'COATCHECK_CORS_ORIGIN', "Write 'http://localhost:3000'"],
  [{ origin: [undefined, mine] }, 'COATCHECK_CORS_ORIGIN', 'undefined is no origin. Leave it out.'],
  [{ origin: ['', mine] }, 'COATCHECK_CORS_ORIGIN', '"" is no origin. Leave it out.'],
  [{ origin: 'a, b' }, 'COATCHECK_CORS_ORIGIN', 'Write each origin as an entry of its own'],
  [{ origin: ['app.example.com'] }, 'COATCHECK_CORS_ORIGIN', 'has no scheme', `Write '${mine}'`],
  [{ origin: [`${mine}/path`] }, 'COATCHECK_CORS_ORIGIN', 'has a path', `Write '${mine}'`],
  [{ origin: ['https://App.Example.com'] }, 'COATCHECK_CORS_ORIGIN', 'upper-case', `Write '${mine}'`],
  [{ origin: `${mine}:443` }, 'COATCHECK_CORS_ORIGIN', 'port', `Write '${mine}'`],
  [{ origin: ['*'], credentials }, 'COATCHECK_CORS_ORIGIN', "Write origin: '*'"],
  [{ origin: 'https://*.example.com', credentials }, 'COATCHECK_CORS_ORIGIN', 'is no pattern', 'cors(sessions)'],
  [{ origin: [[`${mine}/`], null, 'x', mine] }, 'COATCHECK_CORS_ORIGIN', 'slash', 'null is no origin', '"x" has no scheme'],

  [{ optionSuccessStatus: 200 }, 'COATCHECK_UNKNOWN_OPTION', '"optionSuccessStatus"', 'optionsSuccessStatus'],
  [Object.create({ origin: [mine] }), 'COATCHECK_CORS_OPTION', 'origin is inherited'],
  [{ origin: mine, credentials: 'true' }, 'COATCHECK_CORS_OPTION', 'credentials is "true"', 'Write true'],
  [{ methods: '*', origin: mine, credentials }, 'COATCHECK_CORS_OPTION', "methods has '*'", 'List the names'],
  [{ exposedHeaders: ['*'], origin: mine, credentials }, 'COATCHECK_CORS_OPTION', "exposedHeaders has '*'"],
  [{ methods: 'GET POST' }, 'COATCHECK_CORS_OPTION', 'methods is "GET POST"', "['A', 'B']"],
  [{ allowedHeaders: { 'X-One': true } }, 'COATCHECK_CORS_OPTION', 'allowedHeaders is an object'],
  [{ headers: ['X One'] }, 'COATCHECK_CORS_OPTION', 'headers is'],
  [{ maxAge: '10m' }, 'COATCHECK_CORS_OPTION', 'maxAge is "10m"', 'Write 600'],
  [{ maxAge: -1 }, 'COATCHECK_CORS_OPTION', 'maxAge is -1'],
  [{ preflightContinue: 'false' }, 'COATCHECK_CORS_OPTION', 'preflightContinue is "false"'],
  [{ preflightContinue: 1 }, 'COATCHECK_CORS_OPTION', 'preflightContinue is 1'],
  [{ optionsSuccessStatus: 404 }, 'COATCHECK_CORS_OPTION', 'optionsSuccessStatus is 404', '200 to 299'],
  [mine, 'COATCHECK_CORS_OPTION', 'given a text', 'Write cors({'],
  [[mine], 'COATCHECK_CORS_OPTION', 'given an array', 'Write cors({'],
  [new Map([['origin', mine]]), 'COATCHECK_CORS_OPTION', 'given a Map'],
  [Promise.resolve({ origin: mine }), 'COATCHECK_CORS_OPTION', 'given a promise'],
] // prettier-ignore

test.each(one)('%o: one warning, that says what to write', (options, code, ...says) => {
  const warnings = warningsOf(options as object)
  expect(warnings.map((warning) => warning.code)).toEqual([code])
  for (const text of says) expect(warnings[0]!.message).toContain(text)
})

test.each<unknown>([
  {}, { origin: '*' }, { origin: true }, { origin: 'null' }, { origin: false, credentials },
  { origin: [], credentials }, { origin: mine, credentials }, { origin: ['http://localhost:3000', mine, 'capacitor://localhost'], credentials },
  { origin: /anything/ }, { origin: [/^https:\/\/([a-z0-9-]+\.)*example\.com$/, 'http://192.168.0.7'], credentials },
  { origin: (_origin: unknown, callback: (error: null, allow: boolean) => void) => callback(null, true), credentials },
  { methods: ['GET', 'PURGE'], allowedHeaders: '*', exposedHeaders: 'X-Total, X-Page', headers: [], maxAge: '600', preflightContinue: false },
  { methods: '', maxAge: 0, optionsSuccessStatus: '200', credentials: false },
  { methods: undefined, allowedHeaders: null, maxAge: '', optionsSuccessStatus: undefined, credentials: undefined },
])('%o: no warning', (options) => {
  expect(warningsOf(options as object)).toEqual([])
}) // prettier-ignore

describe('cors() warns', () => {
  const warn = vi.spyOn(process, 'emitWarning').mockImplementation(() => undefined)
  beforeEach(() => void warn.mockClear())
  const response = { setHeader: () => undefined, end: () => undefined }
  const request = { method: 'GET', headers: { origin: mine } }

  test('once a process, at start-up', () => {
    for (let round = 0; round < 2; round++) {
      const middleware = cors({ origin: ['https://once.example/'] })
      for (let turn = 0; turn < 2; turn++) middleware(request, response, () => {})
    }
    expect(warn.mock.calls).toEqual([
      [expect.stringContaining("Write 'https://once.example'"), { code: 'COATCHECK_CORS_ORIGIN' }],
    ])
  })

  test('of the first options that a function gives, but not of their origin, which it may have checked', () => {
    let round = 0
    const middleware = cors((_request, callback) => {
      round += 1
      callback(null, { origin: true, credentials, [`option ${round}`]: true } as CorsOptions)
    })
    for (let turn = 0; turn < 3; turn++) middleware(request, response, () => {})
    expect(warn.mock.calls).toEqual([
      [expect.stringContaining('"option 1"'), { code: 'COATCHECK_UNKNOWN_OPTION' }],
    ])
  })
})
