import { createRequire } from 'node:module'

const require = createRequire(import.meta.url)

/**
 * Another copy of a module of the package, as if it were loaded for the first time; what it imports stays as it is.
 * @param path within `dist`
 */
export function loadAnew(path: string): unknown {
  const file = require.resolve(`../dist/${path}`)
  const loaded = require.cache[file]
  delete require.cache[file]
  try {
    return require(file)
  } finally {
    require.cache[file] = loaded
  }
}
