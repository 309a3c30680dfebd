// SPDX-License-Identifier: GPL-2.0
/*
 * What exec of a program costs until it has ended, in nanoseconds: under QEMU's
 * -icount shift=0 these are instructions.
 *
 *	execs PROGRAM..
 *
 * Prints "exec NAME ALL JUDGING", the least of two runs.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static long now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000 + t.tv_nsec;
}

static long judging_ns(void)
{
	char line[200];
	long ns = 0;
	FILE *f = fopen("/proc/kml", "r");

	while (f && fgets(line, sizeof(line), f))
		sscanf(line, "nanoseconds: %ld", &ns);
	if (f)
		fclose(f);
	return ns;
}

int main(int argc, char **argv)
{
	for (argv++; *argv; argv++) {
		char *args[] = { *argv, NULL }, *envp[] = { NULL };
		long best[2] = { -1, -1 };
		int run, status;

		for (run = 0; run < 2; run++) {
			long judging = judging_ns(), begin = now_ns(), took;
			pid_t pid = vfork();

			if (!pid) {
				execve(*argv, args, envp);
				_exit(127);
			}
			if (waitpid(pid, &status, 0) != pid || !WIFEXITED(status) ||
			    WEXITSTATUS(status) > 42) {
				printf("%s does not run: %x\n", *argv, status);
				return 1;
			}
			took = now_ns() - begin;
			judging = judging_ns() - judging;
			if (run && took >= best[0])
				continue;
			best[0] = took;
			best[1] = judging;
		}
		printf("exec %s %ld %ld\n", strrchr(*argv, '/') + 1, best[0], best[1]);
		fflush(stdout);
	}
	return 0;
}
