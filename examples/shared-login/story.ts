import type { Row } from './row.ts'
import type { Exchange } from './watch.ts'

/** One thing that happened, and the page of the documentation that says more. */
export interface Sentence {
  readonly text: string
  readonly page: string
  readonly topic: string
}

/** What the requests and the rows before and after them show. */
export interface Facts {
  readonly exchanges: readonly Exchange[]
  /** The row that the first request found. */
  readonly before: Row | undefined
  /** Whether that row is still there. */
  readonly isBeforeLeft: boolean
  /** The row of the session that the browser has now. */
  readonly now: Row | undefined
}

const say = (text: string, page: string, topic: string): Sentence => ({ text, page, topic })

/** Says in words what the facts show, and nothing else. */
export function storyOf(facts: Facts): Sentence[] {
  return [...ofRequests(facts), ...ofRows(facts)]
}

function ofRequests({ exchanges }: Facts): Sentence[] {
  return exchanges.flatMap(({ asked, answered }) => {
    if (!asked.isAllowed) {
      const text = `The ${asked.method} was refused before it reached the app: a page of another origin sent it.`
      return say(text, 'csrf.md', 'Forged requests')
    }
    if (asked.rule !== 'trustedSite' && asked.rule !== 'trustedOrigin') return []
    const text = `A page of another origin sent the ${asked.method}. It passed, because sites lists that origin. The answer was ${answered.status}.`
    return say(text, 'cross-origin.md', 'Cross-origin')
  })
}

function ofRows({ exchanges, before, isBeforeLeft, now }: Facts): Sentence[] {
  if (before === undefined) return now ? begun(now) : [neither(exchanges)]
  if (now?.id === before.id) return changed(before, now)
  const after = now ? begun(now) : []
  return isBeforeLeft ? after : [deleted(before, exchanges), ...after]
}

function neither(exchanges: readonly Exchange[]): Sentence {
  const id = exchanges.find(({ asked }) => asked.sessionId !== undefined)?.asked.sessionId
  return id === undefined
    ? say(
        'Your browser sent no session cookie, so the database was not asked. A session begins when there is something to keep.',
        'session.md',
        'The session object',
      )
    : say(
        `Your cookie names the session ${id}, but the database has no row for its token. The session was ended, has expired, or has another token by now.`,
        'troubleshooting.md#users-are-signed-out-at-random',
        'Signed out',
      )
}

function begun({ userId }: Row): Sentence[] {
  const whose = userId === undefined ? 'Nobody is signed in on it.' : `It is signed in as ${userId}.`
  return [
    say(
      `A session began: the database has a new row, and the response gave your browser the token. ${whose}`,
      'session.md',
      'The session object',
    ),
  ]
}

function deleted({ id }: Row, exchanges: readonly Exchange[]): Sentence {
  const cookie = exchanges.some(({ answered }) => answered.dropsCookie)
    ? ' Your browser was told to drop the cookie.'
    : ''
  const text = `The row of the session ${id} was deleted, so its token opens nothing in any app.${cookie}`
  return say(text, 'sign-in.md#sign-out', 'Sign out')
}

function changed(before: Row, now: Row): Sentence[] {
  if (now.version === before.version) {
    return now.expiresAt === before.expiresAt
      ? [
          say(
            'The row was read. Nothing was written, because nothing changed.',
            'guarantees.md#what-is-promised',
            'Guarantees',
          ),
        ]
      : [
          say(
            'The session was used, so its expiry moved. Nothing else was written.',
            'sign-in.md#how-long-a-session-lives',
            'How long a session lives',
          ),
        ]
  }
  const sentences: Sentence[] = []
  if (now.userId !== before.userId) {
    const text = `You signed in: the row names the user ${now.userId}. One write changed user, data and token together.`
    sentences.push(say(text, 'sign-in.md#sign-in', 'Sign in'))
  }
  if (now.hash !== before.hash) {
    const text = 'The session has a new token: its hash changed, its id did not. Only your browser got it.'
    sentences.push(say(text, 'sign-in.md#rotation-and-its-grace-of-ten-seconds', 'Rotation'))
  }
  const keys = changedKeys(before.data, now.data)
  if (keys.length > 0) {
    const text = `The data changed: ${keys.join(', ')}. It was stored before the response left.`
    sentences.push(say(text, 'session.md', 'The session object'))
  }
  return sentences
}

function changedKeys(before: string, now: string): string[] {
  const [one, other] = [parse(before), parse(now)]
  const keys = new Set([...Object.keys(one), ...Object.keys(other)])
  return [...keys].filter((key) => JSON.stringify(one[key]) !== JSON.stringify(other[key]))
}

function parse(data: string): Record<string, unknown> {
  return JSON.parse(data) as Record<string, unknown>
}
