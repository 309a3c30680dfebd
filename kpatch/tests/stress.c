// SPDX-License-Identifier: GPL-2.0
/*
 * Tests of programs at CPL 0 under memory pressure, in control groups, with perf
 * and tracing: what needs a larger kernel than runner.c does.  Run by the first
 * process of a virtual machine as root.
 *
 *	stress [--only WORD]
 *	stress --trace		with everything traced
 *	stress --graph		the same by the graph tracer
 *	stress --page-tables	keeps programs running that use memory in every way,
 *				on two nodes, while the page tables are read from outside
 *	stress --crowd		100 at CPL 0 beside 100 at CPL 3 for a minute, with
 *				swap, and perf at a high rate over it
 */
#include "harness.h"

#include <pthread.h>
#include <stdatomic.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/swap.h>
#include <sys/uio.h>
#include <linux/fuse.h>
#include <linux/perf_event.h>

#define MB (1ul << 20)

static int put_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_TRUNC);
	ssize_t n = fd < 0 ? -1 : write(fd, text, strlen(text));

	if (fd >= 0)
		close(fd);
	return n < 0 ? -1 : 0;
}

/* The number after a word in a file, or -1. */
static long number_in(const char *path, const char *word)
{
	char line[400];

	if (!grep_file(path, word, line, sizeof(line)))
		return -1;
	return strtol(strstr(line, word) + strlen(word), NULL, 10);
}

static long of_process(pid_t pid, const char *file, const char *word)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/%s", pid, file);
	return number_in(path, word);
}

/* ---- a machine with swap and control groups ---- */

static const char *add_swap(void)
{
	if (put_file("/sys/block/zram0/disksize", "1G") ||
	    system("busybox mkswap /dev/zram0 >/dev/null") || swapon("/dev/zram0", 0))
		return fail("no swap: %s", strerror(errno));
	return NULL;
}

static const char *add_groups(void)
{
	mkdir("/tmp/groups", 0755);
	if (mount("none", "/tmp/groups", "cgroup2", 0, NULL) ||
	    put_file("/tmp/groups/cgroup.subtree_control", "+memory +cpu +pids +cpuset"))
		return fail("no control groups: %s", strerror(errno));
	return NULL;
}

static char group_path[128];
static const char *in_group(const char *name, const char *file)
{
	snprintf(group_path, sizeof(group_path), "/tmp/groups/%s/%s", name, file);
	return group_path;
}

/* A group with one limit. */
static const char *make_group(const char *name, const char *file, const char *value)
{
	if ((mkdir(in_group(name, ""), 0755) && errno != EEXIST) || put_file(in_group(name, file), value))
		return fail("group %s, %s: %s", name, file, strerror(errno));
	return NULL;
}

static const char *group;
static void enter_group(void)
{
	if (put_file(in_group(group, "cgroup.procs"), "0"))
		_exit(77);
}

/* ---- programs that wait until they are told to go on ---- */

struct waiting { pid_t pid; int in, out; };

static struct waiting launch(const char *how, void (*before)(void))
{
	struct waiting w;
	int ends[2];

	if (pipe2(ends, O_CLOEXEC))
		exit(3);
	w.in = ends[1];
	w.pid = start(LIFE, how, ends[0], &w.out, before);
	close(ends[0]);
	return w;
}

/* Waits for its "ready". */
static int is_ready(struct waiting *w)
{
	struct pollfd p = { w->out, POLLIN };
	char text[6];

	return poll(&p, 1, 120000) > 0 && read(w->out, text, 6) == 6 && !memcmp(text, "ready\n", 6);
}

/* Tells it to go on; null if it ends well and says "0 bad". */
static const char *let_end(struct waiting *w)
{
	char text[32] = "";
	int st;

	if (write(w->in, "x", 1) != 1)
		return "is gone";
	close(w->in);
	st = finish(w->pid, 120000);
	if (read(w->out, text, sizeof(text) - 1) < 0)
		text[0] = 0;
	close(w->out);
	return st || strcmp(text, "0 bad") ? fail("status %x, said '%s'", st, text) : NULL;
}

static void abandon(struct waiting *w)
{
	kill(w->pid, SIGKILL);
	waitpid(w->pid, NULL, 0);
	close(w->in);
	close(w->out);
}

/* ---- memory ---- */

static const char *swapped(void)
{
	struct waiting w;
	const char *bad = make_group("swapped", "memory.max", "max");
	long out = 0;
	int i;

	if (bad)
		return bad;
	group = "swapped";
	w = launch("fill", enter_group);
	if (!is_ready(&w)) {
		abandon(&w);
		return "does not get ready";
	}
	for (i = 0; i < 50 && out < 40 * 1024; i++) {
		put_file(in_group("swapped", "memory.reclaim"), "64M");
		out = of_process(w.pid, "status", "VmSwap:");
	}
	bad = let_end(&w);
	if (!bad && out < 40 * 1024)
		bad = fail("%ld kB were swapped out of 65536", out);
	return bad;
}

static const char *paged_out(void)
{
	struct waiting w = launch("fill", NULL);
	const char *bad = NULL;
	struct iovec all = { (void *)0x404000, 64 * MB };
	int fd = syscall(SYS_pidfd_open, w.pid, 0);
	static const int harmless[] = { MADV_COLD, MADV_PAGEOUT, MADV_WILLNEED, 25 /* COLLAPSE */ };
	static const int forbidden[] = { MADV_DONTNEED, MADV_FREE, MADV_REMOVE, MADV_DONTFORK };
	unsigned int i;

	if (!is_ready(&w))
		bad = "does not get ready";
	for (i = 0; i < 4 && !bad; i++) {
		if (!syscall(SYS_process_madvise, fd, &all, 1, forbidden[i], 0) || errno != EINVAL)
			bad = fail("process_madvise(%d): %s", forbidden[i], strerror(errno));
	}
	for (i = 0; i < 4 && !bad; i++) {
		/* Text, constants, data: what cannot be done is not done. */
		struct iovec text = { (void *)0x400000, 0x4000 }, gates = { (void *)0x200000, 4096 };

		syscall(SYS_process_madvise, fd, &text, 1, harmless[i], 0);
		syscall(SYS_process_madvise, fd, &gates, 1, harmless[i], 0);
		syscall(SYS_process_madvise, fd, &all, 1, harmless[i], 0);
	}
	close(fd);
	if (bad) {
		abandon(&w);
		return bad;
	}
	return let_end(&w);
}

