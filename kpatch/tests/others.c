// SPDX-License-Identifier: GPL-2.0
/*
 * What an ordinary program pays for what the kernel does: under QEMU's -icount
 * shift=0 RDTSC counts instructions.  Prints "count NAME COUNT" lines; the kernels with and
 * without the series run it.
 *
 *	others		all
 *	others end	ends at once: what is executed
 */
#define _GNU_SOURCE
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

typedef unsigned long ulong;

static ulong rdtsc(void)
{
	unsigned int a, d;

	asm volatile("lfence; rdtsc" : "=a" (a), "=d" (d) : : "memory");
	return (ulong)d << 32 | a;
}

static void die(const char *what)
{
	perror(what);
	exit(1);
}

static void call(int rounds)
{
	while (rounds--)
		syscall(SYS_getppid);
}

static char *pages;

static void fault(int rounds)
{
	while (rounds--)
		*(volatile char *)(pages + 4096l * rounds) = 1;
}

static void fresh(int rounds)
{
	if (pages)
		munmap(pages, 4096l * rounds);
	pages = mmap(NULL, 4096l * rounds, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (pages == MAP_FAILED)
		die("mmap");
}

static void handler(int nr) { }

static void send(int rounds)
{
	while (rounds--)
		raise(SIGUSR1);
}

/* To another process on this CPU and back: two switches. */
static int there[2], back[2];

static void turn(int rounds)
{
	char byte = 0;

	while (rounds--)
		if (write(there[1], &byte, 1) != 1 || read(back[0], &byte, 1) != 1)
			die("pipe");
}

static pid_t other(void)
{
	pid_t pid;
	char byte;

	if (pipe(there) || pipe(back) || (pid = fork()) < 0)
		die("fork");
	if (pid)
		return pid;
	while (read(there[0], &byte, 1) == 1 && write(back[1], &byte, 1) == 1)
		;
	_exit(0);
}

static void child(int rounds, int run)
{
	char *args[] = { "others", "end", NULL }, *envp[] = { NULL };
	int status;

	while (rounds--) {
		pid_t pid = vfork();

		if (!pid) {
			if (run)
				execve("/bin/others", args, envp);
			_exit(run);
		}
		if (waitpid(pid, &status, 0) != pid || status)
			die("child");
	}
}

static void end(int rounds) { child(rounds, 0); }
static void run(int rounds) { child(rounds, 1); }

static void measure(const char *name, void (*action)(int), void (*before)(int), int rounds)
{
	ulong best = ~0ul;
	int try;

	for (try = 0; try < 20; try++) {
		ulong from, took;

		if (before)
			before(rounds);
		from = rdtsc();
		action(rounds);
		took = rdtsc() - from;
		if (took < best)
			best = took;
	}
	printf("count %s %lu\n", name, (best + rounds / 2) / rounds);
}

int main(int argc, char **argv)
{
	pid_t pid;

	if (argc > 1)
		_exit(0);
	signal(SIGUSR1, handler);
	measure("call", call, NULL, 1000);
	measure("fault", fault, fresh, 1000);
	measure("signal", send, NULL, 1000);
	measure("vfork", end, NULL, 100);
	measure("exec", run, NULL, 20);
	pid = other();
	measure("turn", turn, NULL, 500);
	kill(pid, SIGKILL);
	return 0;
}
