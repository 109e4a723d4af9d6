// npm run check: all that shows without a test run what is wrong. npm run check -- lint types: only these.
import { spawnSync } from 'node:child_process'

const checks: Readonly<Record<string, readonly string[]>> = {
  types: ['tsc --project test'],
  lint: ['oxlint --type-aware --deny-warnings'],
  format: ['prettier --check .'],
  imports: ['tools/node_modules/.bin/depcruise src'],
  unused: ['knip'],
  package: ['publint --strict', 'attw --pack .'],
}

const names = process.argv.length > 2 ? process.argv.slice(2) : Object.keys(checks)
const failed = names.filter((name) => !passes(name))
console.log(failed.length === 0 ? '\nAll checks pass.' : `\nFailed: ${failed.join(', ')}.`)
process.exitCode = failed.length === 0 ? 0 : 1

function passes(name: string): boolean {
  const commands = checks[name]
  if (commands === undefined) {
    console.error(`There is no check "${name}". There are ${Object.keys(checks).join(', ')}.`)
    return false
  }
  return commands.every((command) => {
    console.log(`\n== ${name}: ${command}`)
    return spawnSync(command, { shell: true, stdio: 'inherit' }).status === 0
  })
}
