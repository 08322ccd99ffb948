/* The lock protocol on one key: a server that carries out one command at a time, N processes, a network that loses, delays and
 * repeats, a clock, and what kills processes. README.md beside this file says what stands for what; check.mjs lists the runs.
 * Sizes and switches are given with -D. DEFECT_… are faults, planted to see that the properties notice them. */

#ifndef N
#define N 2            /* processes */
#endif
#ifndef CALLS
#define CALLS 1        /* callers that enter each process */
#endif
#ifndef LOCAL
#define LOCAL CALLS    /* callers in a process at a time */
#endif
#ifndef GENS
#define GENS 2         /* tokens of a process */
#endif
#ifndef LEASE
#define LEASE 2        /* ticks of the clock */
#endif
#ifndef GRANT
#ifdef FOREVER
#define GRANT 2        /* the lease that comes with a turn */
#else
#define GRANT 1
#endif
#endif
#ifndef POLL
#define POLL 1         /* FOREVER: after so many ticks a waiter asks again. Else it may ask at any time. */
#endif
#ifndef RETAIN
#define RETAIN 2       /* FOREVER: ticks for which those who waited may fetch a record. Else as long as it likes. */
#endif
#ifndef MAX_TURNS
#define MAX_TURNS 1    /* local turns in a row while others wait */
#endif
#ifndef COPIES
#define COPIES 0       /* commands that arrive twice, or long after their sender gave up */
#endif
#ifndef LOST_REPLIES
#define LOST_REPLIES 0 /* ... after which the same command is sent again */
#endif
#ifndef CRASHES
#define CRASHES 0
#endif
#ifndef STALLS
#define STALLS 0       /* FOREVER: holders that sleep past their lease. Else anybody may be slow at any step. */
#endif
#ifndef UNCOUNTED
#define UNCOUNTED 0    /* how often the server takes one who listens for one who does not */
#endif
#ifndef FORGETS
#define FORGETS 0
#endif
/* FENCES: count them; time stops after MAX_HOLDS, because a number that grows is no finite state.
 * LOSSY: any message may be lost. ABORTS: callers give up. RECORDS: callers take a record instead of a turn (MIXED: some do).
 * TTL: newcomers get it too. CLUSTER: the server does not know who listens. FOREVER: callers never end; NO_POLL. */
#ifndef MAX_HOLDS
#define MAX_HOLDS 4
#endif

#define TOKENS (N * GENS)
#define NONE 255
#define owner(t) ((t) / GENS)
#define each(v, last) v : 0 .. (last)

/* --- what the server keeps: packages/redis/src/scripts/state.ts --- */

byte held = NONE;          /* token of the holder */
byte left;                 /* ticks until its lease ends */
byte turns;                /* local turns in a row */
byte fence;                /* the last one given out; 0 when the state has expired */
byte q[TOKENS + 1];        /* the waiters, in order of arrival */
bool wish[TOKENS + 1];     /* ... and whether a record would do */
byte waiting;              /* ... and how many */
byte rank[TOKENS];         /* arrival: 1 came first, 0 is none */
byte ended[TOKENS];        /* how a token ended */
byte kept;                 /* there is a record for those who waited (FOREVER: for so many ticks) */
bool visible;              /* ... and for newcomers */
bool entitled[TOKENS];     /* waited when it was stored */

#define SETTLED 1
#define RELEASED 2
#define LEFT 3

/* --- the network --- */

#define CLAIM 1
#define RENEW 2
#define SETTLE 3
#define RELEASE 4
#define LEAVE 5
typedef Command { byte op, token, next; bool record, knows }
Command sent[N + 1];       /* of each process: under way, or carried out and not yet answered; the last one is a copy, on its way */
#define copy sent[N]

#define HELD 1
#define BUSY 2
#define RECORD 3
#define GONE 4
#define YES 5
#define NO 6
byte reply[N + 1];         /* 0: none yet */
byte replyFence[N + 1];
bool mine[N + 1];          /* of a release: it was the token's hold */