static const char *huge_pages(void)
{
	struct waiting w;
	long huge;

	/* With so little memory they are off by default. */
	if (put_file("/sys/kernel/mm/transparent_hugepage/enabled", "always"))
		return "there are none";
	w = launch("fill", NULL);
	if (!is_ready(&w)) {
		abandon(&w);
		return "does not get ready";
	}
	huge = of_process(w.pid, "smaps_rollup", "AnonHugePages:");
	const char *bad = let_end(&w);

	return bad ? bad : huge < 8 * 1024 ? fail("%ld kB in huge pages", huge) : NULL;
}

static void mergeable(void)
{
	if (prctl(67 /* PR_SET_MEMORY_MERGE */, 1, 0, 0, 0))
		_exit(78);
}

static const char *merged(void)
{
	struct waiting w = launch("same", mergeable);
	const char *bad = NULL;
	long shared = 0;
	int i;

	put_file("/sys/kernel/mm/ksm/pages_to_scan", "4000");
	put_file("/sys/kernel/mm/ksm/sleep_millisecs", "10");
	put_file("/sys/kernel/mm/ksm/run", "1");
	if (!is_ready(&w))
		bad = "does not get ready";
	for (i = 0; i < 300 && shared < 1000 && !bad; i++) {
		sleep_ms(100);
		shared = number_in("/sys/kernel/mm/ksm/pages_sharing", "");
	}
	if (bad)
		abandon(&w);
	else
		bad = let_end(&w);
	put_file("/sys/kernel/mm/ksm/run", "2");
	return bad ? bad : shared < 1000 ? fail("%ld pages were merged", shared) : NULL;
}

static const char *sealed(void)
{
	struct waiting w = launch("fill", NULL);
	const char *bad = NULL;
	char path[64], line[400];
	int seen = 0, special = 0;
	FILE *f;

	if (!is_ready(&w)) {
		abandon(&w);
		return "does not get ready";
	}
	snprintf(path, sizeof(path), "/proc/%d/smaps", w.pid);
	f = fopen(path, "r");
	while (f && fgets(line, sizeof(line), f)) {
		if (strchr(line, '-') && strchr(line, '-') < strchr(line, ' '))
			special = strstr(line, "[kml") != NULL;
		if (!special || strncmp(line, "VmFlags:", 8))
			continue;
		seen++;
		if (strstr(line, " mw") || strstr(line, " wr") || !strstr(line, " sl"))
			bad = fail("flags of a kml mapping: %.100s", line);
	}
	if (f)
		fclose(f);
	abandon(&w);
	return bad ? bad : seen < 2 ? fail("%d kml mappings", seen) : NULL;
}

static void enter_with_zero(void)
{
	dup2(open("/dev/zero", O_RDONLY), 0);
	enter_group();
}

static const char *killed_for(const char *how, const char *name, const char *max)
{
	const char *bad = make_group(name, "memory.max", max);
	struct waiting w;
	int st;

	put_file(in_group(name, "memory.swap.max"), "0");
	if (bad)
		return bad;
	group = name;
	w = launch(how, strcmp(how, "readfill") ? enter_group : enter_with_zero);
	st = finish(w.pid, 60000);
	close(w.in);
	close(w.out);
	if (!WIFSIGNALED(st) || WTERMSIG(st) != SIGKILL)
		return fail("status %x instead of SIGKILL", st);
	return number_in(in_group(name, "memory.events"), "oom_kill ") < 1 ?
		"the group has no OOM kill" : NULL;
}

static const char *oom(void) { return killed_for("fill", "oom", "32M"); }
/* ... while a function of the kernel fills it, behind a gate. */
static const char *oom_in_gate(void) { return killed_for("readfill", "oomgate", "32M"); }

/* Status of an exec of a file that is not admitted, of so many megabytes. */
static int exec_padded(long bytes)
{
	int fd;

	if (copy_file("/bin/true", "/trusted/padded", -1))
		return -1;
	fd = open("/trusted/padded", O_WRONLY);
	if (ftruncate(fd, bytes))
		return -1;
	close(fd);
	kernel_log();
	return run_with("/trusted/padded", NULL, -1, enter_group)->status;
}

static const char *charged(void)
{
	const char *bad = make_group("charged", "memory.max", "64M");
	long peak;
	int st;

	bad = bad ? bad : make_group("poor", "memory.max", "4M");
	if (bad)
		return bad;
	group = "charged";
	st = exec_padded(12 * MB);
	peak = number_in(in_group("charged", "memory.peak"), "");
	if (!WIFEXITED(st) || WEXITSTATUS(st) != 126 || peak < (long)(12 * MB))
		return fail("status %x, peak %ld", st, peak);
	put_file(in_group("poor", "memory.swap.max"), "0");
	group = "poor";
	st = exec_padded(12 * MB);
	unlink("/trusted/padded");
	if (WIFEXITED(st) && (WEXITSTATUS(st) == 126 || WEXITSTATUS(st) == 0))
		return fail("status %x: 12 MB were not charged to a group of 4", st);
	return NULL;
}

