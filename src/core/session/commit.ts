import { jitter, mostAttempts } from '../attempts.js'
import { changedTooOften, headersSent, SessionError } from '../errors.js'
import { recordFormat, type SessionRecord } from '../store/record.js'
import type { WriteResult } from '../store/session-store.js'
import { isSameHash } from '../token.js'
import { prepared, mayBeStored } from './content-write.js'
import { baseOfRow, type InHand, merged, type Reading } from './in-hand.js'
import { type Facts, plan } from './plan.js'
import { type Finding, reconcile } from './reconcile.js'
import {
  after,
  type Base,
  baseOf,
  type Intent,
  isOpen,
  liveState,
  noIntent,
  type Open,
  openPart,
  type Unanswered,
  recordAfter,
} from './state.js'
import { adoptStored, becomeUnconfirmed } from './stored.js'
import { type Change, factsOf, nextToken, type ReadRow, tokenFor, type Work } from './work.js'

/** Stores what the session in hand holds. */
export function storeHeld(
  work: Work,
  inHand: InHand,
  facts = factsOf(work, inHand),
): Promise<'done' | 'gone'> {
  const make = (given = factsOf(work, inHand)): Change => ({
    facts: given,
    data: given.held,
    onto: (base, row) => ({ data: merged(work, base, given.held, row, inHand.intent.signIn) }),
  })
  return carryOut(work, inHand, make, { first: make(facts) })
}

/**
 * Does what has to be done until a change is stored, or has nowhere to go.
 *
 * @param make makes the change again, where an earlier one turns out to have been stored.
 * @throws (by the promise) ERR_SESSION_CONFLICT, ERR_SESSION_HEADERS_SENT, what the store throws; what is stored then is known
 *   only where that says so.
 */
export async function carryOut(
  work: Work,
  inHand: InHand,
  make: () => Change,
  { first = make(), isInTurn = false }: { readonly first?: Change; readonly isInTurn?: boolean } = {},
): Promise<'done' | 'gone'> {
  const run: Run = { work, inHand, make, change: first, read: undefined }
  let outcome = await attempt(run)
  if (outcome !== 'again') return outcome
  // Others are at this session too: those of this process go on one after the other, not all in each other's way.
  const goOn = async (): Promise<'done' | 'gone'> => {
    for (let count = 1; count <= mostAttempts; count++) {
      outcome = await attempt(run)
      if (outcome !== 'again') return outcome
      await jitter(count)
    }
    throw changedTooOften(mostAttempts)
  }
  const id = baseOf(inHand.state)?.record.id
  return id === undefined || isInTurn ? goOn() : work.context.inTurn(id, goOn)
}

interface Run {
  readonly work: Work
  readonly inHand: InHand
  readonly make: () => Change
  change: Change
  /** What the last look at the store gave, until something was written. */
  read: ReadRow | undefined
}

/** Goes on until it is done, or a write was in vain. */
async function attempt(run: Run): Promise<'done' | 'gone' | 'again'> {
  const { work, inHand } = run
  for (;;) {
    planNewOwner(work, inHand, run.change.facts)
    const next = plan(inHand.state, inHand.intent, run.change.facts, run.read !== undefined)
    if (next.do === 'nothing') return next.why === 'over' ? 'gone' : 'done'
    if (next.do === 'touch') {
      await touch(work, inHand, run.change.facts.held)
      return 'done'
    }
    work.assertAvailable()
    if (next.do === 'refuse') throw headersSent()
    if (next.do === 'read') {
      if (!(await read(run))) return 'gone'
      continue
    }
    // An id that is no text, as an app's own generator may give, is neither stored nor sent.
    if (typeof tokenFor(work, inHand) !== 'string') return 'done'
    const result = await write(run)
    if (result === 'done') return 'done'
    if (result === 'exists') return await takeOver(run)
    return (await read(run)) ? 'again' : 'gone'
  }
}

/** Where the data says whose the session is: a user who was not there before has just signed in. */
function planNewOwner(reading: Reading, inHand: InHand, { owner }: Facts): void {
  const { state, intent } = inHand
  // A former token's session gives way to one of its own, once the row was read.
  if (!reading.form.userOf || owner === undefined || state.kind !== 'live') return
  if (owner === state.base.owner || intent.token !== undefined) return
  inHand.intent = { ...intent, token: nextToken(reading, state.base.record) }
}

