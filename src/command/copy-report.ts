import cliProgress from 'cli-progress'
import { performance } from '../core/scheduling.js'
import type { CopySummary, CopyWatcher, PassWork } from './copy.js'

/** How long nothing is written where lines stay: in a log. Milliseconds. */
const quiet = 5_000

/** Shows a copy's progress on stderr: a bar on a terminal, elsewhere a line now and then. */
export function copyWatcher(stream: NodeJS.WriteStream): CopyWatcher {
  return stream.isTTY ? barWatcher(stream) : lineWatcher(stream)
}

function barWatcher(stream: NodeJS.WriteStream): CopyWatcher {
  const bar = new cliProgress.SingleBar(
    {
      stream,
      format:
        'pass {pass} [{bar}] {percentage}% | {value}/{total} rows | {speed} rows/s | {duration_formatted}',
      hideCursor: true,
      clearOnComplete: true,
    },
    cliProgress.Presets.legacy,
  )
  let began = 0
  return {
    passBegins(pass, rows) {
      began = performance.now()
      bar.start(rows, 0, { pass, speed: 0 })
    },
    progress(rows) {
      // The table grows meanwhile.
      if (rows > bar.getTotal()) bar.setTotal(rows)
      bar.update(rows, { speed: Math.round((rows * 1000) / Math.max(1, performance.now() - began)) })
    },
    passEnds: () => bar.stop(),
  }
}

function lineWatcher(stream: NodeJS.WriteStream): CopyWatcher {
  let [pass, total, written] = [0, 0, 0]
  const write = (line: string): void => {
    written = performance.now()
    stream.write(`${line}\n`)
  }
  return {
    passBegins(number, rows) {
      pass = number
      total = rows
      if (pass === 1) write(`pass 1: ${count(rows)} rows`)
    },
    progress(rows) {
      if (performance.now() - written < quiet) return
      write(`pass ${pass}: ${count(rows)} of ${count(Math.max(rows, total))} rows`)
    },
    passEnds(tally) {
      if (pass === 1 || performance.now() - written >= quiet) write(`pass ${pass}: ${done(tally)}`)
    },
  }
}

function done({ copied, changed, touched, ended }: PassWork): string {
  return `${count(copied)} copied, ${count(changed)} changed, ${count(touched)} touched, ${count(ended)} ended`
}

type SummaryLine = readonly [label: string, value: string, note: string]

export function summaryLine([label, value, note]: SummaryLine): string {
  return `${label.padEnd(12)}${value.padStart(12)}  ${note}`.trimEnd()
}

/** What the command says at its end. */
export function summaryText(
  summary: CopySummary,
  { ledger, user }: { readonly ledger: string; readonly user: string | undefined },
): string {
  const { copied, corrupt, lapsed, passes, passSeconds, seconds, through, usersRefused } = summary
  const speed = `${count(through / Math.max(passSeconds, 0.001))} rows/s`
  const lines: SummaryLine[] = [
    ['read', count(through), `${speed}, ${count(passes)} ${passes === 1 ? 'pass' : 'passes'}`],
    ['copied', count(copied), ''],
    ['changed', count(summary.changed), 'copied again, since they changed in the old table'],
    ['touched', count(summary.touched), 'their expiry moved on in the old table'],
    ['ended', count(summary.ended), 'ended in the old table, so in the new one'],
    ['kept', count(summary.kept), 'changed in both; the new one stands'],
    ['skipped', count(summary.expired + corrupt), `${count(summary.expired)} expired, ${count(corrupt)} corrupt`],
    ['seconds', seconds.toFixed(1), ''],
  ] // prettier-ignore
  const by =
    user === undefined
      ? 'signed in by an app that has moved'
      : `by ${user}, or signed in by an app that has moved`
  if (user !== undefined || summary.users > 0) lines.splice(2, 0, ['with a user', count(summary.users), by])
  const texts = lines.map(summaryLine)
  if (usersRefused > 0) {
    texts.push(
      '',
      `${count(usersRefused)} sessions name a user at ${user} by what is no user id: a text of 1 to 255 bytes without NUL, or a whole number. They were copied as nobody's, so sessions.user(id) does not find them.`,
    )
  }
  if (corrupt > 0) {
    texts.push(
      '',
      `Corrupt: the data of ${count(corrupt)} rows is not the JSON of a session. They were left out.`,
    )
  }
  if (lapsed > 0) {
    texts.push(
      '',
      `${count(lapsed)} sessions in use in the old table were not brought back: their copies expired while no copy was running, and may have been ended since.`,
    )
  }
  texts.push(
    '',
    `The ledger of this copy is the table ${ledger}. Keep it while the old table is in use; then drop it with --forget.`,
  )
  return texts.join('\n')
}

export function count(number: number): string {
  return Math.round(number).toLocaleString('en')
}
