// SPDX-License-Identifier: GPL-2.0
/* A program at CPL 0, to see how it lives and dies: argv[1] says which way. */
#define OWN_START
#include "gates.h"

/* What was in the registers that hold no arguments, flags, and MXCSR, at the beginning. */
static struct {
	ulong reg[11], flags, xmm[2];
	unsigned int mxcsr, control;
} at_entry __attribute__((used));

asm(".globl _start\n_start:\n"
    "mov %rax, at_entry; mov %rbx, at_entry+8; mov %rbp, at_entry+16; mov %r8, at_entry+24\n"
    "mov %r9, at_entry+32; mov %r10, at_entry+40; mov %r11, at_entry+48\n"
    "mov %r12, at_entry+56; mov %r13, at_entry+64; mov %r14, at_entry+72\n"
    "mov %r15, at_entry+80; pushf; popq at_entry+88; stmxcsr at_entry+112\n"
    "fnstcw at_entry+116\n"
    "orps %xmm1, %xmm0; orps %xmm2, %xmm0; orps %xmm3, %xmm0; orps %xmm4, %xmm0\n"
    "orps %xmm5, %xmm0; orps %xmm6, %xmm0; orps %xmm7, %xmm0; orps %xmm8, %xmm0\n"
    "orps %xmm9, %xmm0; orps %xmm10, %xmm0; orps %xmm11, %xmm0; orps %xmm12, %xmm0\n"
    "orps %xmm13, %xmm0; orps %xmm14, %xmm0; orps %xmm15, %xmm0\n"
    "movups %xmm0, at_entry+96\n"
    "call start\n mov %eax, %edi\n call 0x200060\n ud2\n");

/* The upper halves of the 256-bit registers, which no code here uses, together. */
static ulong upper_halves(void)
{
	unsigned int a = 1, b, c = 0, d;
	ulong half[2], all = 0;

	asm volatile("cpuid" : "+a" (a), "=b" (b), "+c" (c), "=d" (d));
	if (~c & (1 << 28 | 1 << 27))
		return 0;
#define HALF(n) asm volatile("vextractf128 $1, %%ymm" #n ", %0" : "=m" (half));	\
	all |= half[0] | half[1]
	HALF(0); HALF(1); HALF(2); HALF(3); HALF(4); HALF(5); HALF(6); HALF(7);
	HALF(8); HALF(9); HALF(10); HALF(11); HALF(12); HALF(13); HALF(14); HALF(15);
	return all;
}

static char data[8192] = "initialised";
static char bss[1 << 20];
/* A place for huge pages, touched on demand only. */
static ulong large[8 << 20];
static volatile long sink;

static long busy(ulong rounds)
{
	ulong want = 0x1234567890abcdef, got, bad = 0;

	/* A live red zone, a live vector register, live flags. */
	while (rounds--) {
		asm volatile("movq %1, %%xmm5; movq %1, -8(%%rsp); mov $1000, %%ecx\n"
			     "1: dec %%ecx; jnz 1b\n"
			     "movq %%xmm5, %0; cmp %0, -8(%%rsp); je 2f; xor %0, %0; 2:"
			     : "=&r" (got) : "r" (want) : "rcx", "xmm5", "memory", "cc");
		bad += got != want;
	}
	return bad;
}

__attribute__((noinline)) static long recurse(long n)
{
	volatile char frame[512];

	frame[0] = n;
	return recurse(n + 1) + frame[0];
}

__attribute__((noinline)) static long deep(long n)
{
	volatile char frame[2048];

	frame[0] = n;
	return n ? deep(n - 1) + frame[0] : 0;
}

static long check_args(ulong argc, struct str *argv, ulong envc, struct str *envp)
{
	ulong i;

	for (i = 0; i < argc; i++) {
		k_write(1, argv[i].ptr, argv[i].len);
		put(argv[i].ptr[argv[i].len] ? "?" : "|");
	}
	put("/");
	for (i = 0; i < envc; i++) {
		k_write(1, envp[i].ptr, envp[i].len);
		put("|");
	}
	return 0;
}

