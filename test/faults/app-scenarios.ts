import assert from 'node:assert/strict'
import { clockOffBy } from '../servers/faketime.ts'
import { makeNextVersion } from './next-version.ts'
import type { Scenario } from './play.ts'
import { asOwner } from './stage.ts'
import { Crowd } from './visitors.ts'

/** What happens to the apps themselves. */
export const appScenarios: readonly Scenario[] = [
  {
    fault: 'app killed (SIGKILL) and restarted',
    isOfApp: true,
    runs: { short: 3, long: 30 },
    async happen({ urls, restart }, crowd, round) {
      const url = urls[round % urls.length]!
      await crowd.without(url, 'killed', () => restart(url, { signal: 'SIGKILL' }))
    },
  },
  {
    fault: 'app stopped (SIGTERM) and restarted',
    isOfApp: true,
    runs: { short: 3, long: 30 },
    async happen({ urls, restart }, crowd, round) {
      const url = urls[round % urls.length]!
      await crowd.without(url, 'stopped', () => restart(url))
    },
  },
  {
    fault: 'rolling upgrade to a version with one more column, and back, app by app',
    runs: { short: 1, long: 5 },
    stage: {},
    async happen({ kind, owner, restart, stored, urls }, crowd) {
      const next = await makeNextVersion(kind.nextVersion)
      const [newer, older] = urls as [string, string]
      await crowd.without(newer, 'stopped', () => restart(newer, { program: next.program }))
      await crowd.acknowledgesMore(50)
      const there = new Crowd([newer], stored)
      const [visitor] = await there.signedIn(1)
      for (const path of ['/data/from/older', '/rotate']) await visitor!.browser.post(older, path)
      assert.equal((await visitor!.browser.get(newer, '/data')).body['from'], 'older')
      await asOwner(owner, async (connection) => {
        assert.deepEqual(await connection.madeBy(visitor!.user), ['next'])
      })
      for (const url of urls.slice(1)) {
        await crowd.without(url, 'stopped', () => restart(url, { program: next.program }))
        await crowd.acknowledgesMore(20)
      }
      for (const url of urls) await crowd.without(url, 'stopped', () => restart(url))
      await next.remove()
    },
  },
  {
    fault: 'secret replaced app by app: old and new, new and old, new only',
    isOfApp: true,
    runs: { short: 1, long: 5 },
    stage: { env: { SECRETS: secretOf(0) } },
    async happen({ urls, restart }, crowd, round) {
      crowd.tokensAreSignedAnew = true
      const [before, after] = [secretOf(round), secretOf(round + 1)]
      const restartAll = async (...secrets: readonly string[]): Promise<void> => {
        for (const url of urls) {
          await crowd.without(url, 'stopped', () => restart(url, { env: { SECRETS: secrets.join(',') } }))
          await crowd.acknowledgesMore(20)
        }
      }
      const [idle] = await crowd.signedIn(1)
      const old = idle!.browser.clone()
      await restartAll(before, after)
      await restartAll(after, before)
      assert.equal((await old.clone().get(urls[0]!, '/data')).status, 200)
      await crowd.end()
      // Each that comes while both are good gets its token signed with the new one.
      await crowd.readAll()
      // Later they would be refused for their signatures.
      await crowd.lookAtEnded()
      crowd.start()
      await restartAll(after)
      assert.equal((await old.get(urls[0]!, '/data')).status, 401)
    },
  },
  {
    fault: 'clocks of the apps off by ten minutes and by a day, fast or slow',
    runs: { short: 2, long: 10 },
    stage: {},
    async happen({ urls, restart }, crowd, round) {
      const offsets = round % 2 === 0 ? ['+10m', '-1d'] : ['-10m', '+1d']
      for (const [index, offset] of offsets.entries()) {
        const env = await clockOffBy(offset)
        assert(env, 'libfaketime is needed (Debian: apt-get install faketime)')
        await crowd.without(urls[index]!, 'stopped', () => restart(urls[index]!, { env }))
        await crowd.acknowledgesMore(50)
      }
    },
  },
]

function secretOf(year: number): string {
  return `the secret of every app of this test in year ${year}`
}
