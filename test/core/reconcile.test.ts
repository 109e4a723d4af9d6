import { describe, expect, test } from 'vitest'
import { type Finding, reconcile } from '../../dist/core/session/reconcile.js'
import {
  type Base,
  type ContentWrite,
  fateOf,
  type Intent,
  type Open,
  type Unanswered,
  tokenPlaceOf,
} from '../../dist/core/session/state.js'
import type { SessionId, SessionRecord } from '../../dist/core/store/record.js'
import {
  attempt, base, behind, bytesOf, carrying, data, former, insertWrite, live, markOf, newly, noIntent, record, updateWrite,
} from './states.ts' // prettier-ignore

const marks = (letters: string): Uint8Array => Buffer.concat([...letters].map(markOf))

describe('the place of a hash', () => {
  const before = { hash: bytesOf('t'), userId: undefined, authenticatedAt: undefined, data: data({}) }
  test.each<[string, Uint8Array | undefined, SessionRecord, 'current' | 'former' | undefined]>([
    ['of the token of now is current', bytesOf('t'), record(), 'current'],
    ['of the token from before is former', bytesOf('t'), record({ hash: bytesOf('u'), former: before }), 'former'],
    ['of the token from before, once the grace is over, is none', bytesOf('t'), record({ hash: bytesOf('u') }), undefined],
    ['of any other token is none', bytesOf('x'), record({ hash: bytesOf('u'), former: before }), undefined],
    ['that begins as it does but is shorter is none', bytesOf('t', 31), record(), undefined],
    ['is none where there is no hash', undefined, record(), undefined],
    ['is none in a note, which has no hash', bytesOf('t'), record({ hash: undefined }), undefined],
    ['is none where neither has one', undefined, record({ hash: undefined }), undefined],
  ])('%s', (_name, hash, row, expected) => expect(tokenPlaceOf(hash, row)).toBe(expected)) // prettier-ignore
})

describe('the fate of a write', () => {
  const [update, insert] = [updateWrite(), insertWrite()]
  const noMarks = { marks: undefined }
  const secret = { hash: bytesOf('u'), signedIn: false, grace: 0, token: 'new' as SessionId }
  const rekeyed = updateWrite({ secret })
  test.each<[string, ContentWrite, SessionRecord | undefined, string]>([
    ['whose mark is the newest: it was carried out last', update, record({ version: 4, marks: marks('m321') }), 'newest'],
    ['whose mark is the second: others wrote since', update, record({ version: 5, marks: marks('xm32') }), 'earlier'],
    ['whose mark is the fourth', update, record({ version: 7, marks: marks('zyxm') }), 'earlier'],
    ['at the version that it names: it may still come', update, record(), 'not yet'],
    ['past by one version, without its mark: never', update, record({ version: 4, marks: marks('x321') }), 'never'],
    ['past by four versions, without its mark: never', update, record({ version: 7, marks: marks('zyxw') }), 'never'],
    ['past by five versions: unknown', update, record({ version: 8, marks: marks('vzyx') }), 'unknown'],
    ['whose session is not there: gone', update, undefined, 'gone'],
    ['that was an insert, whose mark is there', insert, record({ version: 1, marks: marks('m') }), 'newest'],
    ['that was an insert, others wrote since', insert, record({ version: 3, marks: marks('21m') }), 'earlier'],
    ['that was an insert, whose mark is not there: unknown', insert, record({ version: 1, marks: marks('x') }), 'unknown'],
    ['that was an insert, and nothing is there: unknown', insert, undefined, 'unknown'],
    ['whose mark is there across the border of two marks only: never', updateWrite({ mark: Buffer.from('xxxxyyyy') }), record({ version: 4, marks: Buffer.from('wwwwxxxxyyyyzzzz') }), 'never'],
    ['by contents, where the store keeps no marks: carried out', update, record({ ...noMarks, version: 77, data: update.data }), 'newest'],
    ['by contents, at its version: it may still come', update, record(noMarks), 'not yet'],
    ['by contents, at another version and with others: never', update, record({ ...noMarks, version: 77 }), 'never'],
    ["by contents, under another's name: never", update, record({ ...noMarks, version: 77, data: update.data, userId: 'bob' }), 'never'],
    ['with a token that is a key, under it: carried out, though its content is as before', rekeyed, record({ ...noMarks, id: 'new' as SessionId, data: rekeyed.data }), 'newest'],
    ['with a token that is a key, under it, and with others: carried out', rekeyed, record({ ...noMarks, id: 'new' as SessionId, version: 77 }), 'earlier'],
    ['with a token that is a key, under the one before: it may still come', rekeyed, record(noMarks), 'not yet'],
    ['with a token that is a key, under the one before, which others changed: never', rekeyed, record({ ...noMarks, version: 77, data: rekeyed.data }), 'never'],
    ['by contents, an insert: carried out', insert, record({ ...noMarks, data: insert.data }), 'newest'],
    ['by contents, an insert, and others are there: unknown', insert, record(noMarks), 'unknown'],
  ])('%s', (_name, write, row, expected) => expect(fateOf(write, row)).toBe(expected)) // prettier-ignore
})

