import type { ProvidedContext } from 'vitest'
import type { TestProject } from 'vitest/node'
import setup from './global-setup.ts'

interface Started {
  readonly provided: readonly (readonly [keyof ProvidedContext, never])[]
  readonly stop: () => Promise<void>
}

// Vitest loads this file once for each project, so what the projects share cannot lie in a variable of it.
const shared = globalThis as { coatcheckServers?: Promise<Started> | undefined }

/** Starts the servers for the first project that needs them, and hands the same ones to the next. */
export default async function setupOnce(project: TestProject): Promise<() => Promise<void>> {
  const servers = (shared.coatcheckServers ??= start())
  const { provided, stop } = await servers
  for (const [name, value] of provided) project.provide(name, value)
  // Vitest ends the projects only when all their tests are over. The first one to end stops the servers.
  return async () => {
    if (shared.coatcheckServers !== servers) return
    shared.coatcheckServers = undefined
    await stop()
  }
}

async function start(): Promise<Started> {
  const provided: [keyof ProvidedContext, never][] = []
  const stop = await setup({ provide: (name, value) => void provided.push([name, value as never]) })
  return { provided, stop }
}
