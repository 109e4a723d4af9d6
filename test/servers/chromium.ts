import { access, mkdir, mkdtemp, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { chromium, type Browser, type BrowserContext, type LaunchOptions } from 'playwright-core'
import { ownFolder, removeFolder } from './owned.ts'
import { findProgram, installDebianPackages } from './programs.ts'

// What a browser does of its own accord (updates, synchronisation, look-ups) has no place in a test.
const quiet = [
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
]

/** A headless Chromium with an empty profile, and more arguments if you give some. Close it when done. */
export async function launchBrowser(...more: string[]): Promise<Browser> {
  return chromium.launch(await launchOptions(more))
}

/** A Chromium with a profile of its own. */
export interface Profile {
  readonly context: BrowserContext
  /** Closes the browser and removes the profile. */
  close(): Promise<void>
}

/**
 * A headless Chromium whose user has set these preferences, as its file `Preferences` holds them: what the contexts of
 * `launchBrowser` cannot have. It accepts all certificates.
 */
export async function launchProfile(preferences: object, ...more: string[]): Promise<Profile> {
  const folder = await mkdtemp(join(tmpdir(), 'coatcheck-profile-'))
  ownFolder(folder)
  try {
    await mkdir(join(folder, 'Default'))
    await writeFile(join(folder, 'Default', 'Preferences'), JSON.stringify(preferences))
    const options = { ...(await launchOptions(more)), ignoreHTTPSErrors: true }
    const context = await chromium.launchPersistentContext(folder, options)
    const close = async () => {
      await context.close()
      removeFolder(folder)
    }
    return { context, close }
  } catch (error) {
    removeFolder(folder)
    throw error
  }
}

/**
 * The same with an unpacked extension that has a service worker.
 * @param folder has the extension in the folder `extension`, and gets the browser's profile
 * @returns its context, to be closed when done, and the extension's id
 */
export async function launchWithExtension(
  folder: string,
  ...more: string[]
): Promise<{ readonly context: BrowserContext; readonly id: string }> {
  const extension = join(folder, 'extension')
  const context = await chromium.launchPersistentContext(join(folder, 'profile'), {
    ...(await launchOptions([
      ...more,
      `--load-extension=${extension}`,
      `--disable-extensions-except=${extension}`,
    ])),
    ignoreDefaultArgs: ['--disable-extensions'],
  })
  const worker = context.serviceWorkers()[0] ?? (await context.waitForEvent('serviceworker'))
  return { context, id: new URL(worker.url()).host }
}

async function launchOptions(more: readonly string[]): Promise<LaunchOptions> {
  const asRoot = process.getuid?.() === 0
  return {
    executablePath: await findChromium(),
    // Chromium's sandbox does not work for root; the pages here are our own.
    args: [...(asRoot ? ['--no-sandbox'] : []), ...quiet, ...more],
    // Playwright would close the browser on a signal and let this process live. A browser ends with this process anyway.
    handleSIGINT: false,
    handleSIGTERM: false,
    handleSIGHUP: false,
  }
}

/** The path of a Chromium: this machine's, or what apt-get brings, or the one that Playwright downloaded. */
async function findChromium(): Promise<string> {
  const names = ['chromium', 'chromium-browser', 'google-chrome', 'google-chrome-stable']
  const found = await findProgram(...names)
  if (found !== undefined) return found
  if (await installDebianPackages('chromium')) {
    const installed = await findProgram(...names)
    if (installed !== undefined) return installed
  }
  const downloaded = chromium.executablePath()
  try {
    await access(downloaded)
    return downloaded
  } catch {
    throw new Error(
      'The browser tests need Chromium: install it (Debian: apt-get install chromium) or have Playwright ' +
        'download it (npx playwright-core install chromium), and run them again.',
    )
  }
}