static long errors(void)
{
	char c = 0;

	put_dec(k_write(1, (void *)16, 5));		put(" ");
	put_dec(k_write(1, (void *)-4096ul, 5));	put(" ");
	put_dec(k_write(1, (void *)0xffffffff81000000ul, 5)); put(" ");
	put_dec(k_read(0, (void *)0x200000, 1));	put(" ");
	put_dec(k_write(99, &c, 1));			put(" ");
	put_dec(k_pread(0, &c, 1, -1));
	return 0;
}

/* The registers after a gate: the preserved ones, and no address of the kernel. */
static long registers(void)
{
	ulong dirty, kept;

	asm volatile("mov $0x1111, %%ebx; mov $0x2222, %%r12d; mov $0x3333, %%r13d\n"
		     "mov $0x4444, %%r14d; mov $0x5555, %%r15d; push %%rbp; mov $0x6666, %%ebp\n"
		     "mov $1, %%edi; lea %2, %%rsi; xor %%edx, %%edx\n"
		     "call 0x200010\n"
		     "or %%rcx, %%rax; or %%rdx, %%rax; or %%rsi, %%rax; or %%rdi, %%rax\n"
		     "or %%r8, %%rax; or %%r9, %%rax; or %%r10, %%rax; or %%r11, %%rax\n"
		     "add %%rbp, %%rbx; pop %%rbp; add %%r12, %%rbx; add %%r13, %%rbx\n"
		     "add %%r14, %%rbx; add %%r15, %%rbx\n"
		     : "=&a" (dirty), "=&b" (kept) : "m" (data)
		     : "rcx", "rdx", "rsi", "rdi", "r8", "r9", "r10", "r11", "r12", "r13",
		       "r14", "r15", "memory", "cc");
	put_dec(dirty >> 47 != 0);
	put(" ");
	put_dec(kept == 0x1111 + 0x2222 + 0x3333 + 0x4444 + 0x5555 + 0x6666);
	return 0;
}

/* What the kernel says when it is asked to change what was verified. */
static long change_map(void)
{
	static const char constant[] = "constant";
	const ulong sealed[] = { 0x200000, (ulong)start & -4096, (ulong)constant & -4096 };
	ulong i;

	for (i = 0; i < sizeof(sealed) / sizeof(*sealed); i++) {
		put_dec(k_munmap(sealed[i], 4096));			put(" ");
		put_dec(k_mremap(sealed[i], 4096, 4096, 1, 0));		put(" ");
		put_dec(k_mprotect(sealed[i], 4096, 7));		put(" ");
		put_dec(k_mmap(sealed[i], 4096, 3, 0x32, -1, 0));	put(" ");
		put_dec(k_madvise(sealed[i], 4096, 4));			put(" ");
	}
	put(constant);
	return 0;
}

/* All that a program was promised of its stack, from where it began down. */
static long room(const char *begin)
{
	long at;

	for (at = 8; at <= 65536; at += 8)
		sink += *(const volatile long *)(begin - at);
	put("room");
	return 0;
}

/* Where its stack and its mappings are. */
static long where(ulong begin)
{
	put_dec(begin);
	put(" ");
	put_dec(k_mmap(0, 4096, 3, 0x22, -1, 0));
	return 0;
}

static long sleep_ms(long ms)
{
	struct timespec t = { ms / 1000, ms % 1000 * 1000000 }, before, after;
	long err, took;

	k_clock(1, &before);
	err = k_nanosleep(1, 0, &t, 0);
	k_clock(1, &after);
	took = (after.sec - before.sec) * 1000 + (after.nsec - before.nsec) / 1000000;
	put_dec(err);
	put(took >= ms ? " slept" : " too short");
	return 0;
}

static long run_ms(long ms)
{
	struct timespec now;
	long end, bad = 0;

	k_clock(1, &now);
	end = now.sec * 1000 + now.nsec / 1000000 + ms;
	do {
		bad += busy(100);
		bad += k_getpid() != k_getpid_fast();
		k_clock_fast(1, &now);
	} while (now.sec * 1000 + now.nsec / 1000000 < end);
	put_dec(bad);
	put(" bad");
	return 0;
}

