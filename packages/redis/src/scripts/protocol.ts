// The protocol in Lua: the state of one key, and the steps that several operations share.

/**
 * KEYS[1]: the key's hash. KEYS[2]: its waiters, a sorted set. KEYS[3]: how the calling token ended, a string that is kept for
 * some seconds: `s` settled, `r` released, `g` gave up. KEYS[4]: the same of the next token, if there is one. All in one slot;
 * a script is given as many of them as it needs.
 *
 * Hash: `t` token of the holder · `e` end of its lease, ms · `f` last fence, µs · `p` payload of the hold · `n` local turns in
 * a row · `r` record · `a` payload of the record · `c` when it was settled, µs · `v` until when newcomers get it, ms · `k` until when those
 * who waited get it, ms · `x` pass mark until, ms.
 *
 * Waiters: member `<token> <wish><payload>`, wish `r` (a record would do) or `t` (only a turn); score: arrival, µs.
 *
 * All times are the server's. Fences and arrivals are microseconds since 1970 and fit into a double. A number that is
 * none, or that no store of ours can have written, counts as absent: data under our names may be anybody's.
 */
export const protocol = `
local time = redis.call('TIME')
local us = time[1] * 1000000 + time[2]
local now = math.floor(us / 1000)
local foreign = ''

local function text(n) return string.format('%.0f', n) end
local function num(v, max)
  local n = v and tonumber(v) or 0
  if n ~= n or n < 0 or n > max then return 0 end
  return n
end

local function absent(reply)
  if type(reply) ~= 'table' or not reply.err then return false end
  if not string.find(reply.err, 'WRONGTYPE', 1, true) then error(reply.err) end
  redis.call('DEL', KEYS[1])
  foreign = 'foreign'
  return true
end

local s = redis.pcall('HMGET', KEYS[1], 't', 'e', 'f', 'p', 'n', 'a', 'c', 'v', 'k', 'x')
if absent(s) then s = {} end
local timeMax = now + 9007199254740
local held = { token = s[1] or '', ends = num(s[2], now + 2147483648), payload = s[4] or '', turns = num(s[5], 1000000) }
if held.ends == 0 then held.token = '' end
local fence = num(s[3], 9007199254740000)
local record = { payload = s[6] or '', settled = num(s[7], us), visible = num(s[8], timeMax), kept = num(s[9], timeMax) }
if record.settled == 0 then record.visible, record.kept = 0, 0 end
local passUntil = num(s[10], timeMax)
local known = s[1] or s[3] or s[7] or s[10]

local function keepHash(untilMs)
  local ms = math.max(untilMs, record.visible, record.kept, passUntil) - now
  redis.call('PEXPIRE', KEYS[1], text(math.max(ms, 1)))
end

local function waiters(from, to)
  if not known then return {} end
  local found = redis.pcall('ZRANGE', KEYS[2], from, to)
  if found.err then
    redis.call('DEL', KEYS[2])
    foreign = 'foreign'
    return {}
  end
  return found
end

-- Never less than was promised before: a hand-over may last longer than the lease of whoever was handed the key, and
-- until the answer to its first renewal is there, its holder counts on that.
local function extend(leaseMs)
  held.ends = math.max(held.ends, now + leaseMs)
  redis.call('HSET', KEYS[1], 'e', text(held.ends))
  keepHash(held.ends + 60000)
end

local function isOf(member, token) return string.sub(member, 1, #token + 1) == token .. ' ' end

local function unqueue(token)
  for _, member in ipairs(waiters(0, -1)) do
    if isOf(member, token) then redis.call('ZREM', KEYS[2], member) end
  end
end

-- Processes may have the record in their memory.
local function tellDropped() redis.call('PUBLISH', wakePrefix .. 'all', 'd' .. KEYS[1]) end

local function take(token, leaseMs, payload, turns, takesRecord)
  fence = math.max(us, fence + 1)
  held.token, held.ends, held.payload, held.turns = token, now + leaseMs, payload, turns
  redis.call('HSET', KEYS[1], 't', token, 'e', text(held.ends), 'f', text(fence), 'p', payload, 'n', turns)
  if passUntil > 0 then
    passUntil = 0
    redis.call('HDEL', KEYS[1], 'x')
  end
  if not takesRecord and record.visible > 0 then
    if record.visible > now then tellDropped() end
    record.visible = 0
    redis.call('HSET', KEYS[1], 'v', '0')
  end
  known = true
  -- A hold that ran out stays for a minute, so that it can still be settled if nobody claimed the key.
  keepHash(held.ends + 60000)
end

-- How a token ended, '' if it did not. Kept long enough for a repetition of its last command to be told the
-- same, and for one that was under way for long to be known as such.
local function ended(name)
  local how = redis.pcall('GET', name)
  return type(how) == 'string' and how or ''
end
local function remember(how) redis.call('SET', KEYS[3], how, 'PX', 10000) end

local function stop(how)
  remember(how)
  held.token, held.ends = '', 0
  redis.call('HDEL', KEYS[1], 't', 'e', 'p', 'n')
  keepHash(now + 10000)
end

local function tell(token, message)
  return redis.call('PUBLISH', wakePrefix .. string.match(token, '^[^-]*'), message)
end

-- Gives the free key to the first waiter that still lives. 'me' is the claim that is being answered, if it is one:
-- it is not sent a message.
local function hand(me)
  while true do
    local first = waiters(0, 0)[1]
    if not first then break end
    redis.call('ZREM', KEYS[2], first)
    local token, wish, payload = string.match(first, '^(%S+) (.)(.*)$')
    if token then
      if me and token == me.token then
        take(token, me.leaseMs, payload, 0, wish == 'r')
        return
      end
      take(token, grantMs, payload, 0, wish == 'r')
      local heard = tell(token, 't' .. token .. '\\n' .. text(fence) .. '\\n' .. text(held.ends))
      -- Nobody listens: its process is gone. In a cluster the count says nothing, and the grant has to run out.
      if heard > 0 or not countsListeners then return end
    end
  end
  if held.token ~= '' then
    held.token, held.ends = '', 0
    redis.call('HDEL', KEYS[1], 't', 'e', 'p', 'n')
  end
end

local function queue(c)
  if held.token == c.token then return { 'h', text(fence), foreign } end
  if c.payload ~= '' and held.payload ~= '' and c.payload ~= held.payload then
    unqueue(c.token)
    return { 'm', '1', foreign }
  end
  local arrival = c.arrival
  if c.wait then
    local member = c.token .. ' ' .. c.wish .. c.payload
    if redis.call('ZSCORE', KEYS[2], member) == false then
      -- Who asks again may wait already, with another wish or payload.
      for _, other in ipairs(arrival > 0 and waiters(0, -1) or {}) do
        if isOf(other, c.token) then
          arrival = tonumber(redis.call('ZSCORE', KEYS[2], other))
          redis.call('ZREM', KEYS[2], other)
        end
      end
      if arrival == 0 then arrival = us end
      redis.call('ZADD', KEYS[2], text(arrival), member)
    end
    arrival = tonumber(redis.call('ZSCORE', KEYS[2], member))
    redis.call('PEXPIRE', KEYS[2], 60000)
  end
  return { 'b', text(held.ends - now), text(arrival), text(now), foreign }
end

local function claim(c)
  if held.token == c.token then
    extend(c.leaseMs)
    return { 'h', text(fence), foreign }
  end
  if c.wish == 'r' then
    local joined = c.arrival > 0 and c.arrival <= record.settled
    if record.visible > now or (joined and record.kept > now) then
      local bytes = redis.call('HGET', KEYS[1], 'r')
      if bytes then
        if c.arrival > 0 then unqueue(c.token) end
        if c.payload ~= '' and record.payload ~= '' and c.payload ~= record.payload then return { 'm', '0', foreign } end
        return { 'r', bytes, text((us - record.settled) / 1000), joined and '1' or '0', text(math.max(0, record.visible - now)), foreign }
      end
    end
    if passUntil > now then
      if c.arrival > 0 then unqueue(c.token) end
      return { 'p', foreign }
    end
  end
  if held.token ~= '' and held.ends > now then return queue(c) end
  local first = waiters(0, 0)[1]
  if first then
    if isOf(first, c.token) then
      redis.call('ZREM', KEYS[2], first)
    else
      hand(c)
      if held.token ~= '' then return queue(c) end
    end
  end
  take(c.token, c.leaseMs, c.payload, 0, c.wish == 'r')
  return { 'h', text(fence), foreign }
end

-- A claim that arrives after its token ended takes nothing and does not wait: nobody reads the answer any more.
local function claimUnlessEnded(c, name)
  if held.token ~= c.token and ended(name) ~= '' then return { 'b', '0', '0', text(now), foreign } end
  return claim(c)
end

local function readClaim(at)
  return {
    token = ARGV[at], leaseMs = tonumber(ARGV[at + 1]), wait = ARGV[at + 2] == '1', wish = ARGV[at + 3],
    payload = ARGV[at + 4], arrival = tonumber(ARGV[at + 5]),
  }
end
`

/** Every script's first three arguments: how wakes are addressed, how long a hand-over counts, whether PUBLISH can count. */
export const commonArguments = `
local wakePrefix, grantMs, countsListeners = ARGV[1], tonumber(ARGV[2]), ARGV[3] == '1'
`
