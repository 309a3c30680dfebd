/* SPDX-License-Identifier: GPL-2.0 */
/* What the programs that test have in common. */
#ifndef HARNESS_H
#define HARNESS_H

#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* An admitted program, which runs at CPL 0. */
#define LIFE "/trusted/life"

/* A test returns null when it passed, else what was wrong. */
static char said[400];
static const char *fail(const char *format, ...)
{
	va_list list;

	va_start(list, format);
	vsnprintf(said, sizeof(said), format, list);
	va_end(list);
	return said;
}

struct run {
	int status;		/* as from waitpid() */
	char out[1 << 16];
	size_t size;
};

static struct run it;

static long now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static void sleep_ms(long ms)
{
	struct timespec t = { ms / 1000, ms % 1000 * 1000000 };

	while (nanosleep(&t, &t) && errno == EINTR)
		;
}

/* From here on, and for what is started from here, this CPU only. */
__attribute__((unused))
static void only_on_cpu(int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	sched_setaffinity(0, sizeof(set), &set);
}

/* Starts a program; its standard output goes to *out when out is not null. */
static pid_t start(const char *path, const char *arg, int in, int *out, void (*before)(void))
{
	char *argv[] = { (char *)path, (char *)arg, NULL };
	char *envp[] = { "A=1", "EMPTY=", NULL };
	int ends[2] = { -1, -1 };
	pid_t pid;

	if (out && pipe2(ends, O_CLOEXEC))
		exit(3);
	pid = fork();
	if (pid)
		goto parent;
	if (in >= 0)
		dup2(in, 0);
	if (out)
		dup2(ends[1], 1);
	if (before)
		before();
	execve(path, argv, envp);
	_exit(errno == EPERM ? 126 : 127);
parent:
	if (out) {
		close(ends[1]);
		*out = ends[0];
	}
	return pid;
}

/* Waits at most so long, then kills. */
static int finish(pid_t pid, long ms)
{
	long end = now_ms() + ms;
	int status;

	while (waitpid(pid, &status, WNOHANG) == 0) {
		if (now_ms() > end) {
			kill(pid, SIGKILL);
			waitpid(pid, &status, 0);
			return -1;
		}
		sleep_ms(2);
	}
	return status;
}

__attribute__((unused))
static struct run *run_with(const char *path, const char *arg, int in, void (*before)(void))
{
	int out;
	pid_t pid = start(path, arg, in, &out, before);
	ssize_t n;

	it.size = 0;
	while (it.size < sizeof(it.out) - 1) {
		struct pollfd p = { out, POLLIN };

		if (poll(&p, 1, 20000) <= 0)
			break;
		n = read(out, it.out + it.size, sizeof(it.out) - 1 - it.size);
		if (n <= 0)
			break;
		it.size += n;
	}
	it.out[it.size] = 0;
	close(out);
	it.status = finish(pid, 20000);
	return &it;
}

__attribute__((unused))
static int copy_file(const char *from, const char *to, int flip)
{
	char buffer[65536];
	int in = open(from, O_RDONLY), out = open(to, O_WRONLY | O_CREAT | O_TRUNC, 0755);
	ssize_t n;

	if (in < 0 || out < 0)
		return -1;
	while ((n = read(in, buffer, sizeof(buffer))) > 0) {
		if (flip >= 0 && flip < n)
			buffer[flip] ^= 1;
		flip = -1;
		if (write(out, buffer, n) != n)
			return -1;
	}
	close(in);
	close(out);
	return 0;
}

static const char *grep_file(const char *path, const char *word, char *line, size_t size)
{
	FILE *f = fopen(path, "r");

	while (f && fgets(line, size, f)) {
		if (strstr(line, word)) {
			fclose(f);
			return line;
		}
	}
	if (f)
		fclose(f);
	return NULL;
}

__attribute__((unused))
static char state_of(pid_t pid, ulong *user, ulong *system)
{
	char path[64], text[600];
	char *p;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	f = fopen(path, "r");
	if (!f || !fgets(text, sizeof(text), f))
		return 0;
	fclose(f);
	p = strrchr(text, ')') + 2;
	if (user)
		sscanf(p + 1, " %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu", user, system);
	return *p;
}

/* What the kernel has said since the last call. */
static char *kernel_log(void)
{
	static char log[1 << 20];
	static int fd = -1;
	char record[8192];
	size_t size = 0;
	ssize_t n;

	if (fd < 0) {
		fd = open("/dev/kmsg", O_RDONLY | O_NONBLOCK | O_CLOEXEC);
		/* If somebody has cleared it, from there. */
		lseek(fd, 0, SEEK_DATA);
	}
	while ((n = read(fd, record, sizeof(record) - 1)) > 0 || (n < 0 && errno == EPIPE)) {
		if (n < 0 || size + n >= sizeof(log))
			continue;
		memcpy(log + size, record, n);
		size += n;
	}
	log[size] = 0;
	return log;
}

/* Words of complaints, and what has been found of them. */
static char complaints[400];
static void look_for_complaints(const char *log)
{
	static const char *const words[] = {
		"WARNING:", "BUG:", "Oops", "Call Trace", "stalled", "Kernel panic",
		"INFO: task", "refcount_t", "double fault", "possible recursive locking",
		"inconsistent lock state", "suspicious RCU usage",
	};
	unsigned int i;

	for (i = 0; i < sizeof(words) / sizeof(*words) && !complaints[0]; i++) {
		const char *at = strstr(log, words[i]);

		if (at)
			snprintf(complaints, sizeof(complaints), "%.380s", at);
	}
}

static const char *silent(void)
{
	look_for_complaints(kernel_log());
	return complaints[0] ? complaints : NULL;
}

struct test {
	const char *name;
	const char *(*test)(void);
};

/* Runs those with a word in their names; the exit status. */
static int run_tests(const struct test *list, unsigned int n, const char *only)
{
	int passed = 0, failed = 0;
	unsigned int i;

	setvbuf(stdout, NULL, _IOLBF, 0);
	signal(SIGPIPE, SIG_IGN);
	for (i = 0; i < n; i++) {
		const char *bad;

		if (only && !strstr(list[i].name, only))
			continue;
		bad = list[i].test();
		printf("test %s ... %s%s\n", list[i].name, bad ? "FAILED: " : "ok", bad ? bad : "");
		*(bad ? &failed : &passed) += 1;
	}
	printf("\ntest result: %s. %d passed, %d failed\n", failed ? "FAILED" : "ok", passed, failed);
	return failed != 0;
}

#endif
