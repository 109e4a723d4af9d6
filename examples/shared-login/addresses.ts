export type AppName = 'accounts' | 'shop' | 'api' | 'partner'

/** The domain that three of the hosts have in common: their session cookie belongs to it. */
export const domain = 'demo.localhost'

/** The partner's host. To a browser it is another site, so it shares no cookie with the others. */
const partnerHost = 'partner.localhost'

/** Browsers resolve every name under .localhost to this machine, so nothing has to be set up. */
export const ports: Readonly<Record<AppName, number>> = {
  accounts: portFrom('PORT_ACCOUNTS', 4001),
  shop: portFrom('PORT_SHOP', 4002),
  api: portFrom('PORT_API', 4003),
  partner: portFrom('PORT_PARTNER', 4004),
}

export const origins: Readonly<Record<AppName, string>> = {
  accounts: `http://accounts.${domain}:${ports.accounts}`,
  shop: `http://shop.${domain}:${ports.shop}`,
  api: `http://api.${domain}:${ports.api}`,
  partner: `http://${partnerHost}:${ports.partner}`,
}

/** The domain of an app's cookies; `undefined`: they are for its host only. */
export function cookieDomainOf(app: AppName): string | undefined {
  return app === 'partner' ? undefined : domain
}

/** The address of a page of the documentation, such as `sign-in.md#sign-out`. The accounts app has them. */
export function docs(page: string): string {
  return `${origins.accounts}/docs/${page}`
}

/** The message for ports that are taken. */
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
