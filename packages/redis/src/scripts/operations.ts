// The arguments, the reply and the work of each operation, beyond the shared steps, in Lua.

import { BUSY, HELD, MISMATCH, PASS, RECORD } from './answers.js'
import { crowdVariables, handing, queueing } from './crowds.js'
import { codeOf, ZERO } from './rows.js'
import { howEnded, isEnded, load, remember, save } from './state.js'
import { extend, free, take, tellDropped } from './steps.js'

/**
 * The value of the six digits of a time, whose characters are in the script's variables `m1` to `m6`. Each character is `ZERO` more than
 * its digit, and what that makes of the whole is taken off once, at the end.
 */
const MS = `((((m1 * 64 + m2) * 64 + m3) * 64 + m4) * 64 + m5) * 64 + m6 - ${(ZERO * (64 ** 6 - 1)) / 63}`

/** The byte of a row that says that the claim takes records. */
const TAKES_RECORD = 'r'.charCodeAt(0)
/** Whether the claim waits: odd numbers do, even ones do not. */
const WAITS = 'waits % 2 == 1'

/** Lua for the token in the row: the beginning of its entry among the endings, which is `;`, its mailbox and the dot; and its number. */
const [MAILBOX, NUMBER] = ['sub(row, 14, 14 + dot)', 'sub(token, dot + 1)'] as const

/** Lua that ends the hold of a token, whose `mailbox` and `number` are as above; if `ms` is above 0, with a pass mark for those that would take a record. */
function letGo(token: string, mailbox: string, number: string, ms: string): string {
  return `
if ${ms} > 0 then passUntil = now + ${ms} end
${remember(token, mailbox, number, 'r')}
${free}
if ${ms} > 0 and isCrowded then dismiss(function(taker) return 'p' .. taker end) end
`
}

const claim = `
if holder == token then
  ${extend}
  reply = fence
else
  ${isEnded(MAILBOX, NUMBER)}
  -- A claim that arrives after its token ended takes nothing and does not wait: nobody reads the answer any more.
  if isOver then
    reply = { ${BUSY}, 0, 0, now }
  else
    if wish == ${TAKES_RECORD} then
      local joined = recordAt and arrival > 0 and arrival <= settled
      if recordAt and (visible > now or (joined and kept > now)) then
        if arrival > 0 and isCrowded then unqueue(token) end
        if payload ~= '' and madeFor ~= '' and payload ~= madeFor then
          reply = { ${MISMATCH}, 0 }
        else
          local age = us > settled and (us - settled) / 1000 or 0
          reply = { ${RECORD}, packed, age, joined and 1 or 0, visible - now, recordAt - 1 }
        end
      elseif passUntil > now then
        -- Nobody is in the crowd: who would take a record was told of the mark, and a hold, which each of the others takes, ends it.
        reply = { ${PASS} }
      end
    end
    if not reply then
      local mustQueue = ends > now
      if isCrowded and not mustQueue then
        local first = waiters(0, 0)[1]
        if first and isOf(first, token) then
          call('ZREM', key .. ':w', first)
        elseif first then
          hand(token, ms)
          mustQueue = holder ~= ''
        end
      end
      if mustQueue then
        reply = queue(token, ${WAITS}, wish == ${TAKES_RECORD} and 'r' or 't', arrival, payload)
      else
        ${take('token', 'ms', 'payload', '0')}
        reply = fence
      end
    end
  end
end
`

const release = `
if holder == token then
  ${letGo('token', MAILBOX, NUMBER, 'ms')}
  if isCrowded then hand(nil) end
  reply = 1
else
  ${howEnded(MAILBOX, NUMBER)}
  reply = how == 'r' and 1 or 0
end
`

