import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { describe, expect, inject, it } from 'vitest'
import { nodeProgram } from '../package/nodes.ts'

const run = promisify(execFile)
const suite = join(import.meta.dirname, 'suite-on-node.mjs')

/** The lowest and the newest Node of each supported line. This repository's own runs the suite in the other files. */
const versions = ['22.13.0', '22.23.2', '24.0.0', '24.21.0']

// node:sqlite reads a text up to its first NUL in all of 22 and in 24.0.
describe.each(versions)('on Node %s', (version) => {
  // What differs from one Node to the next is node:sqlite, so that MySQLStore goes along on the lowest only.
  const isLowest = version === versions[0]

  it(`each store keeps the contract${isLowest ? ', MySQLStore too' : ''}`, async () => {
    const env = { PATH: process.env['PATH'], ...(isLowest && { DATABASE_URL: inject('mariadb') }) }
    const options = { env, maxBuffer: 64 * 1024 * 1024 }
    const program = await nodeProgram(version)
    const { stdout } = await run(program, ['--test-reporter=tap', suite], options).catch(
      (failure: { stdout: string }) => failure,
    )
    expect(stdout.split('\n').filter((line) => /^ *not ok/.test(line))).toEqual([])
    const [tests, passed] = ['tests', 'pass'].map((what) =>
      Number(new RegExp(`^# ${what} (\\d+)$`, 'm').exec(stdout)?.[1]),
    )
    expect(passed).toBe(tests)
    // A file that declares nothing passes as well.
    expect(passed).toBeGreaterThan(isLowest ? 400 : 220)
  })
})
