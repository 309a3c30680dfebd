/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* How much memory the judge gets. */
#ifndef TAL_ARENA_H
#define TAL_ARENA_H

/*
 * For a file: to begin with, and at most.  That is what tal-core's limits::memory
 * states, a quarter more for pieces that are larger than what is in them, and a
 * quarter of that for the part of the last block that nobody needs.
 */
#define TAL_ARENA		((size_t)256 << 10)
#define TAL_ARENA_MAX(size)	(((size_t)25 << 20) + 25 * (size_t)(size))

/* The next block, when there are @have bytes and @need are needed. */
#define TAL_ARENA_NEXT(have, need)	((need) > (have) / 4 ? (need) : (have) / 4)

/* Of which 32 KB are for what the host does when it is called. */
#define TAL_STACK		(128 << 10)

#endif
