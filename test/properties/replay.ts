import fc from 'fast-check'

const path = process.env['COATCHECK_PATH']
const factor = Number(process.env['COATCHECK_RUNS'] ?? 1)
/**
 * Of all properties of this run, so that one number repeats them all. The tests of every day are the same each time; the long form
 * looks elsewhere each time.
 */
const seed = Number(process.env['COATCHECK_SEED'] ?? (factor > 1 ? Date.now() % 2 ** 31 : 1))
console.info(`COATCHECK_SEED=${seed} COATCHECK_RUNS=${factor}`)

/** Whether one program is played again, and not as many as it takes to meet everything. */
export const isReplay = path !== undefined

/** How many programs a property is tried on: so many in CI, `COATCHECK_RUNS` times as many where that is set. */
export function runs(count: number): number {
  return Math.max(1, Math.round(count * factor))
}

/** The bound that ends a hang, for as many runs as these. */
export const timeout = 120_000 * Math.max(1, factor)

/** How a failure is told. */
interface Telling<Value> {
  shown(value: Value): string
  /** What the numbers that are told bring back. */
  readonly again?: string
}

/**
 * Tries `check` on generated values. A failure is made as small as it gets (`COATCHECK_SHRINK=0`: it is not), and tells
 * how to see it again.
 * @throws Error
 */
export async function holds<Value>(
  arbitrary: fc.Arbitrary<Value>,
  count: number,
  check: (value: Value) => Promise<void>,
  { shown, again = 'Again' }: Telling<Value>,
): Promise<void> {
  const result = await fc.check(fc.asyncProperty(arbitrary, check), {
    seed,
    numRuns: runs(count),
    endOnFailure: process.env['COATCHECK_SHRINK'] === '0',
    // Shrinking on a real database takes a while: then what is smallest by now is told.
    interruptAfterTimeLimit: timeout * 0.8,
    ...(path !== undefined && { path }),
  })
  if (!result.failed) return
  const { counterexample, counterexamplePath, errorInstance } = result
  const variables = `COATCHECK_SEED=${seed} COATCHECK_PATH=${counterexamplePath ?? ''}`
  throw new Error(
    `After ${result.numRuns} runs and ${result.numShrinks} shrinks. ${again}, with -t and this test's name: ${variables}\n` +
      `${String(errorInstance)}\n${counterexample ? shown(counterexample[0]) : ''}`,
  )
}
