import { readFile, writeFile } from 'node:fs/promises'
import { format, resolveConfig } from 'prettier'

/**
 * Puts what a command measured into a page, between the marks that say where.
 * @param command as it is typed; the marks name it
 */
export async function putInto(file: string, command: string, text: string): Promise<void> {
  const [begin, end] = [`<!-- measured by ${command} -->`, '<!-- end of what was measured -->']
  const before = await readFile(file, 'utf8')
  const from = before.indexOf(begin)
  const to = before.indexOf(end, from)
  if (from < 0 || to < from)
    throw new Error(`${file} has no place for what was measured: "${begin}" and "${end}".`)
  const after = `${before.slice(0, from)}${begin}\n\n${text}\n\n${before.slice(to)}`
  await writeFile(file, await format(after, { ...(await resolveConfig(file)), filepath: file }))
}
