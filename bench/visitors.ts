import { Agent, request } from 'node:http'

/** So many at once. */
const lanes = 16

/**
 * Logs visitors in at an app.
 * @param bytes how much each one's session is to hold
 * @returns the value of the Cookie header of each; something as long where the app sets no cookie
 */
export async function visitorsOf(port: number, count: number, bytes: number): Promise<string[]> {
  const agent = new Agent({ keepAlive: true, maxSockets: lanes })
  const cookies: string[] = []
  const lane = async (): Promise<void> => {
    while (cookies.length < count) {
      const index = cookies.push('') - 1
      cookies[index] = await logIn(port, bytes, agent)
    }
  }
  await Promise.all(Array.from({ length: lanes }, lane))
  agent.destroy()
  return cookies
}

function logIn(port: number, bytes: number, agent: Agent): Promise<string> {
  return new Promise((resolve, reject) => {
    const asked = request({ port, agent, method: 'POST', path: `/login?bytes=${bytes}` }, (response) => {
      response.resume()
      if (response.statusCode !== 200) reject(new Error(`A login was answered with ${response.statusCode}.`))
      const cookies = response.headers['set-cookie'] ?? [`connect.sid=${'x'.repeat(80)}; Path=/`]
      response.once('end', () => resolve(cookies.map((cookie) => cookie.split(';', 1)[0]).join('; ')))
    })
    asked.once('error', reject)
    asked.end()
  })
}
