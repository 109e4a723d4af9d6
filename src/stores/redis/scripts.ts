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
local unpack, pack, floor, min = struct.unpack, struct.pack, math.floor, math.min

local headerLength = 65
local header = '>BBHI6I6I6I6I6I6I6I6BBHBI4I4'

-- A record out of its value; nothing for a value that is none, and for a record that has expired.
local function read(value)
  if not value or #value < headerLength or value:byte(1) ~= 1 then return nil end
  local r = {}
  local layout, marks, user, about, formerUser, data, formerData
  layout, r.flags, r.format, r.version, r.createdAt, r.seenAt, r.expiresAt, r.authenticatedAt, r.indexedUntil,
    r.formerUntil, r.formerAuthenticatedAt, marks, user, about, formerUser, data, formerData = unpack(header, value)
  local at = headerLength
  local function take(length)
    at = at + length
    return value:sub(at - length + 1, at)
  end
  r.hash = take(r.flags % 2 == 1 and 32 or 0)
  r.root = take(floor(r.flags / 2) % 2 == 1 and 12 or 0)
  r.entry = take(user > 0 and 8 or 0)
  r.marks = take(marks)
  r.user = take(user)
  r.hasAbout = about > 0
  r.about = take(about > 0 and about - 1 or 0)
  r.formerHash = take(floor(r.flags / 4) % 2 == 1 and 32 or 0)
  r.formerUser = take(formerUser)
  r.head = at
  r.data = take(data)
  r.formerData = take(formerData)
  if at ~= #value or r.expiresAt <= now then return nil end
  return r
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
 * Carries out writes, one for each key. The one argument holds all of them, one behind the other, as `packed` of
 * `writes.ts` makes them.
 *
 * The answer of each begins with a letter: done, exists, stale, moved, gone; index, if nothing was done because the entry
 * that follows must stand first in the index of the user who follows; failed, and why. What follows done: whether it is one
 * to wait for replicas with, whether the entry that it was given is of no use, and an entry to take from an index, and
 * whose that is.
 */
