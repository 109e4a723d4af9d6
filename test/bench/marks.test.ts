import { expect, test } from 'vitest'
import { type ShapeName, shapes } from '../../bench/apps/shapes.ts'
import type { Sleep, Slice } from '../../bench/load.ts'
import { marksOf } from '../../bench/report/marks.ts'
import type { MeasuredScenario } from '../../bench/report/measured.ts'
import { marksTable } from '../../bench/report/tables.ts'

const slice: Slice = {
  perSecond: 10_000,
  p50: 1_000,
  p99: 2_000,
  appCPU: 20,
  databaseCPU: 0,
  statements: 0,
  appBusy: 1,
  otherBusy: 0.3,
  loadBusy: 0.3,
}

/** Reading a cart on 64 connections, unless said otherwise. Each contender's rounds by its name. */
function scenario(
  cores: Sleep,
  contenders: Record<string, Partial<Slice>[]>,
  other: Partial<MeasuredScenario> = {},
): MeasuredScenario {
  const slices = Object.fromEntries(
    Object.entries(contenders).map(([name, rounds]) => [
      name,
      rounds.map((round) => ({ ...slice, ...round })),
    ]),
  )
  return { profile: 'read', connections: 64, shape: 'cart', cores, slices, ...other }
}

const cpu = (...rounds: number[]) => rounds.map((appCPU) => ({ appCPU }))
const markOf = (scenarios: readonly MeasuredScenario[], part: string) =>
  marksOf({ scenarios }).find(({ what }) => what.includes(part))

test('CPU above Express is the difference to Express with nothing in the same round, and the median over rounds', () => {
  const read = scenario('asleep', {
    'express/none': cpu(20, 30, 20),
    'express/coatcheck-mysql': cpu(32, 42, 90),
    'express/mysql': cpu(120, 130, 120),
  })
  expect(markOf([read], 'app CPU above Express, of express-session + express-mysql')).toEqual({
    what: 'MySQL, reading: app CPU above Express, of express-session + express-mysql-session’s',
    wanted: 'at most 0.12',
    got: { asleep: '0.12' },
    met: true,
  })
})

test('a mark holds if it does with cores awake and with cores asleep', () => {
  const change = (cores: Sleep, perSecond: number) =>
    scenario(
      cores,
      { 'express/coatcheck-mysql': [{ perSecond }], 'express/redis': [{ perSecond: 10_000 }] },
      { profile: 'change' },
    )
  const both = (awake: number, asleep: number) =>
    markOf(
      [change('awake', awake), change('asleep', asleep)],
      'requests/s, of express-session + connect-redis’s',
    )
  expect(both(14_000, 13_000)).toMatchObject({ got: { awake: '1.40', asleep: '1.30' }, met: true })
  expect(both(14_000, 12_000)).toMatchObject({ got: { awake: '1.40', asleep: '1.20' }, met: false })
  expect(both(12_000, 14_000)).toMatchObject({ met: false })
})

test('a mark for cores that are awake does not look at cores that sleep', () => {
  const read = (cores: Sleep, perSecond: number) =>
    scenario(cores, { 'express/coatcheck-mysql': [{ perSecond }], 'express/none': [{ perSecond: 10_000 }] })
  const mark = markOf([read('awake', 7_000), read('asleep', 3_000)], 'of Express with nothing, cores awake')
  expect(mark).toMatchObject({ got: { awake: '0.70' }, met: true })
})

test('reads of dead tokens are held against reads of live ones, statement for statement', () => {
  const reads = (profile: 'read' | 'dead', statements: number) =>
    scenario('asleep', { 'express/coatcheck-mysql': [{ statements }] }, { profile, connections: 1 })
  expect(markOf([reads('read', 1_000), reads('dead', 1_001)], 'dead tokens')).toMatchObject({ met: true })
  expect(markOf([reads('read', 1_000), reads('dead', 2_000)], 'dead tokens')).toMatchObject({
    got: { asleep: '2.00' },
    met: false,
  })
})

test('of other shapes, and of what was not measured, there is no mark', () => {
  const flat = scenario(
    'asleep',
    { 'express/none': [{}], 'express/coatcheck-mysql': [{}] },
    { shape: 'flat' },
  )
  expect(marksOf({ scenarios: [flat] })).toEqual([])
  expect(marksOf({ scenarios: [] })).toEqual([])
})

test('the table says of each mark what was wanted, what was measured, and whether it was held', () => {
  const marks = [
    { what: 'one', wanted: 'at least 3', got: { awake: '3.10', asleep: '2.90' }, met: false },
    { what: 'two', wanted: 'at most 1', got: { awake: '0.90' }, met: true },
  ]
  expect(marksTable(marks).split('\n').slice(2)).toEqual([
    '| one | at least 3 | 3.10 | 2.90 | **not held** |',
    '| two | at most 1 | 0.90 |  | held |',
  ])
})

test('the sessions of the bench are as large as their titles say', () => {
  const sizes = Object.entries(shapes).map(([name, { begin }]) => [name, JSON.stringify(begin()).length])
  const near = { passport: 80, cart: 300, preferences: 4_000, flat: 300, large: 40_000 }
  for (const [name, size] of sizes) expect(size, `${name}`).toBeGreaterThan(near[name as ShapeName] * 0.85)
  for (const [name, size] of sizes) expect(size, `${name}`).toBeLessThan(near[name as ShapeName] * 1.15)
})

test.each(Object.entries(shapes))(
  'a change of a %s session changes it, and does not make it grow',
  (_, shape) => {
    const session = shape.begin()
    let before = JSON.stringify(session)
    for (let time = 0; time < 1_000; time++) {
      shape.change(session)
      const after = JSON.stringify(session)
      expect(after).not.toBe(before)
      before = after
    }
    expect(before.length).toBeLessThan(JSON.stringify(shape.begin()).length + 20)
  },
)
