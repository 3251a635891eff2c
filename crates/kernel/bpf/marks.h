/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What the programs write on packets for each other: a kind in the highest byte, and below it the hostlet's
 * id or, for copies, a slot. Others may use the same marks: nothing is believed for its mark alone, but for
 * that of the loopback, which only CAP_NET_ADMIN could forge (see guard.h).
 */
#ifndef HOSTLET_MARKS_H
#define HOSTLET_MARKS_H

#define MARK_MASK 0xff000000

/* From the guard to the exit: of a connection from the real wildcard. From the entry to the guard, without an id. */
#define ABROAD_MARK 0x4b000000
/* From the guard to the guard at the other end, and to told.h: to the hostlet's own loopback. */
#define LOOP_MARKED 0x4c000000
/* From the learner to itself: a copy of what was sent to a group. */
#define COPY_MARK 0x4d000000
/* From the guard to ping.h: an echo request that needs a source of this hostlet. */
#define PING_MARK 0x4e000000

#endif
