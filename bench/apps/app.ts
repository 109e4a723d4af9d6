import type { AddressInfo } from 'node:net'
import { frameworks } from './frameworks.ts'
import { routesOf } from './routes.ts'
import { sessionKinds, type Places, type SessionKind } from './session-kinds.ts'
import { shapeNamed } from './shapes.ts'

/**
 * One app of the bench, in a process of its own: `node app.ts FRAMEWORK KIND SHAPE`, the `Places` as JSON in PLACES.
 * Says `{ listening: port }` to its parent, and answers each message with what it has used so far.
 */
const [framework, kindName, shape] = process.argv.slice(2) as [
  keyof typeof frameworks,
  keyof typeof sessionKinds,
  string,
]
const kind: SessionKind = sessionKinds[kindName]
const places = JSON.parse(process.env['PLACES']!) as Places
const server = await frameworks[framework](routesOf(kind, shapeNamed(shape)), await kind.open(places))

process.on('message', () => {
  const { user, system } = process.cpuUsage()
  process.send!({ cpu: user + system, resident: process.memoryUsage.rss() })
})
process.on('disconnect', () => process.exit()) // the bench has gone
server.listen(0, '127.0.0.1', () => {
  process.send!({ listening: (server.address() as AddressInfo).port })
})
