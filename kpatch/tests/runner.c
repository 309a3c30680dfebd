// SPDX-License-Identifier: GPL-2.0
/*
 * Tests of programs at CPL 0, run by the first process of a virtual machine as
 * root, itself an ordinary program at CPL 3.  Reports like a test runner; the
 * exit status is 0 when all passed.
 *
 *	runner [--only WORD]		programs that are admitted
 *	runner --unverified		with kml.unverified=1
 *	runner --order CMD		CMD, killed if a system call has arguments in an
 *					order that is not Linux's
 */
#include "harness.h"

#include <pthread.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <setjmp.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <linux/filter.h>
#include <linux/seccomp.h>

static struct run *life(const char *how)
{
	return run_with(LIFE, how, -1, NULL);
}

static const char *says(const char *how, const char *want)
{
	struct run *r = life(how);

	if (r->status)
		return fail("status %x, said '%s'", r->status, r->out);
	return strcmp(r->out, want) ? fail("said '%s', not '%s'", r->out, want) : NULL;
}

static const char *dies(const char *how, int signal)
{
	struct run *r = life(how);

	if (!WIFSIGNALED(r->status) || WTERMSIG(r->status) != signal)
		return fail("status %x instead of signal %d, said '%s'", r->status, signal, r->out);
	return WCOREDUMP(r->status) ? "left a core" : NULL;
}

/* ---- what it is ---- */

/* 0 if this is the CPL, and the base of GS is nobody's who is at CPL 3. */
static int is_cpl(unsigned int want)
{
	unsigned short cs;
	unsigned long gs = 1;

	asm("mov %%cs, %0" : "=r" (cs));
	if ((cs & 3) != want)
		return 7;
	if (syscall(SYS_arch_prctl, 0x1004 /* ARCH_GET_GS */, &gs))
		return 8;
	return want == 3 && gs ? 10 : 0;
}

static const char *cpl0(void) { return says("cpl", "CPL 0\n"); }
static const char *cpl3(void)
{
	unsigned short cs;

	asm("mov %%cs, %0" : "=r" (cs));
	return (cs & 3) == 3 ? NULL : "the runner is not at CPL 3";
}

static const char *arguments(void) { return says("args", LIFE "|args|/A=1|EMPTY=|"); }
/* What a process may leave in registers for the next program. */
static void dirty(void)
{
	static const unsigned int mxcsr = 0x7f80;
	static const unsigned short control = 0x27f;

	asm volatile("pcmpeqd %%xmm0, %%xmm0; movaps %%xmm0, %%xmm7; movaps %%xmm0, %%xmm15\n"
		     "ldmxcsr %0; fldcw %1" : : "m" (mxcsr), "m" (control));
	if (__builtin_cpu_supports("avx"))
		asm volatile("vinsertf128 $1, %xmm0, %ymm0, %ymm3\n"
			     "vinsertf128 $1, %xmm0, %ymm0, %ymm12");
}

/* Registers without arguments and vectors are zero; flags: IF only; controls as reset. */
static const char *entry(void)
{
	struct run *r = run_with(LIFE, "entry", -1, dirty);

	return r->status || strcmp(r->out, "0 514 0 8064 895") ?
		fail("status %x, said '%s'", r->status, r->out) : NULL;
}

/* Only the text and the gates can be executed: no vDSO, nothing else. */
static const char *executable(void)
{
	pid_t pid = start(LIFE, "spin", -1, NULL, NULL);
	char path[64], line[300], found[300] = "";
	int n = 0, gates = 0;
	FILE *f;

	sleep_ms(100);
	snprintf(path, sizeof(path), "/proc/%d/maps", pid);
	f = fopen(path, "r");
	while (f && fgets(line, sizeof(line), f)) {
		char *rights = strchr(line, ' ');

		/* The vsyscall page is shown to all; it is no memory, and in the kernel's half. */
		if (!rights || rights[3] != 'x' || strtoul(line, NULL, 16) >> 47)
			continue;
		n++;
		gates += !!strstr(line, "[kml gates]");
		snprintf(found, sizeof(found), "%s", line);
		if (rights[2] == 'w')
			gates = -9;
	}
	if (f)
		fclose(f);
	kill(pid, SIGKILL);
	finish(pid, 5000);
	return n == 2 && gates == 1 ? NULL : fail("%d executable, %d gates, the last %s", n, gates, found);
}

static const char *status(void)
{
	struct run *r = life("status");

	return WIFEXITED(r->status) && WEXITSTATUS(r->status) == 42 ? NULL : fail("%x", r->status);
}
static const char *data(void) { return says("data", "initialised zero"); }
static const char *stack(void) { return says("stack", "deep"); }
static const char *bad_pointers(void)
{
	int in = open("/dev/zero", O_RDONLY);
	struct run *r = run_with(LIFE, "errors", in, NULL);

	close(in);
	return r->status || strcmp(r->out, "-14 -14 -14 -14 -9 -22") ?
		fail("status %x, said '%s'", r->status, r->out) : NULL;
}
static const char *registers(void) { return says("registers", "0 1"); }
static const char *sleeps(void) { return says("sleep", "0 slept"); }
static const char *red_zone(void) { return says("run", "0 bad"); }

static const char *copies(void)
{
	int in = open("/proc/self/exe", O_RDONLY), i;
	static char all[60000];
	struct run *r;

	if (pread(in, all, sizeof(all), 0) != sizeof(all))
		return "cannot read";
	close(in);
	in = memfd_create("in", 0);
	if (write(in, all, sizeof(all)) != sizeof(all) || lseek(in, 0, SEEK_SET))
		return "cannot write";
	for (i = 0; i < 20; i++) {
		lseek(in, 0, SEEK_SET);
		r = run_with(LIFE, "copy", in, NULL);
		if (r->status || r->size != sizeof(all) || memcmp(r->out, all, sizeof(all)))
			return fail("status %x, %zu bytes", r->status, r->size);
	}
	close(in);
	return NULL;
}

static const char *maps(void)
{
	char path[64], line[300];
	pid_t pid = start(LIFE, "spin", -1, NULL, NULL);
	const char *bad = NULL;

	sleep_ms(50);
	snprintf(path, sizeof(path), "/proc/%d/maps", pid);
	if (!grep_file(path, "[kml text]", line, sizeof(line)) || !strstr(line, " r-xp "))
		bad = "no text, or not r-x";
	else if (!grep_file(path, "[kml gates]", line, sizeof(line)) || !strstr(line, "00200000-00201000 r-xp "))
		bad = "no gates, or not r-x";
	else if (grep_file(path, "wx", line, sizeof(line)))
		bad = "something is writable and executable";
	else if (grep_file(path, LIFE, line, sizeof(line)))
		bad = "the file is mapped";
	else if (grep_file(path, "[vdso]", line, sizeof(line)))
		bad = "there is a vDSO";
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	return bad;
}

