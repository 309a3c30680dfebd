// SPDX-License-Identifier: GPL-2.0
/*
 * Guest instructions per call: under QEMU's -icount shift=0 RDTSC counts
 * instructions.  Prints "NAME COUNT" lines.
 *
 * With -DRING3 an ordinary program that makes system calls.  Else a program at
 * CPL 0 that goes through gates, and that calls the kernel's functions directly
 * where its arguments tell their addresses in hexadecimal: __x64_sys_getpid and
 * __x64_sys_pread64, from /proc/kallsyms.  Such a call is what no verified
 * program can do; it is the measure for the others.
 *
 * Standard input is the file to read from.
 */
#ifdef RING3
typedef unsigned long ulong;
static long call(long nr, long a, long b, long c)
{
	long ret;

	asm volatile("syscall" : "=a" (ret) : "0" (nr), "D" (a), "S" (b), "d" (c)
		     : "rcx", "r11", "memory");
	return ret;
}
#define k_write(fd, text, n) call(1, fd, (long)(text), n)
asm(".globl _start\n_start: and $-16, %rsp\n call bench\n mov $231, %eax\n xor %edi, %edi\n"
    "syscall\n ud2\n");
static ulong length(const char *s) { ulong n = 0; while (s[n]) n++; return n; }
static void put(const char *s) { k_write(1, s, length(s)); }
static ulong rdtsc(void)
{
	unsigned int a, d;

	asm volatile("lfence; rdtsc" : "=a" (a), "=d" (d) : : "memory");
	return (ulong)d << 32 | a;
}
#else
#include "gates.h"
#endif

#define ROUNDS 1000
#define TRIES 20

static char buffer[64];
/* struct pt_regs: only the arguments matter. */
static ulong regs[21];
static ulong target;
static struct { long sec, nsec; } now;

static void report(const char *name, ulong best, ulong empty)
{
	char text[24];
	int i = sizeof(text);
	ulong v = (best - empty + ROUNDS / 2) / ROUNDS;

	text[--i] = '\n';
	do { text[--i] = '0' + v % 10; v /= 10; } while (v);
	put(name);
	put(" ");
	k_write(1, text + i, sizeof(text) - i);
}

#define BEST(best, setup, action, after) do {					\
	int try;								\
										\
	best = ~0ul;								\
	for (try = 0; try < TRIES; try++) {					\
		ulong from = rdtsc(), to;					\
		long i;								\
										\
		for (i = 0; i < ROUNDS; i++)					\
			asm volatile(setup action after : :			\
				[target] "m" (target), [buffer] "i" (buffer),	\
				[regs] "i" (regs), [now] "i" (&now)		\
				: "rax", "rcx", "rdx", "rsi", "rdi", "r8",	\
				  "r9", "r10", "r11", "memory", "cc");		\
		to = rdtsc();							\
		if (to - from < best)						\
			best = to - from;					\
	}									\
} while (0)

#define MEASURE_AND(name, setup, action, after) do {				\
	ulong best, empty;							\
										\
	BEST(empty, setup, "", after);						\
	BEST(best, setup, action, after);					\
	report(name, best, empty);						\
} while (0)

#define MEASURE(name, setup, action) MEASURE_AND(name, setup, action, "")

#define PREAD	"xor %%edi, %%edi; mov %[buffer], %%esi; mov $1, %%edx;"
#define CLOCK	"mov $1, %%edi; mov %[now], %%esi;"

#ifdef RING3

void bench(void)
{
	MEASURE("getpid syscall", "mov $39, %%eax;", "syscall");
	MEASURE("pread syscall", PREAD "xor %%r10d, %%r10d; mov $17, %%eax;", "syscall");
	MEASURE("clock_gettime syscall", CLOCK "mov $228, %%eax;", "syscall");
}

#else

static ulong hex(struct str s)
{
	ulong v = 0, i;

	for (i = 0; i < s.len; i++)
		v = v << 4 | (s.ptr[i] <= '9' ? s.ptr[i] - '0' : (s.ptr[i] | 32) - 'a' + 10);
	return v;
}

/* On this stack, which is not a kernel stack: so without interrupts. */
#define BARE(name) \
	MEASURE_AND(name, "cli; mov %[regs], %%edi;", "call *%[target];", "sti")

long start(ulong argc, struct str *argv, ulong envc, struct str *envp)
{
	if (argc > 2) {
		regs[7] = 0;				/* r10: position */
		regs[12] = 1;				/* rdx: bytes */
		regs[13] = (ulong)buffer;		/* rsi */
		regs[14] = 0;				/* rdi: file */
		target = hex(argv[1]);
		BARE("getpid bare");
		target = hex(argv[2]);
		BARE("pread bare");
	}
	MEASURE("getpid gate", "", "call 0x200070;");
	MEASURE("getpid fast", "", "call 0x2000c0;");
	/* The gate that judged programs have: it looks at the result. */
	MEASURE("pread gate", PREAD "xor %%ecx, %%ecx;", "call 0x200130;");
	MEASURE("clock_gettime gate", CLOCK, "call 0x200080;");
	MEASURE("clock_gettime fast", CLOCK, "call 0x2000d0;");
	return 0;
}
#endif
