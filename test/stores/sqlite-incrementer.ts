// Adds 1 to the number in a record, as often as told, in a process of its own:
// node sqlite-incrementer.ts <file> <id> <times>
import { randomBytes } from 'node:crypto'
import { SQLiteStore } from 'coatcheck/sqlite'
import type { SessionId } from 'coatcheck'

const [file = '', id = '', times = '0'] = process.argv.slice(2)
const store = new SQLiteStore(file)

for (let done = 0; done < Number(times);) {
  const [record] = await store.find([id as SessionId])
  if (record === undefined) throw new Error('The record is gone.')
  const next = Number(Buffer.from(record.data).toString()) + 1
  const [result] = await store.write([
    {
      type: 'update',
      id: record.id,
      version: record.version,
      userId: undefined,
      data: Buffer.from(String(next)),
      format: record.format,
      mark: randomBytes(8),
      lifetime: { idle: 3_600_000, absolute: undefined },
    },
  ])
  if (result === 'done') done++
  else if (result !== 'stale') throw new Error(`An update was answered with ${result}.`)
}
await store.close()