export const writeScript = script(`${common}
local function store(key, r)
  local flags = (r.hash ~= '' and 1 or 0) + (r.root ~= '' and 2 or 0) + (r.formerHash ~= '' and 4 or 0)
  local value = pack(header, 1, flags, r.format, r.version, r.createdAt, r.seenAt, r.expiresAt, r.authenticatedAt,
    r.indexedUntil, r.formerUntil, r.formerAuthenticatedAt, #r.marks, #r.user, r.hasAbout and #r.about + 1 or 0,
    #r.formerUser, #r.data, #r.formerData) .. r.hash .. r.root .. r.entry .. r.marks .. r.user .. r.about ..
    r.formerHash .. r.formerUser .. r.data .. r.formerData
  redis.call('SET', key, value, 'PXAT', r.expiresAt)
end

local function insert(key, w)
  local value = redis.call('GET', key)
  local found = read(value)
  if found then return found.marks:find(w.mark, 1, true) and 'd00' or 'e' end
  -- Of another program, or by a later version: it is not ours to replace.
  if value and value:byte(1) ~= 1 then return 'e' end
  store(key, {
    format = w.format, version = 1, createdAt = now, seenAt = now, expiresAt = now + min(w.idle, w.absolute),
    authenticatedAt = w.signedIn and w.user ~= '' and now or 0,
    indexedUntil = w.user ~= '' and now + w.indexFor or 0,
    formerUntil = 0, formerAuthenticatedAt = 0, formerHash = '', formerUser = '', formerData = '',
    hash = w.hash, root = w.root, entry = w.user ~= '' and w.mark or '', marks = w.mark,
    user = w.user, hasAbout = w.hasAbout, about = w.about, data = w.data,
  })
  return (w.user ~= '' or w.hash == '') and 'd10' or 'd00'
end

-- Any update of a record that was read as a whole.
local function replace(key, w, r)
  if not r then return 'g' end
  local before = r.user
  local isOther = w.user ~= before
  local expiresAt = min(now + w.idle, r.createdAt + w.absolute)
  -- Before a session is stored so, the index of its user has to have an entry that stands as long.
  local needed = w.user ~= '' and (isOther or expiresAt > r.indexedUntil)
  local entry = w.user ~= '' and (isOther and w.mark or r.entry) or ''
  if needed and (w.indexFor == 0 or w.entry ~= entry) then return 'i' .. entry .. w.user end
  local left = isOther and before ~= '' and r.entry .. before or ''
  if w.rotates then
    local keeps = w.grace > 0 and r.hash ~= ''
    r.formerUntil = keeps and now + w.grace or 0
    r.formerHash = keeps and r.hash or ''
    r.formerUser = keeps and before or ''
    r.formerAuthenticatedAt = keeps and r.authenticatedAt or 0
    r.formerData = keeps and r.data or ''
    r.hash = w.hash
    if w.signedIn then r.authenticatedAt = now end
  elseif r.formerUntil <= now then
    r.formerUntil, r.formerHash, r.formerUser, r.formerAuthenticatedAt, r.formerData = 0, '', '', 0, ''
  end
  if needed then r.indexedUntil = now + w.indexFor
  elseif w.user == '' then r.indexedUntil = 0 end
  if w.hasAbout then r.hasAbout, r.about = true, w.about end
  r.entry, r.user, r.data, r.format, r.version = entry, w.user, w.data, w.format, r.version + 1
  r.marks = w.mark .. r.marks:sub(1, 24)
  r.seenAt, r.expiresAt = now, expiresAt
  store(key, r)
  local isImportant = w.rotates or isOther or r.hash == ''
  local isUnused = w.indexFor > 0 and not needed
  return 'd' .. (isImportant and '1' or '0') .. (isUnused and '1' or '0') .. left
end

-- Most updates change data and times alone. For these, the head of the record is enough.
local function update(key, w)
  local head = redis.call('GETRANGE', key, 0, 299)
  if #head < headerLength or head:byte(1) ~= 1 then return 'g' end
  local _, flags, _, version, createdAt, _, expired, authenticatedAt, indexedUntil, formerUntil, _, marks, user, about =
    unpack(header, head)
  if expired <= now then return 'g' end
  local marksAt = headerLength + (flags % 2 == 1 and 32 or 0) + (floor(flags / 2) % 2 == 1 and 12 or 0) +
    (user > 0 and 8 or 0)
  local userAt = marksAt + marks
  if version ~= w.version then
    return head:sub(marksAt + 1, userAt):find(w.mark, 1, true) and 'd00' or 's'
  end
  local expiresAt = min(now + w.idle, createdAt + w.absolute)
  if w.rotates or formerUntil > now or head:sub(userAt + 1, userAt + user) ~= w.user or userAt + user + about > 300
      or user > 0 and (expiresAt > indexedUntil or w.indexFor > 0) then
    return replace(key, w, read(redis.call('GET', key)))
  end
  local aboutText = w.about
  if w.hasAbout then about = #aboutText + 1
  elseif about > 0 then aboutText = head:sub(userAt + user + 1, userAt + user + about - 1) end
  if marks == 32 then marks = 24 end
  local value = pack(header, 1, flags % 4, w.format, version + 1, createdAt, now, expiresAt, authenticatedAt,
    indexedUntil, 0, 0, marks + 8, user, about, 0, #w.data, 0) .. head:sub(headerLength + 1, marksAt) .. w.mark ..
    head:sub(marksAt + 1, marksAt + marks) .. w.user .. aboutText .. w.data
  redis.call('SET', key, value, 'PXAT', expiresAt)
  return flags % 2 == 1 and 'd00' or 'd10'
end

-- Only the times change, so only they are written and sent to replicas.
local function touch(key, w)
  local head = redis.call('GETRANGE', key, 0, headerLength + 51)
  if #head < headerLength or head:byte(1) ~= 1 then return 'g' end
  local _, flags, _, _, createdAt, _, expiresAt, _, indexedUntil, _, _, marks, user = unpack(header, head)
  if expiresAt <= now then return 'g' end
  if flags % 2 == 0 or head:sub(headerLength + 1, headerLength + 32) ~= w.hash then return 'm' end
  local later = math.max(expiresAt, min(now + w.idle, createdAt + w.absolute))
  if user > 0 and later > indexedUntil then
    local at = headerLength + 32 + (floor(flags / 2) % 2 == 1 and 12 or 0)
    local entry = head:sub(at + 1, at + 8)
    if w.indexFor == 0 or w.entry ~= entry then
      return 'i' .. entry .. redis.call('GETRANGE', key, at + 8 + marks, at + 7 + marks + user)
    end
    indexedUntil = now + w.indexFor
  end
  redis.call('SETRANGE', key, 16, pack('>I6I6', now, later) .. head:sub(29, 34) .. pack('>I6', indexedUntil))
  redis.call('PEXPIREAT', key, later)
  return 'd00'
end

local function remove(key, w)
  local r = read(redis.call('GET', key))
  if not r then return 'g' end
  if r.user ~= w.user then return 'm' end
  redis.call('DEL', key)
  return 'd10' .. (r.user ~= '' and r.entry .. r.user or '')
end

local kinds = { insert, update, touch, remove }
local writes, at = ARGV[1], 102
local results = {}
for i, key in ipairs(KEYS) do
  local w = {}
  local kind, flags, user, about, data
  kind, flags, w.format, w.version, w.idle, w.absolute, w.grace, w.indexFor, w.entry, w.mark, w.hash, w.root,
    user, about, data = unpack('>BBHI6I6I6I6I6c8c8c32c12BHI4', writes, at - 101)
  if flags % 2 == 0 then w.hash = '' end
  if floor(flags / 2) % 2 == 0 then w.root = '' end
  w.signedIn, w.hasAbout, w.rotates = floor(flags / 4) % 2 == 1, floor(flags / 8) % 2 == 1, flags >= 16
  w.user = writes:sub(at, at + user - 1)
  w.about = writes:sub(at + user, at + user + about - 1)
  at = at + user + about
  w.data = writes:sub(at, at + data - 1)
  at = at + data + 101
  -- What fails one must not undo the answers of the others, which are carried out.
  local isDone, answer = pcall(kinds[kind], key, w)
  results[i] = isDone and answer or 'f' .. (type(answer) == 'table' and answer.err or answer)
end
return results
`)

