/** Such as "Firefox on Linux", so that users recognise their devices. A browser can send any User-Agent, so do not trust it. */
export function deviceFrom(userAgent = ''): string {
  return `${firstMatch(browsers, userAgent) ?? 'A browser'} on ${firstMatch(systems, userAgent) ?? 'an unknown system'}`
}

// In this order: most browsers also claim to be those below them.
const browsers: readonly (readonly [RegExp, string])[] = [
  [/Edg\//, 'Edge'],
  [/OPR\//, 'Opera'],
  [/Firefox\/|FxiOS\//, 'Firefox'],
  [/Chrome\/|CriOS\//, 'Chrome'],
  [/Safari\//, 'Safari'],
  [/curl\//, 'curl'],
]

const systems: readonly (readonly [RegExp, string])[] = [
  [/Android/, 'Android'],
  [/iPhone|iPad/, 'iOS'],
  [/CrOS/, 'ChromeOS'],
  [/Windows/, 'Windows'],
  [/Mac OS X/, 'macOS'],
  [/Linux/, 'Linux'],
]

function firstMatch(list: readonly (readonly [RegExp, string])[], text: string): string | undefined {
  return list.find(([pattern]) => pattern.test(text))?.[1]
}
