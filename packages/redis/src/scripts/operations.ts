// What each operation is given, replies, and does beyond the shared steps, in Lua.

import { HELD } from './answers.js'

/** Operations, and the letters by which the script knows them. */
const letters = {
  claim: 'c',
  renew: 'n',
  settle: 's',
  release: 'r',
  handOn: 'h',
  leave: 'l',
  forget: 'f',
  inspect: 'i',
} as const

export type OperationName = keyof typeof letters

/** The first of an operation's arguments: see the table. */
export function composeRow(name: OperationName, given: string): string {
  return `${letters[name]} ${given}`
}

function codeOf(name: OperationName): number {
  return letters[name].charCodeAt(0)
}

/**
 * An operation is an argument: its letter and what it is given, with spaces between. A record, which is arbitrary bytes, is the argument
 * after it.
 *
 * | operation | is given | reply |
 * | --- | --- | --- |
 * | claim | token, lease in ms, `1` to wait and the wish (`r` or `t`), arrival in µs, payload | `1` fence · `2` lease left in ms, arrival, server's time in ms · `3` record, age in ms, joined, ttl left in ms · `4` pass mark · `5` in flight; with `foreign` at the end if something under the key's name was not ours |
 * | renew | token, lease in ms | 1 if it is still the token's hold, else 0 |
 * | settle | token, ttl in ms, retention in ms, the most bytes that a wake carries, and a record | 1 if stored, else 0 |
 * | release | token, pass mark in ms (0: none) | 1, or 0 if it was not the token's hold |
 * | handOn | token, pass mark in ms, most local turns, then the claim that comes next as in claim | 0, or 1 and the claim's reply |
 * | leave | token | 1 |
 * | forget | the last fence, or 0 for any | 1 if a hold, a record or a mark was dropped, else 0; the last fence stays for a while |
 * | inspect | nothing | fence, held for, lease left, record's size, age, ttl left, pass mark left, waiters, times in ms; nothing if nothing is known |
 */
