// npm run test:long -- faults: each fault many times, on MariaDB or what `--database` says; the outcome goes into docs/faults.md.
// With `short`, as in npm test, or of a MySQL, it is only printed.
import { readFile, writeFile } from 'node:fs/promises'
import { parseArgs } from 'node:util'
import { format, resolveConfig } from 'prettier'
import { playCrashes } from '../crashes/crashes.ts'
import { faultyDatabase } from './databases/by-name.ts'
import { playDiskFull } from './disk-full.ts'
import { databasesOfPage, marksOf, page } from './page.ts'
import { type Outcome, play, playAlone } from './play.ts'
import { scenariosOn } from './scenarios.ts'
import { setStage } from './stage.ts'

const { values, positionals } = parseArgs({
  options: { database: { type: 'string', default: 'mariadb' } },
  allowPositionals: true,
})
const kind = faultyDatabase(values.database)
const form = positionals[0] === 'short' ? 'short' : 'long'
const stage = await setStage({ kind })
const outcomes: Outcome[] = []
let notDone = ''
try {
  for (const scenario of scenariosOn(kind)) {
    note(scenario.stage ? await playAlone(scenario, form, kind) : await play(stage, scenario, form))
  }
  note(await playCrashes(form, { kind }))
  const diskFull = await playDiskFull(form, kind)
  if (typeof diskFull === 'string') notDone = `\n\nSkipped: disk full (${diskFull}).`
  else note(diskFull)
} finally {
  await stage.end()
}

const table = [
  '| fault | runs | acknowledged writes | lost | dead tokens | accepted | foreign data | untyped errors | typed errors | no response |',
  '| --- | --: | --: | --: | --: | --: | --: | --: | --: | --: |',
  ...outcomes.map((outcome) =>
    [
      '',
      outcome.fault,
      outcome.runs.toLocaleString('en'),
      outcome.acknowledged.toLocaleString('en'),
      outcome.lost,
      outcome.ended.toLocaleString('en'),
      outcome.cameBack,
      outcome.foreign,
      outcome.untyped,
      errorsOf(outcome).toLocaleString('en'),
      outcome.unanswered.toLocaleString('en'),
      '',
    ].join(' | '),
  ),
].join('\n')
const text = await format(`${table}${notDone}`, { ...(await resolveConfig(page)), filepath: page })
console.log(text)
if (form === 'long' && databasesOfPage.includes(kind)) {
  const before = await readFile(page, 'utf8')
  const { begin, end } = marksOf(kind)
  const from = before.indexOf(begin)
  const to = before.indexOf(end, from)
  await writeFile(page, `${before.slice(0, from)}${begin}\n\n${text}\n${before.slice(to)}`)
}
const isRight = ({ lost, cameBack, foreign, untyped }: Outcome): boolean =>
  lost + cameBack + foreign + untyped === 0
if (!outcomes.every(isRight)) process.exitCode = 1

function note(outcome: Outcome): void {
  outcomes.push(outcome)
  console.log(JSON.stringify(outcome))
}

function errorsOf({ typed }: Outcome): number {
  return Object.values(typed).reduce((sum, count) => sum + count, 0)
}
