import { scrypt, timingSafeEqual } from 'node:crypto'
import { promisify } from 'node:util'

export interface Person {
  readonly id: string
  readonly name: string
}

/** The sign-in page shows it, so that you can try the demo. */
export const passwordOfAll = 'ticket'

// As a real database holds them: a salted hash of each password, never the password.
const people = [
  {
    id: 'alice',
    name: 'Alice',
    salt: 'UGPT6dLjCKR-aF4W',
    hash: '3MgDTjBv1N3NQqUJsRb0zyOBjGnd5g9Bo7Pj-c3Perw',
  },
  { id: 'bob', name: 'Bob', salt: 'wi_R9GYaQZeZLCHR', hash: 'XaKT631jjWBGypQ5k5DhT10jq1rAdzrnLgQjubWuwSY' },
] as const

/** The person with this name and password, if there is one. An unknown name takes as long as a known one. */
export async function authenticate(name: string, password: string): Promise<Person | undefined> {
  const person = people.find(({ id }) => id === name.trim().toLowerCase())
  const { salt, hash } = person ?? people[0]
  const expected = Buffer.from(hash, 'base64url')
  const given = (await promisify(scrypt)(password, salt, expected.length)) as Buffer
  return timingSafeEqual(given, expected) && person !== undefined ? person : undefined
}

/** The person behind a session's user id. */
export function personOf(userId: string | undefined): Person | undefined {
  return people.find(({ id }) => id === userId)
}
