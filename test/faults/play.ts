import type { FaultyDatabase } from './databases/faulty-database.ts'
import { setStage, type Stage, type StageOptions } from './stage.ts'
import { Crowd, type Tally } from './visitors.ts'

export interface Runs {
  readonly short: number
  readonly long: number
}

/** A fault, and how it is brought about. */
export interface Scenario {
  readonly fault: string
  /** It breaks the app, or what the app reads, and not the server: within `npm test` one server for each store is enough. */
  readonly isOfApp?: true
  /** The only kind of database that can fail so. */
  readonly only?: FaultyDatabase['name']
  /** How often it happens within `npm test`, and in `npm run test:long -- faults`. */
  readonly runs: Runs
  /** Where it needs another stage than the one for all. */
  readonly stage?: StageOptions
  /** Brings the fault about once, under load, waits until it was felt, and ends it. That all works again is seen to elsewhere. */
  happen(stage: Stage, crowd: Crowd, round: number): Promise<void>
}

export interface Outcome extends Tally {
  readonly fault: string
  readonly runs: number
  /** The first answers that were not as they should be. */
  readonly strange: readonly string[]
}

/** Goes through a fault so many times under load, waits after each until all works again, and reads everything back. */
export async function play(
  stage: Stage,
  { fault, runs: times, happen }: Scenario,
  form: keyof Runs,
): Promise<Outcome> {
  const runs = times[form]
  const crowd = new Crowd(stage.urls, stage.stored)
  crowd.start()
  try {
    await crowd.acknowledgesMore(50)
    for (let round = 0; round < runs; round++) {
      await happen(stage, crowd, round)
      await crowd.acknowledgesMore(50)
    }
    await crowd.signsOutMore(1)
    const tally = await crowd.settle()
    await Promise.all(stage.urls.map((url) => works(stage, url)))
    return { fault, runs, strange: crowd.strange, ...tally }
  } finally {
    stage.proxy.pass()
    await crowd.end()
  }
}

/** Waits until this app by itself writes again. */
async function works({ stored }: Stage, url: string): Promise<void> {
  const crowd = new Crowd([url], stored)
  crowd.start(1)
  await crowd.acknowledgesMore(1)
  await crowd.end()
}

/** Plays one that needs a stage of its own. */
export async function playAlone(
  scenario: Scenario,
  form: keyof Runs,
  kind: FaultyDatabase,
): Promise<Outcome> {
  const stage = await setStage({ ...scenario.stage, kind })
  try {
    return await play(stage, scenario, form)
  } finally {
    await stage.end()
  }
}
