import { hash } from 'node:crypto'

/** A script in Lua. It names only keys of one slot, so that it runs in a cluster too. */
export interface Script {
  readonly text: string
  /** The SHA-1 of its text, by which a server that has it runs it. */
  readonly sha: string
}

/** The moment, in milliseconds by the server's clock, and how a record lies in its value: see `record.ts`. */
const common = `
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)

local headerLength = 65

-- A record out of its value; nothing for a value that is none, and for a record that has expired.
local function read(value)
  if not value or #value < headerLength or value:byte(1) ~= 1 then return nil end
  local record = {}
  local marks, user, about, formerUser, data, formerData
  record.flags, record.format, record.version, record.createdAt, record.seenAt, record.expiresAt,
    record.authenticatedAt, record.indexedUntil, record.formerUntil, record.formerAuthenticatedAt,
    marks, user, about, formerUser, data, formerData =
    struct.unpack('>BHI6I6I6I6I6I6I6I6BBHBI4I4', value, 2)
  local at = headerLength + 1
  local function take(length)
    at = at + length
    return value:sub(at - length, at - 1)
  end
  record.hash = take(record.flags % 2 == 1 and 32 or 0)
  record.root = take(math.floor(record.flags / 2) % 2 == 1 and 12 or 0)
  record.entry = take(user > 0 and 8 or 0)
  record.marks = take(marks)
  record.user = take(user)
  record.hasAbout = about > 0
  record.about = take(about > 0 and about - 1 or 0)
  record.formerHash = take(math.floor(record.flags / 4) % 2 == 1 and 32 or 0)
  record.formerUser = take(formerUser)
  record.head = at - 1
  record.data = take(data)
  record.formerData = take(formerData)
  if at ~= #value + 1 or record.expiresAt <= now then return nil end
  return record
end
`

/** Puts a record into its value. */
const storing = `
local function store(key, record)
  local flags = (record.hash ~= '' and 1 or 0) + (record.root ~= '' and 2 or 0) + (record.formerHash ~= '' and 4 or 0)
  local header = struct.pack('>BBHI6I6I6I6I6I6I6I6BBHBI4I4', 1, flags, record.format, record.version,
    record.createdAt, record.seenAt, record.expiresAt, record.authenticatedAt, record.indexedUntil,
    record.formerUntil, record.formerAuthenticatedAt, #record.marks, #record.user,
    record.hasAbout and #record.about + 1 or 0, #record.formerUser, #record.data, #record.formerData)
  local value = header .. record.hash .. record.root .. record.entry .. record.marks .. record.user ..
    record.about .. record.formerHash .. record.formerUser .. record.data .. record.formerData
  redis.call('SET', key, value, 'PXAT', string.format('%.0f', record.expiresAt))
end
`

/** Whole values of all its keys, after the moment. */
export const readScript = script(`
local time = redis.call('TIME')
local values = redis.call('MGET', unpack(KEYS))
table.insert(values, 1, time[1] * 1000 + math.floor(time[2] / 1000))
return values
`)

/** The same without data. */
export const lookScript = script(`${common}
local heads = { now }
for i, key in ipairs(KEYS) do
  local value = redis.call('GET', key)
  local record = read(value)
  heads[i + 1] = record and value:sub(1, record.head) or false
end
return heads
`)

/**
 * Carries out writes, one for each key, each with four arguments: what \`packed\` of \`writes.ts\` gives, and the user, the
 * text for listings and the data.
 *
 * The answer of each begins with a letter: done, exists, stale, moved, gone; index, if nothing was done because the entry
 * that follows must stand first in the index of the user who follows; failed, and why. What follows done: whether it is one to wait for
 * replicas with, whether the entry that it was given is of no use, and an entry to take from an index, and whose that is.
 */
