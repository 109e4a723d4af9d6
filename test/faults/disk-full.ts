import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { mkdtemp, open, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import type { FaultyDatabase } from './databases/faulty-database.ts'
import { type Outcome, playAlone, type Runs, type Scenario } from './play.ts'
import { asOwner } from './stage.ts'

const run = promisify(execFile)

/** What it is called in docs/faults.md. */
export const diskFullFault = 'disk full'

/**
 * The database on a disk that gets full.
 * @returns what came of it; a text if no small disk can be made here: why
 */
export async function playDiskFull(form: keyof Runs, kind: FaultyDatabase): Promise<Outcome | string> {
  const disk = await mkdtemp(join(tmpdir(), 'coatcheck-disk-'))
  try {
    await run('mount', ['-t', 'tmpfs', '-o', 'size=512m', 'tmpfs', disk])
  } catch (error) {
    await rm(disk, { recursive: true })
    return `no small disk can be mounted here: ${String((error as { stderr?: string }).stderr).trim()}`
  }
  try {
    return await playAlone(diskFull(disk), form, kind)
  } finally {
    await run('umount', [disk])
    await rm(disk, { recursive: true })
  }
}

const diskFull = (disk: string): Scenario => ({
  fault: diskFullFault,
  runs: { short: 1, long: 5 },
  stage: { parent: disk },
  async happen({ database, kind, owner }, crowd) {
    const [reader] = await crowd.signedIn(1)
    const growing = await crowd.signedIn(200)
    const file = join(disk, 'filler')
    await fill(file)
    // Until the table has to grow.
    const before = crowd.errors
    while (crowd.errors === before) await crowd.ask(growing.pop()!, 'POST', '/filler/60000')
    if (kind.endsOnFullDisk) await database.crash()
    else assert.equal((await crowd.read(reader!))?.status, 200)
    await rm(file)
    if (kind.endsOnFullDisk) await database.restart()
    await asOwner(owner, (connection) => connection.repair())
  },
})

async function fill(path: string): Promise<void> {
  const file = await open(path, 'w')
  try {
    for (;;) await file.write(Buffer.alloc(64 * 1024))
  } catch (error) {
    assert.equal((error as NodeJS.ErrnoException).code, 'ENOSPC')
  } finally {
    await file.close()
  }
}
