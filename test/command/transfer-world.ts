import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { setTimeout } from 'node:timers/promises'
import type { SessionId } from 'coatcheck'
import { SQLiteStore } from 'coatcheck/sqlite'
import { withTimesMoved } from '../../dist/command/transfer/clock.js'
import { Ledger } from '../../dist/command/transfer/ledger.js'
import { pass } from '../../dist/command/transfer/pass.js'
import { recover } from '../../dist/command/transfer/recover.js'
import {
  type RecordTransfer,
  recordTransfer,
  type TransferableStore,
  type TransferWrite,
  type WholeRecord,
} from '../../dist/core/store/transfer.js'
import { newId, newMark } from '../../dist/testing/store/subject.js'

/** What an app, old or new, does to a session. `target` chooses one of those that there are. */
export interface Act {
  readonly place: 'old' | 'new'
  readonly kind: 'create' | 'note' | 'change' | 'touch' | 'rotate' | 'signIn' | 'remove'
  readonly target: number
}

/** A pass of the copy. At each of its calls, the next of `during` happens. */
export interface Pass {
  readonly kind: 'pass'
  /** The copy is killed at the so many-th call. `half`: with half of what the call was to write carried out. */
  readonly crashAt: number | undefined
  readonly half: boolean
  readonly during: readonly Act[]
}

/** The copy goes the other way from now on. */
export interface Turn {
  readonly kind: 'turn'
}

export type Event = Act | Pass | Turn

/** All that has happened to one session, in the order of `World.now`. */
interface Life {
  readonly isNote: boolean
  readonly createdIn: Act['place']
  readonly ended: { old?: number; new?: number }
  /** The last write of content by an app on the new store. */
  newMark: string | undefined
  /** When apps on the new store have signed users in on it. */
  readonly signIns: { readonly at: number; readonly user: string }[]
  /** How many sign-ins there were on it, on both stores. */
  allSignIns: number
  /** Its users, by what apps on the old store did. */
  readonly oldUsers: Set<string | undefined>
}

class Killed extends Error {}

const hour = 3_600_000
const lifetime = { idle: hour, absolute: undefined }

/** Two stores, apps that use them, and a copy between them that is killed now and then. */
export class World {
  readonly #stores = { old: new SQLiteStore(':memory:'), new: new SQLiteStore(':memory:') }
  readonly #records: Readonly<Record<Act['place'], RecordTransfer>>
  readonly #ledger = new Ledger(':memory:')
  readonly #lives = new Map<SessionId, Life>()
  /** When the whole passes began. */
  readonly #wholePasses: { began: number; ended: number }[] = []
  /** The clock of the old store is so many milliseconds behind that of the new one. */
  readonly #offset: number
  /** How often the copy was killed. */
  kills = 0
  #now = 0
  #isBackward = false
  #hasTurned = false

