// SPDX-License-Identifier: GPL-2.0
/*
 * What exec asks before a program runs at CPL 0, and what the program then has: the
 * form of its image, its descriptors, its stack, who it is that starts it.
 *
 *	starts			the tests
 *	starts --user CMD	CMD as user 1000, with no capability
 */
#include "harness.h"

#include <grp.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/timerfd.h>

#define WHO	"/sys/module/kml/parameters/who"

static const char *put_text(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY);
	int bad = fd < 0 || write(fd, text, strlen(text)) != (ssize_t)strlen(text);

	close(fd);
	return bad ? fail("%s: %s", path, strerror(errno)) : NULL;
}

/* The line by which exec was refused last, without what stands before. */
static const char *refusal(void)
{
	static char line[300];
	const char *at = kernel_log(), *next;

	line[0] = 0;
	while ((next = strstr(at, "refused: "))) {
		at = next + strlen("refused: ");
		snprintf(line, sizeof(line), "%.*s", (int)strcspn(at, "\n"), at);
	}
	return line;
}

/* exec fails with EPERM, and the log says this. */
static const char *refused(const char *path, void (*before)(void), const char *why)
{
	const char *line = "";
	struct run *r;
	int i;

	look_for_complaints(kernel_log());
	/* Of many lines in a short time the log has some only. */
	for (i = 0; i < 2 && !line[0]; i++) {
		if (i)
			sleep_ms(5200);
		r = run_with(path, "cpl", -1, before);
		if (!WIFEXITED(r->status) || WEXITSTATUS(r->status) != 126)
			return fail("status %x instead of EPERM, said '%s'", r->status, r->out);
		line = refusal();
	}
	return strncmp(line, why, strlen(why)) ? fail("the log says '%s', not '%s'", line, why) : NULL;
}

static const char *runs(const char *path, void (*before)(void))
{
	struct run *r = run_with(path, "cpl", -1, before);

	return r->status || strcmp(r->out, "CPL 0\n") ?
		fail("status %x, said '%s'; the log: %s", r->status, r->out, refusal()) : NULL;
}

/* ---- its image: copies of LIFE with a segment more, which nobody has judged ---- */

static const char *no_length(void) { return refused("/trusted/empty", NULL, "segment of no length"); }
static const char *no_text(void) { return refused("/trusted/emptytext", NULL, "segment of no length"); }
static const char *wraps(void) { return refused("/trusted/wraps", NULL, "segment of no length"); }
static const char *overlaps(void) { return refused("/trusted/overlaps", NULL, "segments that overlap"); }
static const char *beyond(void) { return refused("/trusted/beyond", NULL, "segment outside of the image"); }
static const char *kernel_half(void) { return refused("/trusted/kernel", NULL, "segment outside of the image"); }
static const char *on_gates(void) { return refused("/trusted/ongates", NULL, "segment outside of the image"); }
static const char *rights(void) { return refused("/trusted/rights", NULL, "segment that is not one of"); }
static const char *no_rights(void) { return refused("/trusted/norights", NULL, "segment that is not one of"); }
static const char *one_more(void) { return runs("/trusted/more", NULL); }

/* ---- its descriptors ---- */

static int left;	/* what the child leaves open, as descriptor 9 */
static void leave(void)
{
	if (dup2(left, 9) != 9)
		_exit(77);
	close(left);
}
static void leave_until_exec(void)
{
	leave();
	fcntl(9, F_SETFD, FD_CLOEXEC);
}

/* All that can be written and may. */
static const char *harmless(void)
{
	static const char *const paths[] = {
		"/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom",
		"/dev/console", "/dev/ttyS0", "/tmp/file", "/file", "/dev/file", "/tmp/fifo",
	};
	struct { const char *name; int fd; } calls[] = {
		{ "a pipe", -1 }, { "a socket", socket(AF_UNIX, SOCK_STREAM, 0) },
		{ "eventfd", eventfd(0, 0) }, { "epoll", epoll_create1(0) },
		{ "memfd", memfd_create("m", 0) }, { "timerfd", timerfd_create(CLOCK_MONOTONIC, 0) },
	};
	const char *bad;
	unsigned int i;
	int ends[2];

	mkfifo("/tmp/fifo", 0600);
	if (pipe(ends))
		return "no pipe";
	calls[0].fd = ends[1];
	for (i = 0; i < sizeof(paths) / sizeof(*paths); i++) {
		left = open(paths[i], O_RDWR | O_CREAT | O_NOCTTY | O_NONBLOCK, 0600);
		if (left < 0)
			return fail("%s does not open: %s", paths[i], strerror(errno));
		bad = runs(LIFE, leave);
		close(left);
		if (bad)
			return fail("%s: %.300s", paths[i], strdup(bad));
	}
	for (i = 0; i < sizeof(calls) / sizeof(*calls); i++) {
		left = calls[i].fd;
		if (left < 0)
			return fail("%s: %s", calls[i].name, strerror(errno));
		bad = runs(LIFE, leave);
		close(left);
		if (bad)
			return fail("%s: %.300s", calls[i].name, strdup(bad));
	}
	close(ends[0]);
	return NULL;
}

