// Makes text from elsewhere safe to show: on one line, and in a terminal.

/** Controls, which begin lines and move the cursor, and characters that are invisible or turn the direction of writing. */
const UNSAFE = /[\p{Cc}\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]/gu

/** Returns the text with these characters escaped, as in JSON. */
export function escapeUnsafe(text: string): string {
  return text.replace(UNSAFE, character => {
    const quoted = JSON.stringify(character).slice(1, -1)
    return quoted === character ? `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}` : quoted
  })
}
