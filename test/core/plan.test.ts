import { describe, expect, test } from 'vitest'
import { type Facts, plan, type Plan } from '../../dist/core/session/plan.js'
import type { Intent, State } from '../../dist/core/session/state.js'
import {
  attempt, base, behind, carrying, ended, ending, former, gone, issued, left, live, newly, noIntent, saved,
} from './states.ts' // prettier-ignore

const same: Facts = {
  held: base().record.data,
  owner: undefined,
  differs: false,
  isKept: false,
  touchDue: false,
  headersSent: false,
}
const changed: Facts = { ...same, held: Buffer.from('{"changed":1}'), differs: true }
const bobs: Facts = { ...same, owner: 'bob' }
const sent = (facts: Facts): Facts => ({ ...facts, headersSent: true })
const kept = (facts: Facts): Facts => ({ ...facts, isKept: true })
const due = (facts: Facts): Facts => ({ ...facts, touchDue: true })

const rotate: Intent = { ...noIntent, token: 'a new token' }
const signIn: Intent = { ...rotate, signIn: { userId: 'bob', keep: true } }

const nothing = (why: string) => ({ do: 'nothing', why })
const read = (why: string) => ({ do: 'read', why })
const update = (why: string, withToken = false) => ({ do: 'update', why, withToken })
const refused = { do: 'refuse', why: 'headers sent' }
const inserted = { do: 'insert', why: 'new' }

type Row = [name: string, state: State, intent: Intent, facts: Facts, hasRead: boolean, expected: object]

describe('of a session that was never stored,', () => {
  test.each<Row>([
    ['nothing is stored that holds nothing', newly, noIntent, same, false, nothing('nothing in it')],
    ['what it holds is stored', newly, noIntent, kept(changed), false, inserted],
    ['a sign-in is stored, though it holds nothing', newly, signIn, bobs, false, inserted],
    ['no touch is stored', newly, { ...noIntent, touch: true }, due(same), false, nothing('nothing in it')],
    ['what it holds is refused after the headers', newly, noIntent, sent(kept(changed)), false, refused],
    ['a sign-in is refused after the headers', newly, signIn, sent(bobs), false, refused],
    ['nothing is refused after the headers where there is nothing', newly, noIntent, sent(same), false, nothing('nothing in it')],
    ['a lost insert is looked for first', { ...newly, unanswered: [attempt()] }, noIntent, kept(changed), false, read('an answer was lost')],
    ['a lost insert is sent again only after a look', { ...newly, unanswered: [attempt()] }, noIntent, kept(changed), true, inserted],
    ['a lost insert of what is not there any more is left', { ...newly, unanswered: [attempt()] }, noIntent, same, false, nothing('nothing in it')],
    ['what it carries on is read first', carrying, signIn, bobs, false, read('copied')],
    ['what it carries on is stored once that was read', carrying, signIn, bobs, true, inserted],
  ])('%s', check) // prettier-ignore
})

describe('of a session that is stored,', () => {
  test.each<Row>([
    ['nothing is stored that is unchanged', live, noIntent, same, false, nothing('unchanged')],
    ['a change is stored', live, noIntent, changed, false, update('data')],
    ['a change is stored after the headers too', live, noIntent, sent(changed), false, update('data')],
    ['a touch is stored if it is due', live, noIntent, due(same), false, { do: 'touch', why: 'due' }],
    ['a touch is stored after the headers too', live, noIntent, sent(due(same)), false, { do: 'touch', why: 'due' }],
    ['a change makes a touch needless', live, noIntent, due(changed), false, update('data')],
    ['a rotation is stored, though nothing else changed', live, rotate, same, false, update('token', true)],
    ['a rotation is refused after the headers', live, rotate, sent(same), false, refused],
    ['a sign-in comes with a token', live, signIn, bobs, false, update('token', true)],
    ['a sign-in is refused after the headers', live, signIn, sent({ ...changed, owner: 'bob' }), false, refused],
    ['an owner whom the data has by now is stored', live, noIntent, bobs, false, update('owner')],
    ['it is stored again where the app asks for that', live, noIntent, kept(same), false, update('kept')],
    ['it is stored again once', saved, noIntent, kept(same), false, nothing('unchanged')],
    ['a change after a save is stored', saved, noIntent, changed, false, update('data')],
    ['a change of what this request began is stored', issued, noIntent, sent(changed), false, update('data')],
    ['what others stored is read first', behind, noIntent, changed, false, read('behind')],
    ['what others stored is read first, also for a new token', behind, rotate, same, false, read('behind')],
    ['what others stored is no reason to write', behind, noIntent, same, false, nothing('unchanged')],
    ['a change is stored onto what was read', behind, noIntent, changed, true, update('data')],
    ['a touch needs no read', behind, noIntent, due(same), false, { do: 'touch', why: 'due' }],
    ['a lost save is looked for before another', { ...live, unanswered: [attempt()] }, noIntent, changed, false, read('an answer was lost')],
    ['a lost save is looked for before a rotation', { ...live, unanswered: [attempt()] }, rotate, same, false, read('an answer was lost')],
    ['a lost save that the handler has undone is looked for', { ...live, unanswered: [attempt({ held: changed.held })] }, noIntent, same, false, read('an answer was lost')],
    ['a lost save that the handler has undone is undone', { ...live, unanswered: [attempt({ held: changed.held })] }, noIntent, same, true, update('perhaps stored')],
    ['of several lost saves one that was undone is enough', { ...live, unanswered: [attempt({ held: changed.held }), attempt()] }, noIntent, same, false, read('an answer was lost')],
    ['a lost update(fn) that left nothing in hand is not looked for', { ...live, unanswered: [attempt()] }, noIntent, same, false, nothing('unchanged')],
    ['the read for a lost answer comes before that for others', { ...behind, unanswered: [attempt()] }, noIntent, changed, false, read('an answer was lost')],
  ])('%s', check) // prettier-ignore
})

