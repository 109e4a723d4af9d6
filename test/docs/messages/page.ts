import { format } from 'prettier'
import type { Message } from './read.ts'

/** The page docs/messages.md: all messages, by their codes. */
export function pageOf(messages: readonly Message[]): Promise<string> {
  const listed = (prefix: string) =>
    [...Map.groupBy(messages, ({ code }) => code)]
      .filter(([code]) => code.startsWith(prefix))
      .map(
        ([code, each]) => `### ${code}

[What it means, and what to do](troubleshooting.md#${code})

${each.map(({ text }) => `- ${quoted(text)}`).join('\n')}
`,
      )
      .join('\n')
  const text = `# Messages

This page lists every message of an error or a warning, under its code. Search it for the words that you see. \`…\`
stands for a part that differs, such as the name of an option. Each code links to its meaning and its cure in
[Troubleshooting](troubleshooting.md).

The code of an error stays the same between versions. Messages may change, so do not compare them in a program.

A test makes this page from the source. To write it anew, run
\`UPDATE_MESSAGES=1 npx vitest run test/docs/messages.test.ts\`.

## Errors

${listed('ERR_')}
## Warnings

${listed('COATCHECK_')}`
  return format(text, { parser: 'markdown' })
}

/** A text as code, also with backticks in it. */
function quoted(text: string): string {
  return text.includes('`') ? `\`\` ${text} \`\`` : `\`${text}\``
}