static const char *too_long(void)
{
	const char *bad = make_group("charged", "memory.max", "64M");
	int st;

	if (bad)
		return bad;
	group = "charged";
	st = exec_padded(16 * MB + 1);
	unlink("/trusted/padded");
	if (!WIFEXITED(st) || WEXITSTATUS(st) != 126)
		return fail("status %x instead of EPERM", st);
	return strstr(kernel_log(), "refused: the file is too long") ? NULL : "no reason in the log";
}

/* ---- control groups and limits ---- */

static void enter_on_cpu_0(void)
{
	only_on_cpu(0);
	enter_group();
}

/* One with a tenth of the other's weight, on one CPU. */
static const char *cpu_share(void)
{
	const char *bad = make_group("light", "cpu.weight", "10");
	struct waiting light, heavy;
	long a, b;

	bad = bad ? bad : make_group("heavy", "cpu.weight", "100");
	if (bad)
		return bad;
	group = "light";
	light = launch("spin", enter_on_cpu_0);
	group = "heavy";
	heavy = launch("gates", enter_on_cpu_0);
	sleep_ms(4000);
	a = number_in(in_group("light", "cpu.stat"), "usage_usec ");
	b = number_in(in_group("heavy", "cpu.stat"), "usage_usec ");
	abandon(&light);
	abandon(&heavy);
	return a < b / 40 || a > b / 4 ? fail("weights 10 and 100 used %ld and %ld us", a, b) : NULL;
}

static const char *frozen(void)
{
	const char *bad = make_group("frozen", "cgroup.freeze", "0");
	struct waiting w;
	ulong a, b, c, system;
	int i;

	if (bad)
		return bad;
	group = "frozen";
	w = launch("spin", enter_group);
	sleep_ms(300);
	put_file(in_group("frozen", "cgroup.freeze"), "1");
	for (i = 0; i < 100 && number_in(in_group("frozen", "cgroup.events"), "frozen ") != 1; i++)
		sleep_ms(20);
	if (i == 100)
		bad = "does not freeze";
	state_of(w.pid, &a, &system);
	sleep_ms(300);
	state_of(w.pid, &b, &system);
	put_file(in_group("frozen", "cgroup.freeze"), "0");
	sleep_ms(500);
	state_of(w.pid, &c, &system);
	if (!bad && (b > a || c <= b))
		bad = fail("%lu, %lu, %lu ticks", a, b, c);
	put_file(in_group("frozen", "cgroup.kill"), "1");
	i = finish(w.pid, 5000);
	close(w.in);
	close(w.out);
	if (!bad && (!WIFSIGNALED(i) || WTERMSIG(i) != SIGKILL))
		bad = fail("cgroup.kill: status %x", i);
	return bad;
}

static void may_dump(void)
{
	struct rlimit all = { RLIM_INFINITY, RLIM_INFINITY };

	setrlimit(RLIMIT_CORE, &all);
	if (chdir("/tmp"))
		_exit(79);
}
static void small_data(void)
{
	struct rlimit limit = { 8 * MB, 8 * MB };

	setrlimit(RLIMIT_DATA, &limit);
}
static void short_files(void)
{
	struct rlimit limit = { 4096, 4096 };
	int fd = open("/tmp/short", O_WRONLY | O_CREAT | O_TRUNC, 0644);

	setrlimit(RLIMIT_FSIZE, &limit);
	dup2(fd, 1);
}

static const char *no_core(void)
{
	struct run *r;

	put_file("/proc/sys/kernel/core_pattern", "/tmp/core");
	unlink("/tmp/core");
	r = run_with(LIFE, "null", -1, may_dump);
	if (!WIFSIGNALED(r->status) || WTERMSIG(r->status) != SIGSEGV || WCOREDUMP(r->status))
		return fail("status %x", r->status);
	return access("/tmp/core", F_OK) ? NULL : "there is a core";
}

static const char *limits(void)
{
	struct run *r = run_with(LIFE, "cpl", -1, small_data);
	int in = open("/dev/zero", O_RDONLY);

	/* The image has more data than that: killed when it is mapped. */
	if (!WIFSIGNALED(r->status))
		return fail("RLIMIT_DATA: status %x", r->status);
	r = run_with(LIFE, "copy", in, short_files);
	close(in);
	unlink("/tmp/short");
	if (!WIFSIGNALED(r->status) || WTERMSIG(r->status) != SIGXFSZ)
		return fail("RLIMIT_FSIZE: status %x", r->status);
	return NULL;
}

static const char *killed_often(void)
{
	int i;

	for (i = 0; i < 200; i++) {
		pid_t pid = start(LIFE, i % 2 ? "gates" : "spin", -1, NULL, NULL);
		struct timespec t = { 0, (i * 7919 % 9000) * 1000 };
		int st;

		nanosleep(&t, NULL);
		kill(pid, SIGKILL);
		st = finish(pid, 10000);
		if (!WIFSIGNALED(st) || WTERMSIG(st) != SIGKILL)
			return fail("round %d: status %x", i, st);
	}
	return NULL;
}

#define CPU_1 "/sys/devices/system/cpu/cpu1/online"

static void on_cpu_1(void) { only_on_cpu(1); }

/* A CPU that is taken away from the programs on it, and that runs one when it is back. */
static const char *hotplug(void)
{
	static const char *const how[] = { "spin", "gates", "spin", "gates" };
	const char *bad = NULL;
	pid_t pid[4];
	int i, st;

	for (i = 0; i < 4; i++)
		pid[i] = start(LIFE, how[i], -1, NULL, i < 2 ? on_cpu_1 : NULL);
	for (i = 0; i < 20 && !bad; i++) {
		struct run *r;

		sleep_ms(10);
		if (put_file(CPU_1, "0") || put_file(CPU_1, "1")) {
			bad = fail("round %d: the CPU cannot be switched", i);
			break;
		}
		r = run_with(LIFE, "cpl", -1, on_cpu_1);
		if (r->status)
			bad = fail("round %d: status %x", i, r->status);
	}
	for (i = 0; i < 4; i++) {
		kill(pid[i], SIGTERM);
		st = finish(pid[i], 10000);
		if (!bad && !(WIFSIGNALED(st) && WTERMSIG(st) == SIGTERM))
			bad = fail("%s: status %x", how[i], st);
	}
	return bad;
}

