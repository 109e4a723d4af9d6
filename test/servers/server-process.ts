import { execFile, spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, mkdtempSync } from 'node:fs'
import { chown } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { ownFolder, ownProcess, removeFolder } from './owned.ts'

const run = promisify(execFile)

/** Milliseconds that end a hang. A server that starts on a busy machine is not one. */
const longestStart = 150_000

/** A server of this test run's own. */
export interface DatabaseServer {
  /** Where it answers, as a user who may do everything; of a MySQL or MariaDB without a database in it. */
  readonly url: string
  /** The server's process; `undefined` if it runs in a container. */
  readonly pid?: number | undefined
  /** Kills it as a failing machine would (SIGKILL), and waits until it is gone. Not of one in a container. */
  crash?(): Promise<void>
  /** Starts it again after `crash`, on the same data and port, and waits until it answers. */
  restart?(): Promise<void>
  stop(): Promise<void>
}

/** A user of this machine, as `spawn` takes it. */
export interface Account {
  readonly uid: number
  readonly gid: number
}

/** The account of that name, where tests run as root, who may act for others; `undefined` where they do not. */
export async function accountOf(user: string): Promise<Account | undefined> {
  if (process.getuid?.() !== 0) return undefined
  const [{ stdout: uid }, { stdout: gid }] = await Promise.all([
    run('id', ['-u', user]),
    run('id', ['-g', user]),
  ])
  return { uid: Number(uid), gid: Number(gid) }
}

/** An empty folder for a server's data, and the server in it once it runs. Both go with `remove`, and with this process. */
export class ServerFolder {
  readonly path: string
  #child: ChildProcess | undefined

  private constructor(name: string, parent: string) {
    this.path = mkdtempSync(join(parent, `coatcheck-${name}-`))
    ownFolder(this.path)
  }

  /** @param account whose the folder is to be; left out: the one that runs the tests */
  static async make(name: string, account?: Account, parent: string = tmpdir()): Promise<ServerFolder> {
    const folder = new ServerFolder(name, parent)
    if (account) {
      chmodSync(folder.path, 0o755)
      await chown(folder.path, account.uid, account.gid)
    }
    return folder
  }

  /** The server's process, once it was started. */
  get pid(): number | undefined {
    return this.#child?.pid
  }

  /**
   * Starts the server and waits until `ask`, which is tried again and again, gets an answer from it.
   * @throws Error with what it wrote last, if it ends before, or does not answer
   */
  async start(
    program: string,
    options: readonly string[],
    ask: () => Promise<unknown>,
    account?: Account,
    argv0?: string,
  ): Promise<void> {
    const child = spawn(program, options, {
      cwd: this.path,
      env: { ...process.env, TMPDIR: this.path },
      stdio: ['ignore', 'pipe', 'pipe'],
      ...account,
      ...(argv0 !== undefined && { argv0 }),
    })
    this.#child = ownProcess(child)
    const log = collectLog(child)
    const deadline = Date.now() + longestStart
    for (;;) {
      try {
        await ask()
        return
      } catch (cause) {
        const ended = child.pid === undefined || child.exitCode !== null || child.signalCode !== null
        if (ended || Date.now() > deadline) {
          const what = ended ? 'ended as it started' : 'does not answer'
          throw new Error(`${program}, for the tests, ${what}. Its log:\n${log()}`, { cause })
        }
        await new Promise((resolve) => setTimeout(resolve, 50))
      }
    }
  }

  /** Ends the server, and waits until it is gone. */
  async end(signal: NodeJS.Signals): Promise<void> {
    const child = this.#child
    if (child?.pid === undefined || child.exitCode !== null || child.signalCode !== null) return
    const exited = once(child, 'exit')
    child.kill(signal)
    await exited
  }

  /** Ends the server, and removes its data. */
  async remove(signal: NodeJS.Signals = 'SIGTERM'): Promise<void> {
    await this.end(signal)
    removeFolder(this.path)
  }
}

/** Waits for servers that start side by side. If one fails, the others are stopped. */
export async function startAll<Server extends { stop(): Promise<void> }>(
  starting: readonly Promise<Server>[],
): Promise<Server[]> {
  try {
    return await Promise.all(starting)
  } catch (error) {
    const settled = await Promise.allSettled(starting)
    await Promise.all(settled.flatMap((each) => (each.status === 'fulfilled' ? [each.value.stop()] : [])))
    throw error
  }
}

/** Reads what a process writes, and returns a function that tells the last of it. */
export function collectLog(child: ChildProcess): () => string {
  const lines: string[] = []
  const note = (text: string): void => {
    lines.push(text)
    if (lines.length > 200) lines.shift()
  }
  child.once('error', (error) => note(String(error)))
  for (const output of [child.stdout, child.stderr]) output?.setEncoding('utf8').on('data', note)
  return () => lines.join('')
}