#define TURN 7
#define LOOK 8
#define LOST 9
#ifdef FOREVER
#define MAIL 4
#else
#define MAIL 2             /* who does not read is not sent more */
#endif
chan mail[N] = [MAIL] of { byte, byte, byte }  /* TURN, RECORD, LOOK or LOST; token; fence */
byte grantLeft[TOKENS];    /* until the lease ends that the last TURN for a token speaks of */
byte grantFence[TOKENS];

/* --- what a process knows: packages/core/src/lane.ts --- */

#define IDLE 0
#define ASKING 1
#define WAITING 2
#define HOLDING 3
#define STALLED 4
#define ENDING 5
byte state[N];
byte toCome[N];            /* callers that have not entered */
byte callers[N];           /* that wait in it */
byte used[N];              /* tokens */
byte token[N];             /* under which it claims or waits */
bool knows[N];             /* its arrival */
bool again[N];             /* something came while a claim was under way */
byte hold[N];              /* the token that it holds under */
byte holdFence[N];
byte lease[N];             /* ticks until the hold ends, by its own clock */
byte asked[N];             /* the same, of the lease that was asked for, counted from the sending */
byte pollIn[N];
bool dead[N];

/* --- ghosts: nobody acts by them, the properties speak of them --- */

byte top;                  /* the highest fence that was given out */
byte worked;               /* the highest fence under which somebody worked: what a database remembers */
bool stored[TOKENS];       /* this token's record was stored */
bool freed[TOKENS];        /* this token released the key */
bool due[TOKENS];          /* a record was stored while it waited, and it has not got it */
bool forgotten[TOKENS];
#ifdef DEFECT_JOINED_BY_FENCE
bool arrivedSince[TOKENS];   /* ... the present hold began */
#endif
byte copies = COPIES, lostReplies = LOST_REPLIES, stalls = STALLS, uncounted = UNCOUNTED;

#define works(i) (!dead[i] && state[i] == HOLDING && lease[i] > 0 && !forgotten[hold[i]])

/* --- the server --- */

hidden byte w, x, y, z, c, ticks, localTurns, op, t, n, lost;
hidden byte r, saysArrival, found, heard, handOn;


inline find(who) { found = false; for (x : 0 .. TOKENS) { found = found || (x < waiting && q[x] == who) } }

inline removeAt(at) {
  waiting--;
  for (y : 0 .. TOKENS - 1) {
    if
    :: y >= at && y < waiting -> q[y] = q[y + 1]; wish[y] = wish[y + 1]
    :: else
    fi
  }
  q[waiting] = 0; wish[waiting] = false
}

inline unqueue(who) {
  x = 0;
  do
  :: x >= waiting -> break
  :: x < waiting && q[x] == who -> removeAt(x)
  :: x < waiting && q[x] != who -> x++
  od
}

inline dropRank(who) {
  for (y : 0 .. TOKENS - 1) {
    if
    :: rank[who] > 0 && rank[y] > rank[who] -> rank[y]--
    :: else
    fi
  }
  rank[who] = 0; entitled[who] = false; due[who] = false
}

/* Arrivals that neither the server nor a process remembers are given up, so that there are finitely many. */
inline dropRanks() {
  for (z : 0 .. TOKENS - 1) {
    find(z);
    if
    :: rank[z] > 0 && !found && !(token[owner(z)] == z && !dead[owner(z)]) && !(copy.op && copy.token == z) -> dropRank(z)
    :: else
    fi
  }
}

