import { count, summaryLine } from '../copy-report.js'
import type { TransferSummary } from './transfer.js'

/** What the command says at its end. @param ledger the file of the ledger */
export function transferText(summary: TransferSummary, ledger: string): string {
  const { lapsed, outlived, passes, revoked, passSeconds, refused, seconds, through } = summary
  const speed = `${count(through / Math.max(passSeconds, 0.001))} records/s`
  const lines: string[] = (
    [
      ['read', count(through), `${speed}, ${count(passes)} ${passes === 1 ? 'pass' : 'passes'}`],
      ['copied', count(summary.copied), ''],
      ['changed', count(summary.changed), 'copied again, since they changed in the store of --from'],
      ['touched', count(summary.touched), 'they were used in the store of --from'],
      ['ended', count(summary.ended), 'ended in the store of --from, so in the other'],
      ['kept', count(summary.kept), 'changed in both; that in the store of --to stays'],
      ['seconds', seconds.toFixed(1), ''],
    ] as const
  ).map(summaryLine)
  if (outlived > 0) {
    lines.push(
      '',
      `${count(outlived)} sessions that were ended in the store of --from stay in the other: since the pass before, somebody has signed in on them there.`,
    )
  }
  if (revoked > 0) {
    lines.push(
      '',
      `${count(revoked)} sessions were not brought over: all sessions of their users were revoked in the store of --to.`,
    )
  }
  if (lapsed > 0) {
    lines.push(
      '',
      `${count(lapsed)} sessions in use in the store of --from were not brought back: their copies expired while no copy was running, and may have been ended since. If no app has used the store of --to yet, run the command with --forget, empty that store, and begin anew.`,
    )
  }
  if (refused > 0) {
    lines.push(
      '',
      `${count(refused)} sessions were left out: the database of --to refuses what they hold, or they are too large for it.`,
    )
  }
  lines.push(
    '',
    `The ledger of this copy is the file ${ledger}. Keep it while the store of --from is in use, and to go back; then drop it with --forget.`,
  )
  return lines.join('\n')
}