const settle = `
if holder == token then
  local ttlMs, doneAt = tonumber(match(row, '^%S+', last + 1)), us
  -- It is tried again: the record is as old as the work that made it.
  if ms > 0 then ttlMs, doneAt = math.max(0, ttlMs - ms), us - ms * 1000 end
  local keepMs = ttlMs
  local retainMs, maxWakeBytes
  if isCrowded then
    retainMs, maxWakeBytes = match(row, '^%S+ (%S+) (%S+)', last + 1)
    for _, member in ipairs(waiters(0, -1)) do
      if match(member, '^%S+ (.)') == 'r' then keepMs = math.max(ttlMs, tonumber(retainMs)) end
    end
  end
  if keepMs > 0 then
    madeFor = heldFor
    settled = doneAt
    -- Without a ttl it is for nobody else, also when the clock is set back.
    visible = ttlMs > 0 and now + ttlMs or 0
    kept = now + keepMs
    packed = record
    recordAt = 1
  end
  local payloadOfWork = heldFor
  ${remember('token', MAILBOX, NUMBER, 's')}
  ${free}
  if isCrowded then
    -- A message has no age, so a record that comes late has to be fetched.
    local isCarried = ms == 0 and #record <= tonumber(maxWakeBytes)
    -- Who waited since before this hold may wait with another payload.
    dismiss(function(taker, payload, member)
      -- Who came after the work was done has not waited for it.
      if ms > 0 and ttlMs == 0 and arrivalOf(member) > doneAt then return end
      if not isCarried or (payload ~= '' and payloadOfWork ~= '' and payload ~= payloadOfWork) then return 'l' .. taker end
      return 'r' .. taker .. '\\n' .. record
    end)
    hand(nil)
  end
  reply = 1
else
  ${howEnded(MAILBOX, NUMBER)}
  reply = how == 's' and 1 or 0
end
`

// Hands the key on to the next claim of the same process, which is in the row, unless others are due. If this sets no reply, the next claim is made like any other.
const handOn = `
if holder == own then
  local turns = localTurns
  ${letGo('own', 'ownMailbox', 'sub(own, #ownMailbox)', 'passMs')}
  ${isEnded(MAILBOX, NUMBER)}
  if passMs > 0 or isOver then
    if isCrowded then hand(nil) end
  else
    local isWanted = isCrowded and waiters(0, 0)[1]
    if not isWanted or turns < tonumber(maxTurns) then
      if isCrowded then unqueue(token) end
      ${take('token', 'ms', 'payload', 'isWanted and turns + 1 or 0')}
      reply = fence
    else
      queue(token, ${WAITS}, wish == ${TAKES_RECORD} and 'r' or 't', arrival, payload)
    end
  end
else
  ${howEnded('ownMailbox', 'sub(own, #ownMailbox)')}
  if how ~= 'r' then reply = 0 end
end
`

const leave = `
if isCrowded then unqueue(token) end
${remember('token', MAILBOX, NUMBER, 'g')}
if holder == token then
  ${free}
  if isCrowded then hand(nil) end
end
reply = 1
`

const forget = `
local expected = sub(row, last + 1)
if expected ~= '' and expected ~= string.format('%d', fence) then
  reply = 0
else
  local hasRecord = recordAt and visible > now
  reply = (ends > now or hasRecord or passUntil > now) and 1 or 0
  for _, member in ipairs(waiters(0, -1)) do
    local waiting = match(member, '^(%S+) ')
    if waiting then tell(waiting, 'l' .. waiting) end
  end
  if holder ~= '' then tell(holder, 'f' .. holder) end
  call('DEL', key .. ':w')
  ${tellDropped}
  ${free}
  passUntil, isCrowded = 0, false
  if recordAt then visible, kept = 0, 0 end
  isChanged = fence > 0 or endings ~= ''
end
`

const inspect = `
if fence == 0 then
  reply = {}
else
  local size, age, ttlLeft = 0, 0, 0
  if recordAt and visible > now then size, age, ttlLeft = #packed - recordAt + 1, math.max(0, us - settled) / 1000, visible - now end
  local lease = math.max(0, ends - now)
  -- A fence is the time at which its hold began, unless the clock was set back.
  local heldFor = lease > 0 and math.max(0, (us - fence) / 1000) or 0
  reply = { fence, heldFor, lease, size, age, ttlLeft, math.max(0, passUntil - now), isCrowded and #waiters(0, -1) or 0 }
end
`