/* ZADD, with the arrival as score. */
inline join(who) {
  find(who);
#ifdef DEFECT_TWICE_IN_QUEUE
  found = false;
  for (x : 0 .. TOKENS) { found = found || (x < waiting && q[x] == who && wish[x] == r) }
#endif
  if
  :: found -> for (x : 0 .. TOKENS) { if :: x < waiting && q[x] == who -> wish[x] = r :: else fi }
  :: else ->
    if
    :: rank[who] > 0 && saysArrival
#ifdef DEFECT_TWICE_IN_QUEUE
    :: rank[who] > 0 && !saysArrival
    :: rank[who] == 0 ->
#else
    :: rank[who] == 0 || !saysArrival ->
#endif
      dropRank(who);
      z = 0;
      for (y : 0 .. TOKENS - 1) { z = (rank[y] > z -> rank[y] : z) }
      rank[who] = z + 1
#ifdef DEFECT_JOINED_BY_FENCE
      ; arrivedSince[who] = true
#endif
    fi;
    x = waiting;
    do
    :: x == 0 -> break
    :: x > 0 ->
      if
      :: rank[q[x - 1]] > rank[who] -> q[x] = q[x - 1]; wish[x] = wish[x - 1]; x--
      :: else -> break
      fi
    od;
    q[x] = who; wish[x] = r; waiting++
  fi
}

inline take(who) {
  assert(ended[who] == 0);                              /* what ended or was left never holds again */
  for (y : 0 .. N - 1) { assert(!works(y)) }            /* 1: as long as one may work, no other is given the key */
  for (y : 0 .. TOKENS) {                               /* 4: in order of arrival, save for some local turns */
    assert(!(y < waiting && localTurns == 0 && (rank[who] == 0 || rank[q[y]] < rank[who])))
  }
  assert(!(due[who] && kept && who == c && r && saysArrival)); /* who waited for a record that is there is given it, no turn */
#ifdef FENCES
  /* The server's clock, but at least the last fence + 1: above all that were, as long as one of the two is there. */
#ifdef DEFECT_FENCE_NOT_KEPT
  fence++;
#else
  fence = (fence == 0 -> top + 1 : fence + 1);
#endif
  assert(fence > top);                                  /* 2: fences grow */
  top = fence;
#endif
#ifdef DEFECT_JOINED_BY_FENCE
  for (y : 0 .. TOKENS - 1) { arrivedSince[y] = false }
#endif
  held = who; left = ticks; turns = localTurns; localTurns = 0; forgotten[who] = false
}

#define tell(who, kind) \
  if \
  :: !dead[owner(who)] && !((lost >> owner(who)) & 1) && len(mail[owner(who)]) < MAIL -> mail[owner(who)]!kind, who, fence \
  :: else \
  fi

/* Sets `heard`: whether the server knows that somebody listens. */
inline countListeners(who) {
#ifdef CLUSTER
  heard = true
#else
  heard = !dead[owner(who)];
  if
  :: heard && uncounted > 0 -> uncounted--; heard = false
  :: true
  fi
#endif
}

/* Gives the free key to the first waiter that still lives. The claim that is being answered needs no message. */
inline hand() {
  held = NONE;
  do
  :: waiting == 0 -> break
  :: else ->
    w = q[0]; removeAt(0);
    ticks = (w == c -> LEASE : GRANT);
    if
    :: w == c -> take(w); break
    :: else ->
      countListeners(w);
#ifdef DEFECT_TOLD_UNCOUNTED
      take(w); grantFence[w] = fence; grantLeft[w] = GRANT; tell(w, TURN);
      if
      :: heard -> break
      :: else -> held = NONE
      fi
#else
      if
      :: heard -> take(w); grantFence[w] = fence; grantLeft[w] = GRANT; tell(w, TURN); break
      :: else
      fi
#endif
    fi
  od
}

