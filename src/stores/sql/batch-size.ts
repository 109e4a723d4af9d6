/** The most records that one statement names. */
export const largestBatch = 64

/**
 * Fills a list up to the next of 1, 2, 4, 8, … by naming its last item again, so that only a handful of
 * statements ever need preparing. For lists where an item that stands there twice does no harm, as in `IN (…)`.
 */
export function padded<Item>(items: readonly Item[]): readonly Item[] {
  const size = nextPowerOfTwo(items.length)
  if (size === items.length) return items
  const filled = items.slice()
  while (filled.length < size) filled.push(items.at(-1)!)
  return filled
}

/** Cuts a list into parts of at most `size` items. */
export function parts<Item>(items: readonly Item[], size: number): (readonly Item[])[] {
  const result: (readonly Item[])[] = []
  for (let start = 0; start < items.length; start += size) result.push(items.slice(start, start + size))
  return result
}

/** Cuts a list into parts of 64, 32, …, 2, 1 items: for statements in which no item may stand twice. */
export function partsByPowersOfTwo<Item>(items: readonly Item[]): (readonly Item[])[] {
  const result: (readonly Item[])[] = []
  let start = 0
  for (let size = largestBatch; size >= 1; size /= 2) {
    for (; items.length - start >= size; start += size) result.push(items.slice(start, start + size))
  }
  return result
}

export function nextPowerOfTwo(count: number): number {
  let size = 1
  while (size < count) size *= 2
  return size
}

/** Portions of at most `most` bytes of data; a write that is larger goes alone. */
export function byBytes<Write>(
  writes: readonly Write[],
  most: number,
  bytesOf: (write: Write) => number,
): Write[][] {
  const portions: Write[][] = []
  let bytes = Infinity
  for (const write of writes) {
    bytes += bytesOf(write)
    if (bytes > most) {
      portions.push([])
      bytes = bytesOf(write)
    }
    portions.at(-1)!.push(write)
  }
  return portions
}

/** For `byBytes`: the bytes of a write's data. */
export function dataLength({ data }: { readonly data: Uint8Array }): number {
  return data.length
}
