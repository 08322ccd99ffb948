// What a claim is answered with: the first item of its reply, for the script that writes it and for who reads it.

export const HELD = 1
export const BUSY = 2
export const RECORD = 3
export const PASS = 4
export const MISMATCH = 5
