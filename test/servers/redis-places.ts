import { randomBytes } from 'node:crypto'
import { RedisStore } from 'coatcheck/redis'
import { createClient } from 'redis'
import { inject } from 'vitest'

/**
 * A place for sessions of their own on the Redis of this run, or on that of `server`: its URL, and after a `#` what the keys
 * begin with.
 */
export function freshRedis(server: string = inject('redis')): string {
  return `${server}#test-${randomBytes(6).toString('hex')}:`
}

export function storeOnRedis(place: string): RedisStore {
  const [url, prefix] = place.split('#')
  return new RedisStore(url, { prefix })
}

/** Removes all that is there. */
export async function emptyRedis(place: string): Promise<void> {
  const [url, prefix] = place.split('#')
  const client = await createClient({ url: url! }).connect()
  try {
    const keys = await client.keys(`${prefix}*`)
    if (keys.length > 0) await client.del(keys)
  } finally {
    client.destroy()
  }
}