  constructor(offset: number) {
    this.#offset = offset
    this.#records = {
      old: recordsOf(this.#stores.old),
      new: recordsOf(this.#stores.new),
    }
    this.#use()
  }

  async close(): Promise<void> {
    this.#ledger.close()
    await Promise.all([this.#stores.old.close(), this.#stores.new.close()])
  }

  async happen(event: Event): Promise<void> {
    if (event.kind === 'turn') await this.#turn()
    else if (event.kind === 'pass') await this.#pass(event)
    else await this.#act(event)
  }

  /** Copies until nothing is left to do, and checks what came of it. */
  async settle(): Promise<void> {
    const quiet = { kind: 'pass', crashAt: undefined, half: false, during: [] } as const
    for (let passes = 0; passes < 3; passes++) await this.#pass(quiet)
    for (const [id, life] of this.#lives) await this.#check(id, life)
  }

  async #turn(): Promise<void> {
    await recover({ from: this.#records[this.#source], to: this.#records[this.#target] }, this.#ledger)
    this.#isBackward = !this.#isBackward
    this.#hasTurned = true
    this.#use()
  }

  #use(): void {
    const [from, to] = this.#isBackward ? ['new', 'old'] : ['old', 'new']
    this.#ledger.use({ from: from!, to: to! })
  }

  get #target(): Act['place'] {
    return this.#isBackward ? 'old' : 'new'
  }

  get #source(): Act['place'] {
    return this.#isBackward ? 'new' : 'old'
  }

  async #act({ place, kind, target }: Act): Promise<void> {
    this.#now++
    const store = this.#stores[place]
    const content = { data: randomBytes(40), format: 1, mark: newMark(), lifetime }
    if (kind === 'create' || kind === 'note') {
      const id = newId()
      const hash = kind === 'note' ? undefined : randomBytes(32)
      assert.deepEqual(
        await store.write([{ type: 'insert', id, hash, userId: undefined, signedIn: false, ...content }]),
        ['done'],
      )
      const life: Life = {
        isNote: kind === 'note',
        createdIn: place,
        ended: {},
        newMark: undefined,
        signIns: [],
        allSignIns: 0,
        oldUsers: new Set([undefined]),
      }
      this.#lives.set(id, life)
      return
    }
    const ids = [...this.#lives.keys()]
    const id = ids[target % Math.max(1, ids.length)]
    if (id === undefined) return
    const [record] = await this.#records[place].read([id])
    const life = this.#lives.get(id)!
    // Apps do nothing to notes but write them.
    if (!record || (record.hash === undefined && (!life.isNote || kind !== 'change'))) return
    const { version, userId, hash } = record
    if (kind === 'touch') {
      await store.write([
        { type: 'touch', id, hash: hash!, lifetime: { idle: 2 * hour, absolute: undefined } },
      ])
      return
    }
    if (kind === 'remove') {
      // Before the first copy is whole, no app uses the new store.
      if (place === this.#target && this.#wholePasses.length === 0) return
      const [result] = await store.write([{ type: 'remove', id, userId }])
      if (result === 'done') life.ended[place] = this.#now
      return
    }
    const user = kind === 'signIn' ? `user ${target % 3}` : userId
    const secret = { hash: randomBytes(32), signedIn: kind === 'signIn', grace: kind === 'rotate' ? hour : 0 }
    const [result] = await store.write([
      { type: 'update', id, version, userId: user, ...content, ...(kind !== 'change' && { secret }) },
    ])
    if (result !== 'done') return
    if (place === 'new') life.newMark = Buffer.from(content.mark).toString('hex')
    if (place === 'new' && kind === 'signIn') life.signIns.push({ at: this.#now, user: user! })
    if (kind === 'signIn') life.allSignIns++
    if (place === 'old') life.oldUsers.add(user)
  }

  async #pass({ crashAt = Infinity, half, during }: Pass): Promise<void> {
    let calls = 0
    const acts = during.values()
    const called = async () => {
      if (++calls === crashAt) throw new Killed()
      const { value } = acts.next() as { value: Act | undefined }
      if (value) await this.#act(value)
    }
    const step = <Method extends keyof RecordTransfer>(records: RecordTransfer, method: Method) =>
      (async (...args: unknown[]) => {
        await called()
        const answer: unknown = await (records[method] as (...args: unknown[]) => Promise<unknown>).apply(
          records,
          args,
        )
        await called()
        return answer
      }) as RecordTransfer[Method]
    const writeAll = step(this.#records[this.#target], 'write')
    const to = {
      now: step(this.#records[this.#target], 'now'),
      read: step(this.#records[this.#target], 'read'),
      write: async (writes: readonly TransferWrite[]) => {
        if (half && calls + 1 >= crashAt)
          await this.#records[this.#target].write(writes.filter((_, index) => index % 2 === 0))
        return writeAll(writes)
      },
    }
    const from = this.#withOldClock({
      ...this.#records[this.#source],
      now: step(this.#records[this.#source], 'now'),
      page: step(this.#records[this.#source], 'page'),
      read: step(this.#records[this.#source], 'read'),
    })
    const ledger = new Proxy(this.#ledger, {
      get: (target, name) => {
        const member = Reflect.get(target, name, target) as unknown
        if (typeof member !== 'function') return member
        return (...args: unknown[]) => {
          if (name === 'save' && ++calls === crashAt) throw new Killed()
          return Reflect.apply(member, target, args) as unknown
        }
      },
    })
    // The times of the two stores tell what came first, in milliseconds.
    await setTimeout(2)
    this.#now++
    const began = this.#now
    try {
      await recover({ from, to }, ledger)
      const settings = {
        offset: this.#offset,
        batch: 3,
        endAll: true,
        stop: new AbortController().signal,
        progress: () => undefined,
      }
      await pass({ from, to, ledger, ...settings })
      this.#wholePasses.push({ began, ended: ++this.#now })
    } catch (error) {
      if (!(error instanceof Killed)) throw error
      this.kills++
    }
    await setTimeout(2)
  }

  /** The old store, as its clock would have it. */
  #withOldClock(records: Pick<RecordTransfer, 'now' | 'page' | 'read'>) {
    const back = -this.#offset
    const { now, page, read } = records
    return {
      now: async () => (await now()) + back,
      page: async (after: string | undefined, limit: number) => {
        const { items, next } = await page(after, Math.min(limit, 4))
        const moved = items.map((item) => ({
          ...item,
          authenticatedAt: item.authenticatedAt === undefined ? undefined : item.authenticatedAt + back,
          seenAt: item.seenAt + back,
          expiresAt: item.expiresAt + back,
        }))
        return { items: moved, next }
      },
      read: async (ids: readonly SessionId[]) =>
        (await read(ids)).map((record) => record && withTimesMoved(record, back)),
    }
  }

  async #check(id: SessionId, life: Life): Promise<void> {
    const [[before], [after]] = await Promise.all([
      this.#records.old.read([id]),
      this.#records.new.read([id]),
    ])
    if (this.#hasTurned) {
      await this.#checkTurned(id, life)
      return
    }
    if (life.createdIn === 'new') {
      assert.equal(
        !!after,
        life.ended.new === undefined,
        'a session of the new store goes only when an app ends it',
      )
      return
    }
    if (life.ended.new !== undefined) {
      assert.equal(after, undefined, 'what was ended in the new store does not come back')
      return
    }
    if (before || life.isNote) {
      assert.ok(after, 'what lives in the old store lives in the new one')
      if (before) this.#checkContent(life, before, after!)
      return
    }
    const ended = life.ended.old!
    const signIn = life.signIns.at(-1)
    if (signIn === undefined)
      assert.equal(after, undefined, 'what was ended in the old store is ended in the new one')
    else if (signIn.at > ended) assert.ok(after, 'a sign-in after the ending is not lost')
    else if (
      this.#wholePasses.some((whole) => signIn.at < whole.began && whole.ended < ended) &&
      this.#isTheirs(life)
    ) {
      assert.equal(after, undefined, 'an ending after the sign-in ends that, too')
    }
  }

  /** What holds whichever way the copy went. */
  async #checkTurned(id: SessionId, { ended, allSignIns }: Life): Promise<void> {
    const [before] = await this.#records[this.#source].read([id])
    const [after] = await this.#records[this.#target].read([id])
    const hasEnded = ended.old !== undefined || ended.new !== undefined
    if (hasEnded && allSignIns === 0)
      assert.equal(after, undefined, 'what was ended anywhere is not brought back')
    if (before && !hasEnded) assert.ok(after, 'what was ended nowhere is in both')
  }

  /** Whether the user of the last sign-in is the only one that the session ever had in the old store. */
  #isTheirs({ signIns, oldUsers }: Life): boolean {
    return oldUsers.size === 1 && oldUsers.has(signIns.at(-1)!.user)
  }

  #checkContent(life: Life, before: WholeRecord, after: WholeRecord): void {
    const newest = Buffer.from(after.marks.subarray(0, 8)).toString('hex')
    if (life.newMark !== undefined) {
      assert.equal(newest, life.newMark, 'what an app on the new store has stored stays')
      return
    }
    const { seenAt, expiresAt, ...record } = after
    const { seenAt: seenBefore, expiresAt: expiresBefore, ...expected } = before
    assert.deepEqual(record, expected, 'all of the record is as in the old store')
    assert.ok(seenAt >= seenBefore, 'no time goes back')
    assert.ok(expiresAt >= expiresBefore, 'no time goes back')
  }
}

function recordsOf(store: SQLiteStore): RecordTransfer {
  return (store as unknown as TransferableStore)[recordTransfer]()!
}
