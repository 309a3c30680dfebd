/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * The judge behind a C interface.  Includers have uint types of the kernel's
 * spelling: u8, u16, u32, u64, size_t.
 */
#ifndef TAL_JUDGE_H
#define TAL_JUDGE_H

#define TAL_SEGMENTS	9
#define TAL_IMPORTS	256

/* Why not; 0 is yes. */
enum tal_reason {
	TAL_ADMITTED,
	TAL_FILE,		/* not the one form of ELF file that is admitted */
	TAL_CODE,		/* a rule says no */
	TAL_START,		/* the file starts elsewhere than what was judged */
	TAL_MEMORY,		/* the arena is used up */
	TAL_INTERRUPTED,	/* tal_judge_pause() said so */
	TAL_BROKEN,		/* a mistake in the judge */
	TAL_REASONS
};

#define TAL_READ	4
#define TAL_WRITE	2
#define TAL_EXECUTE	1

/* Segments start on pages of 4096 bytes and do not share them. */
struct tal_segment {
	u64 address;
	u64 size;		/* in memory */
	u64 offset;		/* in the file */
	u64 in_file;		/* bytes; at most size */
	u32 rights;
	u32 pad;
};

/* CPU features that the text needs. */
#define TAL_POPCNT	1
#define TAL_BMI1	2
#define TAL_LZCNT	4

struct tal_report {
	u32 reason;
	u32 features;
	u64 entry;
	u64 peak;		/* most bytes of the arena in use */
	u64 site;		/* offset in the text of the refused instruction */
	u32 segment_count;
	u32 import_count;
	u32 instruction_size;	/* 0: no instruction is refused */
	u32 words_size;
	struct tal_segment segment[TAL_SEGMENTS];	/* the text first */
	u16 import[TAL_IMPORTS];	/* gate i: the interface's import[i] */
	char rule[32];		/* ends in zero */
	u8 instruction[16];
	char words[256];	/* why not; words_size bytes, no final zero */
};

/*
 * Judges @file.  The arena, aligned to 16, and what tal_judge_more() adds to it mean
 * nothing afterwards.  The stack reaches down to @floor: what would come near it is
 * refused.  Calls on several threads at once are fine, each with its arena.
 */
struct tal_report *tal_judge_verify(const void *file, size_t file_size,
				    void *arena, size_t size, void *floor,
				    struct tal_report *report);

/* The name of an import of the interface, *size bytes without a final zero, or null. */
const char *tal_judge_import(u32 number, size_t *size);

/* What the host owes. */

/* The arena of the call that goes on on this thread. */
void *tal_judge_arena(void);
/* Another block of at least @need bytes, aligned to 16; null if there is none. */
void *tal_judge_more(size_t need, size_t *size);
/* Called every few hundred steps: lets others run.  Not 0: the judging ends. */
int tal_judge_pause(void);
/* Makes the call on this thread return, as longjmp() does. */
void __attribute__((noreturn)) tal_judge_leave(void);

#endif
