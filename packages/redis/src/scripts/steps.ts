// The steps of the protocol that are needed in several places of the script, as Lua texts.

/** Tells all processes that the record was dropped, because they may have it in memory. */
export const tellDropped = `call('PUBLISH', match(ARGV[1], '^%S+') .. 'all', 'd' .. key)`

/**
 * The token becomes the holder, under a fence that is the time (docs/decisions/090). All arguments are Lua expressions. For newcomers, this ends
 * the record that there is: only a claim that does not take records becomes the holder where one is visible.
 */
export function take(token: string, leaseMs: string, payload: string, turns: string): string {
  return `
fence = us > fence and us or fence + 1
holder = ${token}
ends = now + ${leaseMs}
heldFor = ${payload}
localTurns = ${turns}
passUntil = 0
isChanged = true
if recordAt then
  if visible > now then ${tellDropped} end
  visible = 0
end
`
}

/**
 * Extends the lease, and never shortens it: a hand-over may last longer than the lease of the waiter that was handed the key,
 * and until the answer to its first renewal is there, that holder relies on it.
 */
export const extend = `
isChanged = true
if ends < now + ms then ends = now + ms end
`

export const free = `
holder = ''
ends = 0
heldFor = ''
localTurns = 0
isChanged = true
`
