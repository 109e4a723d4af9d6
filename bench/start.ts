// npm run bench -- NAME: one of the benches. Without a name it is run.ts, which measures requests side by side.
const benches: Readonly<Record<string, () => Promise<unknown>>> = {
  run: () => import('./run.ts'),
  csrf: () => import('./csrf.ts'),
  input: () => import('./input.ts'),
  memory: () => import('./memory.ts'),
  profile: () => import('./profile.ts'),
  race: () => import('./race.ts'),
  scale: () => import('./scale.ts'),
  sizes: () => import('./sizes.ts'),
  stalls: () => import('./stalls.ts'),
}

const isNamed = process.argv[2] !== undefined && !process.argv[2].startsWith('-')
// The name goes, so that what is started finds its own options where it looks for them.
const [name = ''] = isNamed ? process.argv.splice(2, 1) : ['run']
const start = benches[name]
if (start === undefined) {
  console.error(`There is no bench "${name}". There are ${Object.keys(benches).join(', ')}.`)
  process.exitCode = 1
} else await start()
