#!/usr/bin/env node
import { isError, SessionError } from '../core/errors.js'
import { mysqlFailure } from '../stores/mysql/errors.js'
import { CommandError, UsageError } from './command-error.js'
import { copyHelp, type CopyOptions, copyOptions } from './copy-options.js'

const help = `coatcheck COMMAND

  copy    copies the sessions of an express-mysql-session table into coatcheck's own layout

coatcheck COMMAND --help tells more.
`

/** @returns the exit code */
async function main([command, ...args]: readonly string[]): Promise<number> {
  if (command === '--help' || command === '-h') return say(help)
  if (command !== 'copy') {
    throw new UsageError(command === undefined ? 'Name a command: copy.' : `There is no command ${command}.`)
  }
  const options = copyOptions(args, process.env['DATABASE_URL'])
  return options === 'help' ? say(copyHelp) : runCopy(options, args)
}

async function runCopy(options: CopyOptions, args: readonly string[]): Promise<number> {
  // Only now: the driver is an optional package, and help needs none.
  const { copy, forget } = await import('./copy.js')
  const { ledgerName } = await import('./copy-statements.js')
  const { copyWatcher, summaryText } = await import('./copy-report.js')
  if (options.forget) return say(`Dropped ${await forget(options)}.\n`)
  const stop = new AbortController()
  // A second signal ends the process at once, which does no harm.
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => stop.abort())
  const summary = await copy(options, copyWatcher(process.stderr), stop.signal)
  say(`${summaryText(summary, { ledger: ledgerName(options), user: options.userPath?.join('.') })}\n`)
  if (summary.whole && (options.follow || !stop.signal.aborted)) return 0
  throw new CommandError(`Stopped before the end. To go on, run it again: coatcheck copy ${masked(args)}`)
}

/** The arguments without what is secret among them. */
function masked(args: readonly string[]): string {
  return args
    .map((arg, index) => (arg.startsWith('--url=') ? '--url=…' : args[index - 1] === '--url' ? '…' : arg))
    .join(' ')
}

function say(text: string): number {
  process.stdout.write(text)
  return 0
}

/** What to tell of an error, and the exit code that goes with it. */
function explain(error: unknown): [text: string, code: number] {
  if (error instanceof UsageError) return [`${error.message}\nSee coatcheck copy --help.`, 2]
  if (error instanceof SessionError && error.code === 'ERR_SESSION_OPTION') return [error.message, 2]
  if (error instanceof CommandError || error instanceof SessionError) return [error.message, 1]
  // One that neither the server nor the driver made is a fault in this program.
  if (!(isError(error) && 'code' in error)) return [(error as Error).stack ?? String(error), 1]
  return [
    `${mysqlFailure('copying', error).message} What was copied stays; run the command again to go on.`,
    1,
  ]
}

function fail(error: unknown): number {
  const [text, code] = explain(error)
  process.stderr.write(`${text}\n`)
  return code
}

void main(process.argv.slice(2))
  .catch(fail)
  .then((code) => (process.exitCode = code))
