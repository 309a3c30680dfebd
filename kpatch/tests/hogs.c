// SPDX-License-Identifier: GPL-2.0
/*
 * What judging costs others: programs of ten megabytes and hostile files, offered by
 * exec.
 *
 *	hogs [--groups | --traced] [WORD]
 *
 * /trusted/ten is admitted and ends with 42; /trusted/hogN are refused, each in the
 * words of /cases/hogN.
 */
#include "harness.h"
#include <stdatomic.h>

#define TEN	"/trusted/ten"

/* A counter of /proc/kml. */
static long kml_counter(const char *name)
{
	char line[200];

	return grep_file("/proc/kml", name, line, sizeof(line)) ?
		atol(strchr(strstr(line, name), ':') + 1) : -1;
}

static int status_of(pid_t pid)
{
	int status;

	return waitpid(pid, &status, 0) == pid ? status : -1;
}

/* How long admitting and running takes here. */
static long whole;

static const char *ten_megabytes(void)
{
	long begin = now_ms(), n = kml_counter("admitted");
	int status = status_of(start(TEN, NULL, -1, NULL, NULL));

	whole = now_ms() - begin;
	printf("measured: ten megabytes: %ld ms\n", whole);
	if (!WIFEXITED(status) || WEXITSTATUS(status) != 42)
		return fail("status %x", status);
	return kml_counter("admitted") == n + 1 ? NULL : fail("not counted");
}

static const char *put_file(const char *path, const void *bytes, size_t n, off_t size)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0755);
	int bad = fd < 0 || write(fd, bytes, n) != (ssize_t)n || ftruncate(fd, size);

	close(fd);
	return bad ? fail("%s: %s", path, strerror(errno)) : NULL;
}

/* Refused, with a line of the log that ends so. */
static const char *refused(const char *path, const char *words)
{
	static char line[600];
	const char *log;
	int status;

	/* The log takes ten lines of a kind in five seconds. */
	sleep_ms(600);
	look_for_complaints(kernel_log());
	status = status_of(start(path, NULL, -1, NULL, NULL));
	if (!WIFEXITED(status) || WEXITSTATUS(status) != 126)
		return fail("status %x", status);
	snprintf(line, sizeof(line), "kml: %s: refused: %s", path, words);
	log = kernel_log();
	look_for_complaints(log);
	return strstr(log, line) ? NULL : fail("not '%s' but '%.300s'", line, log);
}

static const char *limits(void)
{
	const char *bad = put_file("/trusted/long", "", 0, (16 << 20) + 1);

	if (!bad)
		bad = refused("/trusted/long", "the file is too long");
	if (!bad)
		bad = put_file("/trusted/long", "", 0, 16 << 20);
	if (!bad)
		bad = refused("/trusted/long", "at file offset 0x0: ");
	if (!bad)
		bad = put_file("/trusted/long", "", 0, 0);
	if (!bad)
		bad = refused("/trusted/long", "the file is empty");
	unlink("/trusted/long");
	return bad;
}

/* The most that one judging took is no more than the header of the judge promises. */
static const char *memory_bound(off_t size)
{
	long most = kml_counter("most memory of one"), bound = (25L << 20) + 25 * size;

	return most > 0 && most <= bound ? NULL : fail("%ld bytes, of %ld", most, bound);
}

static const char *hogs(void)
{
	const char *bad = NULL;
	long worst = 0, seen = 0;
	int i;

	for (i = 0; !bad; i++) {
		char path[64], file[64], words[600] = "";
		struct stat about;
		long begin;
		FILE *f;

		snprintf(path, sizeof(path), "zcat /cases/hog%d.gz > /trusted/hog", i);
		snprintf(file, sizeof(file), "/cases/hog%d", i);
		f = fopen(file, "r");
		if (!f)
			break;
		if (!fgets(words, sizeof(words), f) || system(path) || chmod("/trusted/hog", 0755))
			bad = fail("no hog %d", i);
		fclose(f);
		begin = now_ms();
		if (!bad)
			bad = refused("/trusted/hog", words);
		begin = now_ms() - begin - 600;
		worst = begin > worst ? begin : worst;
		if (!bad && !stat("/trusted/hog", &about))
			bad = memory_bound(about.st_size > 16 << 20 ? 0 : 16 << 20);
		if (bad)
			printf("hog %d: %s\n", i, words);
		seen++;
	}
	unlink("/trusted/hog");
	printf("measured: %ld hogs, the worst took %ld ms, the most memory was %ld KiB\n", seen, worst,
	       kml_counter("most memory of one") >> 10);
	if (!bad && seen < 20)
		bad = fail("only %ld", seen);
	/* Of thirteen megabytes; here it is about a quarter of a second for each. */
	if (!bad && worst > 13000)
		bad = fail("%ld ms", worst);
	return bad;
}

