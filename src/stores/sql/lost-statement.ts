/** The connection failed under a statement, or did not answer in time: whether the statement took effect is unknown. */
export class LostStatement extends Error {
  /** The milliseconds that it had, if it took longer; `undefined` if the connection failed. */
  readonly limit: number | undefined
  /** Whether the database has answered since: then it is not away, and the statement itself may be what ended the connection. */
  answeredSince = false

  constructor({ cause, limit }: { readonly cause?: unknown; readonly limit?: number }) {
    super(limit === undefined ? 'the connection was lost' : `a statement had no answer after ${limit} ms`, {
      cause,
    })
    this.limit = limit
  }
}

/** All of a pool's connections were in use for too long. Nothing was sent. */
export class NoFreeConnection extends Error {
  readonly limit: number

  constructor(limit: number) {
    super(`no connection was free for ${limit} ms`)
    this.limit = limit
  }
}
