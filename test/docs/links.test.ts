import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, posix } from 'node:path'
import { beforeAll, describe, expect, test } from 'vitest'
import { pack } from '../package/pack.ts'
import { anchorsOf } from './anchors.ts'
import { parse } from './markdown.ts'
import { type Page, pagesOf, repositoryFiles } from './pages.ts'

/** The documents for readers. Others, such as a README of an example, are only linked to. */
const documents =
  /^(README[^/]*\.md|docs\/.+\.md|(ARCHITECTURE|CHANGELOG|CONTRIBUTING|SECURITY)\.md|llms\.txt)$/

/** A relative link, with the path of what it leads to. */
interface RelativeLink {
  readonly from: Page
  readonly target: string
  readonly anchor: string | undefined
  /** `docs/stores.md:12: deploy.md#proxies` */
  readonly place: string
}

let files: ReadonlySet<string>
let pages: ReadonlyMap<string, Page>
let links: readonly RelativeLink[]

beforeAll(async () => {
  files = await repositoryFiles()
  const markdown = await pagesOf(files, /\.md$|^llms\.txt$/)
  pages = new Map(markdown.map((page) => [page.path, page]))
  links = markdown.filter(({ path }) => documents.test(path)).flatMap(relativeLinks)
})

function relativeLinks(from: Page): RelativeLink[] {
  return from.links
    .filter(({ url }) => !/^[a-z][a-z\d+.-]*:/i.test(url))
    .map(({ url, line }) => {
      const [path, anchor] = decodeURIComponent(url).split('#') as [string, string | undefined]
      const target = path === '' ? from.path : posix.join(posix.dirname(from.path), path)
      return { from, target, anchor, place: `${from.path}:${line}: ${url}` }
    })
}

function places(broken: readonly RelativeLink[]): string[] {
  return broken.map(({ place }) => place)
}

test('every relative link and image leads to a file of the repository', () => {
  expect(links.length).toBeGreaterThan(100)
  expect(places(links.filter(({ target }) => !files.has(target)))).toEqual([])
})

test('every link to a part of a page leads to a heading or an id of it', () => {
  // A file that is not there is the fault that the test above finds.
  const toParts = links.filter(({ target, anchor }) => anchor !== undefined && files.has(target))
  expect(toParts).not.toEqual([])
  const broken = toParts.filter(({ target, anchor }) => !pages.get(target)?.anchors.has(anchor!))
  expect(places(broken)).toEqual([])
})

test('what a document of the package links to is in the package', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'coatcheck-links-'))
  const packed = new Set<string>()
  try {
    for (const path of (await pack(folder)).files) packed.add(path)
  } finally {
    await rm(folder, { recursive: true })
  }
  const inside = links.filter(({ from }) => packed.has(from.path))
  expect(inside.map(({ target }) => target)).toContain('docs/migrating.md')
  // A file that the repository does not have either is the fault that the first test finds.
  expect(places(inside.filter(({ target }) => files.has(target) && !packed.has(target)))).toEqual([])
})

test('every link has an address, and every code block a language', () => {
  const faults = [...pages.values()]
    .filter(({ path }) => documents.test(path))
    .flatMap(({ path, faults: found }) => found.map(({ line, text }) => `${path}:${line}: ${text}`))
  expect(faults).toEqual([])
})

describe('the reader of documents', () => {
  test('names headings as code hosts do', () => {
    const headings = ['Sign in', 'What `req.session` is', 'Sign in', 'Sign-in 1', '会话 Cookie', 'Sign in']
    expect([...anchorsOf(headings.map((heading) => heading.replaceAll('`', '')))]).toEqual([
      'sign-in',
      'what-reqsession-is',
      'sign-in-1',
      'sign-in-1-1',
      '会话-cookie',
      'sign-in-2',
    ])
  })

  test('gives no name to a heading that code hosts name differently', () => {
    expect([...anchorsOf(['Cookies & CORS', 'Limits'])]).toEqual(['limits'])
  })

  test('finds links of every form, and none in code', async () => {
    const { links: found, anchors } = await parse(
      [
        '# The [first](1.md) `heading()`',
        '![2](2.png) [3][three] <a id="here" href="4.md">4</a>',
        '<!-- <a href="no.md">no</a> -->',
        '`[no](no.md)`',
        '',
        '    [no](no.md)',
        '',
        '| a                             | b           |',
        '| ----------------------------- | ----------- |',
        '| <img srcset="5.svg, 6.svg 2x"> | [7](<7.md>) |',
        '',
        '1. A step',
        '',
        '   > [8](8.md#a "title")',
        '',
        '   ```md',
        '   [no](no.md)',
        '   ```',
        '',
        '[three]: 3.md',
      ].join('\n'),
    )
    const urls = ['1.md', '2.png', '3.md', '4.md', '5.svg', '6.svg', '7.md', '8.md#a']
    expect(found.map(({ url }) => url).toSorted()).toEqual(urls)
    expect(found.find(({ url }) => url === '2.png')!.line).toBe(2)
    expect([...anchors]).toEqual(['the-first-heading', 'here'])
  })

  test('reports links without an address, and blocks and comments that it would overlook', async () => {
    const text = [
      '[one][two], [plain] and `a[0][1]`',
      '',
      '<!-- not compiled: a reason -->',
      '',
      'Text.',
      '',
      '<!-- not compiled -->',
      '```',
      'code',
      '```',
      '',
      '<details>',
      '```ts',
      '```',
    ]
    const { faults } = await parse(text.join('\n'))
    expect(faults.map(({ line, text: about }) => `${line}: ${about}`)).toEqual([
      '1: [one][two] is defined nowhere',
      '3: no ts or js block follows the comment "not compiled"',
      '7: the comment is <!-- not compiled: reason -->',
      '8: the code block names no language',
      '12: the code block is part of the HTML before it: put an empty line between',
    ])
  })
})