/**
 * Stores or removes whole records, one for each key. The one argument holds all of them, as `packedTransfer` of `writes.ts`
 * makes them. It answers as `writeScript` does: done, or stale where the record is not the expected one.
 */
export const transferScript = script(`${common}
local function transfer(key, flags, version, mark, seenAt, expiresAt, indexFor, new)
  local value = redis.call('GET', key)
  local r = read(value)
  if flags % 2 == 0 then
    -- What is there has expired at most, and is no other program's.
    if r or value and value:byte(1) ~= 1 then return 's' end
  elseif not r or r.version ~= version or r.marks:sub(1, 8) ~= mark or r.seenAt ~= seenAt or r.expiresAt ~= expiresAt then
    return 's'
  end
  local left = r and r.user ~= '' and r.entry .. r.user or ''
  if flags < 2 then
    redis.call('DEL', key)
    return 'd10' .. left
  end
  local user = new:byte(54)
  redis.call('SET', key, new:sub(1, 34) .. pack('>I6', user > 0 and now + indexFor or 0) .. new:sub(41), 'PXAT',
    (unpack('>I6', new, 23)))
  return 'd10' .. left
end

local transfers, at = ARGV[1], 1
local results = {}
for i, key in ipairs(KEYS) do
  local flags, version, mark, seenAt, expiresAt, indexFor, length = unpack('>BI6c8I6I6I6I4', transfers, at)
  local new = transfers:sub(at + 37, at + 36 + length)
  at = at + 37 + length
  local isDone, answer = pcall(transfer, key, flags, version, mark, seenAt, expiresAt, indexFor, new)
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
  redis.call('ZADD', KEYS[1], 'GT', now + ARGV[i], ARGV[i + 1])
end
local last = redis.call('ZRANGE', KEYS[1], -1, -1, 'WITHSCORES')
return redis.call('PEXPIREAT', KEYS[1], last[2])
`)

function script(text: string): Script {
  return { text, sha: hash('sha1', text) }
}
