import type { Exchange } from './exchange.ts'
import { ofHandoff } from './handoff-story.ts'
import type { Row } from './row.ts'
import { say, type Sentence } from './sentence.ts'

/** What the requests and the rows before and after them show. */
export interface Facts {
  readonly exchanges: readonly Exchange[]
  /** The row that the first request found. */
  readonly before: Row | undefined
  /** Whether that row is still there. */
  readonly isBeforeLeft: boolean
  /** Whether the row of its root is still there. */
  readonly isRootLeft: boolean
  /** The row of the session that the browser has now. */
  readonly now: Row | undefined
}

/** What the facts show, in words. */
export function storyOf(facts: Facts): Sentence[] {
  return [...ofRequests(facts), ...ofRows(facts), ...ofOtherSessions(facts)]
}

function ofRequests({ exchanges }: Facts): Sentence[] {
  return exchanges.flatMap((exchange) => {
    const { asked, answered } = exchange
    if (!asked.isAllowed) {
      const text = `The ${asked.method} was refused before it reached the app: a page of another origin sent it.`
      return say(text, 'csrf.md', 'Forged requests')
    }
    if (asked.rule !== 'trustedSite' && asked.rule !== 'trustedOrigin') return ofHandoff(exchange)
    const text = `A page of another origin sent the ${asked.method}. It passed, because sites lists that origin. The answer was ${answered.status}.`
    return say(text, 'cross-origin.md', 'Cross-origin')
  })
}

function ofRows(facts: Facts): Sentence[] {
  const { exchanges, before, isBeforeLeft, now } = facts
  if (before === undefined) return now ? begun(now) : [neither(exchanges)]
  if (now?.id === before.id) return changed(before, now)
  const after = now ? begun(now) : []
  return isBeforeLeft ? after : [deleted(before, facts), ...after]
}

/** The sessions of other browsers and of other sites. */
function ofOtherSessions({ exchanges, before }: Facts): Sentence[] {
  const all = exchanges.flatMap(({ deleted }) => deleted)
  const others = all.filter((id) => id !== before?.id && id !== before?.rootId)
  if (others.length === 0) return []
  const text =
    others.length === 1
      ? `Another session was deleted: ${others[0]}. No app accepts its token.`
      : `Other sessions were deleted: ${others.join(', ')}. No app accepts their tokens.`
  return [say(text, 'sign-in.md#list-a-users-devices', 'Devices')]
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

function begun({ userId, rootId }: Row): Sentence[] {
  const whose = userId === undefined ? 'Nobody is signed in on it.' : `It is signed in as ${userId}.`
  if (rootId !== undefined) {
    const text = `A session of this site began. Its row has a root_id, which names the session at accounts. It is valid only as long as that one. ${whose}`
    return [say(text, 'handoff.md#what-a-site-sees', 'What a site sees')]
  }
  const text = `A session began: the database has a new row, and the response gave your browser the token. ${whose}`
  return [say(text, 'session.md', 'The session object')]
}

function deleted({ id, rootId }: Row, { exchanges, isRootLeft }: Facts): Sentence {
  const cookie = exchanges.some(({ answered }) => answered.dropsCookie)
    ? ' The response cleared your browser’s cookie.'
    : ''
  if (rootId === undefined) {
    const text = `The row of the session ${id} was deleted, so no app accepts its token.${cookie}`
    return say(text, 'sign-in.md#sign-out', 'Sign out')
  }
  const root = isRootLeft
    ? 'Its root, the session at accounts, is still there.'
    : 'So was its root, the session at accounts. You are signed out of all apps.'
  const text = `The row of this site's session ${id} was deleted. ${root}${cookie}`
  return say(text, 'handoff.md#sign-out', 'Sign out')
}

function changed(before: Row, now: Row): Sentence[] {
  if (now.version === before.version) {
    return now.expiresAt === before.expiresAt
      ? [
          say(
            'Your session’s row was read. Nothing was written to it, because nothing in it changed.',
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
    const text =
      'The session has a new token: its hash changed, its id did not. The response gave it to your browser.'
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
