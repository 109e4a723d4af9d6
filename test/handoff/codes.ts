import { randomBytes } from 'node:crypto'
import type { Sessions, SessionStore } from 'coatcheck'
import { grantedRoot, issueCode } from '../../dist/core/handoff/code.js'
import { challengeOf, type Presented, type Redeemed, redeemCode } from '../../dist/core/handoff/redeem.js'
import type { UnitOfWork } from '../../dist/core/session/unit-of-work.js'
import type { WorkContext } from '../../dist/core/session/work-context.js'

const hour = 3_600_000

/** A code, and what the browser that it was issued for presents with it. */
export interface IssuedCode {
  readonly code: string
  readonly presented: Presented
}

/**
 * Issues a code for the session of a token at the hub, for the site `shop`.
 * @param share the names in the session's data that the site may see
 */
export async function issuedCode(
  hub: Sessions,
  token: string,
  share: readonly string[] = [],
): Promise<IssuedCode> {
  const work = await hub.load(token)
  const [verifier, nonce] = [random(), random()]
  const flow = { clientId: 'shop', redirectUri: 'https://shop.test/handoff/callback', nonce }
  const code = await issueCode(contextOf(hub), {
    ...flow,
    challenge: challengeOf(verifier),
    ...grantedRoot(work as unknown as UnitOfWork, work.userId!),
    share,
  })
  const presented = { ...flow, verifier }
  return { code, presented }
}

/** Presents a code at a site so many times at once. */
export function redeemAtOnce(
  site: Sessions,
  { code, presented }: IssuedCode,
  times: number,
): Promise<Redeemed[]> {
  const content = { returnTo: '/members', data: {}, lifetime: { idle: hour, absolute: 8 * hour } }
  return Promise.all(
    Array.from({ length: times }, () => redeemCode(contextOf(site), code, presented, content)),
  )
}

/** The ids of all children that a store finds. */
export async function childIds(store: SessionStore): Promise<string[]> {
  const { items } = await store.list({ limit: 1_000, data: false })
  return items.filter(({ rootId }) => rootId !== undefined).map(({ id }) => id)
}

/** Sessions, as the engine's own parts see them. */
function contextOf(sessions: Sessions): WorkContext {
  return sessions as unknown as WorkContext
}

function random(): string {
  return randomBytes(32).toString('base64url')
}
