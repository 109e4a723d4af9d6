import { hash } from 'node:crypto'
import { markLength } from '../../core/store/mark.js'
import type { SessionId } from '../../core/store/record.js'
import {
  type RecordTransfer,
  type StampPage,
  stampOf,
  type TransferResult,
  type TransferWrite,
  type WholeRecord,
} from '../../core/store/transfer.js'
import { userIdBytes } from '../../core/users/user-id.js'
import { byBytes, parts } from '../sql/batch-size.js'
import type { Send } from './commands.js'
import type { RedisReader } from './reader.js'
import { recordOf, valueOf, wholeRecordOf } from './record.js'
import { lookScript, readScript, transferScript } from './scripts.js'
import { memberOf, type UserIndex } from './user-index.js'
import { answerOf, type Indexed, indexedFor, packedTransfer } from './writes.js'

/** The most writes of one script, and the most bytes of data in it, where all keys lie on one server. */
const largestPart = 256
const mostBytes = 1024 * 1024

/** Reads and writes whole records. */
export class RedisTransfer implements RecordTransfer {
  readonly #reader: RedisReader
  readonly #index: UserIndex

  constructor(reader: RedisReader, index: UserIndex) {
    this.#reader = reader
    this.#index = index
  }

  /** The clock of one server. Those of a cluster should agree. */
  async now(): Promise<number> {
    const [now] = await this.#reader.client.everywhere(async (send) => {
      const [seconds, microseconds] = (await send(['TIME'])) as [Buffer, Buffer]
      return Number(seconds) * 1_000 + Math.floor(Number(microseconds) / 1_000)
    })
    return now!
  }

  /** With the indexes of users, and with keys of other programs. */
  async count(): Promise<number> {
    const counts = await this.#reader.client.everywhere(async (send) => Number(await send(['DBSIZE'])))
    return counts.reduce((sum, count) => sum + count, 0)
  }

  /**
   * One step of a scan, server by server. Where a server has started again, or slots have moved, cursors mean nothing any
   * more: then it begins anew.
   */
  async page(after: string | undefined, limit: number): Promise<StampPage> {
    const servers = await this.#servers()
    const state = hash('sha256', servers.map(({ identity }) => identity).join(), 'base64url')
    const [was, index, cursor] = after?.split('.') ?? []
    const [at, from] = was === state ? [Number(index), cursor!] : [0, '0']
    const { ids, next } = await this.#reader.scan(servers[at]!.send, from, limit)
    const found = await this.#reader.records(lookScript, [...new Set(ids)])
    const items = [...found.values()].map((record) => ({
      id: record.id,
      ...stampOf({ ...record, marks: record.marks!, former: undefined }),
    }))
    if (next !== '0') return { items, next: `${state}.${at}.${next}` }
    return { items, next: at + 1 < servers.length ? `${state}.${at + 1}.0` : undefined }
  }

  async read(ids: readonly SessionId[]): Promise<(WholeRecord | undefined)[]> {
    const values = await this.#reader.values(readScript, ids)
    return ids.map((id) => {
      const found = values.get(id)
      const record = found && recordOf(id, found.value, found.readAt, true)
      return record && wholeRecordOf(record, found.value)
    })
  }

  async write(writes: readonly TransferWrite[]): Promise<(TransferResult | Error)[]> {
    const results = new Map<SessionId, TransferResult | Error>()
    const now = await this.now()
    const indexed = new Map<SessionId, Indexed>()
    await each(writes, results, async ({ id, record }) => {
      if (record?.userId === undefined) return
      const entry: Indexed = {
        entry: Buffer.from(record.marks.subarray(0, markLength)),
        user: userIdBytes(record.userId),
        milliseconds: indexedFor({
          lifetime: { idle: Math.max(record.expiresAt - now, 0), absolute: undefined },
        }),
      }
      await this.#index.add(id, entry)
      indexed.set(id, entry)
    })
    const left = writes.filter(({ id }) => !results.has(id))
    const bytes = ({ record }: TransferWrite): number =>
      record ? record.data.length + (record.former?.data.length ?? 0) : 0
    const portions = this.#reader.client.isCluster
      ? left.map((write) => [write])
      : byBytes(left, mostBytes, bytes).flatMap((portion) => parts(portion, largestPart))
    await Promise.all(portions.map((portion) => this.#send(portion, indexed, results)))
    await each(writes, results, async ({ id }) => {
      const entry = indexed.get(id)
      if (entry && results.get(id) === 'done') await this.#index.add(id, entry)
    })
    return writes.map(({ id }) => results.get(id)!)
  }

  async #send(
    portion: readonly TransferWrite[],
    indexed: ReadonlyMap<SessionId, Indexed>,
    results: Map<SessionId, TransferResult | Error>,
  ): Promise<void> {
    const keys = portion.map(({ id }) => this.#reader.keyOf(id))
    try {
      const packed = portion.map(({ id, expected, record }) => {
        const entry = indexed.get(id)
        return packedTransfer(expected, record && valueOf(record, entry), entry?.milliseconds ?? 0)
      })
      const answers = (await this.#reader.client.run(transferScript, keys, [
        Buffer.concat(packed),
      ])) as Buffer[]
      portion.forEach(({ id }, index) => {
        const answer = answerOf(answers[index]!)
        if (answer.type === 'failed') results.set(id, answer.error)
        if (answer.type !== 'result') return
        results.set(id, answer.result === 'done' ? 'done' : 'different')
        if (answer.left === undefined) return
        const member = memberOf(id, answer.left.entry)
        // Nobody waits for it: an entry that stays does no harm.
        if (!indexed.get(id)?.entry.equals(answer.left.entry))
          this.#index.remove(answer.left.user, [member]).catch(() => undefined)
      })
    } catch (error) {
      for (const { id } of portion) if (!results.has(id)) results.set(id, error as Error)
    }
  }

  /** The servers in one order, each with what changes where cursors lose their meaning. */
  async #servers(): Promise<readonly { readonly send: Send; readonly identity: string }[]> {
    const { client } = this.#reader
    const servers = await client.everywhere(async (send) => {
      const run = /run_id:(\w+)/.exec(String(await send(['INFO', 'server'])))?.[1] ?? ''
      const epoch = client.isCluster
        ? /cluster_current_epoch:(\d+)/.exec(String(await send(['CLUSTER', 'INFO'])))?.[1]
        : ''
      return { send, identity: `${run} ${epoch}` }
    })
    return servers.toSorted((one, other) => (one.identity < other.identity ? -1 : 1))
  }
}

/** Does something for each write that has no result yet. What fails is the result of that one. */
async function each(
  writes: readonly TransferWrite[],
  results: Map<SessionId, TransferResult | Error>,
  work: (write: TransferWrite) => Promise<void>,
): Promise<void> {
  await Promise.all(
    writes.map(async (write) => {
      if (results.get(write.id) instanceof Error) return
      try {
        await work(write)
      } catch (error) {
        results.set(write.id, error as Error)
      }
    }),
  )
}
