/**
 * The names by which links reach a document's headings. GitHub and GitLab make them alike, but GitLab joins hyphens
 * in a row: of 'Cookies & CORS', `cookies--cors` and `cookies-cors`. Only a name that both give is one to link to.
 */
export function anchorsOf(headings: readonly string[]): Set<string> {
  const slugs = headings.map(slugOf)
  const onGitHub = numbered(slugs)
  const onGitLab = numbered(slugs.map((slug) => slug.replaceAll(/-+/g, '-')))
  return new Set(onGitHub.filter((name, index) => name === onGitLab[index]))
}

function slugOf(heading: string): string {
  return heading
    .trim()
    .toLowerCase()
    .replaceAll(/[^\p{L}\p{M}\p{N}\p{Pc}\- ]/gu, '')
    .replaceAll(' ', '-')
}

/** The second of a name is `name-1`, the third `name-2`. */
function numbered(slugs: readonly string[]): string[] {
  const given = new Set<string>()
  return slugs.map((slug) => {
    let name = slug
    for (let number = 1; given.has(name); number++) name = `${slug}-${number}`
    given.add(name)
    return name
  })
}