static const char *own_map(void)
{
	/* EPERM: sealed.  EACCES: may never be writable. */
	return says("map", "-1 -1 -13 -1 -1 -1 -1 -13 -1 -1 -1 -1 -13 -1 -1 constant");
}

/* ---- how it dies ---- */

static const char *recursion(void) { return dies("recurse", SIGSEGV); }
static const char *big_frame(void) { return dies("bigframe", SIGSEGV); }
static const char *division(void) { return dies("div0", SIGFPE); }
static const char *ud2(void) { return dies("ud2", SIGILL); }
static const char *int3(void) { return dies("int3", SIGTRAP); }
static const char *null_write(void) { return dies("null", SIGSEGV); }
static const char *null_call(void) { return dies("nullcall", SIGSEGV); }
static const char *misaligned(void) { return dies("misaligned", SIGSEGV); }
static const char *x87(void) { return dies("x87", SIGFPE); }
/* Where the machine has no detection of split locks it is an access like others. */
static const char *split_lock(void)
{
	struct run *r = life("splitlock");

	return r->status && !(WIFSIGNALED(r->status) && WTERMSIG(r->status) == SIGBUS) ?
		fail("status %x", r->status) : NULL;
}
static const char *noncanonical(void) { return dies("noncanonical", SIGSEGV); }
static const char *wild_call(void) { return dies("wildcall", SIGSEGV); }
/* What Bochs does and QEMU does not: track branches, raise exceptions of SSE. */
static int bochs;
static const char *dies_on_bochs(const char *how, int signal)
{
	struct run *r = life(how);
	int died = WIFSIGNALED(r->status) && WTERMSIG(r->status) == signal;

	return (bochs ? died : !r->status) ? NULL : fail("status %x", r->status);
}

/* A CPU has its own registers for that, which it got when it was started. */
static const char *no_endbr(void)
{
	long cpus = sysconf(_SC_NPROCESSORS_ONLN), cpu;
	const char *bad = NULL;
	cpu_set_t old;

	sched_getaffinity(0, sizeof(old), &old);
	for (cpu = 0; cpu < cpus && !bad; cpu++) {
		only_on_cpu(cpu);
		bad = dies_on_bochs("noendbr", SIGSEGV);
	}
	sched_setaffinity(0, sizeof(old), &old);
	return bad;
}

static const char *sse(void) { return dies_on_bochs("sse", SIGFPE); }
static const char *write_text(void) { return dies("text", SIGSEGV); }
static const char *call_data(void) { return dies("datacall", SIGSEGV); }
static const char *call_stack(void) { return dies("stackcall", SIGSEGV); }
static const char *write_gate(void) { return dies("gatewrite", SIGSEGV); }
static const char *no_gate(void) { return dies("nogate", SIGTRAP); }
static const char *syscall_at_0(void) { return dies("syscall", SIGSYS); }

/* ---- how it lives with others ---- */

static void on_cpu_0(void) { only_on_cpu(0); }

/* Only if the spinning program is preempted does this come to an end. */
static const char *preempted(void)
{
	cpu_set_t old;
	pid_t pid;
	long t;
	int st;

	sched_getaffinity(0, sizeof(old), &old);
	on_cpu_0();
	pid = start(LIFE, "spin", -1, NULL, NULL);
	for (t = now_ms(); now_ms() - t < 500;)
		;
	kill(pid, SIGKILL);
	st = finish(pid, 5000);
	sched_setaffinity(0, sizeof(old), &old);
	return WIFSIGNALED(st) && WTERMSIG(st) == SIGKILL ? NULL : fail("status %x", st);
}

