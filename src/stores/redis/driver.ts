import { optionError } from '../../core/errors.js'

/** The package redis, as `import * as redis from 'redis'` gives it. */
type Driver = typeof import('redis')

/**
 * The package redis, an optional one: who brings a client needs none of ours. Bundlers see the `require` and take it in.
 * @throws ERR_SESSION_OPTION if it is not installed.
 */
export function driver(): Driver {
  try {
    return require('redis') as Driver
  } catch (error) {
    if (!isMissing(error)) throw error
    throw optionError(
      'Sessions in Redis, found by a URL, need the package redis, and it is not installed. Install it with "npm install redis", or give RedisStore a client of ioredis or iovalkey.',
    )
  }
}

/** Whether it is redis that was not found, and not something that it needs. Yarn's words are others. */
function isMissing(error: unknown): boolean {
  const { code, message } = error as NodeJS.ErrnoException
  return (
    code === 'MODULE_NOT_FOUND' && /^Cannot find module 'redis'|tried to access redis(?![\w-])/.test(message)
  )
}
