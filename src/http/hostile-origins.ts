import { matches } from './cors-origin.js'
import { isLoopback } from './origin-text.js'
import { siteOf } from './registrable-domain.js'

// Placeholders in a sample for the parts that an expression leaves open.
const anyText = '\u0001'
const anyCharacter = '\u0002'

/** What was found, by the expression's text: apps that make their `cors` anew for each request often write the expression there, too. */
const found = new Map<string, string | undefined>()
const mostFound = 100

/**
 * An origin that the expression lets in, and should not. It is somebody else's, such as
 * `https://example.com.evil.test`, or it is not encrypted, so that others on the network can pose as it. `undefined` if
 * none is found. The ends of an expression do not show what it means. So it is tried on origins that are made of the
 * names in it.
 */
export function hostileOriginOf(pattern: RegExp): string | undefined {
  const text = String(pattern)
  if (found.has(text)) return found.get(text)
  const hostile = firstHostile(pattern)
  if (found.size >= mostFound) found.clear()
  found.set(text, hostile)
  return hostile
}

function firstHostile(pattern: RegExp): string | undefined {
  const samples = samplesOf(pattern.source)
  const own = new Set(samples.map(({ host }) => siteOf(bareOf(host))))
  const isHostile = (scheme: string, host: string) =>
    !isLoopback(host) && (scheme === 'http' || !own.has(siteOf(host)))

  for (const { host, port } of [{ host: '', port: '' }, ...samples]) {
    for (const name of probesOf(host)) {
      for (const scheme of ['https', 'http']) {
        if (!isHostile(scheme, name)) continue
        const origin = [`${scheme}://${name}`, `${scheme}://${name}${port}`].find((text) =>
          matches(pattern, text),
        )
        if (origin !== undefined) return origin
      }
    }
  }
  return matches(pattern, 'null') ? 'null' : undefined
}

/** Hosts that an attacker may own, and that a careless expression for `host` lets in. */
function probesOf(host: string): string[] {
  const bare = bareOf(host)
  if (bare === '') return ['evil.test']
  const filled = filledOf(host)
  // Each dot that is not escaped is any character, so a letter too.
  const dots = [...host.matchAll(new RegExp(anyCharacter, 'g'))]
  const letters = dots.map(({ index }) => filledOf(`${host.slice(0, index)}x${host.slice(index + 1)}`))
  return [
    'evil.test',
    `${bare}.evil.test`,
    `${filled}.evil.test`,
    `evil${siteOf(bare)}`,
    `evil.${bare}`,
    filled,
    bare,
    ...letters,
  ].filter((name) => /^[a-z0-9._-]+$/.test(name))
}

function bareOf(host: string): string {
  return host.replaceAll(anyText, '').replaceAll(anyCharacter, '.').replace(/^\.+/, '')
}

function filledOf(host: string): string {
  // `bad` is made of hexadecimal digits: it also matches [a-f0-9].
  const open = new RegExp(`${anyText}+`, 'g')
  return host
    .replace(open, (run) => 'bad'.repeat(run.length).slice(0, run.length))
    .replaceAll(anyCharacter, '.')
    .replace(/^\.+/, 'bad.')
}

interface Sample {
  readonly host: string
  /** `:3000`, or nothing. */
  readonly port: string
}

/** A pattern may have any number of alternatives within alternatives. */
const mostSamples = 64

/** Matches what is no plain character of an expression: `any` class or dot with its repetition, an escaped character, an anchor. */
const token =
  /\\[bB]|[\^$]|\(\?<?[=!][^)]*\)|\(\?(?::|<\w+>)|(?<any>\\[dDwWsS]|\[(?:\\.|[^\]\\])*\]|\.)(?:(?<many>[*+])|\{(?<count>\d+)[^}]*\})?\??|\\(?<escaped>.)|[*+?]\??|\{\d[^}]*\}\??/gs

/** The hosts that an expression spells out, one for each way through its alternatives. */
function samplesOf(source: string): Sample[] {
  const flat = source.replace(token, (text, ...rest) => {
    const { any, many, count, escaped } = rest.at(-1) as Record<string, string | undefined>
    if (escaped !== undefined) return escaped
    if (any === undefined) return text.startsWith('(') && !/[=!]/.test(text) ? '(' : ''
    const times = Math.min(Number(count ?? (many ? 3 : 1)), 63)
    if (/^(?:\\d|\[[0-9\\d-]+\])$/.test(any)) return '1'.repeat(times)
    if (many || count) return anyText.repeat(times)
    return any === '.' ? anyCharacter : 'b'
  })
  let texts = [flat]
  while (texts.length < mostSamples && texts.some((text) => group.test(text))) texts = texts.flatMap(chosen)
  const ways = texts.flatMap((text) => text.split('|'))
  return ways.slice(0, mostSamples).map(sampleOf)
}

const group = /\(([^()]*)\)/

function chosen(text: string): string[] {
  const [whole, inner] = group.exec(text) ?? []
  return whole === undefined ? [text] : inner!.split('|').map((choice) => text.replace(whole, () => choice))
}

function sampleOf(text: string): Sample {
  const [, host = '', port = ''] = /^(?:.*\/\/)?([^:/]*)(:\d+)?/s.exec(text) ?? []
  return { host: host.toLowerCase(), port }
}
