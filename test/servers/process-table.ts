import { readdirSync, readFileSync } from 'node:fs'

/** The process ids of what a process has started, and of what that has started, from Linux's process table. */
export function descendantsOf(pid: number): number[] {
  const children = new Map<number, number[]>()
  for (const name of readdirSync('/proc')) {
    const parent = /^PPid:\t(\d+)$/m.exec(statusOf(name))?.[1]
    if (parent === undefined) continue
    children.set(Number(parent), [...(children.get(Number(parent)) ?? []), Number(name)])
  }
  const below = (id: number): number[] =>
    (children.get(id) ?? []).flatMap((child) => [child, ...below(child)])
  return below(pid)
}

/** A process that ended and waits to be collected by its parent is not running. */
export function isRunning(pid: number): boolean {
  const status = statusOf(String(pid))
  return status !== '' && !/^State:\s+[ZX]/m.test(status)
}

/** Empty for what is no process, or is one no more. */
function statusOf(name: string): string {
  if (!/^\d+$/.test(name)) return ''
  try {
    return readFileSync(`/proc/${name}/status`, 'utf8')
  } catch {
    return ''
  }
}
