import { hostileWorks } from '../test/fuzz/hostile-input.ts'
import { median } from './statistics.ts'

// npm run bench -- input: how long input takes that an attacker could send, and half of it. Node takes 16 kB of headers, which is
// some 3,000 parts; a session is as large as an app lets it be.

const size = 2_000
const rounds = 51

function milliseconds(work: () => unknown): number {
  const begun = performance.now()
  work()
  return performance.now() - begun
}

/** The median of some rounds, each on input of its own: a merge changes what it is given. */
function timeOf(prepare: (size: number) => () => unknown, length: number): number {
  return median(Array.from({ length: rounds }, () => milliseconds(prepare(length))))
}

console.log(`Medians of ${rounds} rounds in milliseconds, for input of ${size / 2} and of ${size} parts.`)
console.table(
  Object.entries(await hostileWorks()).map(([name, prepare]) => {
    timeOf(prepare, 100) // compiles it
    const [half, whole] = [timeOf(prepare, size / 2), timeOf(prepare, size)]
    return { input: name, half: half.toFixed(2), whole: whole.toFixed(2), ratio: (whole / half).toFixed(1) }
  }),
)
