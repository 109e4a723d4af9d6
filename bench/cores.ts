import { execFile } from 'node:child_process'
import { closeSync, openSync, writeSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { promisify } from 'node:util'

/** Which core does what, as taskset names them: the app has one to itself. */
export const cores = { app: '0', loadAndDatabases: '1' } as const

/** A command with its arguments, to run on the core of the app. */
export function onAppCore(command: readonly [string, ...string[]]): [string, ...string[]] {
  return ['taskset', '--cpu-list', cores.app, ...command]
}

/** Moves a running process, with all its threads, to the core of the load and the databases. */
export async function moveAside(pid: number): Promise<void> {
  await promisify(execFile)('taskset', [
    '--all-tasks',
    '--pid',
    '--cpu-list',
    cores.loadAndDatabases,
    `${pid}`,
  ])
}

/** Microseconds of CPU that a process, with all its threads, has used so far. The system counts in steps of 10,000. */
export async function cpuOf(pid: number): Promise<number> {
  const text = await readFile(`/proc/${pid}/stat`, 'utf8')
  // The name, in parentheses, may hold anything. The 14th and 15th fields are ticks in user and system mode (proc(5)).
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ')
  return (Number(fields[11]) + Number(fields[12])) * 10_000
}

/**
 * Asks the kernel not to let idle cores sleep (its PM QoS interface), until that is taken back or this process ends. On a
 * virtual machine waking a sleeping core costs the one that wakes it about 20 µs, so that each answer sent to an idle load
 * generator is charged to the app: more to a slow one, whose load generator sleeps more.
 * @returns what lets them sleep again; `undefined` if it could not be asked for: only root may
 */
export function keepCoresAwake(): (() => void) | undefined {
  let file: number
  try {
    file = openSync('/dev/cpu_dma_latency', 'r+')
    writeSync(file, new Uint8Array(4)) // microseconds that waking may take, as an integer: none
  } catch {
    return undefined
  }
  // The request holds while the file is open, so the end of the process takes it back too.
  return () => closeSync(file)
}
