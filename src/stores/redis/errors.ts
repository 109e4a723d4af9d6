import { isError, SessionError } from '../../core/errors.js'
import {
  asNoOutage,
  codeShown,
  type FailureKind,
  failureOf,
  storeFailure,
} from '../../core/store/store-failure.js'
import type { TableErrors } from '../sql/layout.js'
import { LostStatement } from '../sql/lost-statement.js'
import { codeOfReply, meaningOf } from './error-codes.js'

/** What errors of Redis and of its clients mean. */
export const redisErrors: TableErrors = {
  missesTable: () => false,

  failsAllAlike(error) {
    if (error instanceof LostStatement) return error.limit !== undefined
    return codeOfReply(error) === undefined && !(error instanceof SessionError)
  },

  failureOf(doing, error) {
    if (error instanceof SessionError) return error
    if (error instanceof LostStatement && error.limit !== undefined) return tookTooLong(doing, error)
    const cause = error instanceof LostStatement ? error.cause : error
    const meaning = meaningOf(cause)
    const failure = meaning
      ? storeFailure(
          meaning.kind,
          doing,
          `${meaning.what} (${codeOfReply(cause) ?? (cause as NodeJS.ErrnoException).code}). ${meaning.cure}.`,
          error,
        )
      : failureOf(doing, cause, kindOf(cause))
    return error instanceof LostStatement && error.answeredSince ? asNoOutage(failure) : failure
  },
}

/** The kind of a failure. What is no reply of the server is the client's: of a connection that is lost or cannot be made. */
function kindOf(error: unknown): FailureKind | undefined {
  if (codeOfReply(error) !== undefined) return undefined
  return isError(error) && !(error instanceof TypeError || error instanceof RangeError) ? 'away' : undefined
}

function tookTooLong(doing: string, error: LostStatement): SessionError {
  return new SessionError(
    'ERR_SESSION_STORE_TIMEOUT',
    `The session store failed while ${doing}: a command had no answer after ${error.limit} ms${codeShown(error)}. Check that Redis is up, reachable and not kept by a slow command, or give RedisStore a longer commandTimeout.`,
    { cause: error, status: 503 },
  )
}