#define isFree (held == NONE || left == 0)
#ifdef DEFECT_ENDED_MAY_CLAIM
#define mayHold(who) true
#else
#define mayHold(who) (ended[who] == 0)
#endif
#ifdef DEFECT_SETTLE_BY_ANYBODY
#define maySettle true
#else
#define maySettle (held == t)
#endif
#ifdef DEFECT_RELEASE_BY_ANYBODY
#define mayRelease true
#else
#define mayRelease (held == t)
#endif
#ifdef DEFECT_RENEW_BY_ANYBODY
#define mayRenew true
#else
#define mayRenew (held == t)
#endif
#ifdef DEFECT_ENDLESS_LOCAL_TURNS
#define mayTurn true
#else
#define mayTurn (waiting == 0 || turns < MAX_TURNS)
#endif
#ifdef DEFECT_BARGING
#define hasPrecedence false
#else
#define hasPrecedence (waiting > 0 && q[0] != c)
#endif

/* One command of `i`: packages/redis/src/scripts/index.ts. */
inline carryOut(i) {
  op = sent[i].op; t = sent[i].token; n = sent[i].next; r = sent[i].record; saysArrival = sent[i].knows && op == CLAIM;
  c = NONE; handOn = false;
  if
  :: op == CLAIM -> c = t
  :: op == RENEW ->
    if
    :: mayRenew -> left = LEASE; reply[i] = YES
    :: else -> reply[i] = NO
    fi
  :: op == SETTLE ->
    if
    :: maySettle && ended[t] == 0 ->
      assert(held == t && !forgotten[t]);               /* 3: only the holder leaves a record */
      ended[t] = SETTLED; stored[t] = true; held = NONE;
      kept = RETAIN;
#ifdef TTL
      visible = true;
#endif
      for (x : 0 .. TOKENS - 1) {
#ifdef DEFECT_JOINED_BY_FENCE
        entitled[x] = rank[x] > 0 && arrivedSince[x]
#else
        entitled[x] = rank[x] > 0
#endif
      }
      x = 0;
      do
      :: x >= waiting -> break
      :: x < waiting && wish[x] -> w = q[x]; removeAt(x); due[w] = true; tell(w, RECORD)
      :: x < waiting && !wish[x] -> x++
      od;
      visible = visible && waiting == 0;
      handOn = true; reply[i] = YES
    :: else -> reply[i] = (ended[t] == SETTLED -> YES : NO)
    fi;
    assert((reply[i] == YES) == stored[t])              /* and is told the same, however often it asks */
  :: op == RELEASE ->
    c = n;
    if
    :: mayRelease && ended[t] == 0 ->
      assert(held == t && !forgotten[t]);               /* 3: only the holder frees the key */
      ended[t] = RELEASED; freed[t] = true; held = NONE; mine[i] = true;
      if
      :: n == NONE -> handOn = true
      :: n != NONE && !mayHold(n) -> handOn = true
      :: n != NONE && mayHold(n) && mayTurn ->
        unqueue(n);
        ticks = LEASE; localTurns = (waiting > 0 -> turns + 1 : 0);
#ifdef DEFECT_ENDLESS_LOCAL_TURNS
        localTurns = (waiting > 0);
#endif
        take(n)
      :: n != NONE && mayHold(n) && !mayTurn -> join(n); handOn = true
      fi
    :: else ->
      mine[i] = ended[t] == RELEASED;
      c = (mine[i] -> n : NONE)
    fi;
    assert(mine[i] == freed[t]);
    if :: c == NONE -> reply[i] = YES :: else fi
  :: op == LEAVE ->
    unqueue(t);
    ended[t] = (ended[t] == 0 -> LEFT : ended[t]);
#ifdef DEFECT_LEAVE_WAKES_NOBODY
    held = (held == t -> NONE : held);
#else
    handOn = held == t;
#endif
    reply[i] = YES
  fi;
  if
  :: c != NONE && !handOn && held != c && mayHold(c) && !(r && (visible || kept && entitled[c] && saysArrival)) && isFree && hasPrecedence ->
    handOn = true
  :: else
  fi;
  if
  :: handOn -> hand()
  :: else
  fi;
  if
  :: c == NONE
  :: c != NONE && held == c -> left = (op == CLAIM -> LEASE : left); reply[i] = HELD
  :: c != NONE && held != c && !mayHold(c) -> reply[i] = GONE
  :: c != NONE && held != c && mayHold(c) ->
    if
    :: r && (visible || kept && entitled[c] && saysArrival) -> unqueue(c); due[c] = false; reply[i] = RECORD
    :: else ->
      if
      :: isFree ->
        unqueue(c);
        visible = visible && r;
        ticks = LEASE; take(c); reply[i] = HELD
      :: else ->
        reply[i] = BUSY;
#ifndef DEFECT_JOINS_LATER
        join(c)
#endif
      fi
    fi
  fi;
  replyFence[i] = fence;
  if
  :: i == N -> copy.op = 0; copy.token = 0; copy.next = 0; copy.record = false; copy.knows = false; reply[N] = 0; replyFence[N] = 0; mine[N] = false
  :: else
  fi;
  dropRanks()
}