#define HOSTNAME	"/proc/sys/kernel/hostname"
#define NINE(name)	"descriptor 9 (" name ") may not be open"

static const char *not_procfs(void)
{
	const char *bad;

	left = open(HOSTNAME, O_WRONLY);
	bad = refused(LIFE, leave, NINE("kernel/hostname") " for writing");
	close(left);
	return bad;
}

static const char *not_sysfs(void)
{
	const char *bad;

	left = open("/sys/kernel/uevent_seqnum", O_RDWR);
	if (left < 0)
		left = open(WHO, O_RDWR);
	bad = refused(LIFE, leave, "descriptor 9 (");
	close(left);
	return bad;
}

/* Not even to read. */
static const char *not_devices(void)
{
	const char *bad;

	left = open("/dev/kmsg", O_WRONLY);
	bad = refused(LIFE, leave, NINE("/kmsg") " for writing");
	close(left);
	left = open("/dev/kmsg", O_RDONLY);
	bad = bad ?: refused(LIFE, leave, NINE("/kmsg"));
	close(left);
	return bad;
}

/* Of packets, or one that sends signals. */
static const char *not_odd_pipes(void)
{
	const char *bad;
	int ends[2];

	if (pipe2(ends, O_DIRECT))
		return "no pipe";
	left = ends[1];
	bad = refused(LIFE, leave, "descriptor 9 (");
	fcntl(left, F_SETFL, 0);
	bad = bad ?: runs(LIFE, leave);
	fcntl(left, F_SETFL, O_ASYNC);
	bad = bad ?: refused(LIFE, leave, "descriptor 9 (");
	close(ends[0]);
	close(ends[1]);
	return bad;
}

static const char *not_other_sockets(void)
{
	const char *bad;

	left = socket(AF_NETLINK, SOCK_RAW, 0);
	bad = left < 0 ? "no socket" : refused(LIFE, leave, "descriptor 9 (");
	close(left);
	return bad;
}

static const char *not_anonymous(void)
{
	sigset_t none;
	int fds[2], i;
	const char *bad = NULL;

	sigemptyset(&none);
	fds[0] = signalfd(-1, &none, SFD_CLOEXEC);
	fds[1] = syscall(SYS_pidfd_open, getpid(), 0);
	for (i = 0; i < 2 && !bad; i++) {
		left = fds[i];
		bad = left < 0 ? "there is none" : refused(LIFE, leave, "descriptor 9 (");
	}
	close(fds[0]);
	close(fds[1]);
	return bad;
}

/* What can only be read, and what exec closes. */
static const char *not_asked(void)
{
	const char *bad;

	left = open("/proc/self/mem", O_RDONLY);
	bad = runs(LIFE, leave);
	close(left);
	left = open("/", O_RDONLY | O_DIRECTORY);
	bad = bad ?: runs(LIFE, leave);
	close(left);
	left = open(HOSTNAME, O_PATH);
	bad = bad ?: runs(LIFE, leave);
	close(left);
	left = open(HOSTNAME, O_WRONLY);
	bad = bad ?: runs(LIFE, leave_until_exec);
	close(left);
	return bad;
}

/* Opens and closes descriptor 9 all the time in a table that is another's, too. */
static pid_t starter;
static int toggles(void *unused)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	while (getppid() == starter) {
		dup2(left, 9);
		close(9);
	}
	_exit(0);
}

static void share_table(void)
{
	static char stack[65536];

	starter = getpid();
	if (clone(toggles, stack + sizeof(stack), CLONE_FILES | CLONE_VM, NULL) < 0)
		_exit(77);
	/* The exec has to begin at any time. */
	sleep_ms(rand() % 3);
}

/* Who asks for what is in /proc of a process waits for locks of its exec. */
static int answers(const char *path)
{
	pid_t pid = fork();
	char to[100];

	if (!pid)
		_exit(readlink(path, to, sizeof(to)) < -1);
	return finish(pid, 5000) != -1;
}

/*
 * Whatever becomes of it, the program never runs with that descriptor; and what died
 * in exec has kept no lock.
 */