/* What a program is accounted that spins for a second while this one sleeps. */
static void times(const char *path, const char *arg, ulong *user, ulong *system)
{
	pid_t pid = start(path, arg, -1, NULL, NULL);

	sleep_ms(1000);
	state_of(pid, user, system);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

static const char *user_time(void)
{
	ulong user = 0, system = 0, user3 = 0, system3 = 0;

	times(LIFE, "spin", &user, &system);
	times("/bin/runner", "--spin", &user3, &system3);
	if (user < 40 || user + 10 < user3 || system > system3 + 10)
		return fail("accounted %lu + %lu ticks of user and system time, %lu + %lu at CPL 3",
			    user, system, user3, system3);
	return NULL;
}

static const char *killed_in_gates(void)
{
	pid_t pid = start(LIFE, "gates", -1, NULL, NULL);
	int st;

	sleep_ms(100);
	kill(pid, SIGTERM);
	st = finish(pid, 5000);
	return WIFSIGNALED(st) && WTERMSIG(st) == SIGTERM ? NULL : fail("status %x", st);
}

static const char *stopped(void)
{
	pid_t pid = start(LIFE, "spin", -1, NULL, NULL);
	ulong a = 0, b = 0, c = 0, system;
	const char *bad = NULL;
	int i;

	sleep_ms(100);
	kill(pid, SIGSTOP);
	for (i = 0; i < 100 && state_of(pid, &a, &system) != 'T'; i++)
		sleep_ms(10);
	if (i == 100)
		bad = "does not stop";
	state_of(pid, &a, &system);
	sleep_ms(200);
	state_of(pid, &b, &system);
	kill(pid, SIGCONT);
	sleep_ms(300);
	state_of(pid, &c, &system);
	if (!bad && b > a + 1)
		bad = "runs while stopped";
	if (!bad && c <= b)
		bad = "does not continue";
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	return bad;
}

/* A sleep that is stopped and continued is as long as it was to be. */
static const char *sleep_restarts(void)
{
	int out, st;
	char text[32] = "";
	pid_t pid = start(LIFE, "sleep", -1, &out, NULL);

	sleep_ms(60);
	kill(pid, SIGSTOP);
	sleep_ms(60);
	kill(pid, SIGCONT);
	st = finish(pid, 5000);
	if (read(out, text, sizeof(text) - 1) < 0)
		text[0] = 0;
	close(out);
	return st || strcmp(text, "0 slept") ? fail("status %x, said '%s'", st, text) : NULL;
}

static const char *read_restarts(void)
{
	int in[2], out, st;
	char text[8] = "";
	pid_t pid;

	if (pipe2(in, O_CLOEXEC))
		return "no pipe";
	pid = start(LIFE, "copy", in[0], &out, NULL);
	close(in[0]);
	sleep_ms(50);
	kill(pid, SIGSTOP);
	sleep_ms(50);
	kill(pid, SIGCONT);
	sleep_ms(50);
	if (write(in[1], "abc", 3) != 3)
		return "cannot write";
	close(in[1]);
	st = finish(pid, 5000);
	if (read(out, text, sizeof(text) - 1) < 0)
		text[0] = 0;
	close(out);
	return st || strcmp(text, "abc") ? fail("status %x, said '%s'", st, text) : NULL;
}

static void ignore_usr1(void) { signal(SIGUSR1, SIG_IGN); }
static const char *ignored_signals(void)
{
	int out, st, i;
	char text[32] = "";
	pid_t pid = start(LIFE, "run", -1, &out, ignore_usr1);

	sleep_ms(100);
	for (i = 0; i < 2000; i++)
		kill(pid, SIGUSR1);
	st = finish(pid, 20000);
	if (read(out, text, sizeof(text) - 1) < 0)
		text[0] = 0;
	close(out);
	return st || strcmp(text, "0 bad") ? fail("status %x, said '%s'", st, text) : NULL;
}

static const char *default_signals(void)
{
	static const int signals[] = { SIGHUP, SIGINT, SIGQUIT, SIGUSR1, SIGALRM, SIGTERM, SIGXCPU };
	unsigned int i;

	for (i = 0; i < sizeof(signals) / sizeof(*signals); i++) {
		pid_t pid = start(LIFE, "spin", -1, NULL, NULL);
		int st;

		sleep_ms(20);
		kill(pid, signals[i]);
		st = finish(pid, 5000);
		if (!WIFSIGNALED(st) || WTERMSIG(st) != signals[i])
			return fail("status %x instead of signal %d", st, signals[i]);
	}
	return NULL;
}

static void one_second(void)
{
	struct rlimit limit = { 1, 2 };

	setrlimit(RLIMIT_CPU, &limit);
}
static const char *cpu_limit(void)
{
	pid_t pid = start(LIFE, "spin", -1, NULL, one_second);
	int st = finish(pid, 20000);

	return WIFSIGNALED(st) && WTERMSIG(st) == SIGXCPU ? NULL : fail("status %x", st);
}

static void small_stack(void)
{
	struct rlimit limit = { 256 << 10, 256 << 10 };

	setrlimit(RLIMIT_STACK, &limit);
}
static const char *stack_limit(void)
{
	struct run *r = run_with(LIFE, "stack", -1, small_stack);

	return WIFSIGNALED(r->status) && WTERMSIG(r->status) == SIGSEGV ? NULL : fail("status %x", r->status);
}

static const char *moves(void)
{
	long cpus = sysconf(_SC_NPROCESSORS_ONLN);
	pid_t pid = start(LIFE, "spin", -1, NULL, NULL);
	const char *bad = NULL;
	int i;

	for (i = 0; i < 50 && !bad; i++) {
		cpu_set_t set;

		CPU_ZERO(&set);
		CPU_SET(i % cpus, &set);
		if (sched_setaffinity(pid, sizeof(set), &set))
			bad = "sched_setaffinity";
		sleep_ms(5);
	}
	if (state_of(pid, NULL, NULL) != 'R')
		bad = "does not run";
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	return bad;
}

/* Every kind of switch between the two kinds of program. */
static const char *chains(void)
{
	int i;

	for (i = 0; i < 150; i++) {
		struct run *r = run_with(i % 3 ? LIFE : "/bin/true", "cpl", -1, NULL);

		if (r->status || (i % 3 && strcmp(r->out, "CPL 0\n")))
			return fail("round %d: status %x, said '%s'", i, r->status, r->out);
	}
	return NULL;
}

static const char *crowd_of(int pairs, const char *how, const char *how3)
{
	pid_t pids[256];
	int outs[256], i, bad = 0;
	char text[32];

	for (i = 0; i < 2 * pairs; i++)
		pids[i] = start(i % 2 ? LIFE : "/bin/runner", i % 2 ? how : how3, -1, &outs[i], NULL);
	for (i = 0; i < 2 * pairs; i++) {
		int st = finish(pids[i], 300000);
		ssize_t n = read(outs[i], text, sizeof(text) - 1);

		text[n > 0 ? n : 0] = 0;
		close(outs[i]);
		bad += st != 0 || strcmp(text, "0 bad") != 0;
	}
	return bad ? fail("%d of %d went wrong", bad, 2 * pairs) : NULL;
}
static const char *crowd(void) { return crowd_of(8, "run", "--busy"); }

/* On one CPU, so that each is preempted by the others, also in a fast gate. */
static const char *vectors(void)
{
	const char *bad;
	cpu_set_t old;

	sched_getaffinity(0, sizeof(old), &old);
	on_cpu_0();
	bad = crowd_of(2, "vectors", "--busy");
	sched_setaffinity(0, sizeof(old), &old);
	return bad;
}

/* The ordinary half of the crowd. */
static int busy(long ms)
{
	long end = now_ms() + ms, bad = 0;

	while (now_ms() < end) {
		unsigned long want = 0x1234567890abcdef, got;

		asm volatile("movq %1, %%xmm5; movq %1, -8(%%rsp); mov $100000, %%ecx\n"
			     "1: dec %%ecx; jnz 1b\n"
			     "movq %%xmm5, %0; cmp %0, -8(%%rsp); je 2f; xor %0, %0; 2:"
			     : "=&r" (got) : "r" (want) : "rcx", "xmm5", "memory", "cc");
		bad += got != want;
	}
	printf("%ld bad", bad);
	return 0;
}

/* ---- who gets in ---- */

/* exec fails with EPERM, and the log says why in one line. */
static const char *refused(const char *path, const char *reason)
{
	struct run *r;
	const char *line;

	look_for_complaints(kernel_log());
	r = run_with(path, "cpl", -1, NULL);
	if (!WIFEXITED(r->status) || WEXITSTATUS(r->status) != 126)
		return fail("status %x instead of EPERM", r->status);
	line = strstr(kernel_log(), "refused: ");
	if (!line || strncmp(line + 9, reason, strlen(reason)))
		return fail("the log says '%.100s', not '%s'", line ? line : "nothing", reason);
	return NULL;
}

static const char *flipped(void)
{
	static const int at[] = { 0, 0x18, 0x1010, 0x4000 };
	unsigned int i;
	const char *bad = NULL;

	for (i = 0; i < sizeof(at) / sizeof(*at) && !bad; i++) {
		if (copy_file(LIFE, "/trusted/flipped", at[i]))
			return "cannot copy";
		bad = refused("/trusted/flipped", "at file offset ");
	}
	unlink("/trusted/flipped");
	return bad;
}

static const char *same_bytes(void)
{
	struct run *r;

	if (copy_file(LIFE, "/trusted/same", -1))
		return "cannot copy";
	r = run_with("/trusted/same", "cpl", -1, NULL);
	unlink("/trusted/same");
	return strcmp(r->out, "CPL 0\n") ? fail("said '%s'", r->out) : NULL;
}

static const char *ordinary_file(void)
{
	const char *bad;

	if (copy_file("/bin/true", "/trusted/true", -1))
		return "cannot copy";
	bad = refused("/trusted/true", "at file offset ");
	unlink("/trusted/true");
	return bad;
}

static const char *script(void)
{
	int fd = open("/trusted/script", O_WRONLY | O_CREAT | O_TRUNC, 0755);
	const char *bad;

	if (write(fd, "#!/bin/true\n", 12) != 12)
		return "cannot write";
	close(fd);
	bad = refused("/trusted/script", "at file offset ");
	unlink("/trusted/script");
	return bad;
}

/* An admitted interpreter may interpret a script from anywhere: it is verified. */
static const char *script_of(void)
{
	struct run *r;
	int fd = open("/tmp/script", O_WRONLY | O_CREAT | O_TRUNC, 0755);

	if (write(fd, "#!" LIFE " cpl\n", strlen("#!" LIFE " cpl\n")) < 0)
		return "cannot write";
	close(fd);
	r = run_with("/tmp/script", "x", -1, NULL);
	return strcmp(r->out, "CPL 0\n") ? fail("status %x, said '%s'", r->status, r->out) : NULL;
}

/* Ring 3 does not have the gates: the first call is a fault. */
static const char *at_ring_3(struct run *r)
{
	if (!WIFSIGNALED(r->status) || WTERMSIG(r->status) != SIGSEGV)
		return fail("status %x, said '%s'", r->status, r->out);
	return NULL;
}

static const char *elsewhere(void)
{
	if (copy_file(LIFE, "/tmp/life", -1))
		return "cannot copy";
	return at_ring_3(run_with("/tmp/life", "cpl", -1, NULL));
}

static void by_memfd(void)
{
	int fd = memfd_create("life", 0), in = open(LIFE, O_RDONLY);
	char *argv[] = { "life", "cpl", NULL }, *envp[] = { NULL };
	char buffer[65536];
	ssize_t n;

	while ((n = read(in, buffer, sizeof(buffer))) > 0)
		if (write(fd, buffer, n) != n)
			_exit(9);
	fexecve(fd, argv, envp);
	_exit(10);
}
static const char *memfd(void) { return at_ring_3(run_with(LIFE, "cpl", -1, by_memfd)); }

static void own_trusted(void)
{
	static const char *const files[] = { "setgroups", "uid_map", "gid_map" };
	char path[64];
	int i;

	if (unshare(CLONE_NEWUSER | CLONE_NEWNS))
		_exit(8);
	for (i = 0; i < 3; i++) {
		const char *text = i ? "0 0 1" : "deny";

		snprintf(path, sizeof(path), "/proc/self/%s", files[i]);
		if (write(open(path, O_WRONLY), text, strlen(text)) < 0)
			_exit(9);
	}
	if (mount("none", "/trusted", "tmpfs", 0, NULL))
		_exit(10);
	if (copy_file("/tmp/life", LIFE, -1))
		_exit(11);
}
static const char *user_namespace(void)
{
	copy_file(LIFE, "/tmp/life", -1);
	return at_ring_3(run_with(LIFE, "cpl", -1, own_trusted));
}

static void own_root(void)
{
	mkdir("/tmp/root", 0755);
	mkdir("/tmp/root/trusted", 0755);
	if (copy_file(LIFE, "/tmp/root" LIFE, -1) || chroot("/tmp/root") || chdir("/"))
		_exit(9);
}
static const char *chrooted(void) { return at_ring_3(run_with(LIFE, "cpl", -1, own_root)); }

static void bound(void)
{
	mkdir("/tmp/bind", 0755);
	if (unshare(CLONE_NEWNS) || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) ||
	    mount("/tmp", "/trusted", NULL, MS_BIND, NULL))
		_exit(9);
}
static const char *bind_mount(void)
{
	copy_file(LIFE, "/tmp/life", -1);
	return at_ring_3(run_with(LIFE, "cpl", -1, bound));
}