const rotate: Intent = { ...noIntent, token: 'a new token' }
const claim: Intent = { ...rotate, forcesToken: true }
const signIn = (userId: string): Intent => ({ ...rotate, signIn: { userId, keep: true } })

/** The row of `live` after its secret was replaced: within the grace of the token that `live` was found by. */
const rotated = (with_: Partial<SessionRecord> = {}, was: Partial<SessionRecord> = {}): Base => {
  const { hash, userId, authenticatedAt, data: held } = record(was)
  const before = { hash: hash!, userId, authenticatedAt, data: held }
  return base({ hash: bytesOf('u'), version: 4, marks: marks('x321'), former: before, ...with_ })
}
/** The same after another rotation: it is within the grace of a token that came between. */
const rotatedOften = (with_: Partial<SessionRecord> = {}): Base =>
  rotated({ hash: bytesOf('v'), version: 5, ...with_ }, { ...with_, authenticatedAt: 5, hash: bytesOf('u') })
/** The same once the grace is over, or after a claim, which leaves none. */
const lostTrack = (with_: Partial<SessionRecord> = {}): Base =>
  base({ hash: bytesOf('v'), version: 5, ...with_ })

const adas = { userId: 'ada', authenticatedAt: 5 }
const adasLater = { userId: 'ada', authenticatedAt: 9 }
const liveOfAda: Open = { ...live, base: base(adas) }
const formerOfAda: Open = { ...former, base: base(adas) }
const [first, second] = [
  attempt({}, updateWrite({ mark: markOf('p') })),
  attempt({}, updateWrite({ mark: markOf('q') })),
]

type Expected = 'gone' | 'unknown' | { kind: string; onto?: Base | undefined; unanswered?: Unanswered }
type Row = [name: string, state: Open, intent: Intent, row: Base | undefined, expected: Expected]

describe('without a lost answer, a stored session', () => {
  const newer = base({ version: 4, marks: marks('x321'), data: data({ n: 5 }) })
  test.each<Row>([
    ['that is not there any more is gone', live, noIntent, undefined, 'gone'],
    ['that is not there any more is gone for a rotation too', live, rotate, undefined, 'gone'],
    ['that others changed goes on as it is, onto the row', live, noIntent, newer, { kind: 'live', onto: newer }],
    ['that was behind goes on onto the row', behind, noIntent, newer, { kind: 'live', onto: newer }],
    ['that was rotated is a former one from now on', live, noIntent, rotated(), { kind: 'former', onto: rotated() }],
    ['that was rotated gets no third token by a rotation', live, rotate, rotated(), { kind: 'former', onto: rotated() }],
    ['that was rotated longer ago is gone', live, noIntent, lostTrack(), 'gone'],
    ["that is another's by now is gone", live, noIntent, rotated(adas), 'gone'],
    ["that is another's by now is gone, under the same token too", live, noIntent, base({ userId: 'bob' }), 'gone'],
    ["of Ada's that is nobody's by now is gone", liveOfAda, noIntent, base(), 'gone'],
    ['of Ada with a fresh proof since is gone', liveOfAda, noIntent, rotated(adasLater, adas), 'gone'],
    ['of Ada, rotated, is a former one from now on', liveOfAda, noIntent, rotated(adas, adas), { kind: 'former', onto: rotated(adas, adas) }],
    ['that was found by a former token stays former', former, noIntent, rotated(), { kind: 'former', onto: rotated() }],
    ['that was found by a former token whose grace is over is gone', former, noIntent, lostTrack(), 'gone'],
    ['that was found by a former token and has ended is gone', former, noIntent, undefined, 'gone'],
    ['that was found by a former token, and that somebody signed in on, is gone', former, noIntent, rotated(adas), 'gone'],
    ['whose id is a note by now is gone', live, noIntent, base({ hash: undefined }), 'gone'],
  ])('%s', check) // prettier-ignore
})