/* What is put into a vector register after a gate stays there, whoever else runs. */
static long vectors(long ms)
{
	ulong want = 0, got;
	struct timespec now;
	long end, bad = 0;
	int i;

	k_clock(1, &now);
	end = now.sec * 1000 + now.nsec / 1000000 + ms;
	do {
		for (i = 0; i < 200; i++) {
			k_clock_fast(1, &now);
			k_getpid_fast();
			asm volatile("movq %1, %%xmm5; mov $50, %%ecx\n"
				     "1: dec %%ecx; jnz 1b; movq %%xmm5, %0"
				     : "=r" (got) : "r" (++want) : "rcx", "xmm5", "cc");
			bad += got != want;
		}
	} while (now.sec * 1000 + now.nsec / 1000000 < end);
	put_dec(bad);
	put(" bad");
	return 0;
}

#define LARGE	(sizeof(large) / sizeof(*large))
#define PAGE	(4096 / sizeof(*large))

/* Something in each page: each its own, or all the same. */
static void fill(ulong n, ulong salt, int same)
{
	ulong i;

	for (i = 0; i < n; i += PAGE)
		large[i] = salt ^ (same ? 0 : i);
}

static long differs(ulong n, ulong salt, int same)
{
	ulong i;
	long bad = 0;

	for (i = 0; i < n; i += PAGE)
		bad += large[i] != (salt ^ (same ? 0 : i));
	return bad;
}

/* Fills the memory, says so, waits for a byte, looks at it and writes to it again. */
static long hold(int same, int spin)
{
	long bad;
	char c;

	fill(LARGE, 0x5a5a5a5a, same);
	put("ready\n");
	while (spin) {
		/* Else the compiler knows that all of it is as it was. */
		asm volatile("" : : : "memory");
		if (differs(LARGE, 0x5a5a5a5a, same))
			return 1;
	}
	if (k_read(0, &c, 1) != 1)
		return 1;
	bad = differs(LARGE, 0x5a5a5a5a, same);
	fill(LARGE, 0xa5a5a5a5, 0);
	bad += differs(LARGE, 0xa5a5a5a5, 0);
	put_dec(bad);
	put(" bad");
	return 0;
}

/* 4 MB that are written and looked at again, for a minute. */
static long press(void)
{
	const ulong n = (4 << 20) / sizeof(*large);
	struct timespec now;
	ulong round = 0;
	long end, bad = 0;
	char c;

	fill(n, round, 0);
	/* The minute begins when the memory of all is there, however slow that was. */
	put("ready\n");
	if (k_read(0, &c, 1))
		return 1;
	k_clock(1, &now);
	end = now.sec + 60;
	do {
		fill(n, round, 0);
		bad += differs(n, round++, 0);
		k_clock(1, &now);
	} while (now.sec < end);
	put_dec(bad);
	put(" bad");
	return 0;
}

/* All the memory, from the kernel's hand. */
static long read_fill(void)
{
	int fd = 0;

	for (;;)
		if (k_read(fd, large, sizeof(large)) <= 0)
			return 1;
}

static long copy(void)
{
	long n, total = 0;

	while ((n = k_read(0, bss, sizeof(bss))) > 0) {
		long done = 0, w;

		while (done < n) {
			w = k_write(1, bss + done, n - done);
			if (w < 0)
				return 1;
			done += w;
		}
		total += n;
	}
	return n < 0;
}