static const char *set_user_id(void)
{
	const char *bad;

	if (copy_file(LIFE, "/trusted/suid", -1) || chmod("/trusted/suid", 04755))
		return "cannot copy";
	bad = refused("/trusted/suid", "the file is setuid");
	unlink("/trusted/suid");
	return bad;
}

static void traced(void) { ptrace(PTRACE_TRACEME, 0, 0, 0); }
static const char *traced_exec(void)
{
	int out, st;
	pid_t pid = start(LIFE, "cpl", -1, &out, traced);

	close(out);
	st = finish(pid, 5000);
	return WIFEXITED(st) && WEXITSTATUS(st) == 126 ? NULL : fail("status %x instead of EPERM", st);
}

/* ---- who may look into it ---- */

static const char *attach(void)
{
	pid_t pid = start(LIFE, "spin", -1, NULL, NULL);
	const char *bad = NULL;

	sleep_ms(30);
	if (!ptrace(PTRACE_ATTACH, pid, 0, 0) || errno != EPERM)
		bad = "PTRACE_ATTACH works";
	if (!ptrace(PTRACE_SEIZE, pid, 0, 0) || errno != EPERM)
		bad = "PTRACE_SEIZE works";
	kill(pid, SIGKILL);
	waitpid(pid, NULL, __WALL);
	return bad;
}

static const char *proc_mem(void)
{
	pid_t pid = start(LIFE, "spin", -1, NULL, NULL);
	static const int modes[] = { O_RDONLY, O_WRONLY, O_RDWR };
	const char *bad = NULL;
	char path[64];
	int i;

	sleep_ms(30);
	snprintf(path, sizeof(path), "/proc/%d/mem", pid);
	for (i = 0; i < 3; i++)
		if (open(path, modes[i]) >= 0 || errno != EACCES)
			bad = "/proc/PID/mem opens";
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	return bad;
}

static const char *process_vm(void)
{
	pid_t pid = start(LIFE, "spin", -1, NULL, NULL);
	char byte = 0;
	struct iovec here = { &byte, 1 }, there = { (void *)0x404000, 1 };
	const char *bad = NULL;
	int fd;

	sleep_ms(30);
	if (process_vm_writev(pid, &here, 1, &there, 1, 0) >= 0 || errno != EPERM)
		bad = fail("process_vm_writev: %d", errno);
	else if (process_vm_readv(pid, &here, 1, &there, 1, 0) >= 0 || errno != EPERM)
		bad = fail("process_vm_readv: %d", errno);
	fd = syscall(SYS_pidfd_open, pid, 0);
	if (!bad && (syscall(SYS_pidfd_getfd, fd, 0, 0) >= 0 || errno != EPERM))
		bad = fail("pidfd_getfd: %d", errno);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	close(fd);
	return bad;
}

static const char *file_changes(void)
{
	const char *bad = NULL;
	int out, fd, st;
	char text[32] = "";
	pid_t pid;

	if (copy_file(LIFE, "/trusted/changing", -1))
		return "cannot copy";
	pid = start("/trusted/changing", "run", -1, &out, NULL);
	sleep_ms(100);
	/* Nothing is left of the file that the program runs from. */
	fd = open("/trusted/changing", O_WRONLY | O_TRUNC);
	if (fd < 0 && errno != ETXTBSY)
		bad = "cannot truncate";
	if (fd >= 0)
		close(fd);
	unlink("/trusted/changing");
	st = finish(pid, 20000);
	if (read(out, text, sizeof(text) - 1) < 0)
		text[0] = 0;
	close(out);
	return bad ? bad : st || strcmp(text, "0 bad") ? fail("status %x, said '%s'", st, text) : NULL;
}

