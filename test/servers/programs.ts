import { execFile } from 'node:child_process'
import { constants } from 'node:fs'
import { access } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import { promisify } from 'node:util'

const run = promisify(execFile)

/** A program to start, with the arguments that come before all others. */
export interface Program {
  readonly path: string
  readonly arguments?: readonly string[]
}

// Debian keeps servers in the sbin folders, which are not on an ordinary user's PATH.
const folders = [...(process.env['PATH'] ?? '').split(delimiter), '/usr/sbin', '/usr/local/sbin', '/sbin']

/** The path of the first of these programs that this machine has; `undefined` if it has none. */
export async function findProgram(...names: readonly string[]): Promise<string | undefined> {
  for (const name of names) {
    for (const folder of folders) {
      if (folder === '') continue
      const path = join(folder, name)
      if (await isExecutable(path)) return path
    }
  }
  return undefined
}

async function isExecutable(path: string): Promise<boolean> {
  try {
    await access(path, constants.X_OK)
    return true
  } catch {
    return false
  }
}

let listsUpdated: Promise<unknown> | undefined

/**
 * Installs Debian packages, where that needs no password and no question. Test files run in processes of their own, and several may want to
 * install something at the same time: they take turns.
 * @returns whether they are installed now
 */
export async function installDebianPackages(...packages: readonly string[]): Promise<boolean> {
  const apt = await findProgram('apt-get')
  if (apt === undefined || process.getuid?.() !== 0) return false
  say(`Installing ${packages.join(' and ')} with apt-get, for the tests …`)
  // Offline, systemctl starts no service that a package brings.
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive', SYSTEMD_OFFLINE: '1' }
  const options = { env, maxBuffer: 64 * 1024 * 1024 }
  // apt-get waits for another's lock on dpkg if told to, but not for one on its lists. `flock` of util-linux is on every Debian.
  const inTurn = (...args: string[]) =>
    run(
      'flock',
      [join(tmpdir(), 'coatcheck-apt.lock'), apt, '--option=DPkg::Lock::Timeout=600', ...args],
      options,
    )
  try {
    listsUpdated ??= inTurn('update', '--quiet')
    await listsUpdated
    await inTurn('install', '--yes', '--quiet', '--no-install-recommends', ...packages)
    return true
  } catch (error) {
    say(`That did not work: ${lastLine(error)}`)
    return false
  }
}

/** Tells the person at the terminal what takes so long. */
export function say(line: string): void {
  process.stderr.write(`${line}\n`)
}

/** Of what a program that failed wrote, or of an error, the last line. */
export function lastLine(error: unknown): string {
  const { stderr, message } = error as { stderr?: string; message: string }
  return (stderr ?? '').trim().split('\n').at(-1) || message
}
