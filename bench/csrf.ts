import type { IncomingMessage } from 'node:http'
import { createSessions, MemoryStore } from 'coatcheck'
import { csrfCheckOf } from '../dist/adapters/csrf.js'
import { median } from './statistics.ts'

// npm run bench -- csrf: what the check against forged requests adds to a request. In this process, warmed up, 10^6 calls over all rows
// of the table in docs (SAFETY: at most 1 µs a call). A refused request also gets an error with words, which costs more than the check:
// so the check that only reports is timed, and the refusals apart.

const calls = 1_000_000
const rounds = 5

const own = 'https://app.example.com'
const site = 'https://shop.example.com'
const foreign = 'https://evil.example'
const provider = 'https://appleid.apple.com'

/** One request of each row, and of each way to pass it. */
const rows: readonly Partial<IncomingMessage>[] = [
  { method: 'GET', headers: {} },
  { method: 'OPTIONS', headers: { origin: foreign, 'sec-fetch-site': 'cross-site' } },
  { url: '/login/apple', headers: { origin: provider, 'sec-fetch-site': 'cross-site' } },
  { headers: { origin: own, 'sec-fetch-site': 'odd' } },
  { headers: { origin: own, 'sec-fetch-site': 'same-origin' } },
  { headers: { 'sec-fetch-site': 'none' } },
  { headers: { origin: foreign, 'sec-fetch-site': 'none' } },
  { headers: { origin: site, 'sec-fetch-site': 'same-site' } },
  { headers: { origin: foreign, 'sec-fetch-site': 'cross-site' } },
  { headers: { origin: own } },
  { headers: { origin: site } },
  { headers: { origin: 'null' } },
  { headers: { referer: `${foreign}/page` } },
  { headers: { referer: `${own}/page` } },
  { headers: {} },
  { method: 'GET', headers: { origin: own }, upgrade: true } as Partial<IncomingMessage>,
]
const requests = rows.map(
  ({ method = 'POST', url = '/transfer', headers, ...rest }) =>
    ({ ...rest, method, url, headers: { host: 'app.example.com', ...headers } }) as IncomingMessage,
)

function microsecondsPerCall(report: boolean, given: readonly IncomingMessage[]): number {
  const sessions = createSessions({
    store: new MemoryStore(),
    secret: 'a secret of this bench alone',
    sweep: false,
    sites: [site, 'https://*.example.net'],
    csrf: { accept: { '/login/apple': [provider] }, report },
  })
  const check = csrfCheckOf(sessions)!
  const round = (): number => {
    const begun = performance.now()
    for (let call = 0; call < calls; call++) void check(given[call % given.length]!, true)
    return ((performance.now() - begun) * 1000) / calls
  }
  round() // compiles it
  const times = Array.from({ length: rounds }, round)
  void sessions.close()
  return median(times)
}

process.env['NODE_ENV'] = 'production' // as apps run: a refusal's words for developers are not in its error
process.on('warning', () => undefined)
const passing = requests.filter((_, row) => ![3, 6, 8, 11, 12].includes(row))
console.log(`Medians of ${rounds} rounds of ${calls} calls, in microseconds a call.`)
console.table({
  'what passes': microsecondsPerCall(false, passing).toFixed(2),
  'all rows, reporting only': microsecondsPerCall(true, requests).toFixed(2),
  'all rows, each refusal with its error': microsecondsPerCall(false, requests).toFixed(2),
})