export const operations: string = `
settle = function(row, record)
  local token, ttl, retain, maxWakeBytes = match(row, '^%a (%S+) (%S+) (%S+) (%S+)')
  if s.holder ~= token then return step.howEnded(token) == 's' and 1 or 0 end
  ttl = tonumber(ttl)
  local keep = ttl
  if s.isCrowded then
    for _, member in ipairs(step.others().waiters(0, -1)) do
      if match(member, '^%S+ (.)') == 'r' then keep = math.max(ttl, tonumber(retain)) end
    end
  end
  if keep > 0 then s.madeFor, s.settled, s.visible, s.kept, s.bytes = s.heldFor, s.us, s.now + ttl, s.now + keep, record end
  step.stop('s')
  if s.isCrowded then
    local isCarried = #record <= tonumber(maxWakeBytes)
    step.others().dismiss(function(taker) return isCarried and 'r' .. taker .. '\\n' .. record or 'l' .. taker end)
    step.others().hand(nil)
  end
  return 1
end,

-- The hold ends, with a pass mark for those who would take a record if 'passMs' is above 0.
letGo = function(passMs)
  passMs = tonumber(passMs)
  if passMs > 0 then s.passUntil = s.now + passMs end
  step.stop('r')
  if passMs > 0 and s.isCrowded then step.others().dismiss(function(taker) return 'p' .. taker end) end
end,

release = function(row)
  local token, passMs = match(row, '^%a (%S+) (%S+)')
  if s.holder ~= token then return step.howEnded(token) == 'r' and 1 or 0 end
  step.letGo(passMs)
  if s.isCrowded then step.others().hand(nil) end
  return 1
end,

-- Hands the key on to the next claim of the same process, unless others are due.
handOn = function(row)
  local token, passMs, maxTurns, nextToken, leaseMs, waits, wish, arrival, payload =
    match(row, '^%a (%S+) (%S+) (%S+) (%S+) (%S+) (.)(.) (%S+) (.*)$')
  if s.holder ~= token then
    if step.howEnded(token) ~= 'r' then return { 0 } end
  else
    local turns = s.localTurns
    step.letGo(passMs)
    if passMs ~= '0' or step.isEnded(nextToken) then
      if s.isCrowded then step.others().hand(nil) end
    else
      local isWanted = false
      if s.isCrowded then
        for _, member in ipairs(step.others().waiters(0, 1)) do isWanted = isWanted or not step.others().isOf(member, nextToken) end
      end
      if not isWanted or turns < tonumber(maxTurns) then
        if s.isCrowded then step.others().unqueue(nextToken) end
        step.take(nextToken, leaseMs, payload, isWanted and turns + 1 or 0, wish == 'r')
        return { 1, { ${HELD}, s.fence } }
      end
      local c = { token = nextToken, leaseMs = leaseMs, waits = waits == '1', wish = wish, arrival = tonumber(arrival), payload = payload }
      step.others().queue(c)
      step.others().hand(c)
    end
  end
  return { 1, step.claim(nextToken, leaseMs, waits, wish, arrival, payload) }
end,

leave = function(row)
  local token = match(row, '^%a (%S+)$')
  if s.isCrowded then step.others().unqueue(token) end
  if s.holder == token then
    step.stop('g')
    step.others().hand(nil)
  else
    step.remember(token, 'g')
  end
  return 1
end,

forget = function(row)
  local expected = match(row, '%d+$')
  if expected ~= '0' and expected ~= step.text(s.fence) then return 0 end
  local hasRecord = s.bytes and s.visible > s.now
  local existed = (s.holder ~= '' and s.ends > s.now) or hasRecord or s.passUntil > s.now
  for _, member in ipairs(step.others().waiters(0, -1)) do
    local waiting = match(member, '^(%S+) ')
    if waiting then step.others().tell(waiting, 'l' .. waiting) end
  end
  if s.holder ~= '' then step.others().tell(s.holder, 'f' .. s.holder) end
  call('DEL', s.key, s.key .. ':w')
  step.tellDropped()
  step.free()
  s.passUntil, s.isCrowded = 0, false
  if s.bytes then s.visible, s.kept = 0, 0 end
  s.isChanged = s.fence > 0 or s.endings ~= ''
  return existed and 1 or 0
end,

inspect = function()
  if s.holder == '' and s.fence == 0 and not s.bytes and s.passUntil == 0 then return {} end
  local size, age, ttl = 0, 0, 0
  if s.bytes and s.visible > s.now then size, age, ttl = #s.bytes, math.max(0, s.us - s.settled) / 1000, s.visible - s.now end
  local lease = s.holder ~= '' and math.max(0, s.ends - s.now) or 0
  -- A fence is the time at which its hold began, unless the clock was set back.
  local heldFor = lease > 0 and math.max(0, (s.us - s.fence) / 1000) or 0
  return { s.fence, heldFor, lease, size, age, ttl, math.max(0, s.passUntil - s.now), #step.others().waiters(0, -1) }
end,

}

-- One after another, as if each had come alone.
local replies, at = {}, 4
local n = 0
while at <= #ARGV do
  n = n + 1
  s.key = KEYS[n]
  local row = ARGV[at]
  local operation = string.byte(row)
  at = at + 1
  step.load()
  local reply
  if operation == ${codeOf('claim')} then
    local token, leaseMs, waits, wish, arrival, payload = match(row, '^%a (%S+) (%S+) (.)(.) (%S+) (.*)$')
    reply = step.claim(token, leaseMs, waits, wish, arrival, payload)
  elseif operation == ${codeOf('settle')} then
    reply = step.settle(row, ARGV[at])
    at = at + 1
  elseif operation == ${codeOf('release')} then reply = step.release(row)
  elseif operation == ${codeOf('handOn')} then reply = step.handOn(row)
  elseif operation == ${codeOf('renew')} then
    local token, leaseMs = match(row, '^%a (%S+) (%S+)')
    reply = s.holder == token and 1 or 0
    if reply == 1 then step.extend(leaseMs) end
  elseif operation == ${codeOf('leave')} then reply = step.leave(row)
  elseif operation == ${codeOf('forget')} then reply = step.forget(row)
  elseif operation == ${codeOf('inspect')} then reply = step.inspect()
  end
  if s.isChanged then step.save() end
  if s.isForeign and type(reply) == 'table' then reply[#reply + 1] = 'foreign' end
  replies[n] = reply
  -- No two of them at the same moment.
  s.us = s.us + 1
end
return replies
`
