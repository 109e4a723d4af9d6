import { availableParallelism } from 'node:os'
import { relative } from 'node:path'
import { configDefaults, defineConfig, type Plugin } from 'vitest/config'

/** Tests that need a database server. */
const stores = [
  'test/command/*.test.ts',
  'test/core/step-up.test.ts',
  'test/drop-in/{express-mysql-session?(-calls|-made|-pairs),express-store,foreign-stores,old-table}.test.ts',
  'test/handoff/redeem-once.test.ts',
  'test/properties/{handoff,interleavings}.test.ts',
  'test/refusals/*.test.ts',
  'test/shared/{clock-skew,guarantees}.test.ts',
  'test/stores/!(memory|mysql-options|open).test.ts',
  'test/work-per-request.test.ts',
]

/** Tests that start a browser, npm, the compiler, or apps in processes of their own. Most need a database server too. */
const apps = [
  'test/adapters/cookie-domain.test.ts',
  'test/crashes/*.test.ts',
  'test/demo/*.test.ts',
  'test/docs/{code-blocks,links,messages}.test.ts',
  'test/drop-in/{one-table,without-callback}.test.ts',
  'test/ecosystem/*.test.ts',
  'test/faults/*.test.ts',
  'test/handoff/{browser,flow,page}.test.ts',
  'test/package.test.ts',
  'test/properties/processes.test.ts',
  'test/readme.test.ts',
  'test/{redis-servers,servers}.test.ts',
  'test/shared/{attack-page,browser-matrix,cross-site-cookie,draining,not-forged-*,shared-cache-servers,two-apps}.test.ts',
  'test/tool-chains.test.ts',
  'test/types/*.test.ts',
]

/** Bad input by the hundred thousand: no server, but half a minute on all cores. */
const fuzz = ['test/fuzz/*.test.ts']

/** Three servers that keep both cores busy: only `npm run test:long -- galera` plays them. */
const galera = process.env['GALERA'] === undefined ? ['test/faults/galera.test.ts'] : []

const withServers = {
  exclude: [...configDefaults.exclude, ...galera],
  globalSetup: 'test/servers/once-a-run.ts',
}

/** A test that needs a server fails at the import in a project that has none, also where another project started one. */
const refuseServers: Plugin = {
  name: 'refuse-servers',
  enforce: 'pre',
  resolveId(source, importer) {
    if (importer === undefined || !source.includes('/servers/')) return
    throw new Error(
      `${relative(import.meta.dirname, importer)} imports ${source}, but this project starts no server. ` +
        'Add the test file to the list "stores" or "apps" in vitest.config.ts.',
    )
  },
}

export default defineConfig({
  test: {
    projects: [
      {
        extends: true,
        plugins: [refuseServers],
        test: {
          name: 'unit',
          // A thread a file starts sooner than a process, and these tests start nothing that has to end with one.
          pool: 'threads',
          include: ['test/**/*.test.ts'],
          exclude: [...configDefaults.exclude, ...fuzz, ...stores, ...apps],
        },
      },
      { extends: true, plugins: [refuseServers], test: { name: 'fuzz', include: fuzz } },
      { extends: true, test: { name: 'stores', include: stores, ...withServers } },
      { extends: true, test: { name: 'apps', include: apps, ...withServers } },
    ],
    reporters: ['default', './test/reporter.ts'],
    // Real databases, browsers and app processes on a machine that may be small and busy: these
    // bounds are there to end a hang, not to measure anything.
    testTimeout: 120_000,
    hookTimeout: 180_000,
    expect: { poll: { timeout: 60_000 } },
    // Two at least, also where there are two cores: most tests wait for another process.
    maxWorkers: Math.max(2, availableParallelism() - 1),
    // What is tested is the built package, loaded by Node itself as its users' Node will.
    server: { deps: { external: [/\/dist\//] } },
  },
})