static int longer(const void *a, const void *b)
{
	return *(const long *)a < *(const long *)b ? -1 : 1;
}

#define KILLS 14

/* Milliseconds. */
static long dies_in = 100;

/*
 * The host may take its time once or twice, so it is the middle one that counts.
 * One that is done before it is killed does not.
 */
static const char *killed(void)
{
	long interrupted = kml_counter("interrupted"), took[KILLS];
	int i, n = 0;

	for (i = 0; i < KILLS; i++) {
		pid_t pid = start(TEN, NULL, -1, NULL, NULL);
		long begin;
		int status;

		sleep_ms(whole * (i + 1) / (KILLS + 1));
		begin = now_ms();
		kill(pid, SIGKILL);
		status = status_of(pid);
		if (WIFEXITED(status) && WEXITSTATUS(status) == 42)
			continue;
		took[n++] = now_ms() - begin;
		if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGKILL)
			return fail("status %x", status);
	}
	interrupted = kml_counter("interrupted") - interrupted;
	if (n < KILLS / 2 || interrupted < 3)
		return fail("%d were killed, %ld of them while they were judged", n, interrupted);
	qsort(took, n, sizeof(*took), longer);
	printf("measured: killed while judged: dead after %ld, at most %ld ms, %ld of %d in the judge\n",
	       took[n / 2], took[n - 1], interrupted, KILLS);
	return took[n / 2] < dies_in ? NULL : fail("dead after %ld ms", took[n / 2]);
}

static void on_cpu_0(void) { only_on_cpu(0); }

static const char *others(void)
{
	long begin = now_ms(), last = begin, gap = 0, turns = 0, took;
	cpu_set_t all;
	pid_t pid;
	int status;

	sched_getaffinity(0, sizeof(all), &all);
	on_cpu_0();
	pid = start(TEN, NULL, -1, NULL, on_cpu_0);
	while (waitpid(pid, &status, WNOHANG) == 0) {
		long now = now_ms();

		gap = now - last > gap ? now - last : gap;
		last = now;
		turns++;
	}
	sched_setaffinity(0, sizeof(all), &all);
	took = now_ms() - begin;
	printf("measured: beside judging for %ld ms on its CPU: %ld turns, the longest wait %ld ms\n",
	       took, turns, gap);
	if (!WIFEXITED(status) || WEXITSTATUS(status) != 42)
		return fail("status %x", status);
	if (took < 1000)
		return fail("judging took only %ld ms", took);
	return gap < 300 ? NULL : fail("it waited %ld ms", gap);
}

/* ---- control groups ---- */

static const char *put_text(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY);
	int bad = fd < 0 || write(fd, text, strlen(text)) != (ssize_t)strlen(text);

	close(fd);
	return bad ? fail("%s: %s", path, strerror(errno)) : NULL;
}

#define GROUPS	"/tmp/groups"

static void enter_group(void)
{
	if (put_text(GROUPS "/judge/cgroup.procs", "0"))
		_exit(77);
}

/* Makes the group anew. */
static const char *make_group(const char *max)
{
	const char *bad = NULL;

	mkdir(GROUPS, 0755);
	rmdir(GROUPS "/judge");
	if (access(GROUPS "/cgroup.procs", F_OK) && mount("none", GROUPS, "cgroup2", 0, NULL))
		return fail("no control groups: %s", strerror(errno));
	bad = put_text(GROUPS "/cgroup.subtree_control", "+memory");
	if (!bad && mkdir(GROUPS "/judge", 0755))
		bad = fail("no group: %s", strerror(errno));
	return bad ? bad : put_text(GROUPS "/judge/memory.max", max);
}

