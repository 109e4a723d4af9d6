import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import type { frameworks } from './apps/frameworks.ts'
import type { Places } from './apps/session-kinds.ts'
import { mainShape, type ShapeName } from './apps/shapes.ts'
import { onAppCore } from './cores.ts'

/** What a process has used since it began. */
export interface Usage {
  /** Microseconds, of all its threads. */
  readonly cpu: number
  /** Bytes of memory that it holds now. */
  readonly resident: number
}

/** Which of the apps: the arguments of apps/app.ts. */
interface App {
  readonly framework: keyof typeof frameworks
  readonly kind: string
}

interface AppOptions {
  /** What its sessions hold: the main shape, if left out. */
  readonly shape?: ShapeName
  /** For Node itself, such as `--cpu-prof`. */
  readonly nodeOptions?: readonly string[]
  /** On the app's core, as measuring needs it. That is the default; it takes Linux and two cores. */
  readonly pinned?: boolean
}

/** A contender's app in a process of its own. */
export class AppProcess {
  /** For messages. */
  readonly name: string
  readonly port: number
  readonly #child: ChildProcess

  private constructor(child: ChildProcess, name: string, port: number) {
    this.#child = child
    this.name = name
    this.port = port
  }

  /** @throws Error if it ends before it listens; what it wrote is on the bench's own stderr */
  static async start(
    { framework, kind }: App,
    places: Places,
    { shape = mainShape, nodeOptions = [], pinned = true }: AppOptions = {},
  ): Promise<AppProcess> {
    const file = join(import.meta.dirname, 'apps/app.ts')
    const node = [process.execPath, ...nodeOptions, file, framework, kind, shape] as const
    const [program, ...rest] = pinned ? onAppCore(node) : node
    const child = spawn(program, rest, {
      env: { ...process.env, NODE_ENV: 'production', PLACES: JSON.stringify(places) },
      stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
    })
    const [message] = (await Promise.race([
      once(child, 'message'),
      once(child, 'exit').then(() => {
        throw new Error(`The app ${framework}/${kind} ended before it listened.`)
      }),
    ])) as [{ listening: number }]
    return new AppProcess(child, `${framework}/${kind}`, message.listening)
  }

  async usage(): Promise<Usage> {
    this.#child.send('usage')
    const [usage] = (await once(this.#child, 'message')) as [Usage]
    return usage
  }

  async stop(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return
    const exited = once(this.#child, 'exit')
    this.#child.disconnect()
    await exited
  }
}