/**
 * Reads the session's row, and puts the session into the state that it is in by that.
 * @returns false if the session has nowhere to go any more.
 */
async function read(run: Run): Promise<boolean> {
  const { work, inHand } = run
  const { state } = inHand
  if (!isOpen(state)) return false
  run.read = undefined
  const row = await rowOf(work, state)
  if (row && row.record.format > recordFormat) throw storedByLaterBuild()
  const finding = reconcile(state, intentOf(run), row, work.context.tokensAreKeys)
  switch (finding.is) {
    case 'gone':
      if (inHand.state === state) inHand.state = { kind: 'gone', token: state.token }
      inHand.intent = noIntent
      return false
    case 'unknown':
      throw outcomeUnknown()
    case 'settled':
      await takeAsStored(work, inHand, finding)
      // The handler may have given it up meanwhile.
      if (!isOpen(inHand.state)) return false
      run.change = run.make()
      return true
    case 'again':
      inHand.state = after(inHand.state, finding.state)
      inHand.intent = { ...inHand.intent, token: undefined }
      return true
    case 'writable':
      inHand.state = after(inHand.state, finding.state)
      if (finding.state.kind !== 'live') inHand.intent = { ...inHand.intent, token: undefined }
      run.read = { row: finding.onto }
      return true
  }
}

/** What the handler wants; where the data says whose the session is, another user there is a sign-in. */
function intentOf({ work, inHand, change }: Run): Intent {
  const { intent, state } = inHand
  const { owner } = change.facts
  if (!work.form.userOf || owner === undefined || owner === baseOf(state)?.owner) return intent
  return { ...intent, signIn: intent.signIn ?? { userId: owner, keep: true } }
}

/** Under the id that it has, or that of the session that it carries on, or that a write without an answer may have given it. */
async function rowOf(work: Work, state: Open): Promise<Base | undefined> {
  const { context } = work
  const lost = state.unanswered?.at(-1)
  const known = state.kind !== 'new' ? state.base : lost ? undefined : state.copiedFrom
  const byToken = lost && (state.kind === 'new' || context.tokensAreKeys)
  // In this order: a lost write that arrives between the two takes the row from the first to the second.
  const record =
    (known && (await context.find(known.record.id))) ||
    (byToken ? await context.find(context.idOf(lost.token)) : undefined)
  return record && baseOfRow(work, record)
}

async function write(run: Run): Promise<WriteResult> {
  const { work, inHand } = run
  const state = inHand.state as Open
  const { sent, before, source } = prepared(work, inHand, state, run.change, run.read)
  const { write } = sent
  const hash = write.type === 'insert' ? write.hash : (write.secret?.hash ?? before?.hash)
  run.read = undefined
  if (before && before.userId !== write.userId) await endChildrenOf(work, before)
  const remember = (): void => {
    // Unless a sign-in was refused: then another state is in its place.
    if (openPart(inHand.state) !== state) return
    const others = (state.unanswered ?? []).filter((each) => each.write !== write)
    inHand.state = after(inHand.state, { ...state, unanswered: [...others, sent] as unknown as Unanswered })
  }
  let result: WriteResult
  try {
    result = await work.context.write(write, hash)
  } catch (error) {
    if (mayBeStored(error)) remember()
    throw error
  }
  try {
    if (result === 'done') await adoptStored(work, inHand, sent, recordAfter(write, before), source)
  } catch (error) {
    // It is stored, and whether it may stay is not known.
    remember()
    throw error
  }
  return result
}

/**
 * With `userOf`, a row may lose its user, and get the same one again: its children must not come back with that user. So they end before.
 */
async function endChildrenOf({ context }: Work, { id, userId }: SessionRecord): Promise<void> {
  if (userId !== undefined && !context.tokensAreKeys) await context.endChildren(userId, id)
}

/**
 * The id is taken. If the app has chosen the token, what is in hand goes in the place of what that token leads to; else the session gets
 * another token.
 */
