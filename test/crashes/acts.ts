import type { Sessions } from 'coatcheck'
import express from 'express'

/** What an app that is killed does with the session of a request. */
export function actsOf(sessions: Sessions): express.Router {
  const acts = express.Router()
  acts.get('/session', ({ session }, res) => {
    const { publicId, userId, createdAt, authenticatedAt, root } = session
    // What a table of express-mysql-session holds besides tells of the expiry, which every change moves.
    const data = { ...session, cookie: undefined }
    // Whoever has no session has nothing.
    res.json(
      createdAt ? { ...data, publicId, userId, createdAt, authenticatedAt, rootId: root?.publicId } : {},
    )
  })
  acts.post('/begin/:name', ({ session, params: { name } }, res) => {
    Object.assign(session, { canary: name, left: 'old', right: 'old', count: 0 })
    res.json({})
  })
  acts.post('/change/:name', ({ session }, res) => {
    Object.assign(session, { left: 'new', right: 'new' })
    res.json({})
  })
  acts.post('/count/:name', async ({ session }, res) => {
    res.json({ count: await session.update((data) => ((data as { count: number }).count += 1)) })
  })
  acts.post('/sign-in/:name', async ({ session, params: { name } }, res) => {
    await session.signIn(name, { keep: true })
    session.canary = name
    res.json({})
  })
  acts.post('/rotate/:name', async ({ session }, res) => {
    await session.rotate()
    res.json({})
  })
  acts.post('/sign-out/:name', async ({ session }, res) => {
    await session.signOut()
    res.json({})
  })
  acts.post('/destroy/:name', async ({ session }, res) => {
    await session.destroy()
    res.json({})
  })
  acts.post('/regenerate/:name', async (req, res) => {
    await req.session.regenerate()
    Object.assign(req.session, { canary: req.params.name, fresh: true })
    res.json({})
  })
  acts.post('/revoke-all/:name', async ({ params: { name } }, res) => {
    res.json({ ended: await sessions.user(name).revokeAll() })
  })
  return acts
}
