#!/usr/bin/env node
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { Command, CommanderError } from 'commander'
import { SessionError } from '../core/errors.js'
import { CommandError } from './command-error.js'
import { addCopyCommand } from './copy-command.js'
import { addExplainCommand } from './explain-command.js'
import { refuseOptionsAsValues, usageText } from './usage.js'

const args = process.argv.slice(2)

const program = new Command('coatcheck')
  .description('Commands for apps whose sessions are kept by coatcheck.')
  .version(packageVersion())
  .exitOverride()
  .configureOutput({ outputError: () => {} }) // `fail` writes errors, without passwords.
  .hook('preAction', (_, command) => refuseOptionsAsValues(command, args))
addCopyCommand(program)
addExplainCommand(program)

void program.parseAsync().catch(fail).finally(exit)

/** Ends the process once all is written. A module of the app may have opened what would keep it, such as a server. */
function exit(): void {
  process.stdout.write('', () => process.stderr.write('', () => process.exit()))
}

function packageVersion(): string {
  const text = readFileSync(join(__dirname, '../../package.json'), 'utf8')
  return (JSON.parse(text) as { version: string }).version
}

function fail(error: unknown): void {
  if (error instanceof CommanderError) {
    // Help and the version are written already.
    if (error.exitCode === 0) return
    if (error.code !== 'commander.help') process.stderr.write(`${usageText(error, args, namedCommand())}\n`)
    process.exitCode = 2
    return
  }
  const isExpected = error instanceof CommandError || error instanceof SessionError
  const text = isExpected ? error.message : ((error as Error | undefined)?.stack ?? String(error))
  process.stderr.write(`${text}\n`)
  process.exitCode = error instanceof SessionError && error.code === 'ERR_SESSION_OPTION' ? 2 : 1
}

function namedCommand(): Command {
  return program.commands.find((command) => command.name() === args[0]) ?? program
}