/* ---- seccomp: with a filter the gate takes the long way ---- */

static void confine(struct sock_filter *code, unsigned short size)
{
	struct sock_fprog program = { size, code };

	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program);
}

static void filter(int call, int action)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 0),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, call, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, action),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};

	confine(code, 4);
}
/* Of system calls that imports are shown as: what (argument & mask) is, as Linux has it. */
static const struct order {
	unsigned int call, argument, mask, value;
} orders[] = {
#define FLAGS	(O_ACCMODE | O_CREAT | O_EXCL | O_TRUNC | O_APPEND | O_NONBLOCK | \
		 O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)
	{ SYS_open, 1, ~FLAGS, 0 },		{ SYS_open, 2, ~0777, 0 },
	{ SYS_openat, 0, -1, AT_FDCWD },	{ SYS_openat, 2, ~FLAGS, 0 },
	{ SYS_openat, 3, ~0777, 0 },		{ SYS_openat2, 3, -1, 24 },
	{ SYS_newfstatat, 3, ~(AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH), 0 },
	{ SYS_mkdirat, 2, ~0777, 0 },		{ SYS_unlinkat, 2, ~AT_REMOVEDIR, 0 },
	{ SYS_renameat, 2, -1, AT_FDCWD },
	{ SYS_mmap, 0, -1, 0 },			{ SYS_mmap, 1, 4095, 0 },
	{ SYS_mmap, 2, -1, PROT_READ | PROT_WRITE },
	{ SYS_mmap, 3, -1, MAP_PRIVATE | MAP_ANONYMOUS },
	{ SYS_mmap, 4, -1, -1 },		{ SYS_mmap, 5, -1, 0 },
	{ SYS_brk, 0, -1, 0 },
	{ SYS_accept4, 1, -1, 0 },		{ SYS_accept4, 2, -1, 0 },
	{ SYS_accept4, 3, ~(SOCK_NONBLOCK | SOCK_CLOEXEC), 0 },
	{ SYS_sendto, 5, ~127, 0 },		{ SYS_recvfrom, 5, ~255, 0 },
	{ SYS_wait4, 3, -1, 0 },
};
#define ORDERS	(sizeof(orders) / sizeof(*orders))

/* Kills who calls with arguments in another order than Linux has. */
static void filter_order(void)
{
	struct sock_filter code[6 * ORDERS + 1];
	unsigned int i;

	for (i = 0; i < ORDERS; i++) {
		const struct order *o = orders + i;
		struct sock_filter check[] = {
			BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 0),
			BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, o->call, 0, 4),
			BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 16 + 8 * o->argument),
			BPF_STMT(BPF_ALU | BPF_AND | BPF_K, o->mask),
			BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, o->value, 1, 0),
			BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
		};

		memcpy(code + 6 * i, check, sizeof(check));
	}
	code[6 * ORDERS] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
	confine(code, 6 * ORDERS + 1);
}
static void filter_errno(void) { filter(SYS_getpid, SECCOMP_RET_ERRNO | 123); }
static void filter_allow(void) { filter(SYS_getpid, SECCOMP_RET_ALLOW); }
static void filter_kill(void) { filter(SYS_getpid, SECCOMP_RET_KILL_PROCESS); }

static const char *seccomp(void)
{
	struct run *r = run_with(LIFE, "pid", -1, filter_errno);

	if (r->status || strcmp(r->out, "-123"))
		return fail("status %x, said '%s' instead of -123", r->status, r->out);
	r = run_with(LIFE, "pid", -1, filter_allow);
	if (r->status || atoi(r->out) <= 1)
		return fail("status %x, said '%s'", r->status, r->out);
	r = run_with(LIFE, "pid", -1, filter_kill);
	if (!WIFSIGNALED(r->status) || WTERMSIG(r->status) != SIGSYS)
		return fail("status %x instead of SIGSYS", r->status);
	r = run_with(LIFE, "registers", -1, filter_allow);
	return r->status ? fail("registers: status %x", r->status) : NULL;
}

static void filter_trap(void) { filter(SYS_getpid, SECCOMP_RET_TRAP); }
static const char *seccomp_trap(void)
{
	struct run *r = run_with(LIFE, "pid", -1, filter_trap);

	return WIFSIGNALED(r->status) && WTERMSIG(r->status) == SIGSYS ? NULL :
		fail("status %x instead of SIGSYS", r->status);
}

/* ---- what it inherits ---- */

static void odd_personality(void)
{
	personality(READ_IMPLIES_EXEC | MMAP_PAGE_ZERO | ADDR_NO_RANDOMIZE);
}
static const char *inherited_personality(void)
{
	pid_t pid = start(LIFE, "spin", -1, NULL, odd_personality);
	char path[64], line[300];
	const char *bad = NULL;
	struct run *r;

	sleep_ms(50);
	snprintf(path, sizeof(path), "/proc/%d/maps", pid);
	if (!grep_file(path, "[kml text]", line, sizeof(line)))
		bad = "does not run";
	else if (grep_file(path, "wx", line, sizeof(line)))
		bad = "something is writable and executable";
	else if (grep_file(path, "00000000-", line, sizeof(line)) && !strtoul(line, NULL, 16))
		bad = "page 0 is mapped";
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	r = run_with(LIFE, "nullcall", -1, odd_personality);
	if (!bad && (!WIFSIGNALED(r->status) || WTERMSIG(r->status) != SIGSEGV))
		bad = fail("status %x instead of SIGSEGV", r->status);
	return bad;
}

/* A handler does not outlive exec, whatever it was. */
static void handle_all(void)
{
	struct sigaction act = { .sa_handler = (void (*)(int))0x401000, .sa_flags = SA_ONSTACK };
	stack_t stack = { .ss_sp = (void *)0x404000, .ss_size = 65536 };

	sigaltstack(&stack, NULL);
	sigaction(SIGUSR1, &act, NULL);
	sigaction(SIGSEGV, &act, NULL);
}
static const char *inherited_handlers(void)
{
	pid_t pid = start(LIFE, "spin", -1, NULL, handle_all);
	struct run *r;
	int st;

	sleep_ms(50);
	kill(pid, SIGUSR1);
	st = finish(pid, 5000);
	if (!WIFSIGNALED(st) || WTERMSIG(st) != SIGUSR1)
		return fail("status %x instead of SIGUSR1", st);
	r = run_with(LIFE, "null", -1, handle_all);
	return WIFSIGNALED(r->status) && WTERMSIG(r->status) == SIGSEGV ? NULL :
		fail("status %x instead of SIGSEGV", r->status);
}

