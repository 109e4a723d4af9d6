import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { ownProcess } from '../servers/owned.ts'

/** `coatcheck` in a process of its own, as it is installed. */
export interface CommandRun {
  readonly child: ChildProcess
  readonly ended: Promise<CommandEnd>
}

export interface CommandEnd {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
  readonly stdout: string
  readonly stderr: string
}

/**
 * @param env added to the environment of this process, whose own DATABASE_URL is left out
 * @param cwd its working directory; left out: that of this process
 */
export function startCommand(args: readonly string[], env: NodeJS.ProcessEnv = {}, cwd?: string): CommandRun {
  const program = join(import.meta.dirname, '../../dist/command/coatcheck.js')
  const { DATABASE_URL: _, ...others } = process.env
  const child = ownProcess(
    spawn(process.execPath, [program, ...args], {
      env: { ...others, ...env },
      cwd,
      stdio: ['ignore', 'pipe', 'pipe'],
    }),
  )
  let [stdout, stderr] = ['', '']
  child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text))
  child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text))
  const ended = once(child, 'close').then(([code, signal]): CommandEnd => {
    return { code: code as number | null, signal: signal as NodeJS.Signals | null, stdout, stderr }
  })
  return { child, ended }
}
