import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { onEachServer } from '../servers/databases.ts'
import { faultyDatabase } from './databases/by-name.ts'
import type { FaultyDatabase } from './databases/faulty-database.ts'
import { playDiskFull } from './disk-full.ts'
import { play, playAlone } from './play.ts'
import { scenariosOn } from './scenarios.ts'
import { setStage, type Stage } from './stage.ts'

// Nothing that was acknowledged is lost, nobody sees what is another's, every error is typed, and all works again by itself.
// Here each fault happens a few times; `npm run test:long -- faults` does it many times.

const nothingWrong = { lost: 0, cameBack: 0, foreign: 0, untyped: 0, strange: [] }

onEachServer('a fault', ({ name }) => {
  playShort(faultyDatabase(name))
})
describe('a fault on PostgreSQL', () => {
  playShort(faultyDatabase('PostgreSQL'))
})

function playShort(kind: FaultyDatabase): void {
  let stage: Stage
  beforeAll(async () => {
    stage = await setStage({ kind })
  })
  afterAll(() => stage?.end())

  const played = scenariosOn(kind).filter(({ isOfApp }) => kind.name !== 'MySQL' || isOfApp === undefined)
  test.each(played.map((scenario) => [scenario.fault, scenario] as const))('%s', async (_fault, scenario) => {
    const outcome = scenario.stage ? playAlone(scenario, 'short', kind) : play(stage, scenario, 'short')
    expect(await outcome).toMatchObject(nothingWrong)
  })

  test('disk full', async (context) => {
    const outcome = await playDiskFull('short', kind)
    if (typeof outcome === 'string') return context.skip(outcome)
    expect(outcome).toMatchObject(nothingWrong)
  })
}
