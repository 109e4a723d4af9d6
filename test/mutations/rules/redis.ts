import type { Mutation } from '../aim.ts'

const write = {
  file: 'src/stores/redis/scripts.ts',
  at: 'writeScript',
  tests: ['test/stores/redis.test.ts'],
  store: 'Redis',
} as const
const writer = {
  file: 'src/stores/redis/writer.ts',
  tests: ['test/stores/redis.test.ts'],
  store: 'Redis',
} as const
const records = {
  file: 'src/stores/redis/records.ts',
  tests: ['test/stores/redis.test.ts'],
  store: 'Redis',
} as const

/** The conditions of RedisStore's scripts, and the order of its steps. */
export const redisRules: readonly Mutation[] = [
  {
    ...write,
    name: 'an update goes onto any version (Redis)',
    find: 'if version ~= w.version then',
    replace: 'if version < w.version then',
  },
  {
    ...write,
    name: 'a touch goes onto any token (Redis)',
    find: "if flags % 2 == 0 or head:sub(headerLength + 1, headerLength + 32) ~= w.hash then return 'm' end",
    replace: "if flags % 2 == 0 then return 'm' end",
  },
  {
    ...write,
    name: 'a removal ends the session of whoever it is by then (Redis)',
    find: "if r.user ~= w.user then return 'm' end",
    replace: '',
  },
  {
    ...write,
    name: 'an insert replaces a live session (Redis)',
    find: "if found then return found.marks:find(w.mark, 1, true) and 'd00' or 'e' end",
    replace: '',
  },
  {
    ...write,
    name: 'a rotation without grace leaves the old token working (Redis)',
    find: 'r.formerUntil = keeps and now + w.grace or 0',
    replace: 'r.formerUntil = now + 60000',
  },
  {
    ...write,
    name: "a session is stored as a user's before the index has it (Redis)",
    find: "if needed and (w.indexFor == 0 or w.entry ~= entry) then return 'i' .. entry .. w.user end",
    replace: '',
  },
  {
    ...write,
    name: 'a touch outlives the entry in the index (Redis)',
    find: 'if user > 0 and later > indexedUntil then',
    replace: 'if false then',
  },
  {
    ...write,
    name: 'a touch makes a session expire sooner (Redis)',
    find: 'local later = math.max(expiresAt, min(now + w.idle, createdAt + w.absolute))',
    replace: 'local later = min(now + w.idle, createdAt + w.absolute)',
  },
  {
    ...write,
    name: 'an update forgets the marks of earlier ones (Redis)',
    find: 'head:sub(marksAt + 1, marksAt + marks) .. w.user',
    replace: "string.rep('x', marks) .. w.user",
  },
  {
    ...write,
    name: 'one write that fails undoes the answers of the others (Redis)',
    find: 'local isDone, answer = pcall(kinds[kind], key, w)',
    replace: 'local isDone, answer = true, kinds[kind](key, w)',
  },
  {
    ...writer,
    at: 'RedisWriter.#addEntryOfSignIn',
    name: 'a sign-in is stored before it is in the index (Redis)',
    find: 'await this.#addEntry(each,',
    replace: 'void this.#addEntry(each,',
  },
  {
    ...records,
    at: 'RedisRecords.#dropWithoutRoot',
    name: 'a child is found without its root (Redis)',
    find: 'if (root === undefined || root.userId !== userId) found.delete(id)',
    replace: 'if (root !== undefined && root.userId !== userId) found.delete(id)',
  },
  {
    ...records,
    at: 'RedisRecords.#dropWithoutRoot',
    name: 'a child is found though its root has another user (Redis)',
    find: 'if (root === undefined || root.userId !== userId) found.delete(id)',
    replace: 'if (root === undefined) found.delete(id)',
  },
  {
    file: 'src/stores/redis/user-index.ts',
    at: 'margin',
    name: 'an entry stands no longer than its session at first (Redis)',
    tests: ['test/stores/redis.test.ts'],
    store: 'Redis',
    find: '86_400_000',
    replace: '-7_200_000',
  },
  {
    file: 'src/stores/redis/commands.ts',
    at: 'refuseResending',
    name: 'a client that sends writes again is taken (Redis)',
    tests: ['test/stores/redis.test.ts'],
    store: 'Redis',
    find: 'autoResendUnfulfilledCommands !== false',
    replace: 'autoResendUnfulfilledCommands === null',
  },
  {
    file: 'src/stores/redis/server-check.ts',
    at: 'faultOf',
    name: 'a server that may evict sessions is taken (Redis)',
    tests: ['test/stores/redis.test.ts'],
    store: 'Redis',
    find: "policy !== 'noeviction'",
    replace: "policy === 'none of them'",
  },
  {
    file: 'src/core/users/sign-in.ts',
    at: 'beganBy',
    name: 'times of two clocks are compared',
    tests: ['test/core/two-clocks.test.ts'],
    find: 'comparesTimes && readAt !== undefined',
    replace: 'readAt !== undefined',
  },
]
