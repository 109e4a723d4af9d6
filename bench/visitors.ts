import { once } from 'node:events'
import { Agent, request, type IncomingMessage } from 'node:http'
import { text } from 'node:stream/consumers'

/** So many at once. */
const lanes = 16

/**
 * Logs visitors in at an app, each under a cookie of their own.
 * @returns the value of the Cookie header of each; something as long where the app sets no cookie
 * @throws Error if a visitor does not find again what the login put into their session
 */
export async function visitorsOf(port: number, count: number): Promise<string[]> {
  const cookies = Array.from({ length: count }, () => '')
  const shown: (string | undefined)[] = []
  await send(port, 'POST', '/login', cookies, ({ headers }, answer, visitor) => {
    const given = headers['set-cookie']
    const pairs = given ?? [`connect.sid=${'x'.repeat(80)}; Path=/`]
    cookies[visitor] = pairs.map((cookie) => cookie.split(';', 1)[0]).join('; ')
    if (given) shown[visitor] = answer
  })
  await send(port, 'GET', '/read', cookies, (_response, answer, visitor) => {
    if (shown[visitor] !== undefined && answer !== shown[visitor])
      throw new Error(`A visitor reads ${answer} and not ${shown[visitor]}.`)
  })
  return cookies
}

/** Logs them out again: what is left of their sessions is the cookies. */
export async function logOut(port: number, cookies: readonly string[]): Promise<void> {
  await send(port, 'POST', '/logout', cookies, () => undefined)
}

/** Sends a request for each of the cookies, without one where it is empty. */
async function send(
  port: number,
  method: 'GET' | 'POST',
  path: string,
  cookies: readonly string[],
  answered: (response: IncomingMessage, answer: string, index: number) => void,
): Promise<void> {
  const agent = new Agent({ keepAlive: true, maxSockets: lanes })
  const sendOne = async (index: number): Promise<void> => {
    const headers = cookies[index] ? { cookie: cookies[index] } : {}
    const asked = request({ port, agent, method, path, headers }).end()
    const [response] = (await once(asked, 'response')) as [IncomingMessage]
    const answer = await text(response)
    if (response.statusCode !== 200)
      throw new Error(`${method} ${path} was answered with ${response.statusCode}.`)
    answered(response, answer, index)
  }
  let next = 0
  const lane = async (): Promise<void> => {
    while (next < cookies.length) await sendOne(next++)
  }
  await Promise.all(Array.from({ length: lanes }, lane))
  agent.destroy()
}
