import { findProgram, installDebianPackages } from './programs.ts'

/** A program that is a Redis or a Valkey, with the arguments that come before all others. */
export interface RedisProgram {
  readonly path: string
  readonly arguments?: readonly string[]
}

/** The Redis of this machine, or what apt-get brings. */
export async function findRedis(): Promise<RedisProgram> {
  // Debian's package redis-server would start a service. The same program is in redis-tools, by another name.
  const path =
    (await findProgram('redis-server')) ??
    ((await installDebianPackages('redis-tools')) ? await findProgram('redis-check-rdb') : undefined)
  if (path !== undefined) return { path }
  throw new Error(
    'These tests need a Redis: install redis-server (Debian: apt-get install redis-server), and run them again.',
  )
}
