import { createHmac, randomBytes } from 'node:crypto'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { AppName } from './addresses.ts'

/** Where the demo keeps its database file and its secret, unless DATA_FOLDER says otherwise. */
export const dataFolder = process.env['DATA_FOLDER'] || join(import.meta.dirname, 'data')
mkdirSync(dataFolder, { recursive: true })

/**
 * The secret that signs the cookies, the same for all apps. A real one comes from the environment. The demo generates
 * one at its first start and keeps it, so that you stay signed in when it restarts.
 */
const sessionSecret = process.env['SESSION_SECRET'] || keptSecret(join(dataFolder, 'secret'))

/** The partner has its own secret, so that neither side can sign for the other. The hand-off needs no shared one. */
const partnerSecret = createHmac('sha256', sessionSecret).update('partner').digest('base64url')

/** The secret that signs an app's cookies. */
export function secretOf(app: AppName): string {
  return app === 'partner' ? partnerSecret : sessionSecret
}

function keptSecret(file: string): string {
  try {
    // 'wx' creates the file or fails: of several apps that start at once, one writes and all read the same.
    writeFileSync(file, randomBytes(32).toString('base64url'), { flag: 'wx', mode: 0o600 })
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
  }
  return readFileSync(file, 'utf8')
}