/* The server, as far as one sender is concerned: whose commands it carries out first is anybody's guess, but each has its turn. */
proctype Server(byte i) {
end:
  do
  :: atomic { sent[i].op && !reply[i] ->
#ifdef LOSSY
      if
      :: waiting > 0 -> select(lost : 0 .. (1 << N) - 1)
      :: else -> lost = 0
      fi;
#endif
      d_step { carryOut(i); x = 0 }
    }
  od
}

/* --- a process: one lane --- */

/* Process 0 is the one that has to be served, so there nobody gives up. */
#ifdef FOREVER
#define mayGiveUp(i) (i > 0)
#else
#define mayGiveUp(i) true
#endif

#define mayEnter(i) (toCome[i] > 0 && callers[i] < LOCAL)

/* Without end: so many for each tick, so that a run is not infinitely many callers in no time; HURRY: it may be. */
inline enter(i) {
  callers[i]++;
#ifndef HURRY
  toCome[i]--
#endif
}

inline newToken(i) {
#ifdef FOREVER
  /* A name may be used again once nobody remembers it. */
  used[i] = 1 - used[i];
  token[i] = i * GENS + used[i];
  ended[token[i]] = 0; stored[token[i]] = false; freed[token[i]] = false;
  do
  :: mail[i]?_, _, _
  :: empty(mail[i]) -> break
  od;
#else
  if
  :: used[i] == GENS -> callers[i] = 0; goto finished
  :: else -> token[i] = i * GENS + used[i]; used[i]++
  fi;
#endif
  knows[i] = false
}

inline dropToken(i) { token[i] = NONE; knows[i] = false }

inline duplicate(i) {
  copies--;
  copy.op = sent[i].op; copy.token = sent[i].token; copy.next = sent[i].next; copy.record = sent[i].record; copy.knows = sent[i].knows
}

inline send(i, operation, its, nextOne) {
  sent[i].op = operation; sent[i].token = its; sent[i].next = nextOne; sent[i].knows = knows[i];
#ifdef RECORDS
  sent[i].record = true;
#endif
#ifdef MIXED
  if
  :: sent[i].record = true
  :: sent[i].record = false
  fi;
#endif
  if
#if COPIES
  :: copies > 0 && !copy.op -> duplicate(i)
#endif
  :: true
  fi
}

/* A record ends the wait of those who take one. */
inline answer(i) {
#ifdef MIXED
  if
  :: callers[i] = 0
  :: callers[i] > 0 -> callers[i]--
  fi
#else
  callers[i] = 0
#endif
}

/* 1: nobody else works. */
#define check(i) assert(forgotten[hold[i]] || !works((i + 1) % N) && (N == 2 || !works((i + 2) % N)))

inline begin(i, its, under) {
  hold[i] = token[i]; holdFence[i] = under; lease[i] = its; state[i] = HOLDING;
  dropToken(i); callers[i]--; asked[i] = 0; again[i] = false; pollIn[i] = 0;
  check(i);
  assert(forgotten[hold[i]] || fence == 0 || under > worked);  /* 2: no database refuses one within its lease */
  worked = (under > worked -> under : worked)
}

