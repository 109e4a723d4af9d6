// Adds 1 to the number in a record, as often as told, in a process of its own:
// node sqlite-incrementer.ts <file> <key> <times>
import { SQLiteStore } from 'coatcheck/sqlite'
import type { SessionKey } from 'coatcheck'

const [file = '', key = '', times = '0'] = process.argv.slice(2)
const store = new SQLiteStore(file)

for (let done = 0; done < Number(times);) {
  const [record] = await store.find([key as SessionKey])
  if (record === undefined) throw new Error('The record is gone.')
  const next = Number(Buffer.from(record.data).toString()) + 1
  const [result] = await store.write([
    {
      type: 'update',
      key: record.key,
      version: record.version,
      userId: undefined,
      data: Buffer.from(String(next)),
      lifetime: { idle: 3_600_000, absolute: undefined },
    },
  ])
  if (result === 'done') done++
  else if (result !== 'stale') throw new Error(`An update was answered with ${result}.`)
}
await store.close()
