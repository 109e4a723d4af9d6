/**
 * The name that somebody meant who wrote another: the same but for upper case and punctuation, or but for two letters.
 * Short names are too near to each other for that.
 */
export function suggested(written: string, names: readonly string[]): string | undefined {
  const wanted = plain(written)
  const same = names.find((name) => plain(name) === wanted)
  if (same !== undefined || wanted.length < 5 || wanted.length > 40) return same
  return names
    .filter((name) => name.length >= 5)
    .map((name) => ({ name, distance: distance(wanted, plain(name)) }))
    .filter((near) => near.distance <= (near.name.length < 10 ? 1 : 2))
    .sort((one, other) => one.distance - other.distance)[0]?.name
}

function plain(name: string): string {
  return name.toLowerCase().replace(/[^a-z0-9]/g, '')
}

/** How many letters to add, drop or replace, to make one word of another (Levenshtein). */
function distance(one: string, other: string): number {
  let row = Array.from({ length: other.length + 1 }, (_, index) => index)
  for (let i = 1; i <= one.length; i++) {
    const next = [i]
    for (let j = 1; j <= other.length; j++) {
      const replaced = row[j - 1]! + Number(one[i - 1] !== other[j - 1])
      next[j] = Math.min(replaced, row[j]! + 1, next[j - 1]! + 1)
    }
    row = next
  }
  return row[other.length]!
}
