// Which sessions were ended from elsewhere, so that their browsers can be told, once. The database cannot say: the row
// is gone. An app of yours has a table for it; the demo has a folder with a file a session.
import { mkdirSync, readdirSync, readFileSync, rmSync, statSync, unlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { EndReason, SessionEvents } from 'coatcheck'
import { parseCookie } from 'cookie'
import { unsign } from 'cookie-signature'
import type { Request } from 'express'
import { dataFolder, sessionSecret } from './secret.ts'
import { idOf, tokenIn } from './shorten.ts'

export interface Ending {
  readonly publicId: string
  readonly userId: string
  readonly reason: EndReason
  readonly at: number
}

const folder = join(dataFolder, 'ended')
mkdirSync(folder, { recursive: true })

/** Listens to the event `destroyed`, which the app that ends a session gets. */
export function noteEnding({ publicId, userId, reason }: SessionEvents['destroyed'][0]): void {
  // A browser that signs itself out is told by its own page.
  if (userId === undefined || reason === 'signOut') return
  const ending: Ending = { publicId, userId, reason, at: Date.now() }
  writeFileSync(join(folder, publicId), JSON.stringify(ending))
}

/** How the session of a request's cookie was ended, if it was, and nobody has asked before. */
export function takeEnding(req: Request): Ending | undefined {
  const id = req.session?.createdAt === undefined ? idOfCookie(req) : undefined
  if (id === undefined) return undefined
  const file = join(folder, id)
  try {
    const ending = JSON.parse(readFileSync(file, 'utf8')) as Ending
    unlinkSync(file) // of several pages at once, one gets this far
    return ending
  } catch {
    return undefined
  }
}

/** The id that the session's cookie names. A cookie that we did not sign names none: ids are no secrets. */
function idOfCookie(req: Request): string | undefined {
  const { sid } = parseCookie(req.get('Cookie') ?? '')
  const token = sid?.startsWith('s:') ? tokenIn(unsign(sid.slice(2), sessionSecret) || '') : undefined
  return token && idOf(token)
}

/** Forgets what is older than any session: those browsers did not come back. */
export function forgetOldEndings(): void {
  const oldest = Date.now() - 30 * 86_400_000
  for (const name of readdirSync(folder)) {
    const file = join(folder, name)
    if (statSync(file).mtimeMs < oldest) rmSync(file, { force: true })
  }
}
