import { type Command, Option } from 'commander'
import { isError, SessionError } from '../core/errors.js'
import { mysqlFailure } from '../stores/mysql/errors.js'
import { CommandError } from './command-error.js'
import { columnNames, type CopyOptions, newTable, oldTable, rows, seconds, userPath, usualColumns } from './copy-options.js' // prettier-ignore

export function addCopyCommand(program: Command): void {
  program
    .command('copy')
    .usage('--from <table> [options]')
    .summary("copy the sessions of an express-mysql-session table into coatcheck's own layout")
    .description(
      "Copies the sessions of an express-mysql-session table into a table of coatcheck's own layout, in the same database, while the apps on both are running. Nobody is signed out: the cookies stay as they are.",
    )
    .requiredOption('--from <table>', 'the old table; it is only read', oldTable)
    .option('--to <table>', 'the new one, made if it is not there', newTable, 'coatcheck_sessions')
    .addOption(
      new Option(
        '--url <url>',
        'mysql://user:password@host:3306/database; in the environment, the list of processes does not show it',
      ).env('DATABASE_URL'),
    )
    .option(
      '--user <path>',
      "where a session's data names its user, such as passport.user, so that sessions.user(id) finds it",
      userPath,
    )
    .addOption(
      new Option(
        '--columns <list>',
        "other names of the old table's columns: session_id=sid,expires=expires_at,data=payload",
      )
        .argParser(columnNames)
        .default(usualColumns, 'their usual names'),
    )
    .option('--batch <rows>', 'rows in one transaction', rows, 1_000)
    .option('--follow', 'go on copying what changes in the old table, until Ctrl-C or SIGTERM')
    .addOption(
      new Option('--every <seconds>', 'how long --follow rests after each pass')
        .argParser(seconds)
        .default(2_000, '2'),
    )
    .option('--end-all', 'end sessions in the new table although most are gone from the old one')
    .option('--forget', "drop the copy's ledger, once the old table is no longer used")
    .addHelpText(
      'after',
      '\nIt may be stopped or killed at any moment: started again, it goes on where it was.',
    )
    .action(async (options: CopyOptions, command: Command) => {
      refuseContradictions(options, command)
      await run(options).catch(throwWithCure)
    })
}

function refuseContradictions({ from, to, url, follow }: CopyOptions, command: Command): void {
  if (to.toLowerCase() === from.toLowerCase()) {
    command.error('error: --from and --to name the same table. The new layout needs a table of its own.')
  }
  if (!follow && command.getOptionValueSource('every') === 'cli') {
    command.error('error: --every goes with --follow.')
  }
  if (!url) {
    command.error(
      'error: name the database. Set DATABASE_URL, or give --url mysql://user:password@host:3306/database.',
    )
  }
}

async function run(options: CopyOptions): Promise<void> {
  // Only now: the driver is an optional package, and help needs none.
  const { copy, forget } = await import('./copy.js')
  const { ledgerName } = await import('./copy-statements.js')
  const { copyWatcher, summaryText } = await import('./copy-report.js')
  if (options.forget) {
    process.stdout.write(`Dropped ${await forget(options)}.\n`)
    return
  }
  const stop = new AbortController()
  // A second signal ends the process at once, which does no harm.
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => stop.abort())
  const summary = await copy(options, copyWatcher(process.stderr), stop.signal)
  const ledger = ledgerName(options)
  process.stdout.write(`${summaryText(summary, { ledger, user: options.user?.join('.') })}\n`)
  if (summary.whole && (options.follow || !stop.signal.aborted)) return
  throw new CommandError(`Stopped before the end. To go on, run it again: coatcheck ${maskedArguments()}`)
}

/** Throws what the driver or the server said as an error that says what to do. */
function throwWithCure(error: unknown): never {
  const isOurs = error instanceof CommandError || error instanceof SessionError
  // One that neither the server nor the driver made is a fault in this program.
  if (isOurs || !isError(error) || !('code' in error)) throw error
  const { message } = mysqlFailure('copying', error)
  throw new CommandError(`${message} What was copied stays; run the command again to go on.`)
}

/** The arguments of this process without the database's URL. */
function maskedArguments(): string {
  return process.argv
    .slice(2)
    .map((arg, index, args) =>
      arg.startsWith('--url=') ? '--url=…' : args[index - 1] === '--url' ? '…' : arg,
    )
    .join(' ')
}
