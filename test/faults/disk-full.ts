import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { mkdtemp, open, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { type Outcome, playAlone, type Runs, type Scenario } from './play.ts'
import { asOwner } from './stage.ts'

const run = promisify(execFile)

/** What it is called in docs/faults.md. */
export const diskFullFault = 'disk full'

/**
 * The database on a disk that gets full.
 * @returns what came of it; a text if no small disk can be made here: why
 */
export async function playDiskFull(form: keyof Runs, database: string): Promise<Outcome | string> {
  const disk = await mkdtemp(join(tmpdir(), 'coatcheck-disk-'))
  try {
    await run('mount', ['-t', 'tmpfs', '-o', 'size=512m', 'tmpfs', disk])
  } catch (error) {
    await rm(disk, { recursive: true })
    return `no small disk can be mounted here: ${String((error as { stderr?: string }).stderr).trim()}`
  }
  try {
    return await playAlone(diskFull(disk, database === 'mysql'), form, database)
  } finally {
    await run('umount', [disk])
    await rm(disk, { recursive: true })
  }
}

/** @param ends whether the server ends itself then, as MySQL does where it cannot write its binary log */
const diskFull = (disk: string, ends: boolean): Scenario => ({
  fault: diskFullFault,
  runs: { short: 1, long: 5 },
  stage: { parent: disk },
  async happen({ database, owner }, crowd) {
    const [reader] = await crowd.signedIn(1)
    const growing = await crowd.signedIn(200)
    const file = join(disk, 'filler')
    await fill(file)
    // Until the table has to grow.
    const before = crowd.errors
    while (crowd.errors === before) await crowd.ask(growing.pop()!, 'POST', '/filler/60000')
    if (ends) await database.crash()
    else assert.equal((await crowd.read(reader!))?.status, 200)
    await rm(file)
    if (ends) await database.restart()
    // As a statement that failed is undone, this server may need room, and where it gets none, spoil an index (1034): its administrator makes them anew.
    await asOwner(owner, async (connection) => {
      await connection.query('ALTER TABLE coatcheck_sessions FORCE')
    })
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
