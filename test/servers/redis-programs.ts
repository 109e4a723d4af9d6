import { unpackDebianPackage } from './debian-packages.ts'
import { findProgram, type Program, installDebianPackages } from './programs.ts'

/** Others than Debian's own, by the names that `COATCHECK_REDIS_PROGRAM` may have. */
export const otherPrograms: Readonly<Record<string, () => Promise<Program>>> = {
  'redis-8': redis8Program,
  'valkey-9': valkeyProgram,
}

/** The Redis of this machine, or what apt-get brings; another, if a script that runs the tests on each says so. */
export async function findRedis(): Promise<Program> {
  const { COATCHECK_REDIS_PROGRAM: other = '' } = process.env
  if (Object.hasOwn(otherPrograms, other)) return otherPrograms[other]!()
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
async function redis8Program(): Promise<Program> {
  const unpacked = await unpackDebianPackage({
    title: 'Redis',
    name: 'redis-tools',
    triedVersion: '5:8.0.6-3',
  })
  return unpacked.program('usr/bin/redis-check-rdb', 'redis-server')
}

/** Valkey 9, which this Debian does not have. */
async function valkeyProgram(): Promise<Program> {
  const unpacked = await unpackDebianPackage({
    title: 'Valkey',
    name: 'valkey-tools',
    triedVersion: '9.1.2-1',
  })
  return unpacked.program('usr/bin/valkey-check-rdb', 'valkey-server')
}
