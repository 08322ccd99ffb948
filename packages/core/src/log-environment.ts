// Starts the log if the environment asks for it: by SL_LOG_ENABLED, or by DEBUG with a pattern that matches dspinlock:….

import { attachLogger } from './logger.js'

let started = false

/** Reads the environment at the first call only. */
export function logByEnvironment(): void {
  if (started) return
  started = true
  const wanted = wantedEvents(process.env)
  if (wanted === undefined) return
  const write = (level: string, line: string): void => {
    process.stderr.write(`${new Date().toISOString()} ${level} ${line}\n`)
  }
  attachLogger({ debug: line => write('DEBUG', line), warn: line => write('WARN', line) }, { accepts: wanted })
}

/** Which events the environment asks for; undefined: none. */
function wantedEvents(env: NodeJS.ProcessEnv): ((event: string) => boolean) | undefined {
  const flag = env['SL_LOG_ENABLED']?.trim().toLowerCase()
  if (flag !== undefined && flag !== '' && flag !== '0' && flag !== 'false') return () => true
  // Read as the package debug does: names with wildcards, separated by commas or spaces, excluded ones with a minus in front.
  const patterns = (env['DEBUG'] ?? '').split(/[\s,]+/).filter(pattern => pattern !== '')
  const matches = (pattern: string, event: string): boolean =>
    new RegExp(`^${pattern.split('*').map(escape).join('.*')}$`).test(`dspinlock:${event}`)
  const accepts = (event: string): boolean =>
    patterns.some(pattern => !pattern.startsWith('-') && matches(pattern, event)) &&
    !patterns.some(pattern => pattern.startsWith('-') && matches(pattern.slice(1), event))
  return patterns.some(pattern => /^(dspinlock|\*)/.test(pattern)) ? accepts : undefined
}

function escape(text: string): string {
  return text.replace(/[.+?^${}()|[\]\\]/g, '\\$&')
}
