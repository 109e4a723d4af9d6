import { createHmac, randomBytes } from 'node:crypto'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { AppName } from './addresses.ts'

/** Where the demo keeps its database file and its secret, unless DATA_FOLDER says otherwise. */
export const dataFolder = process.env['DATA_FOLDER'] || join(import.meta.dirname, 'data')
mkdirSync(dataFolder, { recursive: true })

/**
 * The secret that signs the cookies. Yours comes from the environment, the same for all apps. The demo makes one
 * up at its first start, so that it runs at once and you stay signed in over a restart.
 */
export const sessionSecret = process.env['SESSION_SECRET'] || keptSecret(join(dataFolder, 'secret'))

/** The partner's own secret, so that neither side can sign for the other. The hand-off does not need a common one. */
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
