import { type Answer, Browser } from '../../test/shared/browser.ts'

const rounds = 50
const parallel = 20
export const updates = rounds * parallel
export const logouts = 50

export interface Updates {
  /** How many were answered as done. */
  readonly acknowledged: number
  /** How many of those are not in the session when their round is over. */
  readonly lost: number
}

/**
 * One visitor sends rounds of parallel requests, in turn to each app. Each request puts the number of the round under a
 * key of its own; the session is read after every round, so that it stays as small as sessions are.
 * @param origins of the apps that share a store
 */
export async function raceUpdates(origins: readonly string[]): Promise<Updates> {
  const visitor = await signedIn(origins[0]!)
  let acknowledged = 0
  let lost = 0
  for (let round = 1; round <= rounds; round++) {
    const sent = Array.from({ length: parallel }, async (_, index) => {
      const { status } = await visitor.post(origins[index % origins.length]!, `/keys/key-${index}/${round}`)
      return status === 200
    })
    const answers = await Promise.all(sent)
    const { body } = done(await visitor.get(origins[0]!, '/session'), 'Reading the session')
    acknowledged += answers.filter((isDone) => isDone).length
    lost += answers.filter((isDone, index) => isDone && body[`key-${index}`] !== `${round}`).length
  }
  return { acknowledged, lost }
}

/**
 * One visitor sends rounds of parallel requests that count up one number.
 * @param origins of the apps that share a store
 * @returns how many of those that were answered as done were not counted
 */
export async function raceCounts(origins: readonly string[]): Promise<number> {
  const visitor = await signedIn(origins[0]!)
  let acknowledged = 0
  for (let round = 1; round <= rounds; round++) {
    const sent = Array.from({ length: parallel }, async (_, index) => {
      const { status } = await visitor.post(origins[index % origins.length]!, '/count')
      return status === 200
    })
    acknowledged += (await Promise.all(sent)).filter((isDone) => isDone).length
  }
  const { body } = done(await visitor.get(origins[0]!, '/session'), 'Reading the session')
  return acknowledged - Number(body['count'])
}

/**
 * Visitors log out at the last app while a slow request of theirs is under way at the first.
 * @param origins of the apps that share a store
 * @returns how many sessions are there again once the slow request is answered
 */
export async function raceLogouts(origins: readonly string[]): Promise<number> {
  const [first, last] = [origins[0]!, origins.at(-1)!]
  let resurrected = 0
  for (let visit = 0; visit < logouts; visit++) {
    const visitor = await signedIn(first)
    // Each holds the cookie on its own: what a logout does to its browser's must not hide that the session is back.
    const [slow, keeper] = [visitor.clone(), visitor.clone()]
    const slowly = slow.post(first, `/slow/${visit}`)
    done(await keeper.get(first, `/gates/${visit}`), 'Waiting for the slow request')
    done(await visitor.post(last, '/logout'), 'Logging out')
    if (await isThere(keeper, last)) throw new Error('A logout was acknowledged that ended nothing.')
    done(await keeper.post(first, `/gates/${visit}`), 'Letting the slow request go on')
    await slowly
    if (await isThere(keeper, last)) resurrected++
  }
  return resurrected
}

async function signedIn(origin: string): Promise<Browser> {
  const visitor = new Browser()
  done(await visitor.post(origin, '/login'), 'Logging in')
  if (!(await isThere(visitor, origin))) throw new Error('A login was acknowledged that began nothing.')
  return visitor
}

/** Whether anything is left of what a login or a slow request put into the session. */
async function isThere(visitor: Browser, origin: string): Promise<boolean> {
  const { body } = done(await visitor.clone().get(origin, '/session'), 'Reading the session')
  return 'user' in body || 'slow' in body
}

/** @throws Error if it was not */
function done(answer: Answer, what: string): Answer {
  if (answer.status !== 200) throw new Error(`${what} was answered with ${answer.status}: ${answer.text}`)
  return answer
}
