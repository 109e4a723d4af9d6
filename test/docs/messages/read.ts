import { relative } from 'node:path'
import type { Expression, Node, StringLiteral } from 'typescript/unstable/ast'
import {
  isArrayLiteralExpression,
  isCallExpression,
  isNewExpression,
  isObjectLiteralExpression,
  isStringLiteral,
} from 'typescript/unstable/ast/is'
import { API } from 'typescript/unstable/sync'
import { Program, valueOf, walk } from './program.ts'
import { absent, gap, isProse, nothing, Texts } from './texts.ts'

/** A message of the source. */
export interface Message {
  /** Of the error or the warning: `ERR_SESSION_DATA`. */
  readonly code: string
  /** With `…` for each part that is known only when the program runs. */
  readonly text: string
}

/** What is read from a program. */
export interface Messages {
  /** Each once, in order. */
  readonly messages: readonly Message[]
  /** What makes a message whose code or text cannot be read, as `path: its source`. */
  readonly unread: readonly string[]
}

/**
 * Reads the messages of errors and warnings from the source of a TypeScript project, by the compiler.
 *
 * @param folder the source below it is read
 */
export function readMessages(configFile: string, folder: string): Messages {
  const api = new API({ cwd: folder })
  try {
    const snapshot = api.updateSnapshot({ openProjects: [configFile] })
    const project = snapshot.getProject(configFile)
    if (project === undefined) throw new Error(`There is no project ${configFile}.`)
    return messagesOf(new Program(project, folder), folder)
  } finally {
    api.close()
  }
}

function messagesOf(program: Program, folder: string): Messages {
  const texts = new Texts(program)
  const found = new Map<string, Message>()
  const unread = new Set<string>()
  const add = (code: string, text: string) => found.set(`${code} ${text}`, { code, text })

  const readMaking = ({ node, code, text }: Making) => {
    for (const scope of texts.scopes([code, text])) {
      const codes = texts.of(code, scope)
      const messages = texts.of(text, scope).filter((each) => each !== absent)
      if (codes.every((each) => /^(?:ERR_SESSION|COATCHECK)_/.test(each)) && messages.every(isProse)) {
        for (const each of codes) for (const message of messages) add(each, message)
      } else {
        const source = node.getText().replaceAll(/\s+/g, ' ').slice(0, 80)
        unread.add(`${relative(folder, node.getSourceFile().fileName)}: ${source}`)
      }
    }
  }
  const readFailure = ({ kind, what, cure }: Failure) => {
    const codes =
      kind.text === 'timeout'
        ? ['ERR_SESSION_STORE_TIMEOUT']
        : program.propertiesNamed(kind.text).flatMap((entry) => {
            const code = isObjectLiteralExpression(entry) ? valueOf(entry, 'code') : undefined
            return code ? texts.of(code, nothing) : []
          })
    const said = texts.of(cure, nothing).map((text) => `${texts.of(what, nothing).join()}${gap}. ${text}.`)
    for (const code of codes)
      for (const text of said) add(code, `The session store failed while ${gap}: ${text}`)
  }
  for (const file of program.files) {
    walk(file, (node) => {
      const making = makingIn(node)
      if (making) readMaking(making)
      const failure = failureIn(node)
      if (failure) readFailure(failure)
    })
  }
  return { messages: [...found.values()].filter(isWhole).toSorted(compare), unread: [...unread].toSorted() }
}

function compare(one: Message, other: Message): number {
  const [first, second] = [one, other].map(({ code, text }) => `${code} ${text}`)
  return first! < second! ? -1 : 1
}

/** Whether no other message tells more of the same: how the message goes on where nothing but gaps follows. */
function isWhole({ code, text }: Message, _index: number, all: readonly Message[]): boolean {
  const start = text.replace(/[ .…]+$/, '')
  if (!text.slice(start.length).includes(gap)) return true
  return !all.some((other) => other.code === code && other.text !== text && other.text.startsWith(start))
}

/** An error or a warning that is made in the source. */
interface Making {
  readonly node: Node
  readonly code: Expression
  readonly text: Expression
}

/** `new SessionError(code, message)`, `process.emitWarning(message, { code })`, or any `{ code, message }`. */
function makingIn(node: Node): Making | undefined {
  if (isObjectLiteralExpression(node)) {
    const [code, text] = [valueOf(node, 'code'), valueOf(node, 'message')]
    return code && text ? { node, code, text } : undefined
  }
  if (isNewExpression(node) && node.expression.getText() === 'SessionError') {
    const [code, text] = node.arguments ?? []
    return { node, code: code!, text: text! }
  }
  if (!isCallExpression(node) || node.expression.getText() !== 'process.emitWarning') return undefined
  const [text, options] = node.arguments
  const code = options && isObjectLiteralExpression(options) ? valueOf(options, 'code') : options
  // Without a code the text stands for it, which is none.
  return { node, code: code ?? text!, text: text! }
}

/** A failure of a store, in the lists of what databases say. */
interface Failure {
  readonly kind: StringLiteral
  readonly what: Expression
  readonly cure: Expression
}

/** An entry of a list of failures: `{ kind, what, cure }`, or an array that ends with what and cure. */
function failureIn(node: Node): Failure | undefined {
  const isKind = (each: Node): each is StringLiteral =>
    isStringLiteral(each) && /^(?:data|configuration|busy|away|timeout)$/.test(each.text)
  if (isObjectLiteralExpression(node)) {
    const [kind, what, cure] = [valueOf(node, 'kind'), valueOf(node, 'what'), valueOf(node, 'cure')]
    return kind && what && cure && isKind(kind) ? { kind, what, cure } : undefined
  }
  if (!isArrayLiteralExpression(node)) return undefined
  const [what, cure] = node.elements.slice(-2)
  const kind = node.elements.slice(0, -2).find(isKind)
  return kind && what && cure && isProse(what.getText()) ? { kind, what, cure } : undefined
}
