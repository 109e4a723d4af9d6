import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import type { Places } from './apps/session-kinds.ts'
import type { Contender } from './contenders.ts'
import { cores } from './cores.ts'

/** What a process has used since it began. */
export interface Usage {
  /** Microseconds, of all its threads. */
  readonly cpu: number
  /** Bytes of memory that it holds now. */
  readonly resident: number
}

/** A contender's app in a process of its own, on the app's core. */
export class AppProcess {
  readonly port: number
  readonly #child: ChildProcess

  private constructor(child: ChildProcess, port: number) {
    this.#child = child
    this.port = port
  }

  /**
   * @param nodeOptions for Node itself, such as `--cpu-prof`
   * @throws Error if it ends before it listens; what it wrote is on the bench's own stderr
   */
  static async start(
    { framework, kind }: Contender,
    places: Places,
    nodeOptions: readonly string[] = [],
  ): Promise<AppProcess> {
    const file = join(import.meta.dirname, 'apps/app.ts')
    const node = [process.execPath, ...nodeOptions, file, framework, kind]
    const child = spawn('taskset', ['--cpu-list', cores.app, ...node], {
      env: { ...process.env, NODE_ENV: 'production', PLACES: JSON.stringify(places) },
      stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
    })
    const [message] = (await Promise.race([
      once(child, 'message'),
      once(child, 'exit').then(() => {
        throw new Error(`The app ${framework}/${kind} ended before it listened.`)
      }),
    ])) as [{ listening: number }]
    return new AppProcess(child, message.listening)
  }

  async usage(): Promise<Usage> {
    this.#child.send('usage')
    const [usage] = (await once(this.#child, 'message')) as [Usage]
    return usage
  }

  async stop(): Promise<void> {
    if (this.#child.exitCode !== null) return
    const exited = once(this.#child, 'exit')
    this.#child.disconnect()
    await exited
  }
}
