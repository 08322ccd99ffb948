// Handles those that wait for a key, in Lua: functions in two groups, each made only if an operation needs it.

import { BUSY, HELD, MISMATCH } from './answers.js'
import { free, take } from './steps.js'

/** The functions, which share the script's variables. The name of a key's crowd is made from that of the key. */
export const crowdVariables: string = `
local dropForeign, waiters, isOf, unqueue, arrivalOf, tell, isHeard, dismiss, hand, queue
-- Why a message could not be sent: the user may not. It fails the call, but only once what was done is written.
local refused
`

/** Lists who waits, and hands the key on: all that a plain release needs. */
export const handing: string = `
dropForeign = function(reply)
  -- While a slot of a cluster migrates, a crowd that is gone cannot be told from one on the other node. Those in that one ask again with their next poll.
  if find(reply.err, 'non local key', 1, true) then return end
  if not find(reply.err, 'WRONGTYPE', 1, true) then error(reply.err, 0) end
  call('DEL', key .. ':w')
  isForeign = true
end

local function look(command, ...)
  if not isCrowded then return {} end
  local found = tryCall(command, key .. ':w', ...)
  if found.err then dropForeign(found) end
  if #found == 0 then isCrowded, isChanged = false, true end
  return found
end

waiters = function(from, to) return look('ZRANGE', from, to) end

local function channelOf(token) return match(ARGV[1], '^%S+') .. match(token, '^[^-]*') end

tell = function(token, message)
  local sent = tryCall('PUBLISH', channelOf(token), message)
  if type(sent) == 'table' then refused = sent.err end
end

-- Whether a process listens here. In a cluster, and without the permission to ask, nobody knows, so it is taken to.
isHeard = function(token)
  if sub(ARGV[1], -1) ~= '1' then return true end
  local listening = tryCall('PUBSUB', 'NUMSUB', channelOf(token))
  return listening.err or listening[2] > 0
end

-- Gives the key to the first waiter that still lives. 'me' is the claim that is being answered, if it is one: it is not sent
-- a message.
hand = function(me, ms)
  while true do
    local first = look('ZPOPMIN')[1]
    if not first then break end
    local token, payload = match(first, '^(%S+) .(.*)$')
    -- Asked before the message is sent, because one who listens to a replica is not counted, but gets what is sent here.
    if token and (token == me or isHeard(token)) then
      local leaseMs = token == me and ms or match(ARGV[1], '^%S+ (%d+)')
      ${take('token', 'leaseMs', 'payload', '0')}
      if token ~= me then tell(token, 't' .. token .. '\\n' .. string.format('%d\\n%d', fence, ends)) end
      return
    end
  end
  if holder ~= '' then ${free} end
end
`

/** Adds waiters, removes them, and answers them. */
export const queueing: string = `
isOf = function(member, token) return sub(member, 1, #token + 1) == token .. ' ' end

unqueue = function(token)
  for _, member in ipairs(waiters(0, -1)) do
    if isOf(member, token) then call('ZREM', key .. ':w', member) end
  end
end

arrivalOf = function(member)
  local score = tryCall('ZSCORE', key .. ':w', member)
  if type(score) ~= 'table' then return score and tonumber(score) end
  dropForeign(score)
end

-- Those who would take a record are waiters no more, and are sent what 'message' makes for their tokens and payloads; if it makes nothing, they wait on.
dismiss = function(message)
  for _, member in ipairs(waiters(0, -1)) do
    local token, wish, payload = match(member, '^(%S+) (.)(.*)$')
    local told = wish == 'r' and message(token, payload, member)
    if told then
      call('ZREM', key .. ':w', member)
      tell(token, told)
    end
  end
end

-- The claim's answer where another holds the key; it joins those who wait if it 'waits'. Who asks again is told if it is not heard.
queue = function(token, waits, wish, arrival, payload)
  if holder == token then return { ${HELD}, fence } end
  local isDeaf = arrival > 0 and not isHeard(token)
  if payload ~= '' and heldFor ~= '' and payload ~= heldFor then
    unqueue(token)
    return { ${MISMATCH}, 1 }
  end
  if waits then
    local member = token .. ' ' .. wish .. payload
    local known = arrivalOf(member)
    if known then
      arrival = known
    else
      -- Who asks again may wait already, with another wish or payload.
      if arrival > 0 then unqueue(token) else arrival = us end
      call('ZADD', key .. ':w', string.format('%d', arrival), member)
    end
    if not isCrowded then isCrowded, isChanged = true, true end
    -- Who waits asks again when the lease should have ended, and may not do so before.
    call('PEXPIRE', key .. ':w', math.max(0, ends - now) + 60000)
  end
  return { ${BUSY}, ends - now, arrival, now, isDeaf and 1 or nil }
end
`
