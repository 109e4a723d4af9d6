/** One app that is measured: a framework, and a kind of session in it. */
export interface Contender {
  readonly name: string
  readonly title: string
  readonly framework: 'express' | 'http' | 'fastify' | 'fastifyWithSession'
  readonly kind: string
  /** Left out: as many as the others of the scenario. */
  readonly connections?: number
}

const onExpress: readonly (readonly [kind: string, title: string])[] = [
  ['none', 'nothing'],
  ['coatcheck-mysql', 'coatcheck, MySQL'],
  ['coatcheck-postgresql', 'coatcheck, PostgreSQL'],
  ['coatcheck-redis', 'coatcheck, Redis'],
  ['coatcheck-sqlite', 'coatcheck, SQLite'],
  ['coatcheck-memory', 'coatcheck, memory'],
  ['coatcheck-drop-in', 'coatcheck, imports replaced'],
  ['mysql', 'express-session, express-mysql-session'],
  ['mysql-without-touch', 'the same with disableTouch'],
  ['postgresql', 'express-session, connect-pg-simple'],
  ['redis', 'express-session, connect-redis'],
  ['memory', 'express-session, MemoryStore'],
  ['iron-session', 'iron-session'],
]
const onHTTP = ['none', 'coatcheck-mysql', 'mysql', 'redis', 'memory']
const titles = new Map(onExpress)

/** To compare numbers of connections within one scenario. */
export const onSixtyFour: Contender = {
  name: 'express/coatcheck-mysql-64',
  title: 'Express: coatcheck, MySQL, on 64',
  framework: 'express',
  kind: 'coatcheck-mysql',
  connections: 64,
}

export const contenders: readonly Contender[] = [
  ...onExpress.map(([kind, title]): Contender => ({
    name: `express/${kind}`,
    title: `Express: ${title}`,
    framework: 'express',
    kind,
  })),
  ...onHTTP.map((kind): Contender => ({
    name: `http/${kind}`,
    title: `node:http: ${titles.get(kind)}`,
    framework: 'http',
    kind,
  })),
  { name: 'fastify/none', title: 'Fastify: nothing', framework: 'fastify', kind: 'none' },
  {
    name: 'fastify/session',
    title: 'Fastify: @fastify/session, memory',
    framework: 'fastifyWithSession',
    kind: 'fastify-session',
  },
]
