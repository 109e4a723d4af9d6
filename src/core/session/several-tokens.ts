import type { Found } from './state.js'

/** What a request works on, of the sessions that its tokens lead to. */
export interface Choice {
  /** `undefined`: a new session. */
  readonly found: Found | undefined
  /** The other sessions, which a sign-out ends too. */
  readonly others: readonly Found[]
}

/**
 * Chooses among the sessions that a request's tokens lead to. Where they are of two users, somebody has planted one beside the visitor's
 * own, and nobody can tell which: then the request is nobody's. Else the session of the one user is taken, because an anonymous one that was
 * planted before it must not hide it. Among several such sessions, the first that a current token leads to is taken, and else the first that
 * a token from before a rotation leads to.
 *
 * @param live what was found, in the order of the cookies.
 * @param ownerOf whose a session is.
 */
export function chooseSession(live: readonly Found[], ownerOf: (found: Found) => string | undefined): Choice {
  const sessions = withoutRepeats(live)
  const signedIn = sessions.filter((each) => ownerOf(each) !== undefined)
  const owners = new Set(signedIn.map(ownerOf))
  const found = owners.size > 1 ? undefined : (firstOf(signedIn) ?? firstOf(sessions))
  return { found, others: sessions.filter((each) => each !== found) }
}

/** The first that a current token leads to, or else the first. */
export function firstOf(live: readonly Found[]): Found | undefined {
  return live.find(({ place }) => place === 'current') ?? live[0]
}

/** Each session once, by its current token if that is among them. */
function withoutRepeats(live: readonly Found[]): Found[] {
  const sessions = new Map<string, Found>()
  for (const found of live) {
    const before = sessions.get(found.record.id)
    if (!before || (before.place === 'former' && found.place === 'current'))
      sessions.set(found.record.id, found)
  }
  return [...sessions.values()]
}
