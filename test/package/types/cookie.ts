// With session(sessions) there is no cookie in the session.
import type {} from 'coatcheck/express'

export function renew({ session }: Express.Request): void {
  // @ts-expect-error it may be undefined
  session.cookie.maxAge = 1000
}
