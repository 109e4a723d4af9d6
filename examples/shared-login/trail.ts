// How a page of one site learns of the requests at another one that led to it. They share no cookie, so the demo has a
// folder for it, with a file for each redirect between them. Its name is a hash of the address, which holds a code or
// 256 random bits.
import { createHash } from 'node:crypto'
import { mkdirSync, readdirSync, readFileSync, rmSync, unlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { dataFolder } from './secret.ts'

const folder = join(dataFolder, 'trail')
mkdirSync(folder, { recursive: true })

export function leaveTrail(address: string, text: string): void {
  writeFileSync(fileOf(address), text)
}

/** What was left for an address, once. */
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

/** At a start: no browser is on its way then. */
export function forgetTrails(): void {
  for (const name of readdirSync(folder)) rmSync(join(folder, name), { force: true })
}

function fileOf(address: string): string {
  return join(folder, createHash('sha256').update(address).digest('hex'))
}
