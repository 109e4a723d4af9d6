// Remembers which sessions were ended, so that each browser is told once. The database cannot say: the row is deleted. A
// real app would have a table for it. The demo has a folder with a file for each session.
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

/** A listener for `destroyed`, which fires in the app that ends a session. */
export function noteEnding({ publicId, userId, reason }: SessionEvents['destroyed'][0]): void {
  if (userId === undefined) return
  const ending: Ending = { publicId, userId, reason, at: Date.now() }
  writeFileSync(join(folder, publicId), JSON.stringify(ending))
}

/**
 * How the session of a request's cookie was ended, if the browser does not know yet. At another site, the end of its
 * root counts too.
 */
export function takeEnding(app: AppName, req: Request): Ending | undefined {
  const token = req.session?.userId === undefined ? tokenOf(app, req) : undefined
  if (token === undefined) return undefined
  const id = idOf(token)
  const rootId = rootIdOf(token)
  const own = endingOf(id)
  // The user who signs out knows it. Only the pages of other sites have to say it.
  const ending = own?.reason === 'signOut' ? undefined : own
  const news = ending ?? (rootId === undefined ? undefined : endingOf(rootId))
  return news && isFirst(id) ? news : undefined
}

function endingOf(id: string): Ending | undefined {
  try {
    return JSON.parse(readFileSync(join(folder, id), 'utf8')) as Ending
  } catch {
    return undefined
  }
}

/** Whether this is the first page that tells the browser. If several are loaded at once, one of them is. */
function isFirst(id: string): boolean {
  try {
    writeFileSync(join(folder, `${id}.told`), '', { flag: 'wx' }) // fails if the file is there
    return true
  } catch {
    return false
  }
}

/** The token of the session's cookie. Its signature must be right, because ids are no secrets. */
function tokenOf(app: AppName, req: Request): string | undefined {
  const { sid } = parseCookie(req.get('Cookie') ?? '')
  const signed = sid?.startsWith('s:') && unsign(sid.slice(2), secretOf(app))
  return signed ? tokenIn(signed) : undefined
}

/** Deletes what is older than any session can be. */
export function forgetOldEndings(): void {
  const oldest = Date.now() - 30 * 86_400_000
  for (const name of readdirSync(folder)) {
    const file = join(folder, name)
    if (statSync(file).mtimeMs < oldest) rmSync(file, { force: true })
  }
}
