import assert from 'node:assert/strict'
import { setImmediate } from 'node:timers/promises'
import { inspect } from 'node:util'
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

/** Milliseconds that no bad input may take: what takes longer, anyone could send all day. */
const longest = 50

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
 *
 * By `npm test` no time is asserted, because a busy machine would fail it: the slowest input is printed for people to read,
 * and what would hang does not come back within the test's time limit. A nightly run fails on an input that takes longer
 * than 50 ms, with its check, and does so each time that it is tried.
 */
export function fuzz<Input>(
  counts: Counts,
  inputs: fc.Arbitrary<Input>,
  check: (input: Input) => void | Promise<void>,
): () => Promise<void> {
  const count = countOf(counts)
  return async () => {
    let slowest: { readonly input: Input; readonly milliseconds: number } | undefined
    const property = fc.asyncProperty(inputs, async (input) => {
      let milliseconds = await timeOf(check, input)
      const record = slowest?.milliseconds ?? 0
      // Once more: it may be the machine that was slow.
      if (milliseconds > record) milliseconds = Math.min(milliseconds, await timeOf(check, input))
      if (isNightly && milliseconds > longest) milliseconds = await assertQuick(check, input)
      if (milliseconds > record) slowest = { input, milliseconds }
    })
    for (let done = 0, seed = firstSeed; done < count; done += runsInSlice, seed++) {
      await assertWithSeed(property, seed, Math.min(runsInSlice, count - done))
      await setImmediate()
    }
    const shown = inspect(slowest?.input, { breakLength: Infinity, depth: 2, maxStringLength: 60 })
    console.info(
      `${count} inputs; the slowest took ${slowest?.milliseconds.toFixed(1)} ms: ${shown.slice(0, 150)}`,
    )
  }
}

/**
 * The best time of five.
 * @throws AssertionError if that, too, is too long
 */
async function assertQuick<Input>(
  check: (input: Input) => void | Promise<void>,
  input: Input,
): Promise<number> {
  let best = Infinity
  for (let tried = 0; tried < 5 && best > longest; tried++) best = Math.min(best, await timeOf(check, input))
  assert.ok(
    best <= longest,
    `It took ${best.toFixed(1)} ms at best, and none may take longer than ${longest}.`,
  )
  return best
}

async function timeOf<Input>(check: (input: Input) => void | Promise<void>, input: Input): Promise<number> {
  const begun = performance.now()
  const checked = check(input)
  if (checked) await checked
  return performance.now() - begun
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