static const char *stopped_often(void)
{
	pid_t pid;
	int out, st, i;
	char text[32] = "";

	pid = start(LIFE, "run", -1, &out, NULL);
	for (i = 0; i < 200; i++) {
		kill(pid, SIGSTOP);
		kill(pid, SIGCONT);
	}
	st = finish(pid, 30000);
	if (read(out, text, sizeof(text) - 1) < 0)
		text[0] = 0;
	close(out);
	return st || strcmp(text, "0 bad") ? fail("status %x, said '%s'", st, text) : NULL;
}

/* ---- perf ---- */

#define PERF_PAGES	64

struct sampler {
	pthread_t thread;
	int fd[2];
	struct perf_event_mmap_page *ring[2];
	atomic_int stop;
	long samples, at_cpl_3, with_stack, lost;
};

static void take_samples(struct sampler *s, struct perf_event_mmap_page *ring)
{
	unsigned long head = atomic_load_explicit((_Atomic unsigned long *)&ring->data_head,
						  memory_order_acquire);
	const char *data = (const char *)ring + getpagesize();
	unsigned long size = PERF_PAGES * getpagesize(), tail = ring->data_tail;

	while (tail < head) {
		struct perf_event_header h;

		/* A header is aligned to 8 and never wraps, its content may. */
		memcpy(&h, data + tail % size, sizeof(h));
		if (!h.size)
			break;
		if (h.type == PERF_RECORD_SAMPLE) {
			s->samples++;
			if ((h.misc & PERF_RECORD_MISC_CPUMODE_MASK) == PERF_RECORD_MISC_USER)
				s->at_cpl_3++;
			if (h.size > 1000)
				s->with_stack++;
		} else if (h.type == PERF_RECORD_LOST) {
			s->lost++;
		}
		tail += h.size;
	}
	atomic_store_explicit((_Atomic unsigned long *)&ring->data_tail, tail, memory_order_release);
}

static void *sample(void *at)
{
	struct sampler *s = at;

	while (!s->stop) {
		take_samples(s, s->ring[0]);
		take_samples(s, s->ring[1]);
		sleep_ms(10);
	}
	return NULL;
}

/* 10000 samples a second on each CPU: call chains, registers, 1 kB of the user's stack. */
static const char *start_perf(struct sampler *s)
{
	struct perf_event_attr attr = {
		.type = PERF_TYPE_SOFTWARE,
		.size = sizeof(attr),
		.config = PERF_COUNT_SW_CPU_CLOCK,
		.sample_period = 100000,	/* ns */
		.sample_type = PERF_SAMPLE_IP | PERF_SAMPLE_TID | PERF_SAMPLE_CALLCHAIN |
			       PERF_SAMPLE_REGS_USER | PERF_SAMPLE_STACK_USER,
		.sample_regs_user = 0x1ff,
		.sample_stack_user = 1024,
	};
	int cpu;

	memset(s, 0, sizeof(*s));
	put_file("/proc/sys/kernel/perf_cpu_time_max_percent", "0");
	put_file("/proc/sys/kernel/perf_event_max_sample_rate", "20000");
	for (cpu = 0; cpu < 2; cpu++) {
		s->fd[cpu] = syscall(SYS_perf_event_open, &attr, -1, cpu, -1, 0);
		if (s->fd[cpu] < 0)
			return fail("perf_event_open: %s", strerror(errno));
		s->ring[cpu] = mmap(NULL, (PERF_PAGES + 1) * getpagesize(), PROT_READ | PROT_WRITE,
				    MAP_SHARED, s->fd[cpu], 0);
		if (s->ring[cpu] == MAP_FAILED)
			return fail("no ring: %s", strerror(errno));
	}
	return pthread_create(&s->thread, NULL, sample, s) ? "no thread" : NULL;
}

static void end_perf(struct sampler *s)
{
	s->stop = 1;
	pthread_join(s->thread, NULL);
	close(s->fd[0]);
	close(s->fd[1]);
	printf("measured: perf: %ld samples, %ld in user mode, %ld with a stack, %ld gaps\n", s->samples,
	       s->at_cpl_3, s->with_stack, s->lost);
}

/* Runs a program for a second whose stack is paged out all the time. */
static const char *run_paged_out(void)
{
	struct iovec stack = { (void *)0x404000, 64 * MB };
	int out, fd, st, i;
	char text[32] = "", line[300];
	pid_t pid;

	pid = start(LIFE, "run", -1, &out, NULL);
	fd = syscall(SYS_pidfd_open, pid, 0);
	sleep_ms(100);
	snprintf(line, sizeof(line), "/proc/%d/maps", pid);
	if (grep_file(line, "[stack]", line, sizeof(line))) {
		ulong from = 0, to = 0;

		sscanf(line, "%lx-%lx", &from, &to);
		stack.iov_base = (void *)from;
		stack.iov_len = to - from;
	}
	for (i = 0; i < 100; i++) {
		syscall(SYS_process_madvise, fd, &stack, 1, MADV_PAGEOUT, 0);
		sleep_ms(10);
	}
	st = finish(pid, 30000);
	if (read(out, text, sizeof(text) - 1) < 0)
		text[0] = 0;
	close(out);
	close(fd);
	return st || strcmp(text, "0 bad") ? fail("status %x, said '%s'", st, text) : NULL;
}

