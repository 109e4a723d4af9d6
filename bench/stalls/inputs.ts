type Data = Record<string, unknown>

/** The default of `sizeLimit`, in bytes. */
export const sizeLimit = 65_536

/** Many keys on one level: about so many bytes of JSON. */
export function wide(bytes: number, value = 1): Data {
  return deep(0, bytes, value)
}

/** Objects within objects, with as many keys on each level: about so many bytes of JSON in all. */
export function deep(levels: number, bytes: number, value = 1): Data {
  const beneath = '"in":{},'.length
  const keys = Math.max(1, Math.floor((bytes / (levels + 1) - beneath) / '"k1234":1,'.length))
  let data: Data = keysOf(keys, value)
  for (let level = 0; level < levels; level++) data = { ...keysOf(keys, value), in: data }
  return data
}

/** One text, of letters that take two bytes and of such that JSON escapes. */
export function longText(bytes: number): Data {
  return { text: 'xé"\n'.repeat(Math.floor(bytes / 7)) }
}

/** Every second number of a tree, in place: what one of two concurrent requests changes. */
export function changeHalf(data: Data, half: 0 | 1, value: number): void {
  Object.keys(data).forEach((key, at) => {
    if (typeof data[key] === 'object') changeHalf(data[key] as Data, half, value)
    else if (at % 2 === half) data[key] = value
  })
}

function keysOf(count: number, value: number): Data {
  // As many digits each, or they would be in the order of numbers.
  return Object.fromEntries(Array.from({ length: count }, (_, at) => [`k${1_000 + at}`, value]))
}
