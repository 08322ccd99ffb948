// Every operation's script: what it is given, what it replies, and the steps of its own.

import { createHash } from 'node:crypto'
import { commonArguments, protocol } from './protocol.js'

export interface Script {
  readonly source: string
  readonly sha: string
  /** How many of KEYS it is given. */
  readonly keys: 1 | 2 | 3 | 4
}

function script(keys: 1 | 2 | 3 | 4, steps: string): Script {
  const source = `${commonArguments}${protocol}${steps}`
  return { source, sha: createHash('sha1').update(source).digest('hex'), keys }
}

/**
 * ARGV 4…9: token, lease in ms, `1` to wait, wish (`r` or `t`), payload, arrival in µs.
 * Reply: `h` fence · `b` lease left in ms, arrival, server's time in ms · `r` record, age in ms, joined, ttl left in ms · `p` ·
 * `m` in flight; each with `foreign` at the end if something under the key's name was not ours.
 */
export const claimScript: Script = script(
  3,
  `
return claimUnlessEnded(readClaim(4), KEYS[3])
`,
)

/** ARGV 4…5: token, lease in ms. Reply: 1 if it is still the token's hold, else 0. */
export const renewScript: Script = script(
  1,
  `
if held.token ~= ARGV[4] then return 0 end
extend(tonumber(ARGV[5]))
return 1
`,
)

/** ARGV 4…8: token, record, ttl in ms, retention in ms, the most bytes that a wake carries. Reply: 1 if stored, else 0. */
export const settleScript: Script = script(
  3,
  `
local token, bytes, ttl, retain, maxWakeBytes = ARGV[4], ARGV[5], tonumber(ARGV[6]), tonumber(ARGV[7]), tonumber(ARGV[8])
if held.token ~= token then return ended(KEYS[3]) == 's' and 1 or 0 end
local takers = {}
for _, member in ipairs(waiters(0, -1)) do
  local waiting, wish = string.match(member, '^(%S+) (.)')
  if wish == 'r' then takers[#takers + 1] = { waiting, member } end
end
local keep = ttl
if #takers > 0 then keep = math.max(ttl, retain) end
if keep > 0 then
  record.payload, record.settled, record.visible, record.kept = held.payload, us, now + ttl, now + keep
  redis.call('HSET', KEYS[1], 'r', bytes, 'a', record.payload, 'c', text(us), 'v', text(record.visible), 'k', text(record.kept))
end
stop('s')
for _, taker in ipairs(takers) do
  redis.call('ZREM', KEYS[2], taker[2])
  tell(taker[1], #bytes <= maxWakeBytes and 'r' .. taker[1] .. '\\n' .. bytes or 'l' .. taker[1])
end
hand(nil)
return 1
`,
)

/**
 * ARGV 4…7: token, pass mark in ms (0: none), most local turns, `1` if a next claim follows as in ARGV 8…13.
 * Reply: 0 if it was not the token's hold, else 1, followed by the next claim's reply.
 */
export const releaseScript: Script = script(
  4,
  `
local token, passMs, maxTurns, next = ARGV[4], tonumber(ARGV[5]), tonumber(ARGV[6]), ARGV[7] == '1' and readClaim(8)
if held.token ~= token then
  if ended(KEYS[3]) ~= 'r' then return { 0 } end
  return next and { 1, claimUnlessEnded(next, KEYS[4]) } or { 1 }
end
if passMs > 0 then
  passUntil = now + passMs
  redis.call('HSET', KEYS[1], 'x', text(passUntil))
  stop('r')
  for _, member in ipairs(waiters(0, -1)) do
    local waiting, wish = string.match(member, '^(%S+) (.)')
    if wish == 'r' then
      redis.call('ZREM', KEYS[2], member)
      tell(waiting, 'p' .. waiting)
    end
  end
elseif next and ended(KEYS[4]) == '' then
  local others = false
  for _, member in ipairs(waiters(0, 1)) do
    others = others or not isOf(member, next.token)
  end
  local turns = held.turns
  stop('r')
  if not others or turns < maxTurns then
    unqueue(next.token)
    take(next.token, next.leaseMs, next.payload, others and turns + 1 or 0, next.wish == 'r')
    return { 1, { 'h', text(fence), foreign } }
  end
  queue(next)
else
  stop('r')
end
hand(next or nil)
return next and { 1, claimUnlessEnded(next, KEYS[4]) } or { 1 }
`,
)

/** ARGV 4: token. Reply: 1. */
export const leaveScript: Script = script(
  3,
  `
unqueue(ARGV[4])
if held.token == ARGV[4] then
  stop('g')
  hand(nil)
else
  remember('g')
end
return 1
`,
)

/**
 * ARGV 4, if given: only if this is the last fence. Reply: 1 if a hold, a record or a mark was dropped, else 0. The last fence
 * stays for a while.
 */
export const forgetScript: Script = script(
  2,
  `
if ARGV[4] and ARGV[4] ~= text(fence) then return 0 end
local existed = (held.token ~= '' and held.ends > now) or record.visible > now or passUntil > now
for _, member in ipairs(waiters(0, -1)) do
  local waiting = string.match(member, '^(%S+) ')
  if waiting then tell(waiting, 'l' .. waiting) end
end
if held.token ~= '' then tell(held.token, 'f' .. held.token) end
redis.call('DEL', KEYS[1], KEYS[2])
tellDropped()
if fence > 0 then
  redis.call('HSET', KEYS[1], 'f', text(fence))
  redis.call('PEXPIRE', KEYS[1], 60000)
end
return existed and 1 or 0
`,
)

/**
 * Reply: fence, held for, lease left, record's size, age, ttl left, pass mark left, waiters; times in ms. Empty if nothing is
 * known.
 */
export const inspectScript: Script = script(
  2,
  `
if not known then return {} end
local size, age, ttl = 0, 0, 0
if record.visible > now and redis.call('HEXISTS', KEYS[1], 'r') == 1 then
  size, age, ttl = redis.call('HSTRLEN', KEYS[1], 'r'), (us - record.settled) / 1000, record.visible - now
end
local lease = held.token ~= '' and math.max(0, held.ends - now) or 0
-- A fence is the time at which its hold began, unless the clock was set back.
local heldFor = lease > 0 and math.max(0, (us - fence) / 1000) or 0
return { text(fence), text(heldFor), text(lease), text(size), text(age), text(ttl), text(math.max(0, passUntil - now)), text(#waiters(0, -1)) }
`,
)
