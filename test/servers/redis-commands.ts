import { createClient } from 'redis'

/** Sends one command, and gives its reply as RESP2 has it. */
export type Send = (...command: readonly string[]) => Promise<unknown>

/** Connects to one server, as tests do that look behind the store's back, and disconnects afterwards. */
export async function connectedTo<Result>(
  { url }: { readonly url: string },
  act: (send: Send) => Promise<Result>,
): Promise<Result> {
  const client = createClient({
    url,
    RESP: 2,
    socket: { reconnectStrategy: false, ...(url.startsWith('rediss:') && { rejectUnauthorized: false }) },
  })
  client.on('error', () => undefined) // connect() rejects with it too
  await client.connect()
  try {
    return await act((...command) => client.sendCommand(command))
  } finally {
    client.destroy()
  }
}

/** Sends one command to one server. */
export function ask(server: { readonly url: string }, ...command: readonly string[]): Promise<unknown> {
  return connectedTo(server, (send) => send(...command))
}
