// What Redis has of one key, and how the script reads and writes it, in Lua.

/**
 * KEYS[n]: the name of the state of the key that the n-th operation is on; the name of its crowd is that with `:w`. If there is one operation,
 * that is KEYS[2], for servers that want to know all names before.
 * ARGV[1]: how wakes are addressed. ARGV[2]: for how long a hand-over counts, ms. ARGV[3]: `1` if PUBLISH can count who listens.
 *
 * The state is one string, so that an operation reads it at once and writes it at once. In the order in which it is packed: a version ·
 * `ends` of the lease, ms · `fence`, the last one, µs · `passUntil` when a pass mark lasts, ms · `localTurns` in a row · `isCrowded`: somebody may be
 * in the crowd · `holder`, a token, '' if nobody holds · `heldFor`, the payload of the hold · `endings`; and with a record: when it was `settled`, µs ·
 * until when it is `visible` to newcomers, ms · until when it is `kept` for those who waited, ms · `madeFor`, its payload · its `bytes`.
 *
 * A token is the name of a mailbox, a dot and a number. Endings: for each mailbox `;<token><how>` of the highest number that ended, and behind it
 * `<number><how>` of the next highest; `s` settled, `r` released, `g` gave up. A process uses its tokens for one key in order, so
 * one that is below what has ended is over, too.
 *
 * Crowd: a sorted set; member `<token> <wish><payload>`, wish `r` (a record would do) or `t` (only a turn); score: arrival, µs.
 *
 * All times are the server's. Fences and arrivals are microseconds since 1970 and fit into a double. A state with a number that no store of
 * ours can have written counts as absent: data under our names may be anybody's.
 *
 * Every call makes its functions anew, and each variable that one of them shares with others makes that dearer. So they share two tables, and what only
 * a crowded key needs is made when there is one.
 */
export const state = `
local call, match, find, sub = redis.call, string.match, string.find, string.sub
local time = call('TIME')
local us = time[1] * 1000000 + time[2]

-- The state of the key that an operation is on, and what else it needs to know: its key, whether something under its names was not ours, and
-- whether the state has to be written.
local s = {
  wakePrefix = ARGV[1], grantMs = tonumber(ARGV[2]), countsListeners = ARGV[3] == '1',
  us = us, now = (us - us % 1000) / 1000,
  key = '', crowd = '', isForeign = false, isChanged = false,
  ends = 0, fence = 0, passUntil = 0, localTurns = 0, isCrowded = false, holder = '', heldFor = '', endings = '',
  settled = 0, visible = 0, kept = 0, madeFor = '', bytes = false,
}

local step
step = {

text = function(n) return string.format('%d', n) end,

-- Throws for what is too short; false for what cannot be ours.
read = function(packed)
  local version, crowded, from
  version, s.ends, s.fence, s.passUntil, s.localTurns, crowded, s.holder, s.heldFor, s.endings, from =
    struct.unpack('<c2dddI4BI4c0I4c0I4c0', packed)
  s.isCrowded = crowded == 1
  local timeMax = s.now + 9007199254740
  if version ~= 'd1' or not (s.ends >= 0 and s.ends <= s.now + 2147483648 and s.fence >= 0 and s.fence <= 9007199254740000
    and s.localTurns <= 1000000 and s.passUntil >= 0 and s.passUntil <= timeMax) then return false end
  s.bytes = false
  if from > #packed then return true end
  s.settled, s.visible, s.kept, s.madeFor, s.bytes = struct.unpack('<dddI4c0I4c0', packed, from)
  if not (s.settled >= 0 and s.visible >= 0 and s.visible <= timeMax and s.kept >= 0 and s.kept <= timeMax) then return false end
  -- The clock may have been set back; the tolerance is for operations of one call.
  if s.settled > s.us + 1000 then s.bytes = false end
  return true
end,

load = function()
  s.isForeign, s.isChanged = false, false
  local packed = redis.pcall('GET', s.key)
  if packed then
    if type(packed) == 'string' then
      local isWhole, isOurs = pcall(step.read, packed)
      if isWhole and isOurs then return end
    elseif not find(packed.err, 'WRONGTYPE', 1, true) then
      error(packed.err, 0)
    end
    call('DEL', s.key)
    s.isForeign = true
  end
  s.ends, s.fence, s.localTurns, s.passUntil, s.isCrowded, s.holder, s.heldFor, s.endings, s.bytes = 0, 0, 0, 0, false, '', '', '', false
end,

save = function()
  -- A hold that ran out stays for a minute, so that it can still be settled if nobody claimed the key; what is known of one that
  -- ended, for as long as its last command may still be repeated.
  local untilMs = s.holder ~= '' and s.ends + 60000 or s.now + 10000
  if s.passUntil > untilMs then untilMs = s.passUntil end
  local packed = struct.pack('<c2dddI4BI4c0I4c0I4c0', 'd1', s.ends, s.fence, s.passUntil, s.localTurns, s.isCrowded and 1 or 0,
    #s.holder, s.holder, #s.heldFor, s.heldFor, #s.endings, s.endings)
  if s.bytes and (s.visible > s.now or s.kept > s.now) then
    untilMs = math.max(untilMs, s.visible, s.kept)
    packed = packed .. struct.pack('<dddI4c0I4c0', s.settled, s.visible, s.kept, #s.madeFor, s.madeFor, #s.bytes, s.bytes)
  end
  call('SET', s.key, packed, 'PX', step.text(untilMs - s.now))
end,

-- Of the token's process, nothing if it has no entry: where that begins; the two numbers in it, the higher first, each with how it ended; what
-- is behind it; and the token's own number.
endingsOf = function(token)
  if s.endings == '' then return nil end
  local dot = find(token, '.', 1, true)
  local from, to = find(s.endings, ';' .. sub(token, 1, dot), 1, true)
  if not from then return nil end
  local n1, how1, n2, how2, behind = match(s.endings, '^(%d+)(%a)(%d*)(%a?)()', to + 1)
  return from, n1, how1, n2, how2, behind, sub(token, dot + 1)
end,

isEnded = function(token)
  local _, last, _, _, _, _, number = step.endingsOf(token)
  return last and tonumber(number) <= tonumber(last)
end,

-- Nil if it is not known to have ended.
howEnded = function(token)
  local _, n1, how1, n2, how2, _, number = step.endingsOf(token)
  return n1 and (number == n1 and how1 or number == n2 and how2) or nil
end,

remember = function(token, how)
  s.isChanged = true
  local from, n1, how1, n2, how2, behind, number = step.endingsOf(token)
  local entry = ';' .. token .. how
  if not from then
    s.endings = s.endings .. entry
    -- Of processes that come and go for ever, the last hundred or so.
    if #s.endings > 3000 then s.endings = string.gsub(s.endings, '^;[^;]*', '', 1) end
    return
  end
  -- How it ended first is how it ended.
  if number == n1 or number == n2 then return end
  local own = tonumber(number)
  if own > tonumber(n1) then entry = entry .. n1 .. how1
  elseif n2 == '' or own > tonumber(n2) then entry = sub(s.endings, from, behind - #n2 - #how2 - 1) .. number .. how
  else return end
  if from == 1 and behind > #s.endings then s.endings = entry
  else s.endings = sub(s.endings, 1, from - 1) .. sub(s.endings, behind) .. entry end
end,
`
