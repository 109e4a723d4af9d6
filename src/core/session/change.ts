import { assertWalkable } from '../data/limits.js'
import type { Data } from '../data/merge.js'
import { copied, detached } from '../data/patch.js'
import { SessionError } from '../errors.js'
import { carryOut } from './commit.js'
import { bringInLine, type InHand, merged } from './in-hand.js'
import type { RequestSession, Session, SessionWork } from './session.js'
import { isOpen } from './state.js'
import { type Change, type Content, factsOf, type Work } from './work.js'

/** The result of one run of an update, and the content of its draft. */
interface Ran<Result> extends Content {
  readonly value: Result
  readonly session: Session
}

/**
 * Runs a change on a draft of the session, and stores the draft. If another request was faster, it runs the change
 * again on what that stored. Then the session object gets what was stored.
 *
 * @returns what the change returned, detached; `undefined` if the session has ended.
 * @throws (rejects) what `change` throws, and a TypeError if it is async or changes the session object itself.
 */
export async function storeChange<Result>(
  work: Work & SessionWork,
  inHand: InHand,
  change: (session: RequestSession) => Result,
): Promise<{ readonly value: Result } | undefined> {
  let last: Ran<Result> | undefined
  const make = (): Change => {
    const facts = factsOf(work, inHand)
    const first = run(work, inHand, facts.held, undefined, change)
    last = first
    const changed = factsOf(work, inHand, first.session)
    return {
      facts: { ...changed, held: facts.held },
      data: first.data,
      source: first.source,
      onto: (base, row) => {
        const next = run(
          work,
          inHand,
          facts.held,
          merged(work, base, facts.held, row, inHand.intent.signIn),
          change,
        )
        // A request with an old token must not see data from after the rotation.
        if (inHand.state.kind === 'former') return { data: next.data, source: first.source }
        last = next
        return next
      },
    }
  }
  const act = async (): Promise<'done' | 'gone'> =>
    isOpen(inHand.state) ? carryOut(work, inHand, make, { isInTurn: true }) : 'gone'
  const id = 'base' in inHand.state ? inHand.state.base.record.id : undefined
  const outcome = await (id === undefined ? act() : work.context.inTurn(id, act))
  return outcome === 'done' ? { value: last!.value } : undefined
}

/**
 * Runs a change on a draft.
 * @param held what the session object holds, encoded.
 * @param start what the draft holds at first, encoded. Left out: the same as `held`.
 */
function run<Result>(
  work: Work & SessionWork,
  inHand: InHand,
  held: Uint8Array,
  start: Uint8Array | undefined,
  change: (session: RequestSession) => Result,
): Ran<Result> {
  const { context, form } = work
  const session = inHand.session!
  assertWalkable(form.visible(form.dataOf(session)))
  const now = start ? context.encode(form.dataOf(session)) : held
  // What the handler has changed in the meantime is for the next commit.
  const isAsItWas = Buffer.compare(now, held) === 0
  const begun = isAsItWas ? copied(form.dataOf(session)) : context.readBack(held)
  const draft = form.draft(session, draftWork(work), begun)
  if (start) bringInLine(work, { session: draft }, start, held)
  let value: Result
  let source: Data
  let data: Uint8Array
  let wasMistaken = false
  try {
    const given = change(draft as unknown as RequestSession) as unknown
    assertSynchronous(given)
    source = form.dataOf(draft)
    // Encode first: that refuses data that is far too large before anything walks it.
    data = context.encodeFitting(source, held)
    assertWalkable(given, form.visible(source))
    value = detached(given === draft ? form.visible(source) : given) as Result
  } finally {
    wasMistaken = putBack(work, inHand, now)
  }
  if (wasMistaken) {
    throw new TypeError(
      'What update() is given changes the session that it is handed, not req.session: write update((session) => { session.views += 1 }).',
    )
  }
  return { value, session: draft, data, source }
}

function assertSynchronous(given: unknown): void {
  if (typeof (given as { then?: unknown } | null | undefined)?.then !== 'function') return
  Promise.resolve(given).catch(() => undefined)
  throw new TypeError(
    'What update() is given must not be async, for it may run several times: await before it.',
  )
}

/** Undoes changes of the session object since it held `held`. @returns whether there were any. */
function putBack(work: Work, inHand: InHand, held: Uint8Array): boolean {
  const { context, form } = work
  const session = inHand.session!
  let now: Uint8Array
  try {
    now = context.encode(form.dataOf(session))
  } catch {
    form.refill(session, context.readBack(held))
    return true
  }
  if (Buffer.compare(now, held) === 0) return false
  bringInLine(work, inHand, held, now)
  return true
}

/** The work of a draft. It tells which session it is. Its methods throw, except `touch`, which does nothing. */
function draftWork(work: SessionWork): SessionWork {
  const refuse = (): never => {
    throw new SessionError(
      'ERR_SESSION_REPLACED',
      'Within update() the session that is handed in holds data only: call its methods on req.session, before or after.',
    )
  }
  return {
    id: work.id,
    publicId: work.publicId,
    userId: work.userId,
    createdAt: work.createdAt,
    authenticatedAt: work.authenticatedAt,
    root: work.root,
    assertCurrent: () => undefined,
    touch: () => undefined,
    signIn: refuse,
    signOut: refuse,
    rotate: refuse,
    regenerate: refuse,
    destroy: refuse,
    reload: refuse,
    save: refuse,
    update: refuse,
    claim: refuse,
    noteFailure: (call) => work.noteFailure(call),
  }
}