describe('for a sign-in, a stored session', () => {
  const startsAnew = (onto?: Base): Expected => ({ kind: 'new', onto })
  test.each<Row>([
    ['that others changed is signed in on', live, signIn('ada'), base({ version: 4 }), { kind: 'live', onto: base({ version: 4 }) }],
    ['that was rotated is carried on by one of its own', live, signIn('ada'), rotated(), startsAnew(rotated())],
    ['that was rotated longer ago is carried on, as one that has ended', live, signIn('ada'), lostTrack(), startsAnew()],
    ['that has ended is carried on, as one that has ended', live, signIn('ada'), undefined, startsAnew()],
    ['that the same user signed in on meanwhile is carried on by one of its own', live, signIn('ada'), rotated(adas), startsAnew(rotated(adas))],
    ['that another signed in on is carried on by one of its own', live, signIn('bob'), rotated(adas), startsAnew(rotated(adas))],
    ["that is another's under the same token is carried on by one of its own", live, signIn('bob'), base(adas), startsAnew(base(adas))],
    ['of the same user is proved afresh on', liveOfAda, signIn('ada'), base(adas), { kind: 'live', onto: base(adas) }],
    ['of the same user wins over a rotation', liveOfAda, signIn('ada'), rotated(adas, adas), { kind: 'live', onto: rotated(adas, adas) }],
    ['of the same user wins over several rotations', liveOfAda, signIn('ada'), rotatedOften(adas), { kind: 'live', onto: rotatedOften(adas) }],
    ['of the same user is carried on by one of its own once no grace tells a rotation from a claim', liveOfAda, signIn('ada'), lostTrack(adas), startsAnew(lostTrack(adas))],
    ['of the same user, proved afresh by another since, is carried on by one of its own', liveOfAda, signIn('ada'), rotated(adasLater, adas), startsAnew(rotated(adasLater, adas))],
    ['of the same user, proved afresh and rotated since, is carried on by one of its own', liveOfAda, signIn('ada'), rotatedOften(adasLater), startsAnew(rotatedOften(adasLater))],
    ['found by a former token gives nothing', former, signIn('ada'), rotated(), startsAnew()],
    ['found by a former token, that somebody signed in on, gives nothing', former, signIn('ada'), rotated(adas), startsAnew()],
    ['of the same user, found by a former token, gives nothing', formerOfAda, signIn('ada'), rotated(adas, adas), startsAnew()],
    ['of the same user, found by a former token whose grace is over, gives nothing', formerOfAda, signIn('ada'), lostTrack(adas), startsAnew()],
    ['of the same user, that has ended, begins anew', liveOfAda, signIn('ada'), undefined, startsAnew()],
    ["of the same user, that is another's by now, is carried on", liveOfAda, signIn('ada'), rotated({ userId: 'bob' }, adas), startsAnew(rotated({ userId: 'bob' }, adas))],
  ])('%s', check) // prettier-ignore
})

describe('for a claim, a stored session', () => {
  test.each<Row>([
    ['of its user wins over a rotation', liveOfAda, claim, rotated(adas, adas), { kind: 'live', onto: rotated(adas, adas) }],
    ['of its user wins over several rotations', liveOfAda, claim, rotatedOften(adas), { kind: 'live', onto: rotatedOften(adas) }],
    ['of its user that somebody has claimed since is gone', liveOfAda, claim, lostTrack(adas), 'gone'],
    ['of its user, proved afresh since, is gone', liveOfAda, claim, rotated(adasLater, adas), 'gone'],
    ['of its user is gone by a former token', formerOfAda, claim, rotated(adas, adas), 'gone'],
    ["that is another's by now is gone", liveOfAda, claim, lostTrack({ userId: 'bob' }), 'gone'],
    ["that is nobody's by now is gone", liveOfAda, claim, lostTrack(), 'gone'],
    ['that has ended is gone', liveOfAda, claim, undefined, 'gone'],
    ["of nobody's is claimed by nobody", live, claim, lostTrack(), 'gone'],
  ])('%s', check) // prettier-ignore
})

