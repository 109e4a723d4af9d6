import type { ParserOptions } from 'prettier'
import { parsers } from 'prettier/plugins/markdown'
import { anchorsOf } from './anchors.ts'

/** A link or an image of a document, in Markdown or in HTML. */
export interface Link {
  /** As written: `stores.md#sqlite`. */
  readonly url: string
  readonly line: number
}

/** A fenced code block of a document. */
export interface Block {
  /** The word after the fence, `''` without one. */
  readonly language: string
  readonly code: string
  /** The line of its fence, from 1. */
  readonly line: number
  /** The reason of the comment `<!-- not compiled: reason -->` before it. */
  readonly excuse: string | undefined
}

export interface Document {
  readonly links: readonly Link[]
  /** What `#name` can name in it. */
  readonly anchors: ReadonlySet<string>
  readonly blocks: readonly Block[]
  /** What is wrong with the document, whatever else the repository holds. */
  readonly faults: readonly Fault[]
}

export interface Fault {
  readonly line: number
  readonly text: string
}

/** What is read here of the syntax tree that Prettier makes of Markdown. */
interface Node {
  readonly type: string
  readonly position: { readonly start: { readonly line: number; readonly offset: number } }
  readonly children?: readonly Node[]
  readonly value?: string
  readonly url?: string
  readonly lang?: string | null
}

const excuse = /^<!--\s*not compiled:\s*(.*?)\s*-->$/s
/** `[text][name]`, which the parser leaves as text where no line defines the name. */
const undefinedLink = /(?<!\w)\[[^\]]+\]\[[^\]]*\]/

/** Reads a document with the parser that formats this repository's documents. */
export async function parse(text: string): Promise<Document> {
  const root = (await parsers.markdown.parse(text, {} as ParserOptions)) as Node
  const links: Link[] = []
  const headings: string[] = []
  const ids: string[] = []
  const blocks: Block[] = []
  const faults: Fault[] = []

  const visit = (node: Node, before: Node | undefined, after: Node | undefined) => {
    const { line, offset } = node.position.start
    const fault = (about: string) => faults.push({ line, text: about })
    if (node.url !== undefined) links.push({ url: node.url, line })
    if (node.type === 'text' && undefinedLink.test(node.value!)) {
      fault(`${undefinedLink.exec(node.value!)![0]} is defined nowhere`)
    }
    if (node.type === 'heading') headings.push(textOf(node))
    if (node.type === 'html') {
      const html = node.value!.replaceAll(/<!--.*?-->/gs, '')
      for (const url of urlsOf(html)) links.push({ url, line })
      for (const [, id] of html.matchAll(/\s(?:id|name)="([^"]+)"/g)) ids.push(id!)
      if (node.value!.startsWith('<!-- not compiled')) {
        if (!excuse.exec(node.value!)?.[1]) fault('the comment is <!-- not compiled: reason -->')
        else if (!/^[jt]s$/.test(after?.lang ?? ''))
          fault('no ts or js block follows the comment "not compiled"')
      }
      if (/^ *(```|~~~)/m.test(html))
        fault('the code block is part of the HTML before it: put an empty line between')
    }
    if (node.type === 'code' && /[`~]/.test(text[offset]!)) {
      const language = node.lang ?? ''
      if (language === '') fault('the code block names no language')
      const reason = before?.type === 'html' ? excuse.exec(before.value!)?.[1] : undefined
      blocks.push({ language, code: node.value!, line, excuse: reason })
    }
    const children = node.children ?? []
    for (const [index, child] of children.entries()) visit(child, children[index - 1], children[index + 1])
  }
  visit(root, undefined, undefined)

  return { links, anchors: new Set([...anchorsOf(headings), ...ids]), blocks, faults }
}

/** The text that a heading shows: without marks and pictures. */
function textOf(node: Node): string {
  if (node.type === 'html') return ''
  return node.value ?? (node.children ?? []).map(textOf).join('')
}

function urlsOf(html: string): string[] {
  const found: string[] = []
  for (const [, name, value] of html.matchAll(/\s(href|src|srcset)="([^"]*)"/g)) {
    if (name === 'srcset') found.push(...value!.split(',').map((each) => each.trim().split(/\s/)[0]!))
    else found.push(value!)
  }
  return found
}
