import { unpackDebianPackage } from './debian-packages.ts'
import { findProgram, type Program, installDebianPackages } from './programs.ts'

/** The Redis of this machine, or what apt-get brings. */
export async function findRedis(): Promise<Program> {
  // Debian's package redis-server would start a service. The same program is in redis-tools, by another name.
  const path =
    (await findProgram('redis-server')) ??
    ((await installDebianPackages('redis-tools')) ? await findProgram('redis-check-rdb') : undefined)
  if (path !== undefined) return { path }
  throw new Error(
    'These tests need a Redis: install redis-server (Debian: apt-get install redis-server), and run them again.',
  )
}

/** Redis 8, which this Debian does not have. */
export async function redis8Program(): Promise<Program> {
  const unpacked = await unpackDebianPackage({
    title: 'Redis',
    name: 'redis-tools',
    triedVersion: '5:8.0.6-3',
  })
  return unpacked.program('usr/bin/redis-check-rdb', 'redis-server')
}

/** Valkey 9, which this Debian does not have. */
export async function valkeyProgram(): Promise<Program> {
  const unpacked = await unpackDebianPackage({
    title: 'Valkey',
    name: 'valkey-tools',
    triedVersion: '9.1.2-1',
  })
  return unpacked.program('usr/bin/valkey-check-rdb', 'valkey-server')
}
