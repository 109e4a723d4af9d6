import { isError } from '../../core/errors.js'
import type { FailureKind } from '../../core/store/store-failure.js'

/** What an error reply of a server means. */
export interface ReplyMeaning {
  readonly kind: FailureKind
  readonly what: string
  readonly cure: string
}

const rights = 'Give the user the rights that docs/stores.md lists'
const password =
  'Check both in the URL or in your client; characters such as % and @ in a URL are written %25 and %40'

/** Error replies by their first word. What is not here came from a command that the server does not take as it is. */
const meanings: Readonly<Record<string, ReplyMeaning>> = {
  LOADING: {
    kind: 'away',
    what: 'the server is loading its data',
    cure: 'It goes on by itself once they are loaded',
  },
  MOVED: {
    kind: 'away',
    what: 'the key lies on another server of the cluster',
    cure: 'Give RedisStore a client for clusters, such as createCluster, in place of one for a single server',
  },
  ASK: {
    kind: 'away',
    what: 'the key is on its way to another server of the cluster',
    cure: 'Give RedisStore a client for clusters, such as createCluster, in place of one for a single server',
  },
  TRYAGAIN: {
    kind: 'busy',
    what: 'keys are on their way to another server of the cluster',
    cure: 'Try again',
  },
  CLUSTERDOWN: {
    kind: 'away',
    what: 'the cluster lacks servers for some of its slots',
    cure: 'Start its servers again; with replicas it goes on by itself after a failover',
  },
  MASTERDOWN: {
    kind: 'away',
    what: 'the server is a replica without its primary',
    cure: 'Start the primary again, or let the client find the new one by Sentinel',
  },
  READONLY: {
    kind: 'away',
    what: 'the server is a replica, which takes no writes',
    cure: 'Connect to the primary; after a failover, let the client find it by Sentinel or as a cluster',
  },
  NOREPLICAS: {
    kind: 'away',
    what: 'fewer replicas are there than min-replicas-to-write asks for',
    cure: 'Start the replicas again',
  },
  OOM: {
    kind: 'away',
    what: 'the server has no memory left, and must evict nothing',
    cure: 'Give it more by maxmemory, or end sessions earlier by a shorter lifetime',
  },
  MISCONF: {
    kind: 'away',
    what: 'the server could not write its data to the disk, and takes no writes until it can',
    cure: 'Look at its log: the disk may be full, or the folder not writable',
  },
  BUSY: {
    kind: 'busy',
    what: 'a script of another program has kept the server for too long',
    cure: 'End it with SCRIPT KILL',
  },
  UNKILLABLE: {
    kind: 'busy',
    what: 'a script of another program has kept the server for too long',
    cure: 'Look at its log',
  },
  NOAUTH: { kind: 'configuration', what: 'the server asks for a user and a password', cure: password },
  WRONGPASS: { kind: 'configuration', what: 'the server refuses the user or the password', cure: password },
  NOPERM: { kind: 'configuration', what: 'the user may not run a command of the store', cure: rights },
  DENIED: {
    kind: 'configuration',
    what: 'the server is in protected mode',
    cure: 'Give its users passwords',
  },
  NOPROTO: {
    kind: 'configuration',
    what: 'the server does not know the protocol that the client asks for',
    cure: 'Make the client with { RESP: 2 }, or use Redis 6.2 or later',
  },
  WRONGTYPE: {
    kind: 'configuration',
    what: 'a key that the store uses holds something of another program',
    cure: 'Give RedisStore another prefix',
  },
  CROSSSLOT: {
    kind: 'configuration',
    what: 'the client sends commands with several keys to a cluster',
    cure: 'Give RedisStore a client for clusters, such as createCluster',
  },
}

const notTrusted: ReplyMeaning = {
  kind: 'configuration',
  what: "nobody whom Node trusts has signed the server's certificate",
  cure: 'Name the authority in NODE_EXTRA_CA_CERTS; or make a client with socket: { tls: true, ca }, and give RedisStore that',
}
const otherHost: ReplyMeaning = {
  kind: 'configuration',
  what: "the server's certificate is for another host",
  cure: 'Connect by the host name that is in the certificate',
}
/** What is known of an error of a TLS connection. */
function meaningOfTLS(error: unknown): ReplyMeaning | undefined {
  const { code } = (error ?? {}) as { readonly code?: unknown }
  if (!isError(error) || typeof code !== 'string') return undefined
  if (code === 'ERR_TLS_CERT_ALTNAME_INVALID') return otherHost
  return /CERT|LEAF_SIGNATURE/.test(code) ? notTrusted : undefined
}

/** Error replies that have no word of their own, by what they say. */
const errorMeanings: readonly (readonly [says: RegExp, meaning: ReplyMeaning])[] = [
  [
    /max number of clients/,
    {
      kind: 'away',
      what: 'the server has as many connections as its maxclients allows',
      cure: 'Raise maxclients, or close connections of other programs',
    },
  ],
  // A command within a script.
  [/^ERR (The user executing the script can't|ACL failure in script)/, meanings['NOPERM']!],
]

/** The first word of a server's error reply; `undefined` for any other error, as the client's own. */
export function codeOfReply(error: unknown): string | undefined {
  if (!isError(error)) return undefined
  return /^([A-Z]{2,}[A-Z0-9_]*)(?= )/.exec(error.message)?.[1]
}

/** What is known of an error reply, or of a connection that was refused for its certificate. */
export function meaningOf(error: unknown): ReplyMeaning | undefined {
  const code = codeOfReply(error)
  if (code === 'ERR') return errorMeanings.find(([says]) => says.test((error as Error).message))?.[1]
  return code !== undefined && Object.hasOwn(meanings, code) ? meanings[code] : meaningOfTLS(error)
}

/** Whether a client refused a command before it sent it. */
export function wasNotSent(error: unknown): boolean {
  if (!isError(error)) return false
  const { code } = error as NodeJS.ErrnoException
  if (meaningOfTLS(error)) return true
  if (code !== undefined && /^(ECONNREFUSED|ENOTFOUND|EAI_AGAIN|EHOSTUNREACH|ENETUNREACH)$/.test(code))
    return true
  return /^The client is (closed|offline)|^Connection timeout|^All the root nodes are unavailable|^None of startup nodes is available|enableOfflineQueue options is false/.test(
    error.message,
  )
}
