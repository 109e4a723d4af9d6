import { flushCompileCache } from 'node:module'
import type { Sessions } from 'coatcheck'
import express from 'express'
import { count, counted, watchNetwork } from './steps.ts'

/**
 * Serves an app that is killed in the middle of a request: one with `?step=7` ends the process at the 7th step from its
 * arrival.
 * @param sessions those of the app; they end with it
 */
export async function serve(
  app: express.Express,
  ...sessions: readonly [Sessions, ...Sessions[]]
): Promise<void> {
  const outer = express()
  outer.get('/steps', (_req, res) => void res.json(counted()))
  outer.use(({ query: { step } }, res, next) => {
    if (step === undefined) return next()
    count(Number(step))
    res.once('close', counted)
    next()
  })
  outer.use(app)
  watchNetwork()
  await sessions[0].ready()
  const server = outer.listen(0, '127.0.0.1', () => {
    // It would be kept at the end, but these apps have none.
    flushCompileCache()
    console.log(`listening ${(server.address() as { port: number }).port}`)
  })
  process.once('SIGTERM', () => {
    server.close(() => void Promise.all(sessions.map((each) => each.close())))
    server.closeAllConnections()
  })
}