/* A child that shares the address space of an ordinary program until its exec. */
static int shares(void *unused)
{
	char *argv[] = { LIFE, "status", NULL }, *envp[] = { NULL };

	execve(LIFE, argv, envp);
	return 9;
}
static const char *vfork_and_clone(void)
{
	static char stack[65536];
	int i, st;

	for (i = 0; i < 30; i++) {
		pid_t pid = i % 2 ? clone(shares, stack + sizeof(stack), CLONE_VM | CLONE_VFORK | SIGCHLD, NULL) :
				    vfork();

		if (!pid)
			_exit(shares(NULL));
		st = finish(pid, 5000);
		if (!WIFEXITED(st) || WEXITSTATUS(st) != 42)
			return fail("round %d: status %x", i, st);
	}
	return is_cpl(3) ? "the parent is not what it was" : NULL;
}

/* ---- what the kernel says to all this ---- */

static const struct test tests[] = {
	{ "cpl: 0 under /trusted", cpl0 },
	{ "cpl: 3 elsewhere", cpl3 },
	{ "start: arguments and environment", arguments },
	{ "start: registers, flags, vectors", entry },
	{ "start: data and bss", data },
	{ "end: exit status", status },
	{ "memory: stack grows", stack },
	{ "gates: bad pointers and arguments", bad_pointers },
	{ "gates: registers kept and cleared", registers },
	{ "gates: sleep", sleeps },
	{ "gates: copy a file", copies },
	{ "interrupts: red zone and vector registers", red_zone },
	{ "gates: vector registers of programs that preempt each other", vectors },
	{ "memory: map", maps },
	{ "memory: what was verified stays, whatever the program asks for", own_map },
	{ "death: runaway recursion", recursion },
	{ "death: a frame of 16 MB", big_frame },
	{ "death: division by zero", division },
	{ "death: ud2", ud2 },
	{ "death: int3", int3 },
	{ "death: write to null", null_write },
	{ "death: call of null", null_call },
	{ "death: misaligned vector access", misaligned },
	{ "death: x87 exception", x87 },
	{ "death: or not, an SSE exception", sse },
	{ "death: or not, a locked access across cache lines", split_lock },
	{ "death: non-canonical load", noncanonical },
	{ "death: non-canonical call", wild_call },
	{ "death: or not, on each CPU, a jump to where no ENDBR is", no_endbr },
	{ "death: write to own text", write_text },
	{ "death: write to a gate", write_gate },
	{ "death: call of data", call_data },
	{ "death: call of the stack", call_stack },
	{ "death: call of a gate that is none", no_gate },
	{ "death: SYSCALL", syscall_at_0 },
	{ "life: busy loop is preempted", preempted },
	{ "life: its time is user time", user_time },
	{ "life: killed in a loop over fast gates", killed_in_gates },
	{ "life: stop and continue", stopped },
	{ "life: sleep is resumed after a stop", sleep_restarts },
	{ "life: read is repeated after a stop", read_restarts },
	{ "life: ignored signals", ignored_signals },
	{ "life: default signals", default_signals },
	{ "life: limit of CPU time", cpu_limit },
	{ "life: limit of the stack", stack_limit },
	{ "life: moved from CPU to CPU", moves },
	{ "life: 150 programs, CPL 0 and 3", chains },
	{ "life: 8 programs at CPL 0 beside 8 at CPL 3", crowd },
	{ "seccomp: filters hold for gates", seccomp },
	{ "seccomp: SECCOMP_RET_TRAP kills", seccomp_trap },
	{ "start: personality of the parent", inherited_personality },
	{ "start: handlers of the parent", inherited_handlers },
	{ "start: vfork, clone that shares memory", vfork_and_clone },
	{ "admission: one bit changed", flipped },
	{ "admission: the same bytes in another file", same_bytes },
	{ "admission: an ordinary program", ordinary_file },
	{ "admission: a script", script },
	{ "admission: a script for an admitted interpreter", script_of },
	{ "admission: setuid", set_user_id },
	{ "admission: traced", traced_exec },
	{ "ring 3: the same file elsewhere", elsewhere },
	{ "ring 3: memfd", memfd },
	{ "ring 3: /trusted of a user namespace", user_namespace },
	{ "ring 3: /trusted of a chroot", chrooted },
	{ "ring 3: /trusted of a bind mount", bind_mount },
	{ "memory: only text and gates can be executed", executable },
	{ "privacy: ptrace", attach },
	{ "privacy: /proc/PID/mem", proc_mem },
	{ "privacy: process_vm_writev, pidfd_getfd", process_vm },
	{ "privacy: the file changes while it runs", file_changes },
	{ "kernel: nothing in its log", silent },
};

/* ---- unverified mode ---- */

static int cpl(void)
{
	unsigned short cs;

	asm("mov %%cs, %0" : "=r" (cs));
	printf("CPL %d\n", cs & 3);
	return 0;
}

static volatile int alarms;
static void on_alarm(int signal) { alarms += signal == SIGALRM; }

/* Handlers run and return, and a read is repeated after them. */
static int handlers(void)
{
	struct itimerval every = { { 0, 2000 }, { 0, 2000 } }, never = { };
	struct sigaction act = { .sa_handler = on_alarm, .sa_flags = SA_RESTART };
	int ends[2], before;
	long end;
	char c;

	sigaction(SIGALRM, &act, NULL);
	setitimer(ITIMER_REAL, &every, NULL);
	for (end = now_ms() + 500; now_ms() < end;)
		;
	before = alarms;
	if (pipe(ends))
		return 1;
	if (!fork()) {
		sleep_ms(100);
		_exit(write(ends[1], "x", 1) != 1);
	}
	if (read(ends[0], &c, 1) != 1)
		return 2;
	setitimer(ITIMER_REAL, &never, NULL);
	printf("%s", before > 20 && alarms > before ? "ok" : "no signals");
	return 0;
}

static void *thread(void *to)
{
	long end = now_ms() + 500;

	while (now_ms() < end)
		++*(volatile long *)to;
	return to;
}

static int threads(void)
{
	pthread_t ids[4];
	long counts[4] = { };
	int i;

	for (i = 0; i < 4; i++)
		if (pthread_create(&ids[i], NULL, thread, &counts[i]))
			return 1;
	for (i = 0; i < 4; i++)
		pthread_join(ids[i], NULL);
	printf("%s", counts[0] && counts[1] && counts[2] && counts[3] ? "ok" : "a thread did not run");
	return 0;
}

static sigjmp_buf before_overflow;
static void on_overflow(int signal) { siglongjmp(before_overflow, signal); }

__attribute__((noinline)) static long overflow(long n)
{
	volatile char frame[512];

	frame[0] = n;
	return n < 0 ? 0 : overflow(n + 1) + frame[0];
}

/* The stack is exhausted, the handler has another. */
static int alternate_stack(void)
{
	static char room[65536];
	stack_t stack = { .ss_sp = room, .ss_size = sizeof(room) };
	struct sigaction act = { .sa_handler = on_overflow, .sa_flags = SA_ONSTACK };
	struct rlimit small = { 1 << 20, 1 << 20 };
	volatile int i;

	if (setrlimit(RLIMIT_STACK, &small) || sigaltstack(&stack, NULL) ||
	    sigaction(SIGSEGV, &act, NULL))
		return 1;
	for (i = 0; i < 10; i++)
		if (sigsetjmp(before_overflow, 1) != SIGSEGV)
			overflow(0);
	printf("ok");
	return 0;
}

