// Which keys a store lists.

import type { KeyState } from './store.js'

/** Of a key that is free and that nobody waits for, only its last fence is known. */
export function isLive(state: KeyState | undefined): state is KeyState {
  return state !== undefined && (state.state !== 'free' || state.waiters > 0)
}
