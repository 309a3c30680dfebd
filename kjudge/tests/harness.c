// SPDX-License-Identifier: MIT OR Apache-2.0
/*
 * The object that the kernel links, in a process: linked at low addresses, where
 * the kernel's code model works too.  Judges what comes on standard input and
 * tells verdict, words and costs on standard output:
 *
 *	in:	u32 size, u32 most memory (0: as the kernel has it), the bytes; again
 *	out:	u32 size of the rest: struct tal_report, u64 stack, u64 pauses
 *
 * The judge runs on a stack of its own, painted before, so that its depth is
 * known; below the stack is a guard.
 *
 *	harness pause N		the judging is interrupted at the Nth pause
 *	harness panic N		the judge panics at the Nth pause, inside of the judging
 */
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

typedef uint8_t u8;
typedef uint16_t u16;
typedef uint32_t u32;
typedef uint64_t u64;
#include "tal_judge.h"
#include "tal_arena.h"

#define STACK	TAL_STACK
#define PAINT	0xa5

static void *arena;
static void *away[5];
static u64 pauses, last_pause = ~0ull, bad_pause = ~0ull;
static u8 *stack;
static struct tal_report report;

static struct {
	const void *file;
	size_t size;
	size_t arena_size;
} job;

/* Of the blocks of a judging: where, how large. */
static struct { void *at; size_t size; } block[64];
static unsigned int blocks;
static size_t have, most;

static void *take(size_t size)
{
	void *at = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (at == MAP_FAILED || blocks == 64)
		return NULL;
	block[blocks].at = at;
	block[blocks++].size = size;
	have += size;
	return at;
}

static void give_all(void)
{
	while (blocks--)
		munmap(block[blocks].at, block[blocks].size);
	blocks = 0;
	have = 0;
}

void *tal_judge_more(size_t need, size_t *size)
{
	*size = (TAL_ARENA_NEXT(have, need) + 4095) & ~4095ul;
	return *size > most - have ? NULL : take(*size);
}

void *tal_judge_arena(void)
{
	return arena;
}

/* core::panicking::panic_bounds_check, under this name for the test. */
void panic_here(size_t index, size_t length, const void *location);

int tal_judge_pause(void)
{
	static const struct { const char *file; size_t size; u32 line, column; } here = {
		"harness.c", 9, 7, 1
	};

	if (pauses + 1 >= bad_pause)
		panic_here(1, 1, &here);
	return ++pauses >= last_pause;
}

void tal_judge_leave(void)
{
	__builtin_longjmp(away, 1);
}

static void judge(void)
{
	tal_judge_verify(job.file, job.size, arena, job.arena_size, stack, &report);
}

/* Calls judge() on the painted stack; the bytes of it that were used. */
static u64 __attribute__((noinline)) deep(void)
{
	u64 used = STACK;

	memset(stack, PAINT, STACK);
	if (!__builtin_setjmp(away))
		asm volatile("mov %%rsp, %%rbx\n\tmov %0, %%rsp\n\tcall *%1\n\tmov %%rbx, %%rsp"
			     : : "r" (stack + STACK), "r" (judge)
			     : "rax", "rbx", "rcx", "rdx", "rsi", "rdi", "r8", "r9", "r10",
			       "r11", "memory", "cc");
	while (used && stack[STACK - used] == PAINT)
		used--;
	return used;
}

static int all(int (*move)(void *, size_t), void *at, size_t size)
{
	return !size || move(at, size);
}

static int get(void *at, size_t size)
{
	return fread(at, size, 1, stdin) == 1;
}

static int put(void *at, size_t size)
{
	return fwrite(at, size, 1, stdout) == 1;
}

int main(int argc, char **argv)
{
	u32 head[2], rest = sizeof(report) + 16;

	if (argc == 3)
		*(strcmp(argv[1], "panic") ? &last_pause : &bad_pause) = strtoull(argv[2], NULL, 10);
	stack = mmap(NULL, STACK + (1 << 20), PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	stack += 1 << 20;
	if (mprotect(stack, STACK, PROT_READ | PROT_WRITE))
		return 3;

	while (get(head, sizeof(head))) {
		u8 *file = malloc(head[0] + 1);
		u64 cost[2];

		most = head[1] ? head[1] : TAL_ARENA_MAX(head[0]);
		job.arena_size = most < TAL_ARENA ? most : TAL_ARENA;
		arena = take(job.arena_size);
		if (!arena || !all(get, file, head[0]))
			return 5;
		job.file = file;
		job.size = head[0];
		pauses = 0;
		memset(&report, 0xff, sizeof(report));
		cost[0] = deep();
		cost[1] = pauses;
		if (!put(&rest, 4) || !put(&report, sizeof(report)) || !put(cost, 16))
			return 6;
		fflush(stdout);
		give_all();
		free(file);
	}
	return 0;
}
