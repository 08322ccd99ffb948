// How soon it is noticed that a connection which only listens is dead, and how soon another one is tried; the same for all clients.

/** How often such a connection is asked whether it still lives, because a dead one would just stay silent; and whether its node is still in the cluster. */
export const HEARTBEAT_MS = 5_000
/** A connection that has not answered for this long is dead, and a node that could not be connected to for this long is away. */
export const SILENCE_MS = 4_000
/** How long to wait before connecting again where the client does not do that itself. */
export const CONNECT_AGAIN_MS = 200
