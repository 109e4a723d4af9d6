import { randomBytes } from 'node:crypto'
import { createClient } from 'redis'
import { freePort } from './ports.ts'
import { findProgram, installDebianPackages } from './programs.ts'
import { type DatabaseServer, ServerFolder } from './server-process.ts'

/** Starts a private Redis, empty and in memory: the program of this machine, or what apt-get brings. */
export async function startRedis(): Promise<DatabaseServer> {
  // Debian's package redis-server would start a service. The same program is in redis-tools, by another name.
  const program =
    (await findProgram('redis-server')) ??
    ((await installDebianPackages('redis-tools')) ? await findProgram('redis-check-rdb') : undefined)
  if (program === undefined) {
    throw new Error(
      'These tests need a Redis: install redis-server (Debian: apt-get install redis-server), and run them again.',
    )
  }
  const folder = await ServerFolder.make('redis')
  try {
    const port = await freePort()
    const password = randomBytes(12).toString('hex')
    const url = `redis://:${password}@127.0.0.1:${port}`
    const options = ['--bind', '127.0.0.1', '--port', `${port}`, '--requirepass', password, '--save', '']
    await folder.start(program, options, () => ask(url), undefined, 'redis-server')
    return { url, pid: folder.pid, stop: () => folder.remove() }
  } catch (error) {
    await folder.remove()
    throw error
  }
}

async function ask(url: string): Promise<void> {
  const client = createClient({ url, socket: { reconnectStrategy: false } })
  client.on('error', () => undefined) // connect() rejects with it too
  await client.connect()
  client.destroy()
}