long start(ulong argc, struct str *argv, ulong envc, struct str *envp)
{
	struct str how = argc > 1 ? argv[1] : (struct str){ "cpl", 3 };
	ulong i, n = 0;

	if (is(how, "cpl")) {
		put("CPL ");
		put_dec(cpl());
		put("\n");
	} else if (is(how, "args")) {
		return check_args(argc, argv, envc, envp);
	} else if (is(how, "entry")) {
		for (i = 0; i < sizeof(at_entry.reg) / sizeof(ulong); i++)
			n |= at_entry.reg[i];
		at_entry.xmm[0] |= upper_halves();
		put_dec(n);
		put(" ");
		put_dec(at_entry.flags);
		put(" ");
		put_dec(at_entry.xmm[0] | at_entry.xmm[1]);
		put(" ");
		put_dec(at_entry.mxcsr);
		put(" ");
		put_dec(at_entry.control);
	} else if (is(how, "room")) {
		return room((const char *)argv);
	} else if (is(how, "where")) {
		return where((ulong)argv);
	} else if (is(how, "status")) {
		return 42;
	} else if (is(how, "data")) {
		for (i = 0; i < sizeof(bss); i++)
			n += bss[i];
		put(data);
		put(n ? " dirty" : " zero");
	} else if (is(how, "stack")) {
		deep(1000);
		put("deep");
	} else if (is(how, "errors")) {
		return errors();
	} else if (is(how, "registers")) {
		return registers();
	} else if (is(how, "sleep")) {
		return sleep_ms(300);
	} else if (is(how, "copy")) {
		return copy();
	} else if (is(how, "run")) {
		return run_ms(1500);
	} else if (is(how, "map")) {
		return change_map();
	} else if (is(how, "vectors")) {
		return vectors(1500);
	} else if (is(how, "fill")) {
		return hold(0, 0);
	} else if (is(how, "same")) {
		return hold(1, 0);
	} else if (is(how, "fillspin")) {
		return hold(0, 1);
	} else if (is(how, "samespin")) {
		return hold(1, 1);
	} else if (is(how, "press")) {
		return press();
	} else if (is(how, "readfill")) {
		return read_fill();
	} else if (is(how, "spin")) {
		for (;;)
			busy(1000);
	} else if (is(how, "gates")) {
		struct timespec now;

		for (;;) {
			k_getpid_fast();
			k_clock_fast(1, &now);
			k_getpid();
		}
	} else if (is(how, "recurse")) {
		return recurse(0);
	} else if (is(how, "bigframe")) {
		asm volatile("sub $0x1000000, %%rsp; push %%rax" : : : "memory");
	} else if (is(how, "div0")) {
		asm volatile("xor %%ecx, %%ecx; mov $1, %%eax; cltd; idiv %%ecx"
			     : : : "rax", "rcx", "rdx");
	} else if (is(how, "ud2")) {
		asm volatile("ud2");
	} else if (is(how, "int3")) {
		asm volatile("int3");
	} else if (is(how, "int80")) {
		asm volatile("int $0x80" : : "a" (20) : "memory");
	} else if (is(how, "null")) {
		*(volatile int *)(ulong)sink = 1;
	} else if (is(how, "nullcall")) {
		((void (*)(void))(ulong)sink)();
	} else if (is(how, "datacall")) {
		data[0] = 0xc3;
		((void (*)(void))(void *)data)();
	} else if (is(how, "stackcall")) {
		volatile char code = 0xc3;

		((void (*)(void))(void *)&code)();
	} else if (is(how, "misaligned")) {
		asm volatile("movaps 1(%%rsp), %%xmm0" : : : "xmm0");
	} else if (is(how, "pid")) {
		put_dec(k_getpid());
	} else if (is(how, "sse")) {
		unsigned int mxcsr = 0;

		asm volatile("ldmxcsr %0; xorps %%xmm0, %%xmm0; divss %%xmm0, %%xmm0"
			     : : "m" (mxcsr) : "xmm0");
	} else if (is(how, "x87")) {
		unsigned short control = 0x37b;	/* division by zero is not masked */

		asm volatile("fldcw %0; fldz; fld1; fdiv %%st(1), %%st; fwait" : : "m" (control));
	} else if (is(how, "splitlock")) {
		static char line[128] __attribute__((aligned(64)));

		asm volatile("lock incl %0" : "+m" (line[62]));
	} else if (is(how, "noncanonical")) {
		asm volatile("movabs $0x8000000000000000, %%rax; mov (%%rax), %%rax" : : : "rax");
	} else if (is(how, "wildcall")) {
		asm volatile("movabs $0x8000000000000000, %%rax; call *%%rax" : : : "rax");
	} else if (is(how, "noendbr")) {
		ulong from;

		asm volatile("lea 1f(%%rip), %0; jmp *%0; 1: nop" : "=&r" (from));
		return 0;
	} else if (is(how, "text")) {
		*(volatile char *)(void *)start = 0x90;
	} else if (is(how, "gatewrite")) {
		*(volatile char *)0x200000 = 0x90;
	} else if (is(how, "nogate")) {
		asm volatile("call 0x200000 + 16 * 200");
	} else if (is(how, "syscall")) {
		asm volatile("mov $39, %%eax; syscall" : : : "rax", "rcx", "r11", "memory");
	} else {
		put("?");
		return 99;
	}
	return 0;
}
