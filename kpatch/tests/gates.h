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

#define GATE(i, type) ((type)(0x200000ul + 16 * (i)))
#define k_read		GATE(0, long (*)(int, void *, ulong))
#define k_write		GATE(1, long (*)(int, const void *, ulong))
#define k_close		GATE(2, long (*)(int))
#define k_lseek		GATE(3, long (*)(int, long, int))
#define k_pread		GATE(4, long (*)(int, void *, ulong, long))
#define k_pwrite	GATE(5, long (*)(int, const void *, ulong, long))
#define k_exit		GATE(6, void (*)(int))
#define k_getpid	GATE(7, long (*)(void))
#define k_clock		GATE(8, long (*)(int, struct timespec *))
#define k_nanosleep	GATE(9, long (*)(int, int, const struct timespec *, struct timespec *))
#define k_getrandom	GATE(10, long (*)(void *, ulong, int))
#define k_yield		GATE(11, long (*)(void))
#define k_getpid_fast	GATE(12, long (*)(void))
#define k_clock_fast	GATE(13, long (*)(int, struct timespec *))
#define k_munmap	GATE(14, long (*)(ulong, ulong))
#define k_mremap	GATE(15, long (*)(ulong, ulong, ulong, int, ulong))
#define k_mprotect	GATE(16, long (*)(ulong, ulong, int))
#define k_madvise	GATE(17, long (*)(ulong, ulong, int))
#define k_mmap		GATE(18, long (*)(ulong, ulong, int, int, int, long))
#define k_pread_judged	GATE(19, long (*)(int, void *, ulong, long))

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
