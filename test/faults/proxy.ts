import { once } from 'node:events'
import { connect, createServer, type AddressInfo, type Socket } from 'node:net'
import { setTimeout } from 'node:timers/promises'

/** Which way bytes go. */
export type Towards = 'client' | 'server'

/** A way to a database on which everything can happen that happens on a network. Loopback only. */
export interface FaultProxy {
  /** The database's URL, by way of this proxy. */
  readonly url: string
  /** New connections go to another server of that URL's from now on, as where a name is given to another machine. */
  leadTo(databaseUrl: string): void
  /** How many connections go through it now. */
  connections(): number
  /** All works again. What a blackhole held back arrives late, as what TCP sends once more does. */
  pass(): void
  /** Nothing arrives any more, either way, also on new connections. None is closed. */
  blackhole(): void
  /** The connections of now are gone at the server's end, and the client is not told: they stay silent. New ones work. Gives how many there were. */
  loseServerEnd(): number
  /** Resets the connections of now, at both ends. Gives how many there were. */
  reset(): number
  /** Everything takes so many milliseconds longer, each way. */
  delay(milliseconds: number): void
  /** Cuts the connection on which the next bytes go, as soon as so many have gone: in the middle of a packet. Resolves when that has happened. */
  cutAfter(bytes: number, towards: Towards): Promise<void>
  /**
   * Cuts the connection by which `content` is sent to the server: before it arrives, or once the server has replied and before
   * that arrives. Resolves when that has happened.
   */
  cutAround(content: string | Buffer, moment: 'before the request' | 'before the reply'): Promise<void>
  /** Numbers the reply to what holds `content` wrongly, as the packet of another reply would be. */
  misnumber(content: string | Buffer): Promise<void>
  close(): Promise<void>
}

/** Looks at what goes by; gives what is to go on, or `'cut'`. */
type Inspector = (chunk: Buffer, towards: Towards, way: Way) => Buffer | 'cut' | { readonly last: Buffer }

interface Way {
  readonly near: Socket
  readonly far: Socket
  /** The server's end is gone. */
  lost: boolean
}

export async function faultProxyTo(databaseUrl: string): Promise<FaultProxy> {
  let target = new URL(databaseUrl)
  const ways = new Set<Way>()
  let passes = Promise.resolve()
  let letPass: () => void = () => undefined
  let lateness = 0
  let inspect: Inspector | undefined

  const cut = (way: Way): void => {
    way.near.resetAndDestroy()
    way.far.resetAndDestroy()
  }

  const carry = async (way: Way, towards: Towards): Promise<void> => {
    const [from, to] = towards === 'server' ? [way.near, way.far] : [way.far, way.near]
    for await (const chunk of from as AsyncIterable<Buffer>) {
      if (lateness > 0) await setTimeout(lateness)
      await passes
      if (way.lost) continue
      const going = inspect?.(chunk, towards, way) ?? chunk
      if (going === 'cut') return cut(way)
      if ('last' in going) {
        to.end(going.last)
        from.resetAndDestroy()
        return
      }
      to.write(going)
    }
    if (!way.lost) to.end()
  }

  const server = createServer((near) => {
    const way: Way = { near, far: connect(Number(target.port), target.hostname), lost: false }
    ways.add(way)
    for (const [socket, other] of [
      [way.near, way.far],
      [way.far, way.near],
    ] as const) {
      socket.setNoDelay(true)
      socket.on('error', () => undefined) // 'close' follows
      socket.once('close', () => {
        if (way.lost && socket === way.far) return
        ways.delete(way)
        other.resetAndDestroy()
      })
    }
    for (const towards of ['client', 'server'] as const) carry(way, towards).catch(() => undefined)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')

  /** Inspects until `inspector` says by `done` that it has seen what it was to see. */
  const inspecting = (inspector: (done: () => void) => Inspector): Promise<void> =>
    new Promise((resolve) => {
      inspect = inspector(() => {
        inspect = undefined
        resolve()
      })
    })
  /** Does something to the first bytes of the reply to what holds `content`. */
  const atReplyTo = (content: string | Buffer, act: (reply: Buffer) => Buffer | 'cut'): Promise<void> => {
    let asking: Way | undefined
    return inspecting((done) => (chunk, towards, way) => {
      if (towards === 'server' && chunk.includes(content)) asking = way
      if (towards === 'server' || way !== asking) return chunk
      done()
      return act(chunk)
    })
  }

  const url = new URL(databaseUrl)
  url.port = String((server.address() as AddressInfo).port)
  return {
    url: url.href,
    leadTo(other) {
      target = new URL(other)
    },
    connections: () => ways.size,
    pass() {
      lateness = 0
      letPass()
    },
    blackhole() {
      passes = new Promise((resolve) => (letPass = resolve))
    },
    loseServerEnd() {
      const hit = [...ways].filter(({ lost }) => !lost)
      for (const way of hit) {
        way.lost = true
        way.far.resetAndDestroy()
      }
      return hit.length
    },
    reset() {
      const hit = [...ways].filter(({ lost }) => !lost).length
      for (const way of ways) cut(way)
      return hit
    },
    delay(milliseconds) {
      lateness = milliseconds
    },
    cutAfter(bytes, towards) {
      let left = bytes
      return inspecting((done) => (chunk, going) => {
        if (going !== towards) return chunk
        left -= chunk.length
        if (left > 0) return chunk
        done()
        return { last: chunk.subarray(0, chunk.length + left) }
      })
    },
    cutAround(content, moment) {
      if (moment === 'before the reply') return atReplyTo(content, () => 'cut')
      return inspecting((done) => (chunk, towards) => {
        if (towards === 'client' || !chunk.includes(content)) return chunk
        done()
        return 'cut'
      })
    },
    misnumber: (content) =>
      atReplyTo(content, (reply) => {
        const changed = Buffer.from(reply)
        changed[3] = changed[3]! + 7 // the number of a packet stands behind the three bytes of its length
        return changed
      }),
    async close() {
      const closed = once(server, 'close')
      server.close()
      letPass()
      for (const way of ways) cut(way)
      await closed
    },
  }
}
