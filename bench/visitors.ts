import { Agent, request, type IncomingMessage } from 'node:http'

/** So many at once. */
const lanes = 16

/**
 * Logs visitors in at an app, each under a cookie of their own.
 * @returns the value of the Cookie header of each; something as long where the app sets no cookie
 */
export async function visitorsOf(port: number, count: number): Promise<string[]> {
  const cookies = Array.from({ length: count }, () => '')
  await post(port, '/login', cookies, ({ headers }, visitor) => {
    const given = headers['set-cookie'] ?? [`connect.sid=${'x'.repeat(80)}; Path=/`]
    cookies[visitor] = given.map((cookie) => cookie.split(';', 1)[0]).join('; ')
  })
  return cookies
}

/** Logs them out again: what is left of their sessions is the cookies. */
export async function logOut(port: number, cookies: readonly string[]): Promise<void> {
  await post(port, '/logout', cookies, () => undefined)
}

/** Sends a request for each of the cookies, without one where it is empty. */
async function post(
  port: number,
  path: string,
  cookies: readonly string[],
  answered: (response: IncomingMessage, index: number) => void,
): Promise<void> {
  const agent = new Agent({ keepAlive: true, maxSockets: lanes })
  const send = (index: number): Promise<void> =>
    new Promise((resolve, reject) => {
      const headers = cookies[index] ? { cookie: cookies[index] } : {}
      const asked = request({ port, agent, method: 'POST', path, headers }, (response) => {
        response.resume()
        if (response.statusCode !== 200)
          reject(new Error(`POST ${path} was answered with ${response.statusCode}.`))
        answered(response, index)
        response.once('end', () => resolve())
      })
      asked.once('error', reject)
      asked.end()
    })
  let next = 0
  const lane = async (): Promise<void> => {
    while (next < cookies.length) await send(next++)
  }
  await Promise.all(Array.from({ length: lanes }, lane))
  agent.destroy()
}
