// The steps of the protocol that several operations share, in Lua.

import { BUSY, HELD, MISMATCH, PASS, RECORD } from './answers.js'

export const steps: string = `
-- Processes may have the record in their memory.
tellDropped = function() call('PUBLISH', s.wakePrefix .. 'all', 'd' .. s.key) end,

take = function(token, leaseMs, payload, turns, takesRecord)
  s.fence = s.us > s.fence and s.us or s.fence + 1
  s.holder, s.ends, s.heldFor, s.localTurns, s.passUntil, s.isChanged = token, s.now + leaseMs, payload, turns, 0, true
  if s.bytes and not takesRecord and s.visible > 0 then
    if s.visible > s.now then step.tellDropped() end
    s.visible = 0
  end
end,

-- Never less than was promised before: a hand-over may last longer than the lease of whoever was handed the key, and
-- until the answer to its first renewal is there, its holder counts on that.
extend = function(leaseMs)
  s.ends, s.isChanged = math.max(s.ends, s.now + leaseMs), true
end,

free = function() s.holder, s.ends, s.heldFor, s.localTurns, s.isChanged = '', 0, '', 0, true end,

stop = function(how)
  step.remember(s.holder, how)
  step.free()
end,

-- What is done about those who wait.
others = function()
  s.crowd = s.key .. ':w'
  if step.crowding then return step.crowding end

  local function dropForeign(reply)
    if not find(reply.err, 'WRONGTYPE', 1, true) then error(reply.err, 0) end
    call('DEL', s.crowd)
    s.isForeign = true
  end

  local function waiters(from, to)
    if not s.isCrowded then return {} end
    local found = redis.pcall('ZRANGE', s.crowd, from, to)
    if found.err then
      dropForeign(found)
      return {}
    end
    if #found == 0 then s.isCrowded, s.isChanged = false, true end
    return found
  end

  local function isOf(member, token) return sub(member, 1, #token + 1) == token .. ' ' end

  local function unqueue(token)
    for _, member in ipairs(waiters(0, -1)) do
      if isOf(member, token) then call('ZREM', s.crowd, member) end
    end
  end

  local function arrivalOf(member)
    local score = redis.pcall('ZSCORE', s.crowd, member)
    if type(score) ~= 'table' then return score and tonumber(score) end
    dropForeign(score)
  end

  local function tell(token, message)
    return call('PUBLISH', s.wakePrefix .. match(token, '^[^-]*'), message)
  end

  -- Those who would take a record are waiters no more, and are sent what 'message' makes for their tokens.
  local function dismiss(message)
    for _, member in ipairs(waiters(0, -1)) do
      local token, wish = match(member, '^(%S+) (.)')
      if wish == 'r' then
        call('ZREM', s.crowd, member)
        tell(token, message(token))
      end
    end
  end

  -- Gives the key to the first waiter that still lives. 'me' is the claim that is being answered, if it is one: it is not sent
  -- a message.
  local function hand(me)
    while true do
      local first = waiters(0, 0)[1]
      if not first then break end
      call('ZREM', s.crowd, first)
      local token, wish, payload = match(first, '^(%S+) (.)(.*)$')
      if token then
        if me and token == me.token then return step.take(token, me.leaseMs, payload, 0, wish == 'r') end
        step.take(token, s.grantMs, payload, 0, wish == 'r')
        local heard = tell(token, 't' .. token .. '\\n' .. step.text(s.fence) .. '\\n' .. step.text(s.ends))
        -- Nobody listens: its process is gone. In a cluster the count says nothing, and the grant has to run out.
        if heard > 0 or not s.countsListeners then return end
      end
    end
    if s.holder ~= '' then step.free() end
  end

  local function queue(c)
    local token, payload, arrival = c.token, c.payload, c.arrival
    if s.holder == token then return { ${HELD}, s.fence } end
    if payload ~= '' and s.heldFor ~= '' and payload ~= s.heldFor then
      unqueue(token)
      return { ${MISMATCH}, 1 }
    end
    if c.waits then
      local member = token .. ' ' .. c.wish .. payload
      local known = arrivalOf(member)
      if known then
        arrival = known
      else
        -- Who asks again may wait already, with another wish or payload.
        for _, other in ipairs(arrival > 0 and waiters(0, -1) or {}) do
          if isOf(other, token) then
            arrival = arrivalOf(other)
            call('ZREM', s.crowd, other)
          end
        end
        if arrival == 0 then arrival = s.us end
        call('ZADD', s.crowd, step.text(arrival), member)
      end
      if not s.isCrowded then s.isCrowded, s.isChanged = true, true end
      call('PEXPIRE', s.crowd, 60000)
    end
    return { ${BUSY}, s.ends - s.now, arrival, s.now }
  end

  step.crowding = { waiters = waiters, isOf = isOf, unqueue = unqueue, tell = tell, dismiss = dismiss, hand = hand, queue = queue }
  return step.crowding
end,

-- What is given of a claim is as it came: text.
claim = function(token, leaseMs, waits, wish, arrival, payload)
  if s.holder == token then
    step.extend(leaseMs)
    return { ${HELD}, s.fence }
  end
  -- A claim that arrives after its token ended takes nothing and does not wait: nobody reads the answer any more.
  if step.isEnded(token) then return { ${BUSY}, 0, 0, s.now } end
  if wish == 'r' and (s.bytes or s.passUntil > s.now) then
    local hasWaited = arrival ~= '0'
    local joined = s.bytes and hasWaited and tonumber(arrival) <= s.settled
    if s.bytes and (s.visible > s.now or (joined and s.kept > s.now)) then
      if hasWaited then step.others().unqueue(token) end
      if payload ~= '' and s.madeFor ~= '' and payload ~= s.madeFor then return { ${MISMATCH}, 0 } end
      return { ${RECORD}, s.bytes, math.max(0, s.us - s.settled) / 1000, joined and 1 or 0, math.max(0, s.visible - s.now) }
    end
    if s.passUntil > s.now then
      if hasWaited then step.others().unqueue(token) end
      return { ${PASS} }
    end
  end
  local isHeld = s.holder ~= '' and s.ends > s.now
  if isHeld or s.isCrowded then
    local c = { token = token, leaseMs = leaseMs, waits = waits == '1', wish = wish, arrival = tonumber(arrival), payload = payload }
    if isHeld then return step.others().queue(c) end
    local first = step.others().waiters(0, 0)[1]
    if first and step.others().isOf(first, token) then
      call('ZREM', s.crowd, first)
    elseif first then
      step.others().hand(c)
      if s.holder ~= '' then return step.others().queue(c) end
    end
  end
  step.take(token, leaseMs, payload, 0, wish == 'r')
  return { ${HELD}, s.fence }
end,
`