export const writeScript = script(`${common}${storing}
local function insert(key, write)
  local value = redis.call('GET', key)
  local found = read(value)
  if found then return found.marks:find(write.mark, 1, true) and 'd00' or 'e' end
  -- Of another program, or by a later version: it is not ours to replace.
  if value and value:byte(1) ~= 1 then return 'e' end
  local record = {
    format = write.format, version = 1, createdAt = now, seenAt = now,
    expiresAt = now + math.min(write.idle, write.absolute),
    authenticatedAt = write.signedIn and write.user ~= '' and now or 0,
    indexedUntil = write.user ~= '' and now + write.indexFor or 0,
    formerUntil = 0, formerAuthenticatedAt = 0, formerHash = '', formerUser = '', formerData = '',
    hash = write.hash, root = write.root, entry = write.user ~= '' and write.mark or '', marks = write.mark,
    user = write.user, hasAbout = write.hasAbout, about = write.about, data = write.data,
  }
  store(key, record)
  return (write.user ~= '' or write.hash == '') and 'd10' or 'd00'
end

-- Whether the user's index has to have an entry, or a longer one, before the record is stored so.
local function needsIndex(record, user, expiresAt)
  return user ~= '' and (user ~= record.user or expiresAt > record.indexedUntil)
end

local function update(key, write)
  local record = read(redis.call('GET', key))
  if not record then return 'g' end
  if record.version ~= write.version then
    return record.marks:find(write.mark, 1, true) and 'd00' or 's'
  end
  local before = record.user
  local isOther = write.user ~= before
  local expiresAt = math.min(now + write.idle, record.createdAt + write.absolute)
  local needed = needsIndex(record, write.user, expiresAt)
  local entry = write.user ~= '' and (isOther and write.mark or record.entry) or ''
  if needed and (write.indexFor == 0 or write.entry ~= entry) then return 'i' .. entry .. write.user end
  local left = isOther and before ~= '' and record.entry .. before or ''
  if write.rotates then
    local keeps = write.grace > 0 and record.hash ~= ''
    record.formerUntil = keeps and now + write.grace or 0
    record.formerHash = keeps and record.hash or ''
    record.formerUser = keeps and before or ''
    record.formerAuthenticatedAt = keeps and record.authenticatedAt or 0
    record.formerData = keeps and record.data or ''
    record.hash = write.hash
    if write.signedIn then record.authenticatedAt = now end
  elseif record.formerUntil <= now then
    record.formerUntil, record.formerHash, record.formerUser = 0, '', ''
    record.formerAuthenticatedAt, record.formerData = 0, ''
  end
  if needed then record.indexedUntil = now + write.indexFor
  elseif write.user == '' then record.indexedUntil = 0 end
  record.entry = entry
  record.user = write.user
  record.data = write.data
  if write.hasAbout then record.hasAbout, record.about = true, write.about end
  record.format = write.format
  record.version = record.version + 1
  record.marks = (write.mark .. record.marks):sub(1, 32)
  record.seenAt = now
  record.expiresAt = expiresAt
  store(key, record)
  local isImportant = write.rotates or isOther or record.hash == ''
  local isUnused = write.indexFor > 0 and not needed
  return 'd' .. (isImportant and '1' or '0') .. (isUnused and '1' or '0') .. left
end

-- Only the times change, so only they are written and sent to replicas.
local function touch(key, write)
  -- With room for hash, root, entry, marks and user.
  local head = redis.call('GETRANGE', key, 0, headerLength + 338)
  if #head < headerLength or head:byte(1) ~= 1 then return 'g' end
  local flags, _, _, createdAt, _, expiresAt, _, indexedUntil = struct.unpack('>BHI6I6I6I6I6I6', head, 2)
  if expiresAt <= now then return 'g' end
  if flags % 2 == 0 or head:sub(headerLength + 1, headerLength + 32) ~= write.hash then return 'm' end
  local later = math.max(expiresAt, math.min(now + write.idle, createdAt + write.absolute))
  local user = head:byte(54)
  if user > 0 and later > indexedUntil then
    local at = headerLength + 33 + (math.floor(flags / 2) % 2 == 1 and 12 or 0)
    local entry = head:sub(at, at + 7)
    if write.indexFor == 0 or write.entry ~= entry then
      local userAt = at + 8 + head:byte(53)
      return 'i' .. entry .. head:sub(userAt, userAt + user - 1)
    end
    indexedUntil = now + write.indexFor
  end
  redis.call('SETRANGE', key, 16, struct.pack('>I6I6', now, later) .. head:sub(29, 34) ..
    struct.pack('>I6', indexedUntil))
  redis.call('PEXPIREAT', key, string.format('%.0f', later))
  return 'd00'
end

local function remove(key, write)
  local record = read(redis.call('GET', key))
  if not record then return 'g' end
  if record.user ~= write.user then return 'm' end
  redis.call('DEL', key)
  return 'd10' .. (record.user ~= '' and record.entry .. record.user or '')
end

local kinds = { insert, update, touch, remove }
local results = {}
for i, key in ipairs(KEYS) do
  local at = (i - 1) * 4
  local write = { user = ARGV[at + 2], about = ARGV[at + 3], data = ARGV[at + 4] }
  local kind, flags, indexFor
  kind, flags, write.format, write.version, write.idle, write.absolute, write.grace, write.indexFor,
    write.entry, write.mark, write.hash, write.root =
    struct.unpack('>BBHI6I6I6I6I6c8c8c32c12', ARGV[at + 1])
  local function has(flag) return math.floor(flags / flag) % 2 == 1 end
  if not has(1) then write.hash = '' end
  if not has(2) then write.root = '' end
  write.signedIn, write.hasAbout, write.rotates = has(4), has(8), has(16)
  -- What fails one must not undo the answers of the others, which are carried out.
  local isDone, answer = pcall(kinds[kind], key, write)
  results[i] = isDone and answer or 'f' .. (type(answer) == 'table' and answer.err or answer)
end
return results
`)

/**
 * Adds entries to the index of one user. An entry stands there until a moment, by the clock of this server. The key lives
 * as long as its last entry.
 */
export const indexScript = script(`
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now)
for i = 1, #ARGV, 2 do
  redis.call('ZADD', KEYS[1], 'GT', string.format('%.0f', now + ARGV[i]), ARGV[i + 1])
end
local last = redis.call('ZRANGE', KEYS[1], -1, -1, 'WITHSCORES')
return redis.call('PEXPIREAT', KEYS[1], string.format('%.0f', last[2]))
`)

function script(text: string): Script {
  return { text, sha: hash('sha1', text) }
}
