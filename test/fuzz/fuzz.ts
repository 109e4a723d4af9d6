import { setImmediate } from 'node:timers/promises'
import fc from 'fast-check'
import { vi } from 'vitest'

/** Set to `nightly` by `npm run test:long -- fuzz`. */
const isNightly = process.env['COATCHECK_FUZZ'] === 'nightly'

/**
 * Where the inputs begin. `npm test` tries the same ones each time, so that what turns it red is a change of the code;
 * a nightly run tries others each night. A failure names the seed that repeats it.
 */
const firstSeed = Number(process.env['COATCHECK_SEED'] ?? (isNightly ? Date.now() % 2 ** 31 : 1))

/** Between two slices the event loop turns: Vitest takes a worker that it hears nothing of for a minute for lost. */
export const runsInSlice = 2_000

// Far beyond what it takes, also on a busy machine: it ends a hang.
vi.setConfig({ testTimeout: (isNightly ? 12 * 60 : 10) * 60_000 })

/** How many inputs are tried: by `npm test`, and by `npm run test:long -- fuzz`. */
export interface Counts {
  readonly ci: number
  readonly nightly: number
}

export function countOf({ ci, nightly }: Counts): number {
  return isNightly ? nightly : ci
}

/**
 * A test that `check` passes on inputs by the thousand. Let it throw by `assert`: `expect` takes longer than what is tried.
 */
export function fuzz<Input>(
  counts: Counts,
  inputs: fc.Arbitrary<Input>,
  check: (input: Input) => void | Promise<void>,
): () => Promise<void> {
  const count = countOf(counts)
  return async () => {
    const property = fc.asyncProperty(inputs, async (input) => check(input))
    for (let done = 0, seed = firstSeed; done < count; done += runsInSlice, seed++) {
      await assertWithSeed(property, seed, Math.min(runsInSlice, count - done))
      await setImmediate()
    }
  }
}

async function assertWithSeed<Input>(
  property: fc.IAsyncProperty<[Input]>,
  seed: number,
  numRuns: number,
): Promise<void> {
  try {
    await fc.assert(property, { seed, numRuns })
  } catch (cause) {
    throw new Error(`It failed; COATCHECK_SEED=${seed} repeats it.`, { cause })
  }
}
