/** The sites of the hub. All three are in one process, so their paths tell them apart: the hub's are the others. */
export const siteNames = ['shop', 'blog'] as const
export type SiteName = (typeof siteNames)[number]
export const appNames = ['hub', ...siteNames] as const
export type AppName = (typeof appNames)[number]

/** What a browser would know an app by. The requests of these tests go to whichever process is to answer. */
export function originOf(app: AppName): string {
  return `https://${app}.test`
}

export function callbackOf(site: SiteName): string {
  return `${originOf(site)}/${site}/handoff/callback`
}