inline endHold(i) { hold[i] = NONE; holdFence[i] = 0; lease[i] = 0; asked[i] = 0 }

proctype Process(byte i) {
  byte kind, to, under, was;
  {
    skip;
idle:
    if
    :: atomic { mayEnter(i) -> enter(i); newToken(i) }
#ifdef FOREVER
    :: goto finished /* nobody comes any more */
#endif
    fi;

ask:
    atomic { state[i] = ASKING; again[i] = false; asked[i] = LEASE; pollIn[i] = 0; send(i, CLAIM, token[i], NONE) }

await:
    do
    :: atomic { reply[i] -> break }
    :: atomic { state[i] == ASKING && mayEnter(i) -> enter(i) }
#if LOST_REPLIES
    :: atomic { reply[i] && lostReplies > 0 -> lostReplies--; reply[i] = 0; replyFence[i] = 0; mine[i] = false }
#endif
#if COPIES
    :: atomic { !reply[i] && copies > 0 && !copy.op -> duplicate(i); was = sent[i].op; sent[i].op = 0; goto failed }
#endif
    :: atomic { state[i] == ASKING && nempty(mail[i]) ->
        mail[i]?kind, to, under;
        if
        :: to == token[i] && kind == RECORD -> due[to] = false; answer(i); again[i] = true
        :: to == token[i] && kind != RECORD -> again[i] = true
        :: else
        fi;
        kind = 0; to = 0; under = 0
      }
#ifdef ABORTS
    :: atomic { mayGiveUp(i) && state[i] == ASKING && callers[i] > 0 -> callers[i] = 0 }
#endif
    od;
    atomic {
      kind = reply[i]; under = replyFence[i]; was = sent[i].op; to = sent[i].next;
      reply[i] = 0; replyFence[i] = 0; sent[i].op = 0; sent[i].next = 0; sent[i].token = 0; sent[i].record = false; sent[i].knows = false;
      if
      :: was == CLAIM
      :: was == RELEASE && to != NONE && mine[i] -> hold[i] = NONE; holdFence[i] = 0; lease[i] = 0
      :: was == RELEASE && !(to != NONE && mine[i]) -> endHold(i); goto proceed
      :: was == SETTLE -> if :: kind == YES -> answer(i) :: else fi; endHold(i); goto proceed
      :: was == LEAVE -> goto proceed
      :: was == RENEW ->
        was = 0; to = 0; under = 0;
        if
        :: kind == YES && asked[i] > 0 -> kind = 0; lease[i] = asked[i]; asked[i] = 0; check(i); goto holding
        :: else -> kind = 0; goto lose
        fi
      fi;
      was = 0; to = 0; mine[i] = false;
      if
      :: kind == HELD ->
        kind = 0; knows[i] = false;
        if
        :: callers[i] == 0 -> under = 0; goto giveBack
#ifdef DEFECT_LEASE_FROM_REPLY
        :: callers[i] > 0 -> begin(i, LEASE, under); under = 0; goto holding
#else
        :: callers[i] > 0 && asked[i] > 0 -> begin(i, asked[i], under); under = 0; goto holding
        :: callers[i] > 0 && asked[i] == 0 -> under = 0; goto ask
#endif
        fi
      :: kind == BUSY ->
        kind = 0; under = 0; knows[i] = true;
        if
        :: callers[i] == 0 -> goto giveBack
        :: callers[i] > 0 && again[i] -> goto ask
        :: callers[i] > 0 && !again[i] -> state[i] = WAITING; asked[i] = 0; pollIn[i] = POLL
        fi
      :: kind == RECORD -> answer(i); dropToken(i); goto proceed
      :: kind == GONE -> assert(false)
      fi
    };
#ifdef DEFECT_JOINS_LATER
    atomic { d_step { r = false; saysArrival = false; find(token[i]); if :: !found && held != token[i] -> join(token[i]) :: else fi } };
#endif

    /* Waiting. */
    do
    :: atomic { mail[i]?kind, to, under ->
        if
        :: to != token[i] -> kind = 0; to = 0; under = 0
        :: to == token[i] && kind == RECORD -> due[to] = false; answer(i); dropToken(i); goto proceed
        :: to == token[i] && kind == TURN ->
          kind = 0;
          if
#ifdef DEFECT_TURN_UNDATED
          :: true ->
#else
          /* The lease in it ends by the server's clock, and the process knows how far that is ahead at the most. */
          :: grantLeft[to] == 0 || grantFence[to] != under -> to = 0; under = 0; goto ask
#ifndef FOREVER
          :: grantLeft[to] > 0 -> to = 0; under = 0; goto ask
#endif
          :: grantLeft[to] > 0 && grantFence[to] == under ->
#endif
            was = (grantLeft[to] > 0 -> grantLeft[to] : GRANT); begin(i, was, under); was = 0; to = 0; under = 0; goto holding
          fi
        :: to == token[i] && (kind == LOOK || kind == LOST) -> kind = 0; to = 0; under = 0; goto ask
        fi
      }
#ifndef FOREVER
    :: atomic { true -> goto ask }
#else
#ifndef NO_POLL
    :: atomic { pollIn[i] == 0 -> goto ask }
#endif
#endif
    :: atomic { mayEnter(i) -> enter(i) }
#ifdef ABORTS
    :: atomic { mayGiveUp(i) -> callers[i] = 0; goto giveBack }
#endif
    od;

giveBack:
    atomic {
      state[i] = IDLE; asked[i] = 0; pollIn[i] = 0; again[i] = false;
      to = token[i]; dropToken(i); send(i, LEAVE, to, NONE); to = 0;
      goto await
    };

holding:
    do
    :: atomic { mail[i]?kind, to, under ->
        if
        :: to == hold[i] && kind == LOST -> kind = 0; to = 0; under = 0; goto lose
        :: else -> kind = 0; to = 0; under = 0
        fi
      }
    :: atomic { mayEnter(i) -> enter(i) }
#ifndef FOREVER
    :: atomic { lease[i] > 0 && lease[i] < LEASE -> asked[i] = LEASE; send(i, RENEW, hold[i], NONE); goto await }
#endif
#if STALLS
    :: atomic { stalls > 0 -> stalls--; state[i] = STALLED };
      atomic { lease[i] == 0 -> state[i] = HOLDING }
#endif
    :: atomic { lease[i] == 0 -> goto lose }
#ifdef RECORDS
    :: atomic { state[i] = ENDING; send(i, SETTLE, hold[i], NONE); goto await }
#endif
    :: atomic {
        if
        :: callers[i] > 0 ->
          to = hold[i]; newToken(i);
          state[i] = ASKING; again[i] = false; asked[i] = LEASE;
          send(i, RELEASE, to, token[i])
        :: callers[i] == 0 -> state[i] = ENDING; send(i, RELEASE, hold[i], NONE)
        fi;
        to = 0; goto await
      }
    od;

failed:
    /* No answer in time: the hold's lease is left to run out, and no claim that may still arrive is to take anything. */
    atomic {
      sent[i].token = 0; sent[i].next = 0; sent[i].record = false; sent[i].knows = false;
      if
      :: was == CLAIM -> was = 0; callers[i] = 0; goto giveBack
      :: was == RELEASE && token[i] != NONE -> was = 0; endHold(i); goto giveBack
      :: was == RENEW -> was = 0; asked[i] = 0; goto holding
      :: else -> was = 0; endHold(i); goto proceed
      fi
    };

lose:
    /* It knows, and those who wait behind it ask again. What the work still sends comes late and changes nothing. */
    atomic {
      if
#if COPIES
      :: copies > 0 && !copy.op ->
        copies--; copy.token = hold[i]; copy.next = NONE;
        if
        :: copy.op = RELEASE
#ifdef RECORDS
        :: copy.op = SETTLE
#endif
        fi
#endif
      :: true
      fi;
      endHold(i)
    };

proceed:
    atomic {
      state[i] = IDLE; kind = 0; to = 0; under = 0; was = 0; mine[i] = false;
      if
      :: token[i] != NONE -> dropToken(i)
      :: else
      fi;
      if
      :: callers[i] > 0 -> newToken(i); goto ask
      :: callers[i] == 0 -> goto idle
      fi
    };
finished:
    state[i] = IDLE
  } unless { dead[i] }
}

