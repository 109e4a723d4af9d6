import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { findProgram, installDebianPackages } from '../test/servers/programs.ts'
import type { AppProcess } from './app-process.ts'
import { cores, cpuOf } from './cores.ts'
import type { Load, Slice } from './load.ts'
import type { Servers } from './servers.ts'

const run = promisify(execFile)

interface Done {
  readonly requests: number
  readonly microseconds: number
  readonly p50: number
  readonly p99: number
  readonly failed: number
  readonly cpu: number
}

let generator: string | undefined

async function loadGenerator(): Promise<string> {
  generator ??= await findProgram('wrk')
  if (generator === undefined && (await installDebianPackages('wrk'))) generator = await findProgram('wrk')
  if (generator === undefined) throw new Error('The bench needs wrk: apt-get install wrk, and run it again.')
  return generator
}

/**
 * Loads an app for some seconds.
 * @throws Error if a single request failed: a number for wrong answers is none
 */
export async function measureSlice(app: AppProcess, servers: Servers, load: Load): Promise<Slice> {
  const wrk = await loadGenerator()
  const before = await counters(app, servers)
  const script = join(import.meta.dirname, 'load.lua')
  const options = ['-t1', `-c${load.connections}`, `-d${load.seconds}s`, '--timeout', '10s', '-s', script]
  const url = `http://127.0.0.1:${app.port}`
  const rest = ['--', load.cookies, load.profile]
  const command = ['--cpu-list', cores.loadAndDatabases, wrk, ...options, url, ...rest]
  const { stdout } = await run('taskset', command)
  const after = await counters(app, servers)
  const done = JSON.parse(stdout.trim().split('\n').at(-1)!) as Done
  if (done.failed > 0) throw new Error(`Of ${done.requests} requests to ${app.name} ${done.failed} failed.`)
  if (done.requests === 0)
    throw new Error(
      `${app.name} answered nothing in ${load.seconds} s: is something else using this machine?`,
    )
  const appCPU = after.app - before.app
  const databaseCPU = after.databases - before.databases
  return {
    perSecond: (done.requests / done.microseconds) * 1_000_000,
    p50: done.p50,
    p99: done.p99,
    appCPU: appCPU / done.requests,
    databaseCPU: databaseCPU / done.requests,
    statements: ((after.statements - before.statements) / done.requests) * 1_000,
    appBusy: appCPU / done.microseconds,
    otherBusy: (databaseCPU + done.cpu) / done.microseconds,
    loadBusy: done.cpu / done.microseconds,
  }
}

async function counters(app: AppProcess, servers: Servers) {
  const [{ cpu }, databases, statements] = await Promise.all([
    app.usage(),
    Promise.all(servers.pids.map(cpuOf)),
    servers.statements(),
  ])
  return { app: cpu, databases: databases.reduce((sum, used) => sum + used, 0), statements }
}
