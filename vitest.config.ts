import { availableParallelism } from 'node:os'
import { configDefaults, defineConfig } from 'vitest/config'

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    // Three servers that keep both cores busy: by `npm run test:galera`.
    exclude: [
      ...configDefaults.exclude,
      ...(process.env['GALERA'] === undefined ? ['test/faults/galera.test.ts'] : []),
    ],
    globalSetup: 'test/servers/global-setup.ts',
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
