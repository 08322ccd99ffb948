// The state of one key in Redis, and how the script reads and writes it, in Lua.

import { codeOf } from './rows.js'

/**
 * KEYS[n]: the name of the state of the key that the n-th operation is on; with `:w` after it, it is the name of the key's crowd. If there is only
 * one operation, KEYS[2] may be the crowd's name, for servers that want to know all names in advance.
 * ARGV[1]: how wakes are addressed, for how long a hand-over counts (ms), and `1` if the server knows who listens, separated by spaces.
 *
 * The state is one string, so that an operation reads it at once and writes it at once. In the order in which it is packed: a version, which also
 * says how much there is (`PLAIN`) · `ends` of the lease, ms · `fence`, the last one, µs · `holder`, a token, '' if nobody holds · `endings`; for a key with
 * more (`FULL`): `passUntil` when a pass mark lasts, ms · `localTurns` in a row · `isCrowded`: somebody may be in the crowd · `heldFor`, the payload of the hold;
 * and with a record (`RECORDED`): when it was `settled`, µs · until when it is `visible` to newcomers, ms · until when it is `kept` for those who waited, ms ·
 * `madeFor`, its payload · its `bytes`.
 *
 * A token is the name of a mailbox, a dot and a number. Endings: for each mailbox `;<token><how>` for the highest number that ended, and after it
 * `<number><how>` for the next highest; `s` settled, `r` released, `g` gave up. A process uses its tokens for one key in order, so a token
 * with a lower number than one that has ended is over, too.
 *
 * Crowd: a sorted set with members `<token> <wish><payload>`, where wish is `r` (takes a record) or `t` (only a turn); the score is the arrival, µs.
 *
 * All times are the server's. Fences and arrivals are microseconds since 1970 and fit into a double. A state with a number that no store of
 * ours can have written counts as absent, because other programs may have written data under our names.
 *
 * The variables are those of the script itself, and the code for a key that nobody waits for is in its loop, without functions, because every call
 * would make them anew, and looks up their variables each time. So rules that are needed in several places are texts here (`take`, `remember`).
 */
export const variables: string = `
local call, tryCall, pcall = redis.call, redis.pcall, pcall
local pack, unpack, match, find, sub, byte = struct.pack, struct.unpack, string.match, string.find, string.sub, string.byte

-- The clock is read by the first operation that needs it: until then 'us' is 0.
local us, now, latestEnd, latest = 0, 0, 9007199254740, 9007199254740

-- The state of the key that an operation is on, and what else it needs to know: whether something under its names was not ours, and
-- whether the state has to be written.
local key, packed, isForeign, isChanged
local ends, fence, passUntil, localTurns, isCrowded, holder, heldFor, endings
-- A record stands in 'packed' from 'recordAt' on (nil: there is none): each copy of a large one costs more than all else.
local settled, visible, kept, madeFor, recordAt

-- The last time to live that was made a text.
local ttl, ttlText = 10000, '10000'
`

/** Versions of the state: the first byte. */
const PLAIN = 209
const FULL = 210
const RECORDED = 211
/** The furthest time, in ms: as microseconds it still has to fit into a double. */
const FURTHEST_MS = 9_007_199_254_740
/** The longest that a record is kept, 142 years: only half of the furthest time, so that the clock may be set back meanwhile. */
export const LONGEST_TTL_MS: number = FURTHEST_MS / 2
/** The furthest end of a lease: twice the longest lease, for the same reason. */
const FURTHEST_LEASE_MS = 2 ** 32
/** The formats for pack and unpack; all are little-endian, whatever the server is. */
const HEAD = '<Bddss'
const MORE = 'dI4BI4c0'
const RECORD = 'dddI4c0I4'

const readClock = `
local time = call('TIME')
us = time[1] * 1000000 + time[2]
now = (us - us % 1000) / 1000
latestEnd, latest = now + ${FURTHEST_LEASE_MS}, now + ${FURTHEST_MS}
`

/** Reads the state of a key. `timeless` is a condition under which a plain state needs no clock. */
export function load(timeless: string): string {
  return `
isForeign = false
isChanged = false
passUntil = 0
localTurns = 0
isCrowded = false
heldFor = ''
recordAt = nil
packed = tryCall('GET', key)
local isWhole, version, from = true, ${PLAIN}, nil
if packed then
  isWhole, version, ends, fence, holder, endings, from = pcall(unpack, '${HEAD}', packed)
else
  ends = 0
  fence = 0
  holder = ''
  endings = ''
end
if us == 0 and not (version == ${PLAIN} and ${timeless}) then ${readClock} end
if version ~= ${PLAIN} and isWhole then
  local crowded, size
  isWhole, passUntil, localTurns, crowded, heldFor, settled, visible, kept, madeFor, size, recordAt =
    pcall(unpack, version == ${RECORDED} and '<${MORE}${RECORD}' or '<${MORE}', packed, from)
  isWhole = isWhole and (version == ${RECORDED} or version == ${FULL})
  isCrowded = crowded == 1
  if version ~= ${RECORDED} then recordAt = nil
  elseif isWhole then
    isWhole = recordAt + size == #packed + 1
      and settled >= 0 and settled <= 9007199254740000 and visible >= 0 and visible <= latest and kept >= 0 and kept <= latest
    -- Where the clock was set back, nobody can be known to have waited for it. Newcomers have it all the same, rather than do it twice.
    -- The tolerance is for operations of one call.
    if settled > us + 1000 then kept = 0 end
  end
  isWhole = isWhole and passUntil >= 0 and passUntil <= latest
end
if not (isWhole and ends >= 0 and ends <= latestEnd and fence >= 0 and fence <= 9007199254740000) then
  if type(packed) == 'table' and not find(packed.err, 'WRONGTYPE', 1, true) then error(packed.err, 0) end
  call('DEL', key)
  isForeign = true
  ends, fence, localTurns, passUntil, isCrowded, holder, heldFor, endings, recordAt = 0, 0, 0, 0, false, '', '', '', nil
end
`
}

