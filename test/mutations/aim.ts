import { parseAst } from 'vitest/node'

/** One rule broken: a text within one function that stands there exactly once, and what takes its place. */
export interface Mutation {
  readonly name: string
  readonly file: string
  /**
   * Where in the file: the name of a function, a class, a constant, a method or a property. Dots lead into what has that name:
   * `MemoryStore.#update`, `statements.touch`.
   */
  readonly at: string
  readonly find: string
  readonly replace: string
  /** The test files that are to see it. */
  readonly tests: readonly string[]
  /** Of the tests that run on every store, those on this one are run besides those in memory. */
  readonly store?: 'MySQL' | 'PostgreSQL' | 'Redis' | 'SQLite'
}

interface Node {
  readonly type: string
  readonly start: number
  readonly end: number
  readonly [part: string]: unknown
}

/**
 * The source with the rule broken.
 * @throws Error if the text does not stand exactly once where it is looked for, or the source cannot be parsed any more
 */
export function mutated(source: string, { name, file, at, find, replace }: Mutation): string {
  const starts = startsOf(source, at, find)
  const [start] = starts
  if (start === undefined || starts.length > 1) {
    throw new Error(`"${name}": its text stands ${starts.length} times in ${at} of ${file}, and not once.`)
  }
  const result = source.slice(0, start) + replace + source.slice(start + find.length)
  parsed(result)
  return result
}

function startsOf(source: string, at: string, find: string): number[] {
  const named = at
    .split('.')
    .reduce((nodes, name) => nodes.flatMap((node) => namedWithin(node, name)), [parsed(source)])
  const starts = named.flatMap(({ start, end }) => {
    const found: number[] = []
    for (let next = source.indexOf(find, start); next !== -1; next = source.indexOf(find, next + 1)) {
      if (next + find.length <= end) found.push(next)
    }
    return found
  })
  return [...new Set(starts)]
}

function parsed(source: string): Node {
  return parseAst(source, { lang: 'ts' }) as unknown as Node
}

function namedWithin(node: Node, name: string): Node[] {
  return Object.values(node)
    .flat()
    .filter(isNode)
    .flatMap((part) => [...(nameOf(part) === name ? [part] : []), ...namedWithin(part, name)])
}

function isNode(part: unknown): part is Node {
  return typeof part === 'object' && part !== null && 'type' in part
}

/** What a function or variable is declared as, or a method or property is called. */
function nameOf({ type, id, key }: Node): string | undefined {
  const { type: kind, name } = (id ?? key ?? {}) as { readonly type?: string; readonly name?: string }
  if (type === 'Identifier') return undefined
  return kind === 'PrivateIdentifier' ? `#${name}` : name
}