describe('with lost answers, a stored session', () => {
  const both: Open = { ...live, unanswered: [first, second] }
  test.each<Row>([
    ['none of which can still come goes on without them', both, noIntent, base({ version: 4, marks: marks('x321') }), { kind: 'live', onto: base({ version: 4, marks: marks('x321') }) }],
    ['that all may still come keeps them', both, noIntent, base(), { kind: 'live', onto: base(), unanswered: [first, second] }],
    ['that may still come keeps them for a rotation', both, rotate, base(), { kind: 'live', onto: base(), unanswered: [first, second] }],
    ['whose session has ended is gone', both, noIntent, undefined, 'gone'],
    ['five versions ago is unknown', both, noIntent, base({ version: 8, marks: marks('vzyx') }), 'unknown'],
    ['five versions ago is unknown for a sign-in', both, signIn('ada'), base({ version: 8, marks: marks('vzyx') }), 'unknown'],
    ['five versions ago is unknown for a claim', { ...liveOfAda, unanswered: [first] }, claim, base({ ...adas, version: 8, marks: marks('vzyx') }), 'unknown'],
    ['five versions ago, out of reach by now, is gone', both, noIntent, lostTrack({ version: 8, marks: marks('vzyx') }), 'gone'],
    ["none of which was carried out before it was another's is gone", both, noIntent, rotated(adas), 'gone'],
    ['none of which was carried out before a rotation is former', both, noIntent, rotated(), { kind: 'former', onto: rotated() }],
    ['found by a former token keeps what may still come', { ...former, unanswered: [first] }, noIntent, rotated({ version: 3 }), { kind: 'former', onto: rotated({ version: 3 }), unanswered: [first] }],
  ])('%s', check) // prettier-ignore

  test.each<[string, Open, Intent, Base, object]>([
    ['the first of which was carried out goes on from that', both, noIntent, base({ version: 4, marks: marks('p321') }), { attempt: first, isNewest: true }],
    ['the second of which was carried out goes on from that', both, noIntent, base({ version: 4, marks: marks('q321') }), { attempt: second, isNewest: true }],
    ['one of which was carried out before others wrote goes on from that, and is behind', both, noIntent, base({ version: 5, marks: marks('xq32') }), { attempt: second, isNewest: false }],
    ['both of which are there goes on from the last', both, noIntent, base({ version: 5, marks: marks('qp32') }), { attempt: second, isNewest: true }],
    ['one of which was carried out is settled before anything else is decided', both, signIn('ada'), lostTrack({ version: 5, marks: marks('xq32') }), { attempt: second, isNewest: false }],
    ['one of which was a rotation that was carried out goes on under its token', { ...live, unanswered: [attempt({ token: 'u' }, updateWrite({ secret: { hash: bytesOf('u'), signedIn: false, grace: 1 } }))] }, rotate, rotated({ marks: marks('m321') }), { isNewest: true }],
  ])('%s', (_name, state, intent, row, expected) => {
    expect(reconcile(state, intent, row, false)).toMatchObject({ is: 'settled', row, ...expected })
  }) // prettier-ignore
})

describe('a session that is new', () => {
  const lost: Open = { ...newly, token: 't', unanswered: [attempt({ token: 't' }, insertWrite())] }

  test('goes on, where nothing was sent', () => {
    expect(reconcile(newly, noIntent, undefined, false)).toEqual({
      is: 'writable',
      state: newly,
      onto: undefined,
    })
  })

  test('is settled where its insert was carried out', () => {
    const row = base({ version: 1, marks: markOf('m') })
    expect(reconcile(lost, noIntent, row, false)).toMatchObject({ is: 'settled', isNewest: true, row })
    const since = base({ version: 2, marks: marks('xm') })
    expect(reconcile(lost, noIntent, since, false)).toMatchObject({ is: 'settled', isNewest: false })
  })

  test('never sends an insert again that was not found, but begins under another token', () => {
    for (const row of [
      undefined,
      base({ version: 1, marks: markOf('x') }),
      base({ version: 9, marks: marks('zyxw') }),
    ]) {
      const copiedFrom = base(adas)
      const finding = reconcile({ ...lost, copiedFrom } as Open, signIn('ada'), row, false)
      expect(finding).toEqual({ is: 'again', state: { ...newly, copiedFrom } })
    }
  })

  test('sends an insert again in a store that keeps no marks, under its token', () => {
    const finding = reconcile(lost, noIntent, undefined, true)
    expect(finding).toEqual({ is: 'again', state: { ...lost, unanswered: undefined } })
  })

  test('is carried on from a session as long as one of its tokens leads to it', () => {
    const onto = (row: Base | undefined) =>
      (reconcile(carrying, signIn('ada'), row, false) as { onto?: Base }).onto
    expect([onto(base()), onto(rotated()), onto(lostTrack()), onto(undefined)]).toEqual([
      base(), rotated(), undefined, undefined,
    ]) // prettier-ignore
  })

  test('is carried on from a session of the same user, whatever its token is by now', () => {
    const onto = (userId: string, row: Base) =>
      (reconcile({ ...carrying, copiedFrom: base(adas) }, signIn(userId), row, false) as { onto?: Base }).onto
    expect([onto('ada', lostTrack(adas)), onto('bob', lostTrack(adas)), onto('ada', lostTrack())]).toEqual([
      lostTrack(adas), undefined, undefined,
    ]) // prettier-ignore
  })
})

