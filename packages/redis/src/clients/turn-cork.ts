// Lets commands that are issued in one turn of the event loop leave in one write.

/** The part that is used of a socket. */
export interface Corkable {
  cork(): void
  uncork(): void
}

/**
 * A system call for each command costs more than the command itself. So sockets are corked until the end of the turn of the event loop;
 * there is no timer to wait for.
 */
export class TurnCork {
  readonly #listSockets: () => readonly (Corkable | undefined)[]
  /** The sockets that were corked in this turn; they are uncorked even if the client has others by then. */
  #corked: readonly (Corkable | undefined)[] | undefined

  constructor(listSockets: () => readonly (Corkable | undefined)[]) {
    this.#listSockets = listSockets
  }

  /** To be called before a command is written. */
  hold(): void {
    if (this.#corked !== undefined) return
    this.#corked = this.#listSockets()
    for (const socket of this.#corked) socket?.cork()
    setImmediate(this.#release)
  }

  readonly #release = (): void => {
    const corked = this.#corked ?? []
    this.#corked = undefined
    for (const socket of corked) socket?.uncork()
  }
}
