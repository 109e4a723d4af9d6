import { access } from 'node:fs/promises'
import { chromium, type Browser, type BrowserContext, type LaunchOptions } from 'playwright-core'
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

/**
 * A headless Chromium with a new profile in this folder. Its windows are not private ones, which block the cookies of
 * other sites. Close it when done.
 */
export async function launchProfile(folder: string, ...more: string[]): Promise<BrowserContext> {
  return chromium.launchPersistentContext(folder, await launchOptions(more))
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