#define RUNNER "/trusted/runner"

static const char *unverified_says(const char *path, const char *arg, const char *want)
{
	struct run *r = run_with(path, arg, -1, NULL);

	return r->status || strcmp(r->out, want) ? fail("status %x, said '%s'", r->status, r->out) : NULL;
}

/* A number of /proc/kml. */
static long count_of(const char *what)
{
	char line[100];

	return grep_file("/proc/kml", what, line, sizeof(line)) ? atol(line + strlen(what)) : -1;
}

/* One with annotations is the judge's all the same. */
static const char *unverified_judged(void)
{
	long before = count_of("admitted: ");
	struct run *r = run_with("/trusted/hello", NULL, -1, NULL);

	if (r->status || count_of("admitted: ") != before + 1)
		return fail("status %x, said '%s'", r->status, r->out);
	return NULL;
}

/* Nobody looks into it, so it may be larger than what can be judged. */
static const char *unverified_large(void)
{
	long before = count_of("bytes judged: ");
	const char *bad = "cannot copy";

	if (!copy_file("/bin/runner", "/trusted/large", -1) && !truncate("/trusted/large", 40 << 20))
		bad = unverified_says("/trusted/large", "--cpl", "CPL 0\n");
	unlink("/trusted/large");
	if (!bad && (before < 0 || count_of("bytes judged: ") != before))
		bad = fail("%ld bytes were judged, now %ld", before, count_of("bytes judged: "));
	return bad;
}

static const char *unverified_cpl(void)
{
	if (copy_file("/bin/runner", RUNNER, -1))
		return "cannot copy";
	return unverified_says(RUNNER, "--cpl", "CPL 0\n");
}
static const char *unverified_handlers(void) { return unverified_says(RUNNER, "--handlers", "ok"); }
static const char *unverified_threads(void) { return unverified_says(RUNNER, "--threads", "ok"); }
static const char *unverified_stacks(void) { return unverified_says(RUNNER, "--overflow", "ok"); }

/* Lets a traced program go on with these registers; how it stops, within a while. */
static int goes_on(pid_t pid, const struct user_regs_struct *regs)
{
	int st = -1, i;

	if (ptrace(PTRACE_SETREGS, pid, NULL, regs) || ptrace(PTRACE_CONT, pid, NULL, NULL))
		return -1;
	for (i = 0; i < 50; i++) {
		if (waitpid(pid, &st, WNOHANG) == pid)
			return WIFSTOPPED(st) ? WSTOPSIG(st) : -1;
		sleep_ms(2);
	}
	kill(pid, SIGSTOP);
	return waitpid(pid, &st, 0) == pid && WIFSTOPPED(st) ? WSTOPSIG(st) : -1;
}

static const char *with_wild_registers(pid_t pid, const struct user_regs_struct *good)
{
	static const ulong wild[] = {
		0, 0x1234, 0x7ffffffff000, 0x800000000000, 0x8000000000000000,
		0xfffffffffffffff8, 0xffffffff81000000, 0xffff800000000000,
	};
	struct user_regs_struct regs;
	unsigned int i;
	int how;

	for (i = 0; i < sizeof(wild) / sizeof(*wild); i++) {
		/* The program does not use its stack. */
		regs = *good;
		regs.rsp = wild[i];
		how = goes_on(pid, &regs);
		if (how != SIGSTOP)
			return fail("rsp %lx: signal %d", wild[i], how);
		regs = *good;
		regs.rip = wild[i];
		how = goes_on(pid, &regs);
		if (how != SIGSEGV)
			return fail("rip %lx: signal %d", wild[i], how);
	}
	/* All flags but TF, which would trap. */
	regs = *good;
	regs.eflags = ~0x100ul;
	how = goes_on(pid, &regs);
	if (how != SIGSTOP)
		return fail("flags: signal %d", how);
	regs.eflags = good->eflags;
	regs.cs = 0x23;
	regs.ss = 0x2b;
	how = goes_on(pid, &regs);
	if (how != SIGSTOP)
		return fail("cs 23: signal %d", how);
	regs.cs = 0x10;
	return ptrace(PTRACE_SETREGS, pid, NULL, &regs) ? NULL : "cs 10 can be set";
}

/* A debugger steps through system calls and sets registers that CPL 0 would take. */
static const char *unverified_traced(void)
{
	pid_t pid = start(RUNNER, "--calls", -1, NULL, NULL);
	struct user_regs_struct regs;
	const char *bad = NULL;
	int st, i;

	sleep_ms(300);
	if (ptrace(PTRACE_ATTACH, pid, NULL, NULL)) {
		bad = strerror(errno);
		bad = waitpid(pid, &st, WNOHANG) == pid ?
			fail("cannot attach: %s, its status is %x", bad, st) :
			fail("cannot attach: %s, it runs", bad);
	} else if (waitpid(pid, &st, 0) != pid) {
		bad = fail("does not stop: %s", strerror(errno));
	}
	for (i = 0; i < 1000 && !bad; i++) {
		if (ptrace(PTRACE_SINGLESTEP, pid, NULL, NULL) || waitpid(pid, &st, 0) != pid ||
		    !WIFSTOPPED(st) || WSTOPSIG(st) != SIGTRAP)
			bad = fail("step %d: status %x", i, st);
		else if (ptrace(PTRACE_GETREGS, pid, NULL, &regs) || regs.rip >= 1ul << 47 ||
			 regs.cs != 0x33 || regs.ss != 0x2b)
			bad = fail("step %d: rip %llx, cs %llx", i, regs.rip, regs.cs);
	}
	if (!bad)
		bad = with_wild_registers(pid, &regs);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	return bad;
}
static const char *unverified_tainted(void)
{
	char line[32];

	return grep_file("/proc/sys/kernel/tainted", "", line, sizeof(line)) && atoi(line) & 1 << 6 ?
		NULL : "the kernel is not tainted";
}

static const char *unverified_owner(void)
{
	struct run *r;

	if (copy_file("/bin/runner", "/trusted/other", -1) || chown("/trusted/other", 1000, 1000))
		return "cannot copy";
	r = run_with("/trusted/other", "--cpl", -1, NULL);
	unlink("/trusted/other");
	return WIFEXITED(r->status) && WEXITSTATUS(r->status) == 126 ? NULL : fail("%x", r->status);
}

