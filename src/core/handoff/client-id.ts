/** Whether a text may name a site at its hub. */
export function isClientId(text: unknown): text is string {
  return typeof text === 'string' && /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/.test(text)
}