#if CRASHES
active proctype Killer() {
  byte victim, count;
  do
  :: count < CRASHES ->
    atomic {
      select(victim : 0 .. N - 1);
      dead[victim] = true; count++;
      do
      :: mail[victim]?_, _, _
      :: empty(mail[victim]) -> break
      od;
      victim = 0
    }
  :: break
  od
}
#endif

#if FORGETS
inline forget() {
  for (z : 0 .. TOKENS) { if :: z < waiting -> tell(q[z], LOOK) :: else fi }
  if
  :: held != NONE -> forgotten[held] = true; tell(held, LOST)
  :: else
  fi;
  do
  :: waiting > 0 -> removeAt(0)
  :: else -> break
  od;
  held = NONE; kept = 0; visible = false;
  dropRanks()
}
active proctype Person() {
  byte count;
  do
  :: count < FORGETS -> d_step { lost = 0; forget(); count++ }
  :: break
  od
}
#endif

/* In runs without end, time passes only while nobody has anything to do: processes are fast, leases are long. */
#ifdef NO_POLL
#define waitsOn(i) (state[i] == WAITING)
#else
#define waitsOn(i) (state[i] == WAITING && pollIn[i] > 0)
#endif
#define still(i) (dead[i] || state[i] == STALLED && lease[i] > 0 || !sent[i].op && (waitsOn(i) && empty(mail[i]) || state[i] == IDLE && callers[i] == 0))
#ifndef FOREVER
#define timePasses (top < MAX_HOLDS)
#else
#if N > 2
#define timePasses (still(0) && still(1) && still(2))
#else
#define timePasses (still(0) && still(1))
#endif
#endif
#define down(v) v = (v > 0 -> v - 1 : 0)

