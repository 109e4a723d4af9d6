import { randomBytes } from 'node:crypto'
import { expect, onTestFinished, test, vi } from 'vitest'
import { bag, memorySessions } from '../core/works.ts'

// A file of its own: what warns does so once in a process.

const secret = randomBytes(32)
const request = { secure: true, cookieHeader: undefined }

/** The Cookie header of a browser whose user has signed in, where the app has this secret. */
async function signedIn(signing: Buffer): Promise<string> {
  const exchange = await memorySessions({ secret: signing }).exchange(request)
  await bag(exchange.work).signIn('ada')
  return (await exchange.finish())!.value.split(';', 1)[0]!
}

test('a cookie that no secret of the app has signed is one warning, which shows nothing of it', async () => {
  const warn = vi.spyOn(process, 'emitWarning').mockImplementation(() => undefined)
  onTestFinished(() => warn.mockRestore())
  const sessions = memorySessions({ secret })
  const begin = async (cookieHeader: string) => sessions.exchange({ ...request, cookieHeader })

  const own = await signedIn(secret)
  const foreign = await signedIn(randomBytes(32))
  await begin(own)
  await begin(`${foreign}; ${own}`)
  await begin(foreign.replace('__Host-sid', 'another'))
  await begin('__Host-sid=a%20value%20of%20another%20library')
  await begin('__Host-sid=s:token.signature')
  expect(warn).not.toHaveBeenCalled()

  for (let round = 0; round < 2; round++) expect((await begin(foreign)).work.isNew).toBe(true)
  expect(warn).toHaveBeenCalledExactlyOnceWith(expect.stringContaining('secret: [oldSecret, newSecret]'), {
    code: 'COATCHECK_UNKNOWN_SECRET',
  })
  expect(warn.mock.calls[0]![0]).not.toContain(foreign.slice(20, 30))
})
