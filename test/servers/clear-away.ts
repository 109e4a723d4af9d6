// Clears away what a killed process leaves behind. Each line of the input names all that there is then:
// {"pids":[…],"folders":[…]}. When the input ends, so has the process that wrote it.
import { rmSync } from 'node:fs'
import { createInterface } from 'node:readline'

let left: { readonly pids: readonly number[]; readonly folders: readonly string[] } = {
  pids: [],
  folders: [],
}
for await (const line of createInterface({ input: process.stdin })) left = JSON.parse(line) as typeof left

for (const pid of left.pids) {
  try {
    process.kill(pid, 'SIGKILL')
  } catch {
    // It has ended.
  }
}
for (const folder of left.folders) rmSync(folder, { recursive: true, force: true, maxRetries: 10 })
