// Which sessions were ended, so that browsers can be told of what happened elsewhere, once. The database cannot say: the
// row is gone. An app of yours has a table for it; the demo has a folder with a file for each session.
import { mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { EndReason, SessionEvents } from 'coatcheck'
import { parseCookie } from 'cookie'
import { unsign } from 'cookie-signature'
import type { Request } from 'express'
import type { AppName } from './addresses.ts'
import { dataFolder, secretOf } from './secret.ts'
import { idOf, rootIdOf, tokenIn } from './shorten.ts'

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
  if (userId === undefined) return
  const ending: Ending = { publicId, userId, reason, at: Date.now() }
  writeFileSync(join(folder, publicId), JSON.stringify(ending))
}

/**
 * How the session of a request's cookie was ended elsewhere, if it was, and this browser was not told before. At
 * another site, the session that it came from counts too.
 */
export function takeEnding(app: AppName, req: Request): Ending | undefined {
  const token = req.session?.userId === undefined ? tokenOf(app, req) : undefined
  if (token === undefined) return undefined
  const id = idOf(token)
  const rootId = rootIdOf(token)
  const own = endingOf(id)
  // Whoever signs out is told by the page that follows. Only other sites learn of it later.
  const ending = own?.reason === 'signOut' ? undefined : own
  const told = ending ?? (rootId === undefined ? undefined : endingOf(rootId))
  return told && isFirst(id) ? told : undefined
}

function endingOf(id: string): Ending | undefined {
  try {
    return JSON.parse(readFileSync(join(folder, id), 'utf8')) as Ending
  } catch {
    return undefined
  }
}

/** Whether the browser of this session was told nothing before. Of several pages at once, one is the first. */
function isFirst(id: string): boolean {
  try {
    writeFileSync(join(folder, `${id}.told`), '', { flag: 'wx' }) // fails if the file is there
    return true
  } catch {
    return false
  }
}

/** The token of the session's cookie. A cookie that we did not sign has none: ids are no secrets. */
function tokenOf(app: AppName, req: Request): string | undefined {
  const { sid } = parseCookie(req.get('Cookie') ?? '')
  const signed = sid?.startsWith('s:') && unsign(sid.slice(2), secretOf(app))
  return signed ? tokenIn(signed) : undefined
}

/** Forgets what is older than any session: those browsers did not come back. */
export function forgetOldEndings(): void {
  const oldest = Date.now() - 30 * 86_400_000
  for (const name of readdirSync(folder)) {
    const file = join(folder, name)
    if (statSync(file).mtimeMs < oldest) rmSync(file, { force: true })
  }
}
