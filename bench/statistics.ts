/** The middle value, or the mean of the middle two; NaN of none. The list need not be sorted and stays as it is. */
export function median(values: Iterable<number>): number {
  return quantile(
    [...values].toSorted((one, other) => one - other),
    0.5,
  )
}

/**
 * The value below which a share of `q` (0 to 1) of the values lie, interpolated between neighbours; NaN of none.
 *
 * @param sorted in ascending order
 */
export function quantile(sorted: ArrayLike<number>, q: number): number {
  const position = (sorted.length - 1) * q
  const before = sorted[Math.floor(position)] ?? Number.NaN
  const after = sorted[Math.ceil(position)] ?? Number.NaN
  return before + (after - before) * (position % 1)
}
