import { glob } from 'node:fs/promises'
import { installDebianPackages } from './programs.ts'

/**
 * What a process finds in its environment whose clock is off by so much, such as `+10m` or `-1d`. Its timers run on.
 * @returns `undefined` if this machine has no libfaketime, and cannot get it
 */
export async function clockOffBy(offset: string): Promise<Record<string, string> | undefined> {
  let library = await findLibrary()
  if (library === undefined && (await installDebianPackages('faketime'))) library = await findLibrary()
  if (library === undefined) return undefined
  return { LD_PRELOAD: library, FAKETIME: offset, FAKETIME_DONT_FAKE_MONOTONIC: '1' }
}

async function findLibrary(): Promise<string | undefined> {
  for await (const path of glob('/usr/lib/*/faketime/libfaketimeMT.so.1')) return path
  return undefined
}
