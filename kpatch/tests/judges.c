// SPDX-License-Identifier: GPL-2.0
/*
 * Offers changed programs to the judge in the kernel (/proc/kml_judge) and compares
 * verdict and words with those of user mode, which stand in the list:
 *
 *	judges LIST [exec|run]
 *
 * With exec, what is refused is offered by exec as well.  With run, what is admitted is
 * run, too, and has to end with 42; and the kernel's log has to be silent.
 *
 *	LIST:	u32 programs, each u32 size and bytes; u32 count, each u32 program,
 *		u32 changes, each u32 place and u32 value; u32 reason, u32 FNV-1a of the words
 */
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/klog.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static const unsigned char *at, *end;

static uint32_t get(void)
{
	uint32_t n;

	if (end - at < 4)
		exit(3);
	memcpy(&n, at, 4);
	at += 4;
	return n;
}

static uint32_t fnv(const char *text, size_t n)
{
	uint32_t hash = 0x811c9dc5;

	while (n--)
		hash = (hash ^ (unsigned char)*text++) * 0x01000193;
	return hash;
}

/* The status after exec: 126 is EPERM; less than 0 if it was killed. */
static int by_exec(const unsigned char *bytes, size_t size)
{
	static char path[] = "/trusted/offered";
	char *argv[] = { path, NULL }, *envp[] = { NULL };
	int file = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0755), status;
	pid_t pid;

	if (file < 0 || write(file, bytes, size) != (ssize_t)size || close(file))
		exit(5);
	pid = vfork();
	if (!pid) {
		execve(path, argv, envp);
		_exit(errno == EPERM ? 126 : 127);
	}
	return waitpid(pid, &status, 0) == pid && WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/* A complaint in the kernel's log, or null. */
static const char *complaint(void)
{
	static const char *const words[] = { "WARNING:", "BUG:", "Oops", "Call Trace" };
	static char log[1 << 20];
	long n = klogctl(3 /* all of it */, log, sizeof(log) - 1);
	unsigned int i;

	log[n < 0 ? 0 : n] = 0;
	for (i = 0; i < sizeof(words) / sizeof(*words); i++)
		if (strstr(log, words[i]))
			return words[i];
	return n <= 0 ? "no log" : NULL;
}

#define MOST	1024

int main(int argc, char **argv)
{
	static struct { const unsigned char *bytes; uint32_t size; } program[MOST];
	uint32_t i, k, programs, count, wrong = 0, offered = 0, verdicts[8] = { 0 };
	int list = open(argc > 1 ? argv[1] : "", O_RDONLY | O_CLOEXEC);
	int judge = open("/proc/kml_judge", O_RDWR | O_CLOEXEC);	/* none of the program's */
	struct stat about;
	unsigned char *all, *copy;

	if (list < 0 || judge < 0 || fstat(list, &about))
		return 2;
	all = malloc(about.st_size);
	copy = malloc(about.st_size);
	if (!all || !copy || read(list, all, about.st_size) != about.st_size)
		return 2;
	at = all;
	end = all + about.st_size;

	programs = get();
	if (programs > MOST)
		return 6;
	for (i = 0; i < programs; i++) {
		program[i].size = get();
		program[i].bytes = at;
		at += program[i].size;
	}
	count = get();
	for (i = 0; i < count; i++) {
		uint32_t which = get(), changes = get(), reason, words;
		char text[512];
		ssize_t n;
		char *rest;

		memcpy(copy, program[which].bytes, program[which].size);
		for (k = 0; k < changes; k++) {
			uint32_t place = get();

			copy[place] = get();
		}
		reason = get();
		words = get();

		if (pwrite(judge, copy, program[which].size, 0) != (ssize_t)program[which].size)
			return 4;
		n = pread(judge, text, sizeof(text) - 1, 0);
		if (n < 2) {
			printf("mutant %u: no verdict\n", i);
			wrong++;
			continue;
		}
		text[n - 1] = 0;
		verdicts[strtoul(text, &rest, 10) & 7]++;
		if (strtoul(text, NULL, 10) != reason || fnv(rest + 1, n - 2 - (rest - text)) != words) {
			if (wrong++ < 10)
				printf("mutant %u: user mode says reason %u, the kernel: %s\n", i,
				       reason, text);
		}
		if (argc > 2 && (reason || !strcmp(argv[2], "run"))) {
			int status = by_exec(copy, program[which].size);

			offered++;
			if (status != (reason ? 126 : 42) && wrong++ < 10)
				printf("mutant %u: exec ends with %d: %s\n", i, status, text);
		}
		if (i % 1000 == 999) {
			printf("%u\n", i + 1);
			fflush(stdout);
		}
	}
	if (argc > 2 && complaint()) {
		printf("the kernel's log: %s\n", complaint());
		wrong++;
	}
	for (i = 0; i < 8; i++)
		printf("reason %u: %u\n", i, verdicts[i]);
	printf("test verdicts: %u as in user mode, %u of them by exec too ... %s\n", count, offered,
	       wrong ? "FAILED" : "ok");
	printf("test result: %s. %d passed, %d failed\n", wrong ? "FAILED" : "ok", !wrong, !!wrong);
	return wrong != 0;
}
