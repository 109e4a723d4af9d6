import { execFile, spawn, type ChildProcess } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { chownSync, existsSync, mkdirSync, mkdtempSync, statSync } from 'node:fs'
import { chmod, copyFile, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import { promisify } from 'node:util'
import { type Connection, createConnection, type RowDataPacket } from 'mysql2/promise'
import { findServer, installServer } from './mariadb.ts'
import { serverAccount } from './mysql-server.ts'
import { ownFolder, ownProcess, removeFolder } from './owned.ts'
import { freePorts } from './ports.ts'
import { installDebianPackages } from './programs.ts'
import { collectLog } from './server-process.ts'

const run = promisify(execFile)

/** Where the packages of Debian and of others put it. */
const providers = ['/usr/lib/galera', '/usr/lib/galera-4', '/usr/lib64/galera-4', '/usr/lib64/galera'].map(
  (folder) => join(folder, 'libgalera_smm.so'),
)
/** How long a node may take until it serves, ms. */
const longestStart = 150_000
/** A node that says nothing for a second is given up by the others; by default they wait five. */
const impatience =
  'evs.keepalive_period=PT0.3S;evs.inactive_check_period=PT0.2S;evs.suspect_timeout=PT1S;evs.inactive_timeout=PT3S;evs.install_timeout=PT3S'

export interface GaleraCluster {
  readonly nodes: readonly GaleraNode[]
  /** Makes an empty database and returns the URL of it on each node. */
  freshDatabase(): Promise<string[]>
  stop(): Promise<void>
}

interface Programs {
  readonly server: string
  readonly installer: string
  readonly provider: string
}

/**
 * Starts three nodes of a private Galera cluster on this machine: its own programs, or what apt-get brings.
 * @throws Error if this machine has no Galera
 */
export async function startGalera(): Promise<GaleraCluster> {
  const programs = await findPrograms()
  if (programs) return Cluster.start(programs)
  throw new Error(
    'There is no Galera on this machine, and nothing was tested. Install it (Debian: apt-get install galera-4 mariadb-server-core mariadb-client-core) and run the tests again.',
  )
}

async function findPrograms(): Promise<Programs | undefined> {
  const programs = (await findServer()) ?? (await installServer())
  if (!programs) return undefined
  const provider = () => providers.find((path) => existsSync(path))
  const found = provider() ?? ((await installDebianPackages('galera-4')) ? provider() : undefined)
  return found === undefined ? undefined : { ...programs, provider: found }
}

class Cluster implements GaleraCluster {
  readonly nodes: readonly GaleraNode[]
  readonly #folder: string
  readonly #password: string

  private constructor(folder: string, password: string, nodes: readonly GaleraNode[]) {
    this.#folder = folder
    this.#password = password
    this.nodes = nodes
    ownFolder(folder)
  }

  static async start({ server, installer, provider }: Programs): Promise<Cluster> {
    const folder = mkdtempSync(join(tmpdir(), 'coatcheck-galera-'))
    const account = await serverAccount(folder)
    const handover = join(folder, 'wsrep_sst_handover')
    await copyFile(join(import.meta.dirname, 'galera-handover.sh'), handover)
    await chmod(handover, 0o755)
    const ports = await freePorts(12)
    const places = [0, 1, 2].map((index) => {
      const [port, group, transfer, handoverPort] = ports.slice(4 * index)
      return {
        folder: join(folder, `node-${index}`),
        port: port!,
        group: group!,
        transfer: transfer!,
        handoverPort: handoverPort!,
      }
    })
    const addresses = places.map(({ group }) => `127.0.0.1:${group}`).join(',')
    const nodes = places.map((place) => {
      const options = [
        '--no-defaults',
        ...account,
        `--datadir=${join(place.folder, 'data')}`,
        `--socket=${join(place.folder, 'socket')}`,
        `--pid-file=${join(place.folder, 'pid')}`,
        '--bind-address=127.0.0.1',
        `--port=${place.port}`,
        '--skip-name-resolve',
        '--innodb-log-file-size=16M',
        '--binlog-format=ROW',
        '--innodb-autoinc-lock-mode=2',
        '--wsrep-on=ON',
        `--wsrep-provider=${provider}`,
        '--wsrep-cluster-name=coatcheck-test',
        '--wsrep-node-address=127.0.0.1',
        '--wsrep-sst-method=handover',
        `--wsrep-sst-receive-address=127.0.0.1:${place.handoverPort}`,
        `--wsrep-provider-options=gcache.size=64M;gmcast.listen_addr=tcp://127.0.0.1:${place.group};ist.recv_addr=127.0.0.1:${place.transfer};${impatience}`,
      ]
      return new GaleraNode(server, options, place, folder, addresses)
    })
    const cluster = new Cluster(folder, randomBytes(12).toString('hex'), nodes)
    try {
      await cluster.#found(installer, account)
    } catch (error) {
      await cluster.stop()
      throw error
    }
    return cluster
  }

  /** The first node's data, once it has stopped in order, are where the two others begin: they miss nothing but its last words. */
  async #found(installer: string, account: readonly string[]): Promise<void> {
    const [first, ...others] = this.nodes
    const data = join(first!.folder, 'data')
    const install = [
      '--no-defaults',
      `--datadir=${data}`,
      '--skip-test-db',
      '--auth-root-authentication-method=normal',
    ]
    await run(installer, [...install, ...account], { cwd: this.#folder })
    await first!.start('gcomm://')
    await first!.query(`CREATE USER coatcheck@'127.0.0.1' IDENTIFIED BY '${this.#password}'`)
    await first!.query(`GRANT ALL ON *.* TO coatcheck@'127.0.0.1' WITH GRANT OPTION`)
    await first!.end('SIGTERM')
    await rm(join(data, 'galera.cache'), { force: true })
    for (const node of others) {
      await run('cp', ['-a', data, join(node.folder, 'data')])
      const state = join(node.folder, 'data', 'grastate.dat')
      await writeFile(state, (await readFile(state, 'utf8')).replace(/^(safe_to_bootstrap:) 1$/m, '$1 0'))
    }
    await first!.start('gcomm://')
    await Promise.all(others.map((node) => node.start()))
  }

  async freshDatabase(): Promise<string[]> {
    const name = `coatcheck_${randomBytes(6).toString('hex')}`
    await this.nodes[0]!.query(`CREATE DATABASE ${name}`)
    return this.nodes.map(({ port }) => `mysql://coatcheck:${this.#password}@127.0.0.1:${port}/${name}`)
  }

  async stop(): Promise<void> {
    // Nothing of them is needed any more, and a node that waits for others may take its time.
    for (const node of this.nodes) await node.end('SIGKILL')
    removeFolder(this.#folder)
  }
}

interface Place {
  readonly folder: string
  readonly port: number
}

/** One of the cluster's servers. */
export class GaleraNode {
  readonly folder: string
  readonly port: number
  readonly #server: string
  readonly #options: readonly string[]
  readonly #env: NodeJS.ProcessEnv
  readonly #addresses: string
  #child: ChildProcess | undefined

  constructor(
    server: string,
    options: readonly string[],
    { folder, port }: Place,
    scripts: string,
    addresses: string,
  ) {
    mkdirSync(folder)
    const { uid, gid } = statSync(scripts)
    chownSync(folder, uid, gid)
    this.folder = folder
    this.port = port
    this.#server = server
    this.#options = options
    this.#addresses = addresses
    this.#env = { ...process.env, PATH: `${scripts}${delimiter}${process.env['PATH'] ?? ''}` }
  }

  /** Joins the others, and waits until this node serves. */
  async start(address = `gcomm://${this.#addresses}`, position?: string): Promise<void> {
    const options = [...this.#options, `--wsrep-cluster-address=${address}`]
    if (position !== undefined) options.push(`--wsrep-start-position=${position}`)
    const child = spawn(this.#server, options, {
      cwd: this.folder,
      env: this.#env,
      stdio: ['ignore', 'ignore', 'pipe'],
    })
    this.#child = ownProcess(child)
    const log = collectLog(child)
    const deadline = Date.now() + longestStart
    while (!(await this.#isSynced())) {
      const ended = child.exitCode !== null || child.signalCode !== null
      if (!ended && Date.now() < deadline) {
        await new Promise((resolve) => setTimeout(resolve, 50))
        continue
      }
      const what = ended ? 'ended as it started' : 'does not join the others'
      throw new Error(`A node of the Galera cluster for the tests ${what}. Its log:\n${log()}`)
    }
  }

  /** Comes back after its process was killed, as the system's own service does it: from where its data stand. */
  async rejoin(): Promise<void> {
    const options = [
      ...this.#options,
      `--wsrep-cluster-address=gcomm://${this.#addresses}`,
      '--wsrep-recover',
    ]
    const { stderr } = await run(this.#server, options, { cwd: this.folder, env: this.#env })
    const position = /Recovered position: (\S+)/.exec(stderr)?.[1]
    if (position === undefined) throw new Error(`A node's position is not to be had:\n${stderr}`)
    await this.start(undefined, position)
  }

  /** Ends its process, and waits until it is gone. */
  async end(signal: 'SIGTERM' | 'SIGKILL'): Promise<void> {
    const child = this.#child
    if (!child || child.exitCode !== null || child.signalCode !== null) return
    const exited = once(child, 'exit')
    child.kill(signal)
    await exited
  }

  async query(sql: string): Promise<RowDataPacket[]> {
    const connection: Connection = await createConnection({
      socketPath: join(this.folder, 'socket'),
      user: 'root',
    })
    try {
      const [rows] = await connection.query<RowDataPacket[]>(sql)
      return rows
    } finally {
      await connection.end()
    }
  }

  async #isSynced(): Promise<boolean> {
    try {
      const [row] = await this.query(`SHOW STATUS LIKE 'wsrep_local_state_comment'`)
      return row?.['Value'] === 'Synced'
    } catch {
      return false
    }
  }
}