/**
 * Each operation is one argument (see `composeGiven` for its form); a record, which is arbitrary bytes, is the argument after it.
 *
 * | operation | time in ms | behind the token | reply |
 * | --- | --- | --- | --- |
 * | claim | lease | arrival in µs and a space, if it says so, and payload | the fence, alone or after `1` · `2` lease left in ms, arrival, server's time in ms, 1 if it asks again and does not listen here · `3` something with the record in it, age in ms, joined, ttl left in ms, where the record begins · `4` pass mark · `5` in flight; with `foreign` at the end if something under the key's name was not ours |
 * | renew | lease | | 1 if it is still the token's hold, else 0 |
 * | settle | how long ago the work was done, if it is tried again | ttl in ms, retention in ms, the most bytes that a wake carries, and a record | 1 if stored, else 0 |
 * | release | pass mark (0: none) | | 1, or 0 if it was not the token's hold |
 * | handOn | lease, of the claim that comes next, as is the token | the token that holds, its pass mark in ms, most local turns, and what a claim has there | 0, or the reply to the next claim |
 * | leave | | | 1 |
 * | forget | | the last fence, or nothing for any | 1 if a hold, a record or a mark was dropped, else 0; the last fence stays for a while |
 * | inspect | | | fence, held for, lease left, record's size, age, ttl left, pass mark left, waiters, times in ms; nothing if nothing is known |
 *
 * The operations are carried out one after another, as if each had come alone. The reply of the call is that of the operation if there is one, else a list of replies.
 */
export const operations: string = `
${crowdVariables}
local keys, args = KEYS, ARGV
local count, at, n = #args, 2, 0
local replies
while at <= count do
  n = n + 1
  key = keys[n]
  local row = args[at]
  at = at + 1
  local op, d1, d2, l1, l2, waits, wish, m1, m2, m3, m4, m5, m6 = byte(row, 1, 13)
  -- The token begins at byte 15; 'dot' is the place of its dot, counted from its own beginning, and 'last' that of its last byte in the row.
  local dot, last = d1 * 64 + d2 - ${ZERO * 65}, l1 * 64 + l2 - ${ZERO * 65 - 14}
  local token, ms = sub(row, 15, last), ${MS}
  -- The token that holds, if it does. Where a hold is handed on, that is not the token in front, which is for the next claim.
  local own, passMs, maxTurns = token
  if op == ${codeOf('handOn')} then
    own, passMs, maxTurns, last = match(row, '^(%S+) (%S+) (%S+) ()', last + 1)
    passMs = passMs == '0' and 0 or tonumber(passMs)
    last = last - 1
  end
  ${load(`op == ${codeOf('release')} and ms == 0`)}
  -- Functions are made by the first operation that needs them: where somebody waits, is to be told, or is about to wait.
  if not hand and op ~= ${codeOf('renew')} and (isCrowded or op == ${codeOf('forget')}
    or (ends > now and holder ~= own and (op == ${codeOf('claim')} or op == ${codeOf('handOn')}))) then
    ${handing}
  end
  if not queue and hand and op ~= ${codeOf('renew')} and (op ~= ${codeOf('release')} or ms > 0) then
    ${queueing}
  end
  local reply, isOver, how
  if op == ${codeOf('claim')} or op == ${codeOf('handOn')} then
    local arrival, payload = 0, ''
    if #row > last then
      if waits >= ${'2'.charCodeAt(0)} then
        arrival, payload = match(row, '^(%S+) (.*)$', last + 1)
        arrival = tonumber(arrival)
      else
        payload = sub(row, last + 1)
      end
    end
    if op == ${codeOf('handOn')} then
      local ownMailbox = ';' .. match(own, '^.*%.')
      ${handOn}
    end
    if not reply then
      ${claim}
    end
  elseif op == ${codeOf('release')} then ${release}
  elseif op == ${codeOf('settle')} then
    local record = args[at]
    at = at + 1
    ${settle}
  elseif op == ${codeOf('renew')} then
    reply = holder == token and 1 or 0
    if reply == 1 then ${extend} end
  elseif op == ${codeOf('leave')} then ${leave}
  elseif op == ${codeOf('forget')} then ${forget}
  elseif op == ${codeOf('inspect')} then ${inspect}
  end
  if isChanged then ${save} end
  -- The server puts its general code in front of what is raised here, and has put it there already.
  if refused then error(match(refused, '^ERR (.*)') or refused, 0) end
  if isForeign then
    if op == ${codeOf('claim')} and reply == fence then reply = { ${HELD}, fence } end
    if type(reply) == 'table' then reply[#reply + 1] = 'foreign' end
  end
  -- A table more is as dear as a dozen of steps.
  if n == 1 and at > count then return reply end
  replies = replies or {}
  replies[n] = reply
  -- No two of them at the same moment.
  if us > 0 then us = us + 1 end
end
return replies
`
