import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdir, mkdtemp, readdir, readFile, rename, writeFile } from 'node:fs/promises'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { ownFolder, removeFolder } from './owned.ts'
import { findProgram, type Program, say } from './programs.ts'

const run = promisify(execFile)

const keyring = '/usr/share/keyrings/debian-archive-keyring.gpg'

/** A package of Debian's `sid` that is used out of a folder instead of being installed. */
export interface DebianPackage {
  /** What it is to whoever waits for it, and, in small letters, the name of its folder. */
  readonly title: string
  readonly name: string
  /** The version that the tests were run on. `sid` moves on: where it is gone, the newest is taken. */
  readonly triedVersion: string
}

/** The folder that a package lies in, with all that it needs. */
export interface UnpackedPackage {
  readonly folder: string
  /**
   * A program of it, to be run under the packages' own loader and libraries, which are newer than this machine's.
   * @param path from the folder, such as `usr/sbin/mysqld`
   * @param calledAs the program's name for itself, if it is to be another
   */
  program(path: string, calledAs?: string): Required<Program>
}

/** An archive of packages as this machine's own sources name it. */
export interface Archive {
  readonly address: string
  /** The file with the keys that its lists must be signed with. */
  readonly keyring: string
}

/**
 * Gets a package from Debian's `sid` into a cache folder, once, without touching the system: for what older Debians lack.
 * @throws Error if that cannot be done here
 */
export async function unpackDebianPackage(wanted: DebianPackage): Promise<UnpackedPackage> {
  const { loader, libraries } = platform()
  const cache = join(process.env['XDG_CACHE_HOME'] || join(homedir(), '.cache'), 'coatcheck')
  // Without the version's epoch: a colon would divide the path of the libraries.
  const version = wanted.triedVersion.replace(/^\d+:/, '')
  const folder = join(cache, `${wanted.title.toLowerCase()}-${version}-or-newest`)
  const unpacked: UnpackedPackage = {
    folder,
    program: (path, calledAs) => ({
      path: join(folder, loader),
      arguments: [
        ...(calledAs === undefined ? [] : ['--argv0', calledAs]),
        '--library-path',
        join(folder, libraries),
        join(folder, path),
      ],
    }),
  }
  if (existsSync(folder)) return unpacked
  if (!(await findProgram('apt-get')) || !(await findProgram('dpkg-deb'))) {
    throw new Error('and there is no apt-get to get one with')
  }
  const archive = await debianArchive()
  say(`Getting ${wanted.title} from Debian, once, for the tests …`)
  await mkdir(cache, { recursive: true })
  const work = await mkdtemp(join(cache, 'download-'))
  ownFolder(work)
  try {
    const packages = await downloadTwice(wanted, archive, work)
    const root = join(work, 'root')
    for (const path of packages) await run('dpkg-deb', ['--extract', path, root])
    // Another run may have been faster.
    await rename(root, folder).catch((error: unknown) => {
      if (!existsSync(folder)) throw error
    })
    return unpacked
  } finally {
    removeFolder(work)
  }
}

function platform(): { loader: string; libraries: string } {
  if (process.platform === 'linux' && process.arch === 'x64') {
    return { loader: 'usr/lib64/ld-linux-x86-64.so.2', libraries: 'usr/lib/x86_64-linux-gnu' }
  }
  if (process.platform === 'linux' && process.arch === 'arm64') {
    return { loader: 'usr/lib/ld-linux-aarch64.so.1', libraries: 'usr/lib/aarch64-linux-gnu' }
  }
  throw new Error(`and none is to be had for ${process.platform} on ${process.arch}`)
}

async function downloadTwice(wanted: DebianPackage, archive: Archive, work: string): Promise<string[]> {
  try {
    return await download(wanted, archive, work)
  } catch {
    return download(wanted, archive, work)
  }
}

/** Downloads the package and all that it needs. Nothing counts as installed, so that includes its libc. */
async function download(
  { name, triedVersion }: DebianPackage,
  { address, keyring: keys }: Archive,
  work: string,
): Promise<string[]> {
  const path = (name: string): string => join(work, name)
  await mkdir(path('lists/partial'), { recursive: true })
  await mkdir(path('cache/archives/partial'), { recursive: true })
  await writeFile(path('status'), '')
  await writeFile(path('sid.list'), `deb [signed-by=${keys}] ${address} sid main\n`)
  // Read after the machine's own configuration, whose proxies stay good. Its hooks are for its own packages.
  const configuration = [
    '#clear APT::Update;',
    '#clear DPkg;',
    'APT::Sandbox::User "root";',
    `Dir::Etc::sourcelist "${path('sid.list')}";`,
    'Dir::Etc::sourceparts "/dev/null";',
    'Dir::Etc::preferencesparts "/dev/null";',
    `Dir::State "${path('.')}";`,
    `Dir::State::Lists "${path('lists')}";`,
    `Dir::State::status "${path('status')}";`,
    `Dir::Cache "${path('cache')}";`,
    `Dir::Cache::archives "${path('cache/archives')}";`,
  ]
  await writeFile(path('apt.conf'), `${configuration.join('\n')}\n`)
  const apt = async (...args: readonly string[]): Promise<unknown> =>
    run('apt-get', [`--config-file=${path('apt.conf')}`, '--quiet', '--yes', ...args], {
      env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive', LC_ALL: 'C' },
      maxBuffer: 64 * 1024 * 1024,
    })
  const install = (what: string): Promise<unknown> =>
    apt('install', '--download-only', '--no-install-recommends', what)
  await apt('update')
  try {
    await install(`${name}=${triedVersion}`)
  } catch {
    await install(name)
  }
  const archives = path('cache/archives')
  const files = await readdir(archives)
  return files.filter((name) => name.endsWith('.deb')).map((name) => join(archives, name))
}

/** Debian's archive: of all the sources of this machine the first that is one of it. */
async function debianArchive(): Promise<Archive> {
  const folder = '/etc/apt/sources.list.d'
  const names = (await readdir(folder).catch((): string[] => [])).toSorted()
  const paths = ['/etc/apt/sources.list', ...names.map((name) => join(folder, name))]
  for (const path of paths) {
    const text = await readFile(path, 'utf8').catch(() => '')
    const archives = path.endsWith('.sources') ? inStanzas(text) : path.endsWith('.list') ? inLines(text) : []
    const archive = archives.find(({ address }) => /\/debian\/?$/.test(address))
    if (archive) return archive
  }
  throw new Error("and no source in /etc/apt is Debian's")
}

/** The archives that a file of one line a source names. */
export function inLines(text: string): Archive[] {
  return text.split('\n').flatMap((line) => {
    const [, options = '', address] = /^\s*deb\s+(?:\[([^\]]*)\]\s+)?(\S+)/.exec(line) ?? []
    if (address === undefined) return []
    return [{ address, keyring: /(?:^|\s)signed-by=(\/\S+)/.exec(options)?.[1] ?? keyring }]
  })
}

/** The archives that a file of one stanza a source names. */
export function inStanzas(text: string): Archive[] {
  return text.split(/\n\s*\n/).flatMap((stanza) => {
    const field = (name: string): string | undefined =>
      new RegExp(`^${name}:[ \t]*(.*)$`, 'im').exec(stanza)?.[1]?.trim()
    if (!/\bdeb\b/.test(field('Types') ?? '') || field('Enabled')?.toLowerCase() === 'no') return []
    const signedBy = field('Signed-By')
    const keys = signedBy?.startsWith('/') ? signedBy : keyring
    return (field('URIs') ?? '').split(/\s+/).map((address) => ({ address, keyring: keys }))
  })
}
