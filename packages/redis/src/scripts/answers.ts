// The kinds of reply to a claim: the first item of the reply, for the script that writes it and the code that reads it.

export const HELD = 1
export const BUSY = 2
export const RECORD = 3
export const PASS = 4
export const MISMATCH = 5
