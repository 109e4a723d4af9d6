import { expect, test } from 'vitest'
import { hostileOriginOf } from '../../dist/http/hostile-origins.js'

test.each<[RegExp, string]>([
  [/^https:\/\/a\.example|https:\/\/b\.example$/, 'https://a.example.evil.test'],
  [/^(https:\/\/a\.example)|(https:\/\/b\.example)$/, 'https://a.example.evil.test'],
  [/^.*$/, 'https://evil.test'],
  [/./, 'https://evil.test'],
  [/^https?:\/\//, 'https://evil.test'],
  [/^https:\/\/\S+$/, 'https://evil.test'],
  [/^https:\/\/.*:3000$/, 'https://evil.test:3000'],
  [/^(?!https:\/\/evil\.test)/, 'http://evil.test'],
  [/\.example\.com$/, 'http://evil.example.com'],
  [/\.example\.com$/g, 'http://evil.example.com'],
  [/\/\/app\.example\.com$/, 'http://app.example.com'],
  [/^https?:\/\/([a-z]+\.)?example\.com$/, 'http://evil.example.com'],
  [/^https?:\/\/(localhost|example\.com)(:\d+)?$/, 'http://example.com'],
  [/^http:\/\/192\.168\.\d{1,3}\.7:3000$/, 'http://192.168.1.7:3000'],
  [/example\.com/, 'https://example.com.evil.test'],
  [/^https:\/\/app\.example\.com/, 'https://app.example.com.evil.test'],
  [/^https:\/\/.*\.example\.com/, 'https://bad.example.com.evil.test'],
  [/^https:\/\/(app|admin)\.example\.com/i, 'https://app.example.com.evil.test'],
  [/^https:\/\/example\.(com|org).*$/, 'https://example.com.evil.test'],
  [/^https:\/\/(?:.+\.)?example\.com(:\d+)?/, 'https://example.com.evil.test'],
  [/localhost/, 'https://localhost.evil.test'],
  [/example\.com$/, 'https://evilexample.com'],
  [/^https:\/\/.*example\.com$/, 'https://evilexample.com'],
  [/(www\.)?example\.com$/, 'https://evilexample.com'],
  [/^https:\/\/app.example.com$/, 'https://appxexample.com'],
  [/^https:\/\/([^.]+)\.com$/, 'https://evil.com'],
  [/^https:\/\/[a-z0-9-]+\.vercel\.app$/, 'https://evil.vercel.app'],
  [/^https:\/\/shop-.*\.vercel\.app$/, 'https://shop-bad.vercel.app'],
  [/^https:\/\/shop-[a-f0-9]{9}\.vercel\.app$/, 'https://shop-badbadbad.vercel.app'],
  [/^https:\/\/(?<user>[a-z]+)\.github\.io$/, 'https://evil.github.io'],
  [/^(?:null|https:\/\/a\.example)$/, 'null'],
])('%s lets in %s', (pattern, hostile) => {
  expect(hostileOriginOf(pattern)).toBe(hostile)
  expect(pattern.lastIndex).toBe(0)
})

test.each([
  /^https:\/\/app\.example\.com$/,
  /https:\/\/app\.example\.com$/,
  /^https:\/\/example[.]com$/,
  /^https:\/\/.*\.example\.com$/,
  /^https:\/\/[a-z]+\.example\.com$/i,
  /^https:\/\/([a-z0-9-]+\.)*example\.com$/,
  /^https:\/\/(?:[\w-]+\.)+example\.com(?::\d{1,5})?$/,
  /^https:\/\/(www\.)?example\.com$/,
  /^https:\/\/example\.(?:com|org)$/,
  /^(?:https:\/\/a\.example|https:\/\/b\.example)$/,
  /^https:\/\/pr-\d+\.example\.dev$/,
  /^https:\/\/pr-[a-f0-9]{9}\.example\.dev$/,
  /^https:\/\/shop\.vercel\.app$/,
  /^https?:\/\/localhost(:\d+)?$/,
  /^https?:\/\/((localhost)|(127\.0\.0\.1)):\d{4}$/,
  /^http:\/\/.*\.localhost:3000$/,
  /^http:\/\/\[::1\]:3000$/,
  /^capacitor:\/\/localhost$/,
  /^https:\/\/app\.example\.com\$/,
  /^$/,
])('%s lets in nobody else', (pattern) => {
  expect(hostileOriginOf(pattern)).toBeUndefined()
})

test('an expression of any size is tried on few origins', () => {
  let calls = 0
  class Counted extends RegExp {
    override test(text: string): boolean {
      calls += 1
      return super.test(text)
    }
  }
  const alternatives = Array.from({ length: 12 }, () => '(a|b|c)').join('')
  expect(hostileOriginOf(new Counted(`^https://${alternatives}\\.example\\.com$`))).toBeUndefined()
  expect(calls).toBeLessThan(10_000)
})

test('an expression is tried once, also where each request makes its cors anew', () => {
  let tried = 0
  const expression = (source: string) =>
    Object.assign(new RegExp(source), {
      test(text: string) {
        tried++
        return RegExp.prototype.test.call(this, text)
      },
    })
  const source = String.raw`^https://pr-\d+\.once\.example\.dev$`
  expect(hostileOriginOf(expression(source))).toBeUndefined()
  const first = tried
  expect(first).toBeGreaterThan(0)
  expect(hostileOriginOf(expression(source))).toBeUndefined()
  expect(tried).toBe(first)
  expect(hostileOriginOf(expression('once.example'))).toBe('https://once.example.evil.test')
  expect(hostileOriginOf(expression('once.example'))).toBe('https://once.example.evil.test')
})
