import type { Mutation } from './aim.ts'
import { childRules } from './rules/children.ts'
import { databaseRules } from './rules/databases.ts'
import { handoffRules } from './rules/handoff.ts'
import { httpRules } from './rules/http.ts'
import { inHandRules } from './rules/in-hand.ts'
import { postgresqlRules } from './rules/postgresql.ts'
import { redisRules } from './rules/redis.ts'
import { secrecyRules } from './rules/secrecy.ts'
import { sessionRules } from './rules/session.ts'
import { storeRules } from './rules/stores.ts'
import { storingRules } from './rules/storing.ts'
import { userRules } from './rules/users.ts'

export const mutations: readonly Mutation[] = [
  ...storeRules,
  ...databaseRules,
  ...postgresqlRules,
  ...redisRules,
  ...storingRules,
  ...inHandRules,
  ...sessionRules,
  ...userRules,
  ...secrecyRules,
  ...httpRules,
  ...handoffRules,
  ...childRules,
]
