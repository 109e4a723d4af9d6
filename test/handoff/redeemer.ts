// One process of a site. It presents each code that comes by a message so many times at once, and answers with the tokens
// that it gets: node redeemer.ts <name of a place> <file or URL>
import { createSessions } from 'coatcheck'
import { type PlaceName, places } from '../properties/places.ts'
import { type IssuedCode, redeemAtOnce } from './codes.ts'
import { secret } from '../core/works.ts'

const [name, where] = process.argv.slice(2) as [PlaceName, string]
const sessions = createSessions({ store: places[name].open(where), secret, sweep: false, clientId: 'shop' })

async function redeem({ issued, times }: { issued: IssuedCode; times: number }): Promise<void> {
  const results = await redeemAtOnce(sessions, issued, times)
  process.send?.(results.map((result) => (result.is === 'child' ? result.found.token : result.is)))
}

process.on('message', (message: Parameters<typeof redeem>[0]) => void redeem(message))
process.on('disconnect', () => void sessions.close())
await sessions.ready()
process.send?.('ready')