/* A program at CPL 0 is sampled as user code, its stack being paged out all the time. */
static const char *perf(void)
{
	static struct sampler s;
	const char *bad = start_perf(&s);
	int i;

	if (bad)
		return bad;
	/* Again where the stack is seldom there when a sample is taken. */
	for (i = 0; !bad && (!i || (s.with_stack < 100 && i < 10)); i++)
		bad = run_paged_out();
	end_perf(&s);
	if (bad)
		return bad;
	return s.samples < 1000 || s.at_cpl_3 < 100 || s.with_stack < 100 ?
		fail("%ld samples, %ld in user mode, %ld with a stack", s.samples, s.at_cpl_3,
		     s.with_stack) : NULL;
}

/* An address of the kernel: neither a mark of perf's nor an error. */
static int is_kernels(unsigned long word)
{
	return word >= 0xffff800000000000 && word < -4096ul;
}

/* How many samples there are, and a word in one that is an address of the kernel, or 0. */
static long samples_of(struct perf_event_mmap_page *ring, unsigned long *kernels)
{
	unsigned long head = atomic_load_explicit((_Atomic unsigned long *)&ring->data_head,
						  memory_order_acquire);
	const char *data = (const char *)ring + getpagesize();
	unsigned long size = PERF_PAGES * getpagesize(), tail = ring->data_tail, at;
	long samples = 0;

	while (tail < head) {
		struct perf_event_header h;

		memcpy(&h, data + tail % size, sizeof(h));
		if (!h.size)
			break;
		samples += h.type == PERF_RECORD_SAMPLE;
		for (at = sizeof(h); at < h.size && h.type == PERF_RECORD_SAMPLE; at += 8) {
			unsigned long word;

			memcpy(&word, data + (tail + at) % size, sizeof(word));
			if (is_kernels(word))
				*kernels = word;
		}
		tail += h.size;
	}
	atomic_store_explicit((_Atomic unsigned long *)&ring->data_tail, tail, memory_order_release);
	return samples;
}

/* Samples of user code, as everybody may have them of his own programs. */
static const char *perf_of_gates(void)
{
	struct perf_event_attr attr = {
		.type = PERF_TYPE_SOFTWARE,
		.size = sizeof(attr),
		.config = PERF_COUNT_SW_TASK_CLOCK,
		.sample_period = 50000,	/* ns */
		.sample_type = PERF_SAMPLE_IP | PERF_SAMPLE_CALLCHAIN | PERF_SAMPLE_REGS_USER |
			       PERF_SAMPLE_REGS_INTR,
		.sample_regs_user = 0xff0fff,
		.sample_regs_intr = 0xff0fff,
		.exclude_kernel = 1,
		.exclude_callchain_kernel = 1,
	};
	struct perf_event_mmap_page *ring;
	unsigned long kernels = 0;
	long samples = 0;
	int fd, i;
	pid_t pid;

	put_file("/proc/sys/kernel/perf_cpu_time_max_percent", "0");
	put_file("/proc/sys/kernel/perf_event_max_sample_rate", "20000");
	pid = start(LIFE, "gates", -1, NULL, NULL);
	fd = syscall(SYS_perf_event_open, &attr, pid, -1, -1, PERF_FLAG_FD_CLOEXEC);
	ring = mmap(NULL, (PERF_PAGES + 1) * getpagesize(), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	/* Three seconds, and more where the kernel takes most of the time. */
	for (i = 0; (i < 300 || (samples < 300 && i < 6000)) && ring != MAP_FAILED && !kernels; i++) {
		sleep_ms(10);
		samples += samples_of(ring, &kernels);
	}
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	close(fd);
	if (ring == MAP_FAILED)
		return fail("no ring: %s", strerror(errno));
	munmap(ring, (PERF_PAGES + 1) * getpagesize());
	if (kernels)
		return fail("an address of the kernel in one of %ld samples: %lx", samples, kernels);
	return samples < 300 ? fail("only %ld samples", samples) : NULL;
}

/* ---- tracing ---- */

#define TRACING "/sys/kernel/tracing/"

static const char *traced(void)
{
	const char *bad = NULL;
	struct run *r;

	mount("none", "/sys/kernel/tracing", "tracefs", 0, NULL);
	if (put_file(TRACING "events/syscalls/sys_enter_getpid/enable", "1"))
		return "no trace events";
	r = run_with(LIFE, "pid", -1, NULL);
	if (r->status || atoi(r->out) <= 1)
		bad = fail("status %x, said '%s'", r->status, r->out);
	else if (system("busybox grep -q 'life-.* sys_getpid' " TRACING "trace"))
		bad = "the trace has no sys_getpid of life";
	put_file(TRACING "events/syscalls/sys_enter_getpid/enable", "0");
	return bad;
}

static const char *tracer(const char *name)
{
	const char *bad = NULL;
	struct run *r;

	if (put_file(TRACING "current_tracer", name))
		return fail("no tracer '%s'", name);
	r = run_with(LIFE, "run", -1, NULL);
	if (r->status || strcmp(r->out, "0 bad"))
		bad = fail("status %x, said '%s'", r->status, r->out);
	put_file(TRACING "current_tracer", "nop");
	return bad;
}
static const char *function_tracer(void) { return tracer("function"); }
static const char *graph_tracer(void) { return tracer("function_graph"); }

static const char *kprobes(void)
{
	const char *bad = NULL;
	struct run *r;

	/* What the gates call, and what page faults and timers come to. */
	if (put_file(TRACING "kprobe_events", "p:a __x64_sys_getpid\n") ||
	    system("echo 'r:b __x64_sys_write' >>" TRACING "kprobe_events; "
		   "echo 'p:c handle_mm_fault' >>" TRACING "kprobe_events; "
		   "echo 'p:d hrtimer_interrupt' >>" TRACING "kprobe_events") ||
	    put_file(TRACING "events/kprobes/enable", "1"))
		return "no probes";
	r = run_with(LIFE, "run", -1, NULL);
	if (r->status || strcmp(r->out, "0 bad"))
		bad = fail("status %x, said '%s'", r->status, r->out);
	else if (system("busybox grep -q 'life-.* a:' " TRACING "trace"))
		bad = "no probe was hit";
	/* Entry code refuses probes: there they would be fatal, for everybody. */
	if (!bad && !system("echo 'p:e kml_gate_getpid' >>" TRACING "kprobe_events 2>/dev/null"))
		bad = "a probe in a gate is possible";
	put_file(TRACING "events/kprobes/enable", "0");
	put_file(TRACING "kprobe_events", "");
	return bad;
}

/* ---- file systems that lie ---- */

static const char *as_life(void (*before)(void))
{
	struct run *r = run_with(LIFE, "cpl", -1, before);

	/* At CPL 3 there are no gates. */
	return WIFSIGNALED(r->status) && WTERMSIG(r->status) == SIGSEGV ? NULL :
		fail("status %x, said '%s'", r->status, r->out);
}

static void overlaid(void)
{
	mkdir("/tmp/over", 0755);
	mkdir("/tmp/over/low", 0755);
	if (unshare(CLONE_NEWNS) || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) ||
	    copy_file(LIFE, "/tmp/over/low/life", -1) ||
	    mount("o", "/trusted", "overlay", 0, "lowerdir=/tmp/over/low:/trusted"))
		_exit(80);
}
static const char *overlay(void) { return as_life(overlaid); }

