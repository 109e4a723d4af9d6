// The documentation of this repository as pages, at the paths that its files have: /docs/sign-in.md.
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import express, { Router } from 'express'
import { Marked } from 'marked'
import { Html, html } from './html.ts'
import { plainPage } from './page.ts'

const root = join(import.meta.dirname, '../..')

/** It needs no session: these pages are the same for everybody. */
export const documentation = Router()

documentation.get('/docs', (_req, res) => res.redirect('/docs/README.md'))

documentation.get(/^\/(docs\/(decisions\/)?)?[\w.-]+\.md$/, async (req, res, next) => {
  const text = await readFile(join(root, req.path), 'utf8').catch(() => undefined)
  if (text === undefined) return next()
  const title = /^# (.*)/m.exec(text)?.[1] ?? req.path
  const { content, sections } = rendered(text)
  const main = html`<article class="prose">${content}</article>`
  res.send(plainPage({ app: 'accounts', title, main, aside: contents(sections) }))
})

documentation.use('/docs', express.static(join(root, 'docs'), { index: false })) // its pictures

interface Section {
  readonly name: string
  readonly title: string
}

function rendered(text: string): { content: Html; sections: Section[] } {
  const names = new Set<string>()
  const sections: Section[] = []
  const marked = new Marked({
    renderer: {
      heading(content, level, title) {
        const name = anchorOf(title, names)
        if (level === 2) sections.push({ name, title })
        return `<h${level} id="${name}">${content}</h${level}>`
      },
      // Code and tables that are wider than the page scroll on their own, also by keyboard.
      code: (code) => scrolling('Code', html`<pre><code>${code}</code></pre>`.text),
      table: (header, body) =>
        scrolling('Table', `<table><thead>${header}</thead><tbody>${body}</tbody></table>`),
    },
  })
  return { content: new Html(marked.parse(text, { async: false }) as string), sections }
}

function contents(sections: readonly Section[]): Html {
  return html`<nav class="contents" aria-labelledby="contents">
    <h2 id="contents">On this page</h2>
    <ul>
      ${sections.map(({ name, title }) => html`<li><a href="#${name}">${title}</a></li>`)}
    </ul>
    <a href="/docs/README.md">All of the documentation</a>
  </nav>`
}

function scrolling(label: string, content: string): string {
  return `<div class="scroll" role="group" aria-label="${label}" tabindex="0">${content}</div>`
}

/** The anchor of a heading, as code hosts make it. The links of the documentation use these. */
function anchorOf(heading: string, names: Set<string>): string {
  const slug = heading
    .toLowerCase()
    .replaceAll(/[^\p{L}\p{M}\p{N}\p{Pc}\- ]/gu, '')
    .replaceAll(' ', '-')
  let name = slug
  for (let number = 1; names.has(name); number++) name = `${slug}-${number}`
  names.add(name)
  return name
}
