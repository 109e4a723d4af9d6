import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { freshDatabase } from '../servers/databases.ts'
import { ownFolder, ownProcess, removeFolder } from '../servers/owned.ts'
import { freePorts } from '../servers/ports.ts'
import { freshPostgreSQL } from '../servers/postgres-databases.ts'
import { startRedis } from '../servers/redis.ts'

const file = resolve(import.meta.dirname, '../../examples/shared-login/start.ts')

/** The demo as `npm start` runs it, on ports and in a data folder of its own. */
export interface Demo {
  readonly accounts: string
  readonly shop: string
  readonly api: string
  readonly partner: string
  readonly launcher: ChildProcess
  /** Where it keeps its data. */
  readonly folder: string
  output(): string
  /** Resolves with what the demo wrote, as soon as it matches. */
  wrote(pattern: RegExp): Promise<RegExpExecArray>
  /** Ends it as Ctrl-C does and tells the exit code. */
  stop(): Promise<number | null>
}

export interface Ended {
  readonly code: number | null
  readonly output: string
}

/** The environment in which the demo keeps its sessions in a new database of this kind. */
export async function keptIn(
  database: 'SQLite' | 'MariaDB' | 'PostgreSQL' | 'Redis',
): Promise<{ DATABASE_URL?: string }> {
  if (database === 'SQLite') return {}
  if (database === 'Redis') return { DATABASE_URL: (await startRedis()).url }
  return { DATABASE_URL: await (database === 'MariaDB' ? freshDatabase() : freshPostgreSQL()) }
}

/** Starts the demo and waits until all four apps listen. */
export async function startDemo(env: Record<string, string> = {}): Promise<Demo> {
  const run = await launch(env)
  const [accounts, shop, api, partner] = run.ports.map(String)
  await run.wrote(/Ctrl-C ends all four/)
  return {
    accounts: `http://accounts.demo.localhost:${accounts}`,
    shop: `http://shop.demo.localhost:${shop}`,
    api: `http://api.demo.localhost:${api}`,
    partner: `http://partner.localhost:${partner}`,
    launcher: run.child,
    folder: run.folder,
    output: run.output,
    wrote: run.wrote,
    async stop() {
      run.child.kill('SIGINT')
      return (await run.ended).code
    },
  }
}

/** Starts the demo where it cannot run, and waits for its end. */
export async function startInVain(env: Record<string, string>): Promise<Ended> {
  const run = await launch(env)
  return run.ended
}

async function launch(env: Record<string, string>) {
  const ports = await freePorts(4)
  const folder = mkdtempSync(join(tmpdir(), 'coatcheck-demo-'))
  ownFolder(folder)
  const { DATABASE_URL: _, SESSION_SECRET: __, ...inherited } = process.env
  const child = ownProcess(
    spawn(process.execPath, [file], {
      env: {
        ...inherited,
        PORT_ACCOUNTS: String(ports[0]),
        PORT_SHOP: String(ports[1]),
        PORT_API: String(ports[2]),
        PORT_PARTNER: String(ports[3]),
        DATA_FOLDER: folder,
        ...env,
      },
      stdio: ['ignore', 'pipe', 'pipe'],
    }),
  )

  let written = ''
  const listeners = new Set<() => void>()
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text: string) => {
      written += text
      for (const listener of listeners) listener()
    })
  }
  // 'close' comes once nobody holds its output any more, so after the end of the apps too.
  const ended = once(child, 'close').then(([code]): Ended => {
    removeFolder(folder)
    return { code: code as number | null, output: written }
  })

  const wrote = (pattern: RegExp): Promise<RegExpExecArray> =>
    new Promise((found, reject) => {
      const look = (): void => {
        const match = pattern.exec(written)
        if (match === null) return
        listeners.delete(look)
        found(match)
      }
      listeners.add(look)
      look()
      ended.then(
        () => reject(new Error(`The demo ended without writing ${pattern}. It wrote:\n${written}`)),
        reject,
      )
    })

  return { child, ports, folder, ended, output: () => written, wrote }
}