/*
 * A file system with one file, which is @first when it is opened first, then @then.
 * Asked for its capabilities it answers with the error @says first, then that there
 * are none.
 */
struct liar { const char *first, *then; size_t size; int says, fd; atomic_int opened, asked; };

static void reply(struct liar *l, struct fuse_in_header *in, int error, const void *data, size_t n)
{
	struct fuse_out_header out = { sizeof(out) + n, error, in->unique };
	struct iovec v[] = { { &out, sizeof(out) }, { (void *)data, n } };

	if (writev(l->fd, v, n ? 2 : 1) < 0)
		perror("fuse");
}

static void attributes(struct liar *l, struct fuse_attr *attr, int file)
{
	memset(attr, 0, sizeof(*attr));
	attr->ino = file ? 2 : 1;
	attr->size = file ? l->size : 0;
	attr->mode = file ? S_IFREG | 0755 : S_IFDIR | 0755;
	attr->nlink = 1;
	attr->blksize = 4096;
}

static void answer(struct liar *l, char *request)
{
	struct fuse_in_header *in = (void *)request;
	void *body = request + sizeof(*in);
	struct fuse_init_out init = { .major = 7, .minor = 31, .max_write = 65536 };
	struct fuse_entry_out entry = { .nodeid = 2 };
	struct fuse_attr_out attr = { };
	struct fuse_open_out opened = { .open_flags = FOPEN_DIRECT_IO };
	struct fuse_read_in *r = body;

	switch (in->opcode) {
	case FUSE_INIT:
		reply(l, in, 0, &init, sizeof(init));
		break;
	case FUSE_LOOKUP:
		attributes(l, &entry.attr, 1);
		reply(l, in, 0, &entry, sizeof(entry));
		break;
	case FUSE_GETATTR:
		attributes(l, &attr.attr, in->nodeid == 2);
		reply(l, in, 0, &attr, sizeof(attr));
		break;
	case FUSE_OPEN:
		reply(l, in, 0, &opened, sizeof(opened));
		break;
	case FUSE_READ: {
		/* Each part of the file is true once. */
		const char *from = l->opened ? l->then : l->first;
		size_t n = r->offset >= l->size ? 0 : l->size - r->offset;

		n = n < r->size ? n : r->size;
		reply(l, in, 0, from + r->offset, n);
		if (r->offset + n == l->size)
			l->opened = 1;
		break;
	}
	case FUSE_GETXATTR:
		reply(l, in, l->asked ? -ENODATA : l->says, NULL, 0);
		l->asked = 1;
		break;
	case FUSE_FORGET:
		break;
	case FUSE_RELEASE:
	case FUSE_FLUSH:
	case FUSE_ACCESS:
		reply(l, in, 0, NULL, 0);
		break;
	default:
		reply(l, in, -ENOSYS, NULL, 0);
	}
}

static void *serve(void *at)
{
	struct liar *l = at;
	static char request[1 << 17];

	while (read(l->fd, request, sizeof(request)) > 0)
		answer(l, request);
	return NULL;
}

/* Status of life from a file system that gives first one content, then the other. */
static const char *lie(const char *first, const char *then, size_t size, int says, int want)
{
	struct liar l = { first, then, size, says, open("/dev/fuse", O_RDWR | O_CLOEXEC) };
	char options[100];
	pthread_t thread;
	struct run *r;

	/* On /trusted itself: what is mounted below it never runs at CPL 0. */
	snprintf(options, sizeof(options), "fd=%d,rootmode=40000,user_id=0,group_id=0", l.fd);
	if (l.fd < 0 || mount("fuse", "/trusted", "fuse", 0, options))
		return fail("no FUSE: %s", strerror(errno));
	if (pthread_create(&thread, NULL, serve, &l))
		return "no thread";
	r = run_with(LIFE, "data", -1, NULL);
	umount2("/trusted", MNT_DETACH);
	close(l.fd);
	pthread_cancel(thread);
	pthread_join(thread, NULL);
	if (want ? !WIFEXITED(r->status) || WEXITSTATUS(r->status) != want :
		   r->status || strcmp(r->out, "initialised zero"))
		return fail("status %x, said '%s'", r->status, r->out);
	return NULL;
}

