import '../faked-timers.ts'
import { MemoryStore } from 'coatcheck'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { RefusedSweeps } from '../../dist/core/store/refused-sweeps.js'
import { Sweeper } from '../../dist/core/store/sweeper.js'

const minute = 60_000

/** A store that always has expired records, and takes a second for each batch. */
class FullStore extends MemoryStore {
  asked = 0

  override async removeExpired(limit: number): Promise<number> {
    this.asked += 1
    await new Promise((resolve) => setTimeout(resolve, 1_000))
    return limit
  }
}

describe('a sweep', () => {
  beforeEach(() => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] })
  })
  afterEach(() => {
    vi.useRealTimers()
  })

  test('rests after each batch three times as long as the batch took', async () => {
    const { store, sweeper } = begun()
    await vi.advanceTimersToNextTimerAsync()
    expect(store.asked).toBe(1)
    await vi.advanceTimersByTimeAsync(3_999)
    expect(store.asked).toBe(1)
    await vi.advanceTimersByTimeAsync(1)
    expect(store.asked).toBe(2)
    await vi.advanceTimersByTimeAsync(40_000)
    expect(store.asked).toBe(12)
    await stopped(sweeper)
  })

  test('that rests is over at once when it is to stop', async () => {
    const { sweeper, swept } = begun()
    await vi.advanceTimersToNextTimerAsync()
    await vi.advanceTimersByTimeAsync(2_000)
    await sweeper.stop()
    expect(vi.getTimerCount()).toBe(0)
    expect(swept).toHaveBeenCalledExactlyOnceWith(250)
  })

  test('that is at a batch ends with it when it is to stop', async () => {
    const { store, sweeper, swept } = begun()
    await vi.advanceTimersToNextTimerAsync()
    await vi.advanceTimersByTimeAsync(500)
    await stopped(sweeper)
    expect(vi.getTimerCount()).toBe(0)
    expect(store.asked).toBe(1)
    expect(swept).toHaveBeenCalledExactlyOnceWith(250)
  })
})

function begun() {
  const store = new FullStore()
  const swept = vi.fn<(count: number) => void>()
  const failed = (error: unknown) => {
    throw error
  }
  return { store, swept, sweeper: new Sweeper(store, { every: minute, batch: 250 }, { swept, failed }) }
}

/** Lets the batch that is under way come to its end. */
async function stopped(sweeper: Sweeper): Promise<void> {
  const end = sweeper.stop()
  await vi.advanceTimersByTimeAsync(1_000)
  await end
}

test('of sweeps that a lock refuses the sixth in a row is told, and one that had the lock begins the count anew', async () => {
  const sweeps = new RefusedSweeps()
  const refused = () => sweeps.refused(() => 'End that process.')
  for (let round = 0; round < 3; round++) {
    for (let time = 0; time < 5; time++) await refused()
    sweeps.succeeded()
  }
  for (let time = 0; time < 5; time++) await refused()
  await expect(refused()).rejects.toMatchObject({
    code: 'ERR_SESSION_STORE_BUSY',
    message: expect.stringContaining('End that process.') as string,
  })
  for (let time = 0; time < 5; time++) await refused()
})