test('whatever comes together, no finding breaks a rule', () => {
  const rows = [
    undefined, base(), base(adas), base({ userId: 'bob' }), base({ version: 8, marks: marks('vzyx') }),
    rotated(), rotated(adas), rotated(adas, adas), rotated({ userId: 'bob' }, adas), rotated({ marks: marks('p321') }),
    rotatedOften(adas), rotatedOften(adasLater), rotated(adasLater, adas), lostTrack(), lostTrack(adas), lostTrack({ userId: 'bob' }), base({ hash: undefined }),
  ] // prettier-ignore
  const open: Open[] = [live, behind, former, liveOfAda, formerOfAda]
  const intents = [noIntent, rotate, claim, signIn('ada'), signIn('bob')]
  for (const from of open)
    for (const unanswered of [undefined, [first], [first, second]] as const)
      for (const intent of intents)
        for (const row of rows) {
          const state = { ...from, unanswered } as Open
          const finding = reconcile(state, intent, row, false)
          const broken = brokenRule(state, intent, row, finding)
          expect(broken, JSON.stringify({ state, intent, row, finding })).toBeUndefined()
        }
})

function brokenRule(
  state: Open,
  intent: Intent,
  row: Base | undefined,
  finding: Finding,
): string | undefined {
  if (state.kind === 'new') return 'new ones are not in this table'
  if (finding.is === 'gone' && intent.signIn) return 'a sign-in is never dropped'
  if (finding.is !== 'writable') return undefined
  const next = finding.state
  if (state.kind === 'former' && intent.forcesToken) return 'no claim is by a former token'
  if (state.kind === 'former' && intent.signIn && (next.kind !== 'new' || finding.onto))
    return 'a sign-in by a former token takes nothing along'
  if (next.kind === 'new') return intent.signIn ? undefined : 'only a sign-in begins a session'
  if (!finding.onto || finding.onto !== row) return 'a stored session goes on onto the row that was read'
  if (row.owner !== state.base.owner) return "nothing is written onto another's row"
  if (next.base !== state.base) return 'the base is never the row that was read'
  if (state.kind === 'former' && next.kind !== 'former')
    return 'a former session becomes no live one by a read'
  const place = tokenPlaceOf(state.base.record.hash, row.record)
  const isProved = intent.forcesToken || intent.signIn?.userId === row.owner
  if (!place && !(isProved && row.owner !== undefined)) return 'no token that leads nowhere is written by'
  if (next.kind === 'live' && place !== 'current') {
    if (!row.record.former) return 'nobody goes over a claim'
    if (row.record.authenticatedAt !== state.base.record.authenticatedAt)
      return 'nobody goes over a later proof'
  }
  if (next.kind === 'live' && place !== 'current' && !isProved) return 'a token from before is not live'
  return undefined
}

function check(...[, state, intent, row, expected]: Row): void {
  const finding = reconcile(state, intent, row, false)
  const told = finding.is === 'writable' ? { kind: finding.state.kind, onto: finding.onto } : finding.is
  const { unanswered, ...there } = typeof expected === 'string' ? {} : { onto: undefined, ...expected }
  expect(told).toEqual(typeof expected === 'string' ? expected : there)
  const next = finding.is === 'writable' ? finding.state : undefined
  expect(next?.unanswered).toEqual(unanswered)
  // What was in hand stays what changes are told by, whatever was read.
  const known = next?.kind === 'new' ? next.copiedFrom : next?.base
  expect(known).toBe(next && (state as typeof live).base)
}