export const save: string = `
-- A hold that ran out stays for a minute, so that it can still be settled if nobody claimed the key; what is known of one that
-- ended, for as long as its last command may still be repeated.
local untilMs = holder ~= '' and ends + 60000 or now + 10000
if recordAt and visible <= now and kept <= now then recordAt = nil end
local written
if not recordAt and passUntil == 0 and heldFor == '' and localTurns == 0 and not isCrowded then
  written = pack('${HEAD}', ${PLAIN}, ends, fence, holder, endings)
else
  if passUntil > untilMs then untilMs = passUntil end
  local crowded = isCrowded and 1 or 0
  if recordAt then
    untilMs = math.max(untilMs, visible, kept)
    local bytes = recordAt == 1 and packed or sub(packed, recordAt)
    written = pack('${HEAD}${MORE}${RECORD}', ${RECORDED}, ends, fence, holder, endings, passUntil, localTurns, crowded, #heldFor, heldFor,
      settled, visible, kept, #madeFor, madeFor, #bytes) .. bytes
  else
    written = pack('${HEAD}${MORE}', ${FULL}, ends, fence, holder, endings, passUntil, localTurns, crowded, #heldFor, heldFor)
  end
end
if untilMs - now ~= ttl then
  ttl = untilMs - now
  ttlText = string.format('%d', ttl)
end
local saved = tryCall('SET', key, written, 'PX', ttlText)
if saved.err then
  -- A full Redis refuses this only as the first write of a script. Work that has begun is to be kept, and its record, for it would be done again.
  if op ~= ${codeOf('claim')} and find(saved.err, 'OOM', 1, true) then call('DEL', key) end
  call('SET', key, written, 'PX', ttlText)
end
`

/**
 * Sets `isOver` to whether a token is known to have ended. `mailbox` is the beginning of its entry, `number` its own number. Numbers are
 * compared as texts, of which the longer one is the higher, because converting one to a number costs more than all the rest.
 */
export function isEnded(mailbox: string, number: string): string {
  return `
isOver = false
if endings ~= '' then
  local _, to = find(endings, ${mailbox}, 1, true)
  local last = to and match(endings, '^%d+', to + 1)
  if last then
    local number = ${number}
    isOver = #number < #last or (#number == #last and number <= last)
  end
end
`
}

/** Sets `how` to how a token ended; nil if it is not known to have ended. */
export function howEnded(mailbox: string, number: string): string {
  return `
how = nil
local _, to = find(endings, ${mailbox}, 1, true)
if to then
  local number = ${number}
  local n1, how1, n2, how2 = match(endings, '^(%d+)(%a)(%d*)(%a?)', to + 1)
  how = n1 and (number == n1 and how1 or number == n2 and how2) or nil
end
`
}

/** Remembers that the token has ended, and how; if it had ended before, nothing changes. */
export function remember(token: string, mailbox: string, number: string, how: string): string {
  return `
isChanged = true
if endings == '' then
  endings = ';' .. ${token} .. '${how}'
else
  local start, to = find(endings, ${mailbox}, 1, true)
  local first, behind
  if to then first, behind = match(endings, '^(%d+%a)%d*%a?()', to + 1) end
  if not first then
    endings = endings .. ';' .. ${token} .. '${how}'
    -- Of processes that come and go for ever, the last hundred or so.
    if #endings > 3000 then endings = string.gsub(endings, '^;[^;]*', '', 1) end
  else
    local number = ${number}
    local entry
    -- 'first' is a number with its letter behind it: one byte longer than the number, and as a text higher than the number alone.
    if #number >= #first or (#number == #first - 1 and number > first) then
      entry = ';' .. ${token} .. '${how}' .. first
    else
      local n1, n2, how2 = match(endings, '^(%d+)%a(%d*)(%a?)', to + 1)
      if number ~= n1 and (n2 == '' or #number > #n2 or (#number == #n2 and number > n2)) then
        -- It takes the place of the second number, behind the first.
        entry = sub(endings, start, behind - #n2 - #how2 - 1) .. number .. '${how}'
      end
    end
    if not entry then -- Nothing is new.
    elseif start == 1 and behind > #endings then endings = entry
    else endings = sub(endings, 1, start - 1) .. sub(endings, behind) .. entry end
  end
end
`
}
