import { isError, SessionError } from '../../core/errors.js'
import type { Judgement } from '../sql/carry-out.js'
import { LostStatement, NoFreeConnection } from '../sql/lost-statement.js'
import { classifyMySQLError } from './errors.js'

/** What errors of MySQL and of mysql2 say about the other statements of a batch. */
export const mysqlJudgement: Judgement = {
  isRefusal: (error) => error instanceof SessionError || classifyMySQLError(error).kind === 'data',

  failsAllAlike(error) {
    if (error instanceof NoFreeConnection) return true
    if (error instanceof LostStatement) return error.limit !== undefined
    const { kind, isListed } = classifyMySQLError(error)
    if (kind === 'configuration') return isListed
    return isError(error) && 'syscall' in error && ['connect', 'getaddrinfo'].includes(String(error.syscall))
  },
}
