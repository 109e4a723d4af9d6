import type { Checks } from './facts.ts'

/** How often each invariant was checked, by stores and what was played on them. */
export class Tally {
  readonly #counts: Record<string, Record<string, number>> = {}

  add(store: string, checks: Checks): void {
    const row = (this.#counts[store] ??= {})
    for (const [invariant, times] of Object.entries(checks)) row[invariant] = (row[invariant] ?? 0) + times
  }

  /** Those of these invariants that would have held there whatever happened: nobody looked. */
  neverChecked<Invariant extends string>(store: string, invariants: readonly Invariant[]): Invariant[] {
    return invariants.filter((invariant) => !this.#counts[store]?.[invariant])
  }

  print(): void {
    const inOrder = (row: Checks) =>
      Object.entries(row).toSorted(([one], [other]) => Number(one.slice(1)) - Number(other.slice(1)))
    const rows = Object.entries(this.#counts).map(
      ([store, row]) => [store, Object.fromEntries(inOrder(row))] as const,
    )
    console.table(Object.fromEntries(rows))
  }
}