describe('of a session that was found by a former token,', () => {
  test.each<Row>([
    ['nothing is stored that is unchanged', former, noIntent, same, false, nothing('unchanged')],
    ['no touch is stored', former, { ...noIntent, touch: true }, due(same), false, nothing('unchanged')],
    ['its row is read before a change', former, noIntent, changed, false, read('former')],
    ['a change is stored onto its row', former, noIntent, changed, true, update('data')],
    ['a change is stored after the headers too', former, noIntent, sent(changed), true, update('data')],
    ['a change after a save is stored onto a row that is read anew', { ...former, isSaved: true }, noIntent, changed, false, read('former')],
    ['a fresh proof of its user gives it a token, once it was read', former, rotate, same, true, update('token', true)],
    ['a fresh proof is refused after the headers', former, rotate, sent(same), true, refused],
    ['a lost save is looked for', { ...former, unanswered: [attempt()] }, noIntent, changed, false, read('an answer was lost')],
  ])('%s', check) // prettier-ignore
})

describe('of a session that is over,', () => {
  test.each<[string, State]>([
    ['one that is to end', ending],
    ['one that is left', left],
    ['one that has ended', ended],
    ['one that is gone', gone],
  ])('%s, nothing is stored', (_name, state) => {
    for (const intent of [noIntent, rotate, signIn])
      for (const facts of [same, kept(changed), due(bobs)])
        for (const hasRead of [false, true])
          expect(plan(state, intent, facts, hasRead)).toEqual(nothing('over'))
  })
})

test('whatever comes together, no plan breaks a rule', () => {
  const pendings = [undefined, [attempt()], [attempt({ held: changed.held }), attempt()]] as const
  const open = [newly, carrying, live, saved, issued, behind, { ...live, isUnconfirmed: true }, former]
  const states: State[] = [
    ...open.flatMap((state) => pendings.map((unanswered): State => ({ ...state, unanswered }))),
    ending, left, ended, gone,
  ] // prettier-ignore
  const intents = [noIntent, rotate, signIn, { ...rotate, forcesToken: true }, { ...noIntent, touch: true }]
  let count = 0
  const counts: Record<string, number> = {}
  for (const state of states)
    for (const intent of intents)
      for (const facts of every())
        for (const hasRead of [false, true]) {
          const next = plan(state, intent, facts, hasRead)
          const broken = brokenRule(state, intent, facts, hasRead, next)
          expect(broken, JSON.stringify({ state, intent, facts, hasRead, next })).toBeUndefined()
          expect(plan(state, intent, facts, hasRead)).toEqual(next)
          counts[next.do] = (counts[next.do] ?? 0) + 1
          count++
        }
  expect(count).toBe(states.length * intents.length * 48 * 2)
  expect(Object.keys(counts).toSorted()).toEqual(['insert', 'nothing', 'read', 'refuse', 'touch', 'update'])
})

function check(...[, state, intent, facts, hasRead, expected]: Row): void {
  expect(plan(state, intent, facts, hasRead)).toEqual(expected)
}

function* every(): Iterable<Facts> {
  const flags = [false, true]
  for (const from of [same, changed])
    for (const owner of [undefined, 'ada', 'bob'])
      for (const isKept of flags)
        for (const touchDue of flags)
          for (const headersSent of flags) yield { ...from, owner, isKept, touchDue, headersSent }
}

function brokenRule(
  state: State,
  intent: Intent,
  facts: Facts,
  hasRead: boolean,
  next: Plan,
): string | undefined {
  // prettier-ignore
  const isWrite = next.do === 'insert' || next.do === 'update'
  const isOver = !['new', 'live', 'former'].includes(state.kind)
  if (isOver) return next.do === 'nothing' ? undefined : 'a session that is over is left alone'
  if (hasRead && next.do === 'read') return 'what was just read is not read again'
  if (isWrite && !hasRead) {
    if (state.kind === 'former') return 'a former state writes only onto a row that was just read'
    if (state.kind === 'live' && state.isBehind)
      return 'one that is behind writes only onto what was just read'
    if (state.kind === 'new' && state.copiedFrom) return 'what is carried on is looked for first'
    if ('unanswered' in state && state.unanswered) return 'nothing is written over a lost answer'
  }
  if (next.do === 'insert' && state.kind !== 'new') return 'only a new session is inserted'
  if (next.do === 'update' && state.kind === 'new') return 'a new session is not updated'
  if (next.do === 'touch' && state.kind !== 'live') return 'only the token of now moves the expiry'
  const needsCookie = next.do === 'insert' || (next.do === 'update' && next.withToken)
  if (facts.headersSent && needsCookie) return 'nothing is written after the headers that needs a cookie'
  if (facts.headersSent && next.do === 'read' && (state.kind === 'new' || intent.token !== undefined))
    return 'what will be refused is refused before anything is asked'
  if (intent.token !== undefined && state.kind !== 'new' && (next.do === 'nothing' || next.do === 'touch'))
    return 'a token that was asked for is not forgotten'
  if (next.do === 'update' && next.withToken !== (intent.token !== undefined))
    return 'a token is stored if it was asked for, and only then'
  if (facts.differs && state.kind !== 'new' && (next.do === 'nothing' || next.do === 'touch'))
    return 'a change is not forgotten'
  return undefined
}
