import { type ChildProcess, spawn } from 'node:child_process'
import { rmSync } from 'node:fs'
import type { Socket } from 'node:net'
import { join } from 'node:path'

// What would outlive this process. Two ways end it: an exit is seen here; a kill is seen by a process beside this one,
// clear-away.ts, because its input ends.
const children = new Set<ChildProcess>()
const folders = new Set<string>()
let heir: ChildProcess | undefined

process.once('exit', () => {
  for (const child of children) child.kill('SIGKILL')
  for (const folder of folders) rmSync(folder, { recursive: true, force: true })
})

/** Sees to it that the child does not outlive this process, however that ends. */
export function ownProcess<Child extends ChildProcess>(child: Child): Child {
  if (child.pid === undefined) return child
  children.add(child)
  child.once('exit', () => {
    children.delete(child)
    tellHeir()
  })
  tellHeir()
  return child
}

/** The same for a folder. */
export function ownFolder(path: string): void {
  folders.add(path)
  tellHeir()
}

/** Removes the folder now. */
export function removeFolder(path: string): void {
  rmSync(path, { recursive: true, force: true })
  if (folders.delete(path)) tellHeir()
}

function tellHeir(): void {
  heir ??= startHeir()
  const pids = [...children].map(({ pid }) => pid)
  heir.stdin!.write(`${JSON.stringify({ pids, folders: [...folders] })}\n`)
}

function startHeir(): ChildProcess {
  const child = spawn(process.execPath, [join(import.meta.dirname, 'clear-away.ts')], {
    // Outside of our process group, so that Ctrl-C at the terminal does not end it first.
    detached: true,
    stdio: ['pipe', 'ignore', 'inherit'],
  })
  child.unref()
  ;(child.stdin as Socket).unref()
  return child
}
