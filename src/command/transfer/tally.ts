/** What a pass did. */
export interface Tally {
  /** Records of `from` that were looked at. */
  rows: number
  copied: number
  /** Copied again, since they changed in `from`. */
  changed: number
  /** Of which only the times moved on. */
  touched: number
  /** Changed in both: that in `to` stays. */
  kept: number
  /** Ended in `from`, and so in `to`. */
  ended: number
  /** Ended in `from`; they stay in `to`, because somebody has signed in on them there since. */
  outlived: number
  /** Not brought over, since all sessions of their users were revoked in `to`. */
  revoked: number
  /** Used in `from`, but their copies expired while no copy was running. */
  lapsed: number
  /** Refused by the database of `to`. */
  refused: number
}

export function emptyTally(): Tally {
  return {
    rows: 0,
    copied: 0,
    changed: 0,
    touched: 0,
    kept: 0,
    ended: 0,
    outlived: 0,
    revoked: 0,
    lapsed: 0,
    refused: 0,
  }
}

export function add(sum: Tally, tally: Partial<Tally>): void {
  for (const [name, count] of Object.entries(tally)) sum[name as keyof Tally] += count
}
