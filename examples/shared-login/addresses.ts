/** The domain that the three hosts have in common: the session cookie belongs to it. */
export const domain = 'demo.localhost'

export type AppName = 'accounts' | 'shop' | 'api'

/** Browsers find every name under .localhost on this machine by themselves: there is nothing to set up. */
export const ports: Readonly<Record<AppName, number>> = {
  accounts: portFrom('PORT_ACCOUNTS', 4001),
  shop: portFrom('PORT_SHOP', 4002),
  api: portFrom('PORT_API', 4003),
}

export const origins: Readonly<Record<AppName, string>> = {
  accounts: `http://accounts.${domain}:${ports.accounts}`,
  shop: `http://shop.${domain}:${ports.shop}`,
  api: `http://api.${domain}:${ports.api}`,
}

/** The address of a page of the documentation, such as `sign-in.md#sign-out`. The accounts app has them. */
export function docs(page: string): string {
  return `${origins.accounts}/docs/${page}`
}

/** What to do where others listen on the ports of these apps. */
export function portsTaken(names: readonly AppName[]): string {
  const taken = names.map((name) => ports[name]).join(', ')
  const variables = names.map((name) => `PORT_${name.toUpperCase()}`).join(', ')
  return names.length === 1
    ? `Port ${taken} is taken. Stop what listens there, or choose another by ${variables}.`
    : `The ports ${taken} are taken, perhaps by this demo: if it runs already, use that or end it. Or choose others by ${variables}.`
}

function portFrom(variable: string, fallback: number): number {
  const text = process.env[variable] || String(fallback)
  const port = Number(text)
  if (Number.isInteger(port) && port > 0 && port < 65_536) return port
  throw new RangeError(`${variable} must be a port between 1 and 65535, not "${text}".`)
}