static const char *shared_table(void)
{
	int i, refused = 0, killed = 0, ran = 0, had = 0, st;
	char path[64], to[100];

	left = open(HOSTNAME, O_WRONLY | O_CLOEXEC);
	for (i = 0; i < 200; i++) {
		pid_t pid;
		ssize_t n;

		srand(i);
		pid = start(LIFE, "spin", -1, NULL, share_table);
		sleep_ms(8);
		snprintf(path, sizeof(path), "/proc/%d/exe", pid);
		if (!answers(path)) {
			waitpid(pid, &st, 0);
			return fail("status %x, and %s does not answer", st, path);
		}
		if (waitpid(pid, &st, WNOHANG) == pid) {
			*(WIFEXITED(st) && WEXITSTATUS(st) == 126 ? &refused : &killed) += 1;
			continue;
		}
		n = readlink(path, to, sizeof(to) - 1);
		to[n < 0 ? 0 : n] = 0;
		if (!strcmp(to, LIFE)) {
			ran++;
			snprintf(path, sizeof(path), "/proc/%d/fd/9", pid);
			had += !access(path, F_OK) || readlink(path, to, sizeof(to)) >= 0;
		}
		kill(pid, SIGKILL);
		finish(pid, 5000);
	}
	close(left);
	printf("measured: a table that changes during exec: %d refused, %d killed, %d ran\n",
	       refused, killed, ran);
	return had ? fail("%d of %d ran with it", had, ran) :
	       refused && ran ? NULL : "it was always the same";
}

/* ---- its stack ---- */

static struct rlimit stack_limit;

/* Starts LIFE with so many arguments; 125 is E2BIG. */
static int with_arguments(rlim_t limit, int n, char *said, size_t size)
{
	static char *argv[20002];
	char *envp[] = { NULL };
	int ends[2], i, st;
	ssize_t got;
	pid_t pid;

	argv[0] = LIFE;
	argv[1] = "room";
	for (i = 2; i < n; i++)
		argv[i] = "";
	argv[n] = NULL;
	if (pipe2(ends, O_CLOEXEC))
		exit(3);
	pid = fork();
	if (!pid) {
		stack_limit.rlim_cur = limit;
		stack_limit.rlim_max = RLIM_INFINITY;
		setrlimit(RLIMIT_STACK, &stack_limit);
		dup2(ends[1], 1);
		execve(LIFE, argv, envp);
		_exit(errno == E2BIG ? 125 : 127);
	}
	close(ends[1]);
	st = finish(pid, 20000);
	got = read(ends[0], said, size - 1);
	said[got < 0 ? 0 : got] = 0;
	close(ends[0]);
	return st;
}

/* Either it has 64 KiB or it is not started: whatever the limit, and however many arguments. */
static const char *room(void)
{
	static const int limits[] = { 4, 64, 68, 72, 80, 100, 128, 132, 160, 200, 256, 384, 512, 8192 };
	static const int counts[] = { 2, 100, 2000, 7000, 12000, 20000 };
	unsigned int i, k, ran = 0, refused = 0;
	char text[64];

	for (i = 0; i < sizeof(limits) / sizeof(*limits); i++) {
		for (k = 0; k < sizeof(counts) / sizeof(*counts); k++) {
			int st = with_arguments((rlim_t)limits[i] << 10, counts[k], text, sizeof(text));

			if (!st && !strcmp(text, "room"))
				ran++;
			else if (WIFEXITED(st) && WEXITSTATUS(st) == 125)
				refused++;
			else
				return fail("%d KiB, %d arguments: status %x, said '%s'", limits[i],
					    counts[k], st, text);
		}
	}
	printf("measured: stacks of all sizes: %u ran, %u were not started\n", ran, refused);
	return ran > 20 && refused > 20 ? NULL : "all the same";
}

static char first[100];
static const char *twice(void (*before)(void), int same_stack, int same_map)
{
	unsigned long stack[2], map[2];
	int i;

	for (i = 0; i < 2; i++) {
		struct run *r = run_with(LIFE, "where", -1, before);

		if (r->status || sscanf(r->out, "%lu %lu", &stack[i], &map[i]) != 2)
			return fail("status %x, said '%s'", r->status, r->out);
	}
	snprintf(first, sizeof(first), "stacks %lx, %lx, mappings %lx, %lx", stack[0], stack[1],
		 map[0], map[1]);
	return (stack[0] == stack[1]) == same_stack && (map[0] == map[1]) == same_map ? NULL : first;
}

static void not_random(void) { personality(ADDR_NO_RANDOMIZE); }
static const char *random_addresses(void)
{
	const char *bad = twice(NULL, 0, 0);
	const char *back;

	bad = bad ?: twice(not_random, 1, 1);
	if (bad)
		return bad;
	bad = put_text("/proc/sys/kernel/randomize_va_space", "0") ?: twice(NULL, 1, 1);
	back = put_text("/proc/sys/kernel/randomize_va_space", "2");
	return bad ?: back;
}

