import { afterAll, beforeAll, expect, test } from 'vitest'
import { onEachServer } from '../servers/databases.ts'
import { playDiskFull } from './disk-full.ts'
import { play, playAlone } from './play.ts'
import { scenarios } from './scenarios.ts'
import { setStage, type Stage } from './stage.ts'

// Nothing that was acknowledged is lost, nobody sees what is another's, every error is typed, and all works again by itself.
// Here each fault happens a few times; `npm run test:long -- faults` does it many times.

const nothingWrong = { lost: 0, cameBack: 0, foreign: 0, untyped: 0, strange: [] }

onEachServer('a fault', ({ name }) => {
  const database = name.toLowerCase()
  let stage: Stage
  beforeAll(async () => {
    stage = await setStage({ database })
  })
  afterAll(() => stage?.end())

  const played = scenarios.filter(({ isOfApp }) => name === 'MariaDB' || isOfApp === undefined)
  test.each(played.map((scenario) => [scenario.fault, scenario] as const))('%s', async (_fault, scenario) => {
    const outcome = scenario.stage ? playAlone(scenario, 'short', database) : play(stage, scenario, 'short')
    expect(await outcome).toMatchObject(nothingWrong)
  })

  test('disk full', async (context) => {
    const outcome = await playDiskFull('short', database)
    if (typeof outcome === 'string') return context.skip(outcome)
    expect(outcome).toMatchObject(nothingWrong)
  })
})
