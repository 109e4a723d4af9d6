// Starts the four apps, each in a process of its own, and ends them together.
import { fork, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import type { AppName } from './addresses.ts'

const names: readonly AppName[] = ['accounts', 'shop', 'api', 'partner']
const children = new Map<AppName, ChildProcess>()
let ending = false

for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => void end(0))
// npm passes on SIGINT and SIGTERM. If it ends by another signal, this process has to notice.
const { ppid } = process
if (process.env['npm_lifecycle_event'] === 'start') {
  setInterval(() => void (process.ppid !== ppid && end(0)), 500).unref()
}

try {
  const database = await tryDatabase()
  const taken = (await Promise.all(names.map(start))).filter((name) => name !== undefined)
  if (taken.length > 0) throw new Error((await import('./addresses.ts')).portsTaken(taken))
  if (!ending) await welcome(database)
} catch (error) {
  await fail((error as Error).message)
}

/** Asks the database once, so that a wrong setting is one message and not one from each app. */
async function tryDatabase(): Promise<string> {
  const { sessions } = await import('./sessions.ts')
  const { forgetOldEndings } = await import('./ended.ts')
  const { forgetTrails } = await import('./trail.ts')
  try {
    await sessions.user('nobody').list()
    forgetOldEndings()
    forgetTrails()
  } finally {
    await sessions.close()
  }
  const { DATABASE_URL } = process.env
  if (!DATABASE_URL) return (await import('./secret.ts')).dataFolder + '/sessions.db'
  const { host, pathname } = new URL(DATABASE_URL) // without the password
  return host + pathname
}

/** Resolves when the app listens, or with its name if its port is taken. Rejects if it cannot listen for another reason. */
async function start(name: AppName): Promise<AppName | undefined> {
  if (ending) return undefined
  const child = fork(join(import.meta.dirname, `${name}.ts`))
  children.set(name, child)
  child.once('exit', (code, signal) => {
    children.delete(name)
    // It ends with 0 only when it was asked to, as by Ctrl-C, which all processes get.
    if (code === 0) void end(0)
    else
      void fail(
        `The ${name} app ended unexpectedly (${signal ?? `exit code ${code}`}), so the others end too.`,
      )
  })
  const [message] = (await once(child, 'message')) as [{ taken?: true; failed?: string }]
  if (message.failed !== undefined) throw new Error(message.failed)
  return message.taken && name
}

/** Prints what is wrong, in one line, and ends. */
async function fail(message: string): Promise<void> {
  if (ending) return
  console.error(message.split('\n')[0])
  await end(1)
}

/** Ends the apps, waits until they are gone, and then this process. */
async function end(code: number): Promise<void> {
  if (ending) return
  ending = true
  await Promise.all(
    [...children.values()].map(async (child) => {
      const exited = once(child, 'exit')
      child.kill('SIGTERM')
      const patience = setTimeout(() => child.kill('SIGKILL'), 5_000)
      await exited
      clearTimeout(patience)
    }),
  )
  process.exit(code)
}

async function welcome(database: string): Promise<void> {
  const { origins } = await import('./addresses.ts')
  const { passwordOfAll } = await import('./people.ts')
  const width = Math.max(...names.map((name) => origins[name].length)) + 2
  const row = (app: string, address: string, what: string): string =>
    `  ${app.padEnd(10)}${address.padEnd(width)}${what}`
  console.log(`
${row('accounts', origins.accounts, 'sign in and out, see your devices')}
${row('shop', origins.shop, 'a cart, before and after you sign in')}
${row('api', origins.api, 'JSON, called by the shop across origins')}
${row('partner', origins.partner, 'another site, which knows you by hand-off')}

  Try: put something into the cart, sign in as alice or bob (password: ${passwordOfAll}), place the order.
       Open the partner: it knows you without a form. Sign in from a second browser, and end it from the first.

  Sessions are kept in ${database}. Ctrl-C ends all four.
`)
}
