// The steps of the protocol that have several places in the script, as Lua texts.

/** Processes may have the record in their memory. */
export const tellDropped = `call('PUBLISH', match(ARGV[1], '^%S+') .. 'all', 'd' .. key)`

/** The token becomes the holder. Of numbers and conditions, Lua texts. */
export function take(token: string, leaseMs: string, payload: string, turns: string, takesRecord: string): string {
  return `
fence = us > fence and us or fence + 1
holder = ${token}
ends = now + ${leaseMs}
heldFor = ${payload}
localTurns = ${turns}
passUntil = 0
isChanged = true
if recordAt and visible > 0 and not (${takesRecord}) then
  if visible > now then ${tellDropped} end
  visible = 0
end
`
}

/**
 * Never less than was promised before: a hand-over may last longer than the lease of whoever was handed the key, and
 * until the answer to its first renewal is there, its holder counts on that.
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