static const char *fuse(void)
{
	static char good[1 << 20], evil[1 << 20];
	int fd = open(LIFE, O_RDONLY);
	ssize_t n = read(fd, good, sizeof(good)), i;
	const char *bad;

	close(fd);
	memset(evil, 0xcc, n);
	/* The first page is what exec itself reads: the same in both. */
	memcpy(evil, good, 4096);
	for (i = 4096; i < n; i += 4096)
		evil[i] = 0x90;
	bad = lie(good, evil, n, -ENODATA, 0);
	bad = bad ? bad : lie(evil, good, n, -ENODATA, 126);
	/* By this error a format says that another may have the file. */
	return bad ? bad : lie(good, evil, n, -ENOEXEC, 126);
}

/* ---- together ---- */

#define PAIRS	100

/* An ordinary program that does what "press" of life.c does. */
static int press(void)
{
	static ulong pages[4 * MB / 8];
	long end, bad = 0;
	ulong i, round = 0;
	char c;

	for (i = 0; i < 4 * MB / 8; i += 512)
		pages[i] = i;
	/* The minute begins when the memory of all is there, however slow that was. */
	if (write(1, "ready\n", 6) != 6 || read(0, &c, 1))
		return 1;
	end = now_ms() + 60000;
	do {
		for (i = 0; i < 4 * MB / 8; i += 512)
			pages[i] = i ^ round;
		for (i = 0; i < 4 * MB / 8; i += 512)
			bad += pages[i] != (i ^ round);
		round++;
	} while (now_ms() < end);
	printf("%ld bad", bad);
	return 0;
}

/* What is swapped out, in kB. */
static long in_swap(void)
{
	return number_in("/proc/meminfo", "SwapTotal:") - number_in("/proc/meminfo", "SwapFree:");
}

static const char *crowd(void)
{
	static struct sampler s;
	static struct waiting all[2 * PAIRS];
	const char *wrong = start_perf(&s);
	long swapped, now;
	int i, gate[2], bad = 0;
	char text[32];

	if (wrong)
		return wrong;
	if (pipe2(gate, O_CLOEXEC))
		return "no pipe";
	for (i = 0; i < 2 * PAIRS; i++)
		all[i].pid = start(i % 2 ? LIFE : "/bin/stress", i % 2 ? "press" : "--press", gate[0],
				   &all[i].out, NULL);
	for (i = 0; i < 2 * PAIRS; i++) {
		if (!is_ready(&all[i])) {
			bad++;
			fail("program %d does not get ready", i);
		}
	}
	swapped = in_swap();
	/* They wait for the end of the pipe. */
	close(gate[1]);
	for (i = 0; i < 2 * PAIRS; i++) {
		int st = finish(all[i].pid, 1200000);
		ssize_t n = read(all[i].out, text, sizeof(text) - 1);

		now = in_swap();
		swapped = now > swapped ? now : swapped;
		text[n > 0 ? n : 0] = 0;
		close(all[i].out);
		if (st || strcmp(text, "0 bad")) {
			bad++;
			fail("program %d: status %x, said '%s'", i, st, text);
		}
	}
	close(gate[0]);
	end_perf(&s);
	printf("measured: crowd: %ld kB were swapped out at once\n", swapped);
	if (bad)
		return said;
	if (swapped < 4096)
		return "there was no memory pressure";
	return s.samples < 60000 ? fail("only %ld samples", s.samples) : NULL;
}

/* Programs at CPL 0 with memory of all kinds, for as long as somebody looks. */
/* ---- a machine whose memory is said to be two nodes: numa=fake=2 ---- */

/* How much of a group's memory is on a node, in MB. */
static long on_node(const char *name, int node)
{
	char line[400], word[8];
	const char *at;

	snprintf(word, sizeof(word), " N%d=", node);
	if (!grep_file(in_group(name, "memory.numa_stat"), "anon ", line, sizeof(line)))
		return -1;
	at = strstr(line, word);
	return at ? atol(at + strlen(word)) >> 20 : -1;
}

/* The group's node changes, and all of the program's memory moves there, 20 times. */
static const char *nodes(void)
{
	const char *bad = make_group("nodes", "cpuset.mems", "0");
	struct waiting w;
	int i;

	if (bad)
		return bad;
	group = "nodes";
	w = launch("fill", enter_group);
	if (!is_ready(&w))
		bad = "does not get ready";
	for (i = 1; i <= 20 && !bad; i++) {
		long end = now_ms() + 20000;

		if (put_file(in_group("nodes", "cpuset.mems"), i % 2 ? "1" : "0"))
			bad = fail("cpuset.mems: %s", strerror(errno));
		while (!bad && on_node("nodes", i % 2) < 60)
			if (now_ms() > end)
				bad = fail("move %d: %ld MB on node 0, %ld on 1", i,
					   on_node("nodes", 0), on_node("nodes", 1));
	}
	if (bad) {
		abandon(&w);
		return bad;
	}
	return let_end(&w);
}

/* The scheduler wants to know what a program uses: it takes pages from it for a fault each. */
static const char *balanced(void)
{
	const char *bad = make_group("balanced", "cpuset.mems", "1");
	long faults = 0, moved;
	struct waiting w;
	int i;

	if (bad)
		return bad;
	group = "balanced";
	/* Else it is one fault for 2 MB. */
	put_file("/sys/kernel/mm/transparent_hugepage/enabled", "never");
	/* CPU 0 is of node 0. */
	w = launch("fillspin", enter_on_cpu_0);
	if (!is_ready(&w))
		bad = "does not get ready";
	else if (put_file(in_group("balanced", "cpuset.mems"), "0-1"))
		bad = fail("cpuset.mems: %s", strerror(errno));
	for (i = 0; i < 300 && faults < 1000 && !bad; i++) {
		sleep_ms(100);
		faults = number_in(in_group("balanced", "memory.stat"), "numa_hint_faults ");
	}
	moved = number_in(in_group("balanced", "memory.stat"), "numa_pages_migrated ");
	printf("measured: NUMA balancing: %ld faults, %ld pages moved\n", faults, moved);
	if (!bad && faults < 100)
		bad = fail("only %ld faults", faults);
	if (!bad && waitpid(w.pid, NULL, WNOHANG))
		bad = "has ended";
	abandon(&w);
	return bad;
}

