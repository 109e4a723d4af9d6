import { SessionError } from '../../core/errors.js'
import type { RedisClient } from './client.js'

/** The first version with all that the scripts use. */
const oldest = [6, 2] as const

/**
 * Looks at the servers before the first use.
 * @throws (by the promise) ERR_SESSION_STORE_CONFIGURATION if a server may evict keys, is too old, or is one of a cluster while
 *   the client is for one server.
 */
export async function checkServers(client: RedisClient): Promise<void> {
  const answers = await client.everywhere((send) => send(['INFO']))
  for (const answer of answers) {
    const facts = factsOf(String(answer))
    const fault = faultOf(facts, client.isCluster)
    if (fault !== undefined) throw new SessionError('ERR_SESSION_STORE_CONFIGURATION', fault)
  }
}

function factsOf(info: string): ReadonlyMap<string, string> {
  return new Map(
    info.split(/\r?\n/).flatMap((line) => {
      const at = line.indexOf(':')
      return at < 0 ? [] : [[line.slice(0, at), line.slice(at + 1)] as const]
    }),
  )
}

function faultOf(facts: ReadonlyMap<string, string>, isCluster: boolean): string | undefined {
  const [major = 0, minor = 0] = (facts.get('redis_version') ?? '').split('.').map(Number)
  if (major < oldest[0] || (major === oldest[0] && minor < oldest[1]))
    return `RedisStore needs Redis ${oldest.join('.')} or later, or Valkey, and the server is Redis ${major}.${minor}.`
  if (facts.get('cluster_enabled') === '1' && !isCluster)
    return 'The server is one of a cluster, and RedisStore was given a client for one server, or a URL. Give it createCluster of the package redis, or Cluster of ioredis.'
  const policy = facts.get('maxmemory_policy') ?? 'noeviction'
  if (policy !== 'noeviction' && facts.get('maxmemory') !== '0')
    return `Redis may evict sessions and what is remembered about users, such as that all sessions of one were ended: its maxmemory-policy is ${policy}. Set it to noeviction, or keep sessions on a server of their own.`
  return undefined
}