/* ---- who ---- */

static void be_user(void)
{
	if (setgroups(0, NULL) || setresgid(1000, 1000, 1000) || setresuid(1000, 1000, 1000))
		_exit(77);
}

/* Not changed yet: what the kernel has when nobody says anything. */
static const char *who_default(void)
{
	char line[32];

	if (!grep_file(WHO, "", line, sizeof(line)) || atoi(line) != 1)
		return fail("it is %s", line);
	return runs(LIFE, NULL) ?: refused(LIFE, be_user, "kml.who lets only those with CAP_SYS_ADMIN");
}

static const char *who_everybody(void)
{
	const char *bad = put_text(WHO, "2") ?: runs(LIFE, be_user);

	return bad ?: put_text(WHO, "1") ?: refused(LIFE, be_user, "kml.who lets only those");
}

/* What is not understood, or out of range, lets nobody, and reads as 0. */
static const char *who_nonsense(void)
{
	static const char *const values[] = { "4", "7", "-1", "4294967297", "x", "2x", "0x", "" };
	const char *bad = NULL;
	unsigned int i;
	char line[32];

	for (i = 0; i < sizeof(values) / sizeof(*values) && !bad; i++) {
		int fd = open(WHO, O_WRONLY);

		put_text(WHO, "3");
		if (write(fd, values[i], strlen(values[i])) > 0)
			bad = fail("'%s' is taken", values[i]);
		else if (values[i][0])
			bad = refused(LIFE, NULL, "kml.who lets nobody");
		if (!bad && values[i][0] && (!grep_file(WHO, "", line, sizeof(line)) || atoi(line)))
			bad = fail("'%s' is %s", values[i], line);
		close(fd);
	}
	return bad ?: put_text(WHO, "1") ?: runs(LIFE, NULL);
}

/* ---- its memory when it dies ---- */

/*
 * On one CPU, where it does not get to die before it was asked: nothing is released,
 * and so it is said.
 */
static const char *mrelease(void)
{
	struct sched_param high = { .sched_priority = 10 }, low = { };
	const char *bad = NULL;
	cpu_set_t old;
	pid_t pid;
	int fd;

	sched_getaffinity(0, sizeof(old), &old);
	only_on_cpu(0);
	pid = start(LIFE, "spin", -1, NULL, NULL);
	sleep_ms(100);
	fd = syscall(SYS_pidfd_open, pid, 0);
	sched_setscheduler(0, SCHED_FIFO, &high);
	kill(pid, SIGKILL);
	if (!syscall(448 /* process_mrelease */, fd, 0))
		bad = "process_mrelease says that it has released the memory";
	else if (errno != EAGAIN)
		bad = fail("process_mrelease: %s", strerror(errno));
	sched_setscheduler(0, SCHED_OTHER, &low);
	sched_setaffinity(0, sizeof(old), &old);
	finish(pid, 5000);
	close(fd);
	return bad;
}

static const struct test tests[] = {
	{ "who: the administrator, when nobody says anything", who_default },
	{ "who: 2 lets others run root's files", who_everybody },
	{ "who: what is not understood lets nobody", who_nonsense },
	{ "image: a segment more", one_more },
	{ "image: a segment of no length", no_length },
	{ "image: text of no length", no_text },
	{ "image: a segment around the end of all addresses", wraps },
	{ "image: a segment over another", overlaps },
	{ "image: a segment beyond the image", beyond },
	{ "image: a segment in the kernel's half", kernel_half },
	{ "image: a segment on the gates", on_gates },
	{ "image: a segment that can be written and executed", rights },
	{ "image: a segment without rights", no_rights },
	{ "descriptors: files, terminals, pipes, sockets, eventfd, epoll", harmless },
	{ "descriptors: not procfs", not_procfs },
	{ "descriptors: not sysfs", not_sysfs },
	{ "descriptors: not other devices", not_devices },
	{ "descriptors: not other anonymous files", not_anonymous },
	{ "descriptors: not pipes of packets, or that send signals", not_odd_pipes },
	{ "descriptors: not other sockets", not_other_sockets },
	{ "descriptors: only read, or closed by exec, they may be anything", not_asked },
	{ "descriptors: a table that somebody else changes", shared_table },
	{ "stack: 64 KiB or no start", room },
	{ "stack: at a random address, and mappings too", random_addresses },
	{ "memory: process_mrelease tells the truth", mrelease },
	{ "kernel: nothing in its log", silent },
};

int main(int argc, char **argv)
{
	if (argc > 2 && !strcmp(argv[1], "--user")) {
		be_user();
		execv(argv[2], argv + 2);
		return 126;
	}
	kernel_log();
	return run_tests(tests, sizeof(tests) / sizeof(*tests), argv[1]);
}
