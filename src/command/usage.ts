import type { Command, CommanderError } from 'commander'

/**
 * What to write about a call that cannot be understood. Values may be passwords: text that stands without an option is
 * not shown, nor what follows the `=` of an unknown option.
 *
 * @param args what the program was given
 * @param command the command that was named; the program itself if none was
 */
export function usageText(error: CommanderError, args: readonly string[], command: Command): string {
  const help = `See ${nameOf(command)} --help.`
  if (error.code === 'commander.excessArguments') {
    const options = command.options.filter(({ required }) => required).map(({ long }) => long)
    return `error: each value needs an option before it. The options with a value are ${options.join(', ')}.\n${help}`
  }
  return `${args.reduce(withoutValue, error.message)}\n${help}`
}

/**
 * Refuses an option in the place of another one's value, as in `--user --follow`: the parser would take it for the value.
 *
 * @throws CommanderError
 */
export function refuseOptionsAsValues(command: Command, args: readonly string[]): void {
  const takesValue = (arg: string | undefined) =>
    command.options.some(({ required, long }) => required && long === arg)
  const place = args.findIndex((arg, index) => /^--?[a-z]/.test(arg) && takesValue(args[index - 1]))
  if (place > 0) command.error(`error: option '${args[place - 1]}' needs a value.`)
}

function withoutValue(text: string, arg: string): string {
  const [, name = '', value = arg] = /^(--[\w-]+=|-[^-]|--)(.*)$/s.exec(arg) ?? []
  if (value === '') return text
  if (name !== '' && name !== '--') text = text.replaceAll(arg, `${name}…`)
  // Names and numbers help to find the mistake. All else may be a URL.
  return /^[\w.,= -]+$/.test(value) ? text : text.replaceAll(value, '…')
}

function nameOf(command: Command): string {
  return command.parent ? `${nameOf(command.parent)} ${command.name()}` : command.name()
}