static long group_number(const char *file)
{
	char line[100];

	return grep_file(file, "", line, sizeof(line)) ? atol(line) : -1;
}

/* A limit that is too low ends the caller or its exec, and nobody else. */
static const char *group_limit(void)
{
	const char *const max[] = { "2M", "8M", "13M" };
	const char *bad = NULL;
	unsigned int i;
	long peak;
	int status;

	for (i = 0; i < 3 && !bad; i++) {
		bad = make_group(max[i]);
		if (bad)
			break;
		status = status_of(start(TEN, NULL, -1, NULL, enter_group));
		peak = group_number(GROUPS "/judge/memory.peak");
		printf("measured: a group of %s: status %x, at most %ld bytes\n", max[i], status, peak);
		if (WIFEXITED(status) && WEXITSTATUS(status) == 42)
			bad = fail("admitted with %s", max[i]);
		else if (peak > atol(max[i]) << 20)
			bad = fail("%ld bytes in a group of %s", peak, max[i]);
	}
	status = status_of(start(TEN, NULL, -1, NULL, NULL));
	if (!bad && (!WIFEXITED(status) || WEXITSTATUS(status) != 42))
		bad = fail("afterwards, without a limit: status %x", status);
	return bad;
}

/* What judging takes is charged to the caller, and given back. */
static const char *group_charge(void)
{
	const char *bad = make_group("512M");
	long peak, left;
	int status;

	if (bad)
		return bad;
	status = status_of(start(TEN, NULL, -1, NULL, enter_group));
	peak = group_number(GROUPS "/judge/memory.peak");
	left = group_number(GROUPS "/judge/memory.current");
	printf("measured: charged: at most %ld bytes, %ld left\n", peak, left);
	if (!WIFEXITED(status) || WEXITSTATUS(status) != 42)
		return fail("status %x", status);
	/* The file twice (the copy, the pages), and the judge's memory. */
	if (peak < 2 * (10L << 20) || left > 4 << 20)
		return fail("at most %ld bytes, %ld left", peak, left);
	return NULL;
}

/* The OOM killer traces the call that wanted memory: what it says is no complaint. */
static const char *silent_but_oom(void)
{
	char *log = kernel_log(), *at = log;

	if (!strstr(log, "Memory cgroup out of memory"))
		return "nobody was killed";
	while ((at = strstr(at, "Call Trace")))
		memcpy(at, "call", 4);
	look_for_complaints(log);
	return complaints[0] ? complaints : NULL;
}

static const struct test tests[] = {
	{ "admission: ten megabytes", ten_megabytes },
	{ "admission: files of 0, 16 MB, and a byte more", limits },
	{ "admission: killed while it is judged", killed },
	{ "admission: others run on its CPU", others },
	{ "admission: hostile annotations", hogs },
	{ "kernel: nothing in its log", silent },
};

/* Where the tracer makes all calls of the kernel several times as long. */
static const struct test traced[] = {
	{ "admission: ten megabytes", ten_megabytes },
	{ "admission: killed while it is judged", killed },
	{ "kernel: nothing in its log", silent },
};

static const struct test groups[] = {
	{ "admission: ten megabytes", ten_megabytes },
	{ "admission: charged to the caller's group", group_charge },
	{ "kernel: nothing in its log", silent },
	{ "admission: more memory than the group may have", group_limit },
	{ "kernel: nothing in its log but that", silent_but_oom },
};

int main(int argc, char **argv)
{
	kernel_log();
	if (argc > 1 && !strcmp(argv[1], "--groups"))
		return run_tests(groups, sizeof(groups) / sizeof(*groups), argv[2]);
	if (argc > 1 && !strcmp(argv[1], "--traced")) {
		dies_in = 1000;
		return run_tests(traced, sizeof(traced) / sizeof(*traced), argv[2]);
	}
	return run_tests(tests, sizeof(tests) / sizeof(*tests), argv[1]);
}
