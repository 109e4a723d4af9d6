import { execFile } from 'node:child_process'
import { access, mkdir, writeFile } from 'node:fs/promises'
import { delimiter, dirname, join } from 'node:path'
import { promisify } from 'node:util'

const run = promisify(execFile)

const cache = join(import.meta.dirname, '../../node_modules/.cache/nodes')

/**
 * The Node program of an exact version, from the package that npm's `node` takes it from on this
 * kind of machine. Fetched once, then kept below node_modules.
 */
export async function nodeProgram(version: string): Promise<string> {
  const folder = join(cache, version)
  const { platform, arch } = process
  const name = `${platform === 'darwin' && arch === 'arm64' ? 'node-bin' : 'node'}-${platform}-${arch}`
  const program = join(folder, 'node_modules', name, 'bin', 'node')
  try {
    await access(program)
  } catch {
    await installInto(folder, [`${name}@${version}`])
  }
  return program
}

/**
 * A node_modules folder that holds better-sqlite3 as Node 20 needs it. Made once, then kept below node_modules.
 * @throws Error where there is neither a ready-made build to download nor a compiler
 */
export async function betterSQLiteFor(node: string): Promise<string> {
  const name = 'better-sqlite3'
  const folder = join(cache, name)
  const modules = join(folder, 'node_modules')
  try {
    await access(join(modules, name, 'build/Release/better_sqlite3.node'))
  } catch {
    await installInto(folder, [`${name}@12.6.2`], { builds: name, node })
  }
  return modules
}

/**
 * Makes `folder` a project with these packages in it.
 * @param options.builds names the one package whose install script is to run
 * @param options.node runs npm, and so is what that package is built for
 */
export async function installInto(
  folder: string,
  packages: readonly string[],
  options?: { builds: string; node: string },
): Promise<void> {
  await mkdir(folder, { recursive: true })
  const allowScripts = options && { [options.builds]: true }
  await writeFile(join(folder, 'package.json'), JSON.stringify({ private: true, allowScripts }))
  const command = ['install', '--no-save', '--no-audit', '--no-fund', '--prefer-offline', ...packages]
  if (options === undefined) command.push('--ignore-scripts')
  const env = { ...process.env }
  if (options !== undefined) {
    env['PATH'] = [dirname(options.node), env['PATH']].join(delimiter)
    // Where it has to be compiled, a slow program that is soon there is the better one for a test.
    env['CFLAGS'] = env['CXXFLAGS'] = '-O0'
  }
  await run('npm', command, { cwd: folder, env, maxBuffer: 64 * 1024 * 1024 })
}
