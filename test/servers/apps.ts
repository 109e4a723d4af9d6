import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { resolve } from 'node:path'
import { ownProcess } from './owned.ts'

/** An app in a process of its own. */
export interface App {
  /** `http://127.0.0.1:port` */
  readonly url: string
  readonly port: number
  /** All that it wrote so far, to stdout and to stderr. */
  output(): string
  /** Sends it a message, as to a child process of Node's. */
  send(message: string): void
  /** Ends it as a deployment would, by SIGTERM, or by the signal, and waits until it is gone. May be called twice. */
  stop(signal?: NodeJS.Signals): Promise<AppExit>
}

export interface AppExit {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
}

/**
 * Runs a TypeScript or JavaScript file as a Node process and waits until it listens: it is to
 * print a line `listening <port>`, or to send `{ listening: port }` to the process that started it.
 * @param file its path, from the repository's root
 * @param env what is added to the environment
 * @throws Error with its output, if it ends before it listens
 */
export async function startApp(file: string, env: Record<string, string> = {}): Promise<App> {
  const path = resolve(import.meta.dirname, '../..', file)
  const child = ownProcess(
    spawn(process.execPath, [path], {
      env: { ...process.env, ...env },
      stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
    }),
  )
  // 'close' comes after 'exit', once all that it wrote has arrived here.
  const closed = once(child, 'close').then(([code, signal]): AppExit => ({ code, signal }))

  let written = ''
  const port = await new Promise<number>((listening, reject) => {
    const collect = (text: string): void => {
      written += text
      const line = /^listening (\d+)$/m.exec(written)
      if (line) listening(Number(line[1]))
    }
    child.stdout!.setEncoding('utf8').on('data', collect)
    child.stderr!.setEncoding('utf8').on('data', collect)
    child.on('message', (message: { listening?: number }) => {
      if (message.listening !== undefined) listening(message.listening)
    })
    child.once('error', reject)
    closed.then(
      ({ code, signal }) =>
        reject(new Error(`${file} ended (${signal ?? code}) before it listened. It wrote:\n${written}`)),
      reject,
    )
  })

  return {
    url: `http://127.0.0.1:${port}`,
    port,
    output: () => written,
    send: (message) => void child.send(message),
    async stop(signal = 'SIGTERM') {
      if (child.exitCode === null && child.signalCode === null) child.kill(signal)
      return closed
    },
  }
}