active proctype Clock() {
  byte k;
end:
  do
  :: atomic { timePasses ->
      d_step {
        down(left);
        for (k : 0 .. N - 1) { down(lease[k]); down(asked[k]); down(pollIn[k]) }
        for (k : 0 .. TOKENS - 1) { down(grantLeft[k]) }
#ifdef FOREVER
        down(kept);
        for (k : 0 .. N - 1) { toCome[k] = CALLS }
#endif
        k = 0
      }
    }
#ifdef RECORDS
  /* A record's times run out. */
  :: atomic { visible -> visible = false }
#ifndef FOREVER
  :: d_step { kept && !visible -> kept = 0; for (k : 0 .. TOKENS - 1) { entitled[k] = false; due[k] = false } k = 0 }
#endif
#endif
#ifdef FENCES
  /* What is known of an idle key expires. */
  :: atomic { fence > 0 && held == NONE && waiting == 0 && !kept -> fence = 0 }
#endif
  od
}

init {
  byte k;
  atomic {
    for (k : 0 .. N - 1) { toCome[k] = CALLS; token[k] = NONE; hold[k] = NONE; run Process(k); run Server(k) }
#if COPIES
    run Server(N);
#endif
    k = 0
  }
}

#ifdef FOREVER
#define isServed (dead[0] || state[0] != ASKING && state[0] != WAITING)
/* 4: every wait ends. */
ltl served { [] <> isServed }
#endif
