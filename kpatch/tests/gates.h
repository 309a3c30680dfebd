/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The kernel's functions as a verified program calls them: gate i is at
 * 0x200000 + 16 * i, in the order of arch/x86/kml/gates.h.
 */
#ifndef GATES_H
#define GATES_H

typedef unsigned long ulong;
struct str { const char *ptr; ulong len; };
struct timespec { long sec, nsec; };

/* Called directly: a gate does not begin with ENDBR, which indirect calls may need. */
#define GATE(i, name, result, ...)						\
	asm(".globl " #name "\n.set " #name ", 0x200000 + 16 * " #i);		\
	result name(__VA_ARGS__)
GATE(0, k_read, long, int, void *, ulong);
GATE(1, k_write, long, int, const void *, ulong);
GATE(2, k_close, long, int);
GATE(3, k_lseek, long, int, long, int);
GATE(4, k_pread, long, int, void *, ulong, long);
GATE(5, k_pwrite, long, int, const void *, ulong, long);
GATE(6, k_exit, void, int);
GATE(7, k_getpid, long, void);
GATE(8, k_clock, long, int, struct timespec *);
GATE(9, k_nanosleep, long, int, int, const struct timespec *, struct timespec *);
GATE(10, k_getrandom, long, void *, ulong, int);
GATE(11, k_yield, long, void);
GATE(12, k_getpid_fast, long, void);
GATE(13, k_clock_fast, long, int, struct timespec *);
GATE(14, k_munmap, long, ulong, ulong);
GATE(15, k_mremap, long, ulong, ulong, ulong, int, ulong);
GATE(16, k_mprotect, long, ulong, ulong, int);
GATE(17, k_madvise, long, ulong, ulong, int);
GATE(18, k_mmap, long, ulong, ulong, int, int, int, long);
GATE(19, k_pread_judged, long, int, void *, ulong, long);

static inline ulong length(const char *s) { ulong n = 0; while (s[n]) n++; return n; }
static inline void put(const char *s) { k_write(1, s, length(s)); }
static inline void put_dec(long value)
{
	char text[24];
	ulong v = value < 0 ? -value : value;
	int i = sizeof(text);

	do { text[--i] = '0' + v % 10; v /= 10; } while (v);
	if (value < 0)
		text[--i] = '-';
	k_write(1, text + i, sizeof(text) - i);
}
static inline int is(struct str s, const char *t)
{
	ulong i;

	for (i = 0; i < s.len && t[i]; i++)
		if (s.ptr[i] != t[i])
			return 0;
	return i == s.len && !t[i];
}
static inline unsigned int cpl(void)
{
	unsigned short cs;

	asm("mov %%cs, %0" : "=r" (cs));
	return cs & 3;
}
static inline ulong rdtsc(void)
{
	unsigned int a, d;

	asm volatile("lfence; rdtsc" : "=a" (a), "=d" (d) : : "memory");
	return (ulong)d << 32 | a;
}

long start(ulong argc, struct str *argv, ulong envc, struct str *envp);
/* RSP is a multiple of 16 and there is no return address. */
#ifndef OWN_START
asm(".globl _start\n_start: call start\n mov %eax, %edi\n call 0x200060\n ud2\n");
#endif
#endif
