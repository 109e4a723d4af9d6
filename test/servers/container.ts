import { execFile } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { mkdir } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { promisify } from 'node:util'
import { findProgram, say } from './programs.ts'

const run = promisify(execFile)

// Not a dev dependency: it brings 140 packages, native builds among them, that few machines ever use.
const library = '@testcontainers/mariadb'
const version = '12.1.0'

/** What is used here of the library, which is not there to be asked for its types. */
interface Testcontainers {
  readonly MariaDbContainer: new (image: string) => {
    withRootPassword(password: string): { start(): Promise<Container> }
  }
}

interface Container {
  getHost(): string
  getPort(): number
  stop(): Promise<unknown>
}

/** Runs MariaDB by Docker; `undefined` where there is none, or it does not run. */
export async function startContainer(): Promise<{ url: string; stop(): Promise<void> } | undefined> {
  const docker = await findProgram('docker')
  if (docker === undefined) return undefined
  try {
    await run(docker, ['info'])
  } catch {
    say('There is a docker program, but no engine that answers it.')
    return undefined
  }
  say('Starting MariaDB in a container, for the tests …')
  const { MariaDbContainer } = await loadLibrary()
  const password = randomBytes(12).toString('hex')
  const container = await new MariaDbContainer('mariadb:10.11').withRootPassword(password).start()
  return {
    url: `mysql://root:${password}@${container.getHost()}:${container.getPort()}`,
    async stop() {
      await container.stop()
    },
  }
}

/** Installs the library on first use, its install scripts not run: it works without what they would build. */
export async function loadLibrary(): Promise<Testcontainers> {
  const folder = join(import.meta.dirname, '../../node_modules/.cache/testcontainers')
  const { resolve } = createRequire(join(folder, 'package.json'))
  try {
    resolve(library)
  } catch {
    await mkdir(folder, { recursive: true })
    await run('npm', [
      'install',
      '--prefix',
      folder,
      '--no-save',
      '--ignore-scripts',
      `${library}@${version}`,
    ])
  }
  return (await import(pathToFileURL(resolve(library)).href)) as Testcontainers
}
