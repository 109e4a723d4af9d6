/** HTML that is safe to send: made by `html`, or without any input of users. */
export class Html {
  readonly text: string

  constructor(text: string) {
    this.text = text
  }

  toString(): string {
    return this.text
  }
}

type Insert = Html | readonly Html[] | string | number | undefined | false

/** A template of HTML. Its values are escaped, unless `html` made them. */
export function html(strings: TemplateStringsArray, ...inserts: readonly Insert[]): Html {
  return new Html(String.raw({ raw: strings }, ...inserts.map(render)))
}

function render(insert: Insert): string {
  if (insert === undefined || insert === false) return ''
  if (insert instanceof Html) return insert.text
  if (Array.isArray(insert)) return insert.join('')
  return String(insert).replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`)
}