/* ---- a machine whose page tables are read from outside meanwhile ---- */

static void looked_at_group(void)
{
	enter_group();
	mergeable();
}

static const char *looked_at(void)
{
	struct waiting w[4];
	const char *bad = make_group("looked", "cpuset.mems", "0-1");
	int i, round;

	if (bad)
		return bad;
	group = "looked";
	put_file("/sys/kernel/mm/ksm/run", "1");
	put_file("/sys/kernel/mm/transparent_hugepage/enabled", "always");
	for (i = 0; i < 4; i++)
		w[i] = launch(i % 2 ? "fillspin" : "samespin", looked_at_group);
	for (i = 0; i < 4 && !bad; i++)
		if (!is_ready(&w[i]))
			bad = "does not get ready";
	for (round = 0; round < 15; round++) {
		static const char *const mems[] = { "0", "1", "0-1" };

		put_file("/proc/sys/vm/compact_memory", "1");
		if (put_file(in_group("looked", "cpuset.mems"), mems[round % 3]))
			bad = fail("cpuset.mems: %s", strerror(errno));
		for (i = 0; i < 4; i++) {
			struct iovec all = { (void *)0x404000, 64 * MB };
			int fd = syscall(SYS_pidfd_open, w[i].pid, 0);

			syscall(SYS_process_madvise, fd, &all, 1, round % 2 ? MADV_PAGEOUT : 25, 0);
			close(fd);
		}
		sleep_ms(1000);
	}
	for (i = 0; i < 4; i++) {
		if (!bad && waitpid(w[i].pid, NULL, WNOHANG))
			bad = "has ended";
		abandon(&w[i]);
	}
	return bad;
}

/* An OOM kill is reported with a call trace; all else is a complaint. */
static const char *silent_but_oom(void)
{
	char *log = kernel_log(), *at = log;

	while ((at = strstr(at, "Call Trace")))
		memcpy(at, "call", 4);
	look_for_complaints(log);
	return complaints[0] ? complaints : NULL;
}

static const struct test tests[] = {
	{ "memory: swapped out and in again", swapped },
	{ "memory: advice of others does no harm", paged_out },
	{ "memory: huge pages", huge_pages },
	{ "memory: merged pages", merged },
	{ "memory: text and gates are sealed", sealed },
	{ "groups: share of the CPU", cpu_share },
	{ "groups: freezer and kill", frozen },
	{ "limits: no core", no_core },
	{ "limits: of data and of files", limits },
	{ "life: killed 200 times, at any instant", killed_often },
	{ "life: stopped and continued 200 times", stopped_often },
	{ "life: a CPU is switched off and on 20 times", hotplug },
	{ "perf: 10 kHz over a stack that is paged out", perf },
	{ "perf: no address of the kernel in samples of gates", perf_of_gates },
	{ "ring 3: /trusted of an overlay", overlay },
	{ "admission: a file system that lies", fuse },
	{ "admission: too long a file", too_long },
	{ "kernel: nothing in its log", silent },
	{ "admission: its memory is the caller's", charged },
	{ "groups: killed for want of memory", oom },
	{ "groups: killed for want of memory in a gate", oom_in_gate },
	{ "kernel: nothing in its log but that", silent_but_oom },
};

static const struct test graphs[] = {
	{ "trace: a call through a gate is a system call", traced },
	{ "trace: function graph tracer over everything", graph_tracer },
	{ "kernel: nothing in its log", silent },
};

static const struct test traces[] = {
	{ "trace: a call through a gate is a system call", traced },
	{ "trace: function tracer over everything", function_tracer },
	{ "trace: kprobes in what gates call, none in gates", kprobes },
	{ "kernel: nothing in its log", silent },
};

static const struct test crowds[] = {
	{ "life: 100 programs at CPL 0 beside 100 at CPL 3 for a minute", crowd },
	{ "kernel: nothing in its log", silent },
};

static const struct test tables[] = {
	{ "memory: moved from node to node 20 times", nodes },
	{ "memory: balanced between nodes", balanced },
	{ "memory: programs that are looked at", looked_at },
	{ "kernel: nothing in its log", silent },
};

int main(int argc, char **argv)
{
	const char *how = argc > 1 ? argv[1] : "", *bad;

	if (!strcmp(how, "--press"))
		return press();
	bad = add_swap();
	bad = bad ? bad : add_groups();
	if (bad) {
		printf("test machine ... FAILED: %s\n", bad);
		return 1;
	}
	if (!strcmp(how, "--crowd"))
		return run_tests(crowds, sizeof(crowds) / sizeof(*crowds), NULL);
	if (!strcmp(how, "--graph"))
		return run_tests(graphs, sizeof(graphs) / sizeof(*graphs), NULL);
	if (!strcmp(how, "--trace"))
		return run_tests(traces, sizeof(traces) / sizeof(*traces), NULL);
	if (!strcmp(how, "--page-tables"))
		return run_tests(tables, sizeof(tables) / sizeof(*tables), NULL);
	return run_tests(tests, sizeof(tests) / sizeof(*tests),
			 argc > 2 && !strcmp(how, "--only") ? argv[2] : NULL);
}
