// Warns of likely mistakes through process.emitWarning, once for each code in a process.

const told = new Set<string>()

/** Emits a `DspinlockWarning` with `code` (`DSPINLOCK_W_…`, explained in docs/warnings.md), the first time only. */
export function warnOnce(code: string, message: string): void {
  if (told.has(code)) return
  told.add(code)
  process.emitWarning(message, { type: 'DspinlockWarning', code, detail: `See docs/warnings.md#${code.toLowerCase()}` })
}
