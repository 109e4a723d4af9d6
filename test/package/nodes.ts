import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdir, mkdtemp, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'

const run = promisify(execFile)

const cache = join(import.meta.dirname, '../../node_modules/.cache/nodes')

/** The lowest Node that package.json allows, and the newest of the lines after it. The last is this repository's own. */
export const supportedNodes = ['22.13.0', '22.23.2', '24.21.0', process.versions.node]

/**
 * The Node program of an exact version, from the package that npm's `node` takes it from on this
 * kind of machine. Fetched once, then kept below node_modules.
 */
export async function nodeProgram(version: string): Promise<string> {
  if (version === process.versions.node) return process.execPath
  const folder = join(cache, version)
  const { platform, arch } = process
  const name = `${platform === 'darwin' && arch === 'arm64' ? 'node-bin' : 'node'}-${platform}-${arch}`
  const program = join(folder, 'node_modules', name, 'bin', 'node')
  if (existsSync(program)) return program
  await mkdir(cache, { recursive: true })
  const work = await mkdtemp(join(cache, 'download-'))
  await installInto(work, [`${name}@${version}`])
  // Another test file may have been faster.
  await rename(work, folder).catch(async (error: unknown) => {
    if (!existsSync(program)) throw error
    await rm(work, { recursive: true })
  })
  return program
}

/** Makes `folder` a project with these packages in it. */
export async function installInto(folder: string, packages: readonly string[]): Promise<void> {
  await mkdir(folder, { recursive: true })
  await writeFile(join(folder, 'package.json'), JSON.stringify({ private: true }))
  const options = ['--no-save', '--no-audit', '--no-fund', '--prefer-offline', '--ignore-scripts']
  await run('npm', ['install', ...options, ...packages], { cwd: folder, maxBuffer: 64 * 1024 * 1024 })
}
