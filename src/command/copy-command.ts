import { type Command, Option } from 'commander'
import { isError, SessionError } from '../core/errors.js'
import { mysqlFailure } from '../stores/mysql/errors.js'
import { CommandError } from './command-error.js'
import { columnNames, type CopyOptions, newTable, oldTable, rows, seconds, userPath, usualColumns } from './copy-options.js' // prettier-ignore
import { isURL, placeName } from './transfer/place.js'
import type { TransferOptions } from './transfer/transfer.js'

/** The options of both kinds of copy. Which of them may be given depends on whether `from` is a URL. */
type Options = Omit<CopyOptions, 'to'> & TransferOptions & { readonly to?: string }

const usualTable = 'coatcheck_sessions'
const ofTables = ['url', 'user', 'columns'] as const
const ofStores = ['fromTable', 'toTable', 'ledger', 'add'] as const

export function addCopyCommand(program: Command): void {
  program
    .command('copy')
    .usage('--from <url> --to <url> [options]\n       coatcheck copy --from <table> [options]')
    .summary('copy sessions to another store, or from an express-mysql-session table into one of our own')
    .description(
      `Copies sessions while apps use them. Nobody is signed out: the cookies stay as they are.

Between two URLs, it copies all sessions from one store of coatcheck to another, of any two databases. From a table of express-mysql-session, it copies the sessions into a table of coatcheck's own layout, in the same database.`,
    )
    .addOption(
      new Option('--from <url or table>', 'what to copy from; it is only read')
        .argParser(urlOr(oldTable))
        .env('FROM_DATABASE_URL')
        .makeOptionMandatory(),
    )
    .addOption(
      new Option(
        '--to <url or table>',
        `what to copy to; its table is made if it is not there (default for a table: ${usualTable})`,
      )
        .argParser(urlOr(newTable))
        .env('TO_DATABASE_URL'),
    )
    .option('--batch <rows>', 'rows that are copied at once', rows, 1_000)
    .option('--follow', 'go on copying what changes, until Ctrl-C or SIGTERM')
    .addOption(
      new Option('--every <seconds>', 'how long --follow rests after each pass')
        .argParser(seconds)
        .default(2_000, '2'),
    )
    .option('--end-all', 'end sessions in the new place although most are gone from the old one')
    .option('--forget', "drop the copy's ledger, once the old place is no longer used")
    .optionsGroup('Between two stores:')
    .option(
      '--ledger <file>',
      'what the copy remembers; the same file for the way back (default: a file here)',
    )
    .option('--add', 'let a first copy go into a store that has sessions already')
    .option('--from-table <table>', `the table of --from, if it is not ${usualTable}`, newTable)
    .option('--to-table <table>', `the table of --to, if it is not ${usualTable}`, newTable)
    .optionsGroup('From a table of express-mysql-session:')
    .addOption(new Option('--url <url>', 'mysql://user:password@host:3306/database').env('DATABASE_URL'))
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
    .optionsGroup('Help:')
    .addHelpText(
      'after',
      `
URLs are those of openStore: mysql://…, postgres://…, sqlite:sessions.db. With FROM_DATABASE_URL,
TO_DATABASE_URL and DATABASE_URL in the environment, the list of processes does not show them.

It may be stopped or killed at any moment: started again, it goes on where it was.

Examples:
  coatcheck copy --from sqlite:sessions.db --to postgres://shop:…@db.example.com/shop --follow
  coatcheck copy --from sessions --user passport.user --follow`,
    )
    .action(async (options: Options, command: Command) => {
      refuseContradictions(options, command)
      if (isURL(options.from)) await runBetweenStores(options)
      else await runOnTables({ ...options, to: options.to ?? usualTable }).catch(throwWithCure)
    })
}

/** @param table reads the name of a table */
function urlOr(table: (text: string) => string): (text: string) => string {
  return (text) => (isURL(text) ? text : table(text))
}

function refuseContradictions(
  { from, to, url, follow, fromTable, toTable }: Options,
  command: Command,
): void {
  const given = (names: readonly string[]) =>
    names.find((name) => command.getOptionValueSource(name) === 'cli')
  const flag = (name: string) => command.options.find((option) => option.attributeName() === name)!.long!
  const betweenStores = isURL(from)
  const stray = given(betweenStores ? ofTables : ofStores)
  if (stray !== undefined) {
    command.error(
      betweenStores
        ? `error: ${flag(stray)} goes with --from <table>, not with a URL.`
        : `error: ${flag(stray)} goes with --from <url>, not with a table.`,
    )
  }
  if (!follow && command.getOptionValueSource('every') === 'cli') {
    command.error('error: --every goes with --follow.')
  }
  if (betweenStores) {
    if (to === undefined || !isURL(to)) {
      command.error('error: --from is a URL, so give --to the URL of the store to copy to.')
    }
    if (placeName(from, fromTable) === placeName(to, toTable)) {
      command.error('error: --from and --to name the same store. Name two stores.')
    }
    return
  }
  if (to !== undefined && isURL(to)) {
    command.error(
      'error: --from is a table, so --to is a table of the same database. Give two URLs, or two tables.',
    )
  }
  if (to?.toLowerCase() === from.toLowerCase()) {
    command.error('error: --from and --to name the same table. The new layout needs a table of its own.')
  }
  if (!url) {
    command.error(
      'error: name the database. Set DATABASE_URL, or give --url mysql://user:password@host:3306/database.',
    )
  }
}

async function runOnTables(options: CopyOptions): Promise<void> {
  // Only now: the driver is an optional package, and help needs none.
  const { copy, forget } = await import('./copy.js')
  const { ledgerName } = await import('./copy-statements.js')
  const { copyWatcher, summaryText } = await import('./copy-report.js')
  if (options.forget) {
    process.stdout.write(`Dropped ${await forget(options)}.\n`)
    return
  }
  const stop = stopOnSignals()
  const summary = await copy(options, copyWatcher(process.stderr), stop)
  const ledger = ledgerName(options)
  process.stdout.write(`${summaryText(summary, { ledger, user: options.user?.join('.') })}\n`)
  refuseHalf(summary.whole, options.follow, stop)
}

async function runBetweenStores(options: TransferOptions & { readonly forget?: boolean }): Promise<void> {
  const { transfer, forgetTransfer, ledgerFile } = await import('./transfer/transfer.js')
  const { copyWatcher } = await import('./copy-report.js')
  const { transferText } = await import('./transfer/transfer-report.js')
  if (options.forget) {
    process.stdout.write(`Dropped ${await forgetTransfer(options)}.\n`)
    return
  }
  const stop = stopOnSignals()
  const summary = await transfer(options, copyWatcher(process.stderr), stop)
  process.stdout.write(`${transferText(summary, ledgerFile(options))}\n`)
  refuseHalf(summary.whole, options.follow, stop)
}

/** A second signal ends the process at once, which does no harm. */
function stopOnSignals(): AbortSignal {
  const stop = new AbortController()
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => stop.abort())
  return stop.signal
}

function refuseHalf(whole: boolean, follow: boolean | undefined, stop: AbortSignal): void {
  if (whole && (follow || !stop.aborted)) return
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

/** The arguments of this process without URLs. */
function maskedArguments(): string {
  return process.argv
    .slice(2)
    .map((arg) => {
      const [, name = '', value = ''] = /^(--[\w-]+=)?(.*)$/s.exec(arg) ?? []
      return isURL(value) ? `${name}…` : arg
    })
    .join(' ')
}