async function takeOver(run: Run): Promise<'again' | 'gone'> {
  const { work, inHand } = run
  const isFound = await findChosen(work, inHand)
  const { state, intent } = inHand
  if (!isOpen(state)) return 'gone'
  if (state.kind === 'new') {
    const origin = state.origin === 'begun' ? 'begun' : 'regenerated'
    inHand.state = { ...state, origin, token: undefined }
  } else if (!isFound && intent.token !== undefined) {
    inHand.intent = { ...intent, token: nextToken(work, state.base.record) }
  }
  if (isFound) run.change = run.make()
  return 'again'
}

/** Goes on from the session that a token of the app's choice leads to already. @returns whether there is one. */
async function findChosen(work: Work, inHand: InHand): Promise<boolean> {
  const state = openPart(inHand.state)
  if (state?.kind !== 'new' || state.origin !== 'chosen' || state.token === undefined) return false
  const record = await work.context.find(work.context.idOf(state.token))
  if (!record || !isSameHash(record.hash, work.context.hashOf(state.token))) return false
  inHand.state = after(inHand.state, liveState(state.token, baseOfRow(work, record)))
  return true
}

/** Whether `settleUnanswered` has anything to find out. */
export function isUnsettled({ state }: InHand): boolean {
  const open = openPart(state)
  return open?.unanswered !== undefined || (open?.kind === 'new' && open.origin === 'chosen')
}

/** Finds out what became of writes without an answer, before the session gets another token, or ends. */
export async function settleUnanswered(work: Work, inHand: InHand): Promise<void> {
  if (await findChosen(work, inHand)) return
  const { state } = inHand
  const open = openPart(state)
  if (!open?.unanswered) return
  const finding = reconcile(open, inHand.intent, await rowOf(work, open), work.context.tokensAreKeys)
  if (finding.is === 'settled') await takeAsStored(work, inHand, finding)
  else if (finding.is === 'writable' || finding.is === 'again')
    inHand.state = after(inHand.state, finding.state)
}

/** A write whose answer was lost was carried out. */
async function takeAsStored(
  work: Work,
  inHand: InHand,
  { attempt, row, isNewest }: Extract<Finding, { is: 'settled' }>,
): Promise<void> {
  const { intent } = inHand
  const record = isNewest ? row.record : recordAfter(attempt.write, baseOf(inHand.state)?.record)
  await adoptStored(work, inHand, attempt, record)
  // Somebody has given it another token since, and that is what the browser gets.
  if (!isSameHash(row.record.hash, work.context.hashOf(attempt.token))) becomeUnconfirmed(inHand)
  const { signIn, token } = attempt.intent
  if (intent.signIn === signIn && (intent.token === undefined || intent.token === token)) return
  // What the handler has asked for since that write is still to be done.
  inHand.intent = { ...intent, token: nextToken(work, baseOf(inHand.state)!.record) }
}

/** A failed touch shortens a session by a little; it must not fail the request. The engine has told the event. */
async function touch(work: Work, inHand: InHand, held: Uint8Array): Promise<void> {
  const { context, form } = work
  const { state } = inHand
  if (state.kind !== 'live') return
  const { record } = state.base
  const data = context.tokensAreKeys ? held : undefined
  let isUnconfirmed = false
  try {
    const write = {
      type: 'touch',
      id: record.id,
      hash: record.hash!,
      data,
      lifetime: form.lifetime(),
    } as const
    // Moved or gone: no response of this request may bring its token back to the browser.
    isUnconfirmed = (await context.write(write)) !== 'done'
  } catch {
    // Not in this request again: the store has just shown that it is not well.
    isUnconfirmed = true
  }
  if (!openPart(inHand.state)) return
  const base = { ...state.base, record: { ...record, seenAt: record.readAt } }
  inHand.state = after(inHand.state, { ...state, base, isUnconfirmed })
  inHand.intent = { ...inHand.intent, touch: false }
}

function outcomeUnknown(): SessionError {
  return new SessionError(
    'ERR_SESSION_CONFLICT',
    'The store did not say whether it stored the session, and others have changed it so often since that this cannot be found out. Try again.',
    { status: 503 },
  )
}

function storedByLaterBuild(): SessionError {
  return new SessionError(
    'ERR_SESSION_CONFLICT',
    'A later build of coatcheck has stored this session since the request began, in a form that this one does not know. Try again, once all apps run the later one.',
    { status: 503 },
  )
}
