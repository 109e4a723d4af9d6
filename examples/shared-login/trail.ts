// Passes requests from one site to the page of another. The two share no cookie, so the demo writes a file for each
// redirect between them. The file's name is a hash of the address, which nobody can guess: it has a code or 256 random
// bits.
import { createHash } from 'node:crypto'
import { mkdirSync, readdirSync, readFileSync, rmSync, unlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { dataFolder } from './secret.ts'

const folder = join(dataFolder, 'trail')
mkdirSync(folder, { recursive: true })

export function leaveTrail(address: string, text: string): void {
  writeFileSync(fileOf(address), text)
}

/** Returns what was left for an address, and deletes it. */
export function takeTrail(address: string): string | undefined {
  const file = fileOf(address)
  try {
    const text = readFileSync(file, 'utf8')
    unlinkSync(file)
    return text
  } catch {
    return undefined
  }
}

/** Call it at the start, when no redirect is in progress. */
export function forgetTrails(): void {
  for (const name of readdirSync(folder)) rmSync(join(folder, name), { force: true })
}

function fileOf(address: string): string {
  return join(folder, createHash('sha256').update(address).digest('hex'))
}