/* Runs a program and reads all that it writes; null or what went wrong. */
static const char *output(char *const argv[], char *const envp[])
{
	int ends[2], st;
	pid_t pid;
	ssize_t n;

	if (pipe2(ends, O_CLOEXEC))
		return "no pipe";
	pid = fork();
	if (!pid) {
		dup2(ends[1], 1);
		execve(argv[0], argv, envp);
		_exit(127);
	}
	close(ends[1]);
	it.size = 0;
	while ((n = read(ends[0], it.out + it.size, sizeof(it.out) - 1 - it.size)) > 0)
		it.size += n;
	it.out[it.size] = 0;
	close(ends[0]);
	st = finish(pid, 60000);
	return st ? fail("status %x, said '%.300s'", st, it.out) : NULL;
}

/* A script by a program at CPL 3 and by its copy at CPL 0: they must say the same. */
static const char *same_output(const char *program, const char *first, const char *script,
			       const char *path3, const char *path0)
{
	static char want[sizeof(it.out)];
	char copy[100], path[2][200];
	int i;

	snprintf(copy, sizeof(copy), "/trusted%s", program);
	snprintf(path[0], sizeof(path[0]), "PATH=%s", path3);
	snprintf(path[1], sizeof(path[1]), "PATH=%s", path0);
	/* The log tells of ten programs in five seconds: let those of other tests pass. */
	sleep(6);
	look_for_complaints(kernel_log());
	for (i = 0; i < 2; i++) {
		char *argv[] = { i ? copy : (char *)program, (char *)first, (char *)script, NULL };
		char *envp[] = { path[i], NULL };
		const char *bad = output(argv, envp);

		if (bad)
			return bad;
		if (i && strcmp(want, it.out)) {
			printf("--- at CPL 3\n%s--- at CPL 0\n%s---\n", want, it.out);
			return "the output differs";
		}
		strcpy(want, it.out);
	}
	if (!strstr(kernel_log(), "at CPL 0, unverified"))
		return "the log has no line of a program at CPL 0";
	return want[0] ? NULL : "said nothing";
}

static const char *unverified_busybox(void)
{
	if (mkdir("/trusted/bin", 0755) || copy_file("/bin/busybox", "/trusted/bin/busybox", -1))
		return "cannot copy";
	return same_output("/bin/busybox", "sh", "/bin/script.sh", "/bin", "/bin");
}

/* In the second run what the script starts is at CPL 0 as well. */
#define DEBIAN "/debian/bin:/debian/usr/bin"
static const char *unverified_debian(void)
{
	return same_output("/debian/bin/bash", "--norc", "/bin/coreutils.sh", DEBIAN,
			   "/trusted/debian/bin:/trusted/debian/usr/bin");
}
static const char *unverified_bash(void)
{
	if (system("busybox cp -a /debian /trusted/debian"))
		return "cannot copy";
	return same_output("/debian/bin/bash", "--norc", "/bin/script.sh", "/bin", "/bin");
}

/* Children of a program at CPL 0, by fork, vfork and clone, and what they execute. */
static int forks(void)
{
	int i;

	for (i = 0; i < 60; i++) {
		char *argv[] = { i % 2 ? "/bin/runner" : "/trusted/runner",
				 i % 2 ? "--is-3" : "--is-0", NULL };
		char *envp[] = { NULL };
		pid_t pid = i % 3 ? fork() : vfork();
		int st;

		if (!pid) {
			execve(argv[0], argv, envp);
			_exit(9);
		}
		if (waitpid(pid, &st, 0) != pid || st)
			return 1;
		pid = fork();
		if (!pid)
			_exit(is_cpl(0));
		if (waitpid(pid, &st, 0) != pid || st)
			return 2;
	}
	printf("ok");
	return 0;
}
static const char *unverified_forks(void) { return unverified_says(RUNNER, "--forks", "ok"); }

static void through_shell(void)
{
	execl("/trusted/bin/busybox", "sh", "-c", "exec /bin/runner --cpl", NULL);
	_exit(9);
}
static const char *unverified_exec(void)
{
	struct run *r = run_with("/bin/runner", "--cpl", -1, through_shell);

	return strcmp(r->out, "CPL 3\n") ? fail("said '%s'", r->out) : NULL;
}

static const struct test unverified[] = {
	{ "unverified: CPL 0", unverified_cpl },
	{ "unverified: programs with annotations are judged", unverified_judged },
	{ "unverified: a file of 40 MB, which nobody reads", unverified_large },
	{ "unverified: the kernel is tainted", unverified_tainted },
	{ "unverified: not what others own", unverified_owner },
	{ "unverified: signal handlers", unverified_handlers },
	{ "unverified: a handler when the stack is exhausted", unverified_stacks },
	{ "unverified: single steps, wild registers", unverified_traced },
	{ "unverified: threads", unverified_threads },
	{ "unverified: busybox", unverified_busybox },
	{ "unverified: Debian's bash", unverified_bash },
	{ "unverified: Debian's bash and coreutils", unverified_debian },
	{ "unverified: fork, vfork, exec of both kinds", unverified_forks },
	{ "unverified: exec ends it", unverified_exec },
	{ "kernel: nothing in its log", silent },
};

int main(int argc, char **argv)
{
	if (argc > 1 && !strcmp(argv[1], "--busy"))
		return busy(1500);
	if (argc > 1 && !strcmp(argv[1], "--cpl"))
		return cpl();
	if (argc > 1 && !strcmp(argv[1], "--forks"))
		return forks();
	if (argc > 1 && !strcmp(argv[1], "--is-0"))
		return is_cpl(0);
	if (argc > 1 && !strcmp(argv[1], "--is-3"))
		return is_cpl(3);
	if (argc > 1 && !strcmp(argv[1], "--handlers"))
		return handlers();
	if (argc > 1 && !strcmp(argv[1], "--overflow"))
		return alternate_stack();
	if (argc > 1 && !strcmp(argv[1], "--calls"))
		for (;;) {
			long call = SYS_getpid;

			asm volatile("syscall" : "+a" (call) : : "rcx", "r11", "memory");
		}
	if (argc > 1 && !strcmp(argv[1], "--threads"))
		return threads();
	if (argc > 1 && !strcmp(argv[1], "--spin"))
		for (;;)
			asm volatile("" : : : "memory");
	if (argc > 2 && (!strcmp(argv[1], "--write-allowed") || !strcmp(argv[1], "--write-denied"))) {
		filter(SYS_write, argv[1][8] == 'a' ? SECCOMP_RET_ALLOW : SECCOMP_RET_ERRNO | EIO);
		execv(argv[2], argv + 2);
		return 127;
	}
	if (argc > 2 && !strcmp(argv[1], "--order")) {
		filter_order();
		execv(argv[2], argv + 2);
		return 127;
	}
	bochs = argc > 1 && !strcmp(argv[1], "--bochs");
	if (argc > 1 && !strcmp(argv[1], "--unverified"))
		return run_tests(unverified, sizeof(unverified) / sizeof(*unverified), argv[2]);
	return run_tests(tests, sizeof(tests) / sizeof(*tests),
			 argc > 2 && (bochs || !strcmp(argv[1], "--only")) ? argv[2] : NULL);
}
