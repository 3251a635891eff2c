// SPDX-License-Identifier: Apache-2.0 OR MIT
/*
 * What the kernel itself takes for what hostlet has it do: the calls of `hostlet create`, `remove` and `run` that change something, or
 * that nothing can be decided without, one after the other. It parses nothing, checks nothing, heals nothing and has no database (it
 * writes as many bytes as one would). A process of this size is what a command cannot take less than; the rest is hostlet's.
 *
 *   floor create|remove|run PINS CGROUP FROZEN HIDDEN [PROGRAM]
 */
#include "floor.h"
#include <arpa/inet.h>
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/wait.h>

static const char *const tables[] = {"owners", "sources", "onlink", "reach", "hostlets"};
static const unsigned char dropped[] = {21, 12, 13, 39, 38, 19, 16, 17, 22, 2};

static void loopback(int fd, int type)
{
	struct {
		struct ifaddrmsg head;
		struct rtattr attr;
		struct in6_addr address;
	} body = {{AF_INET6, 128, 0, 0, 1}, {RTA_LENGTH(16), IFA_LOCAL}};
	int flags = type == RTM_NEWADDR ? NLM_F_CREATE | NLM_F_EXCL : 0;

	inet_pton(AF_INET6, "fd68:6f73:746c:7400::ff:ff0f", &body.address);
	ask(fd, type, NLM_F_ACK | flags, &body, sizeof(body));
}

static int make(const char *cgroup)
{
	int route = netlink(NETLINK_ROUTE), fd;

	observe(route);
	note(6);
	loopback(route, RTM_NEWADDR);
	for (size_t n = 0; n < sizeof(tables) / sizeof(*tables); n++)
		open_pin("maps", tables[n]);
	open_programs();
	fd = made(cgroup);
	note(4);
	return fd;
}

static void end(const char *cgroup)
{
	list_sockets();
	note(4);
	if (rmdir(cgroup))
		err(1, "%s", cgroup);
	loopback(netlink(NETLINK_ROUTE), RTM_DELADDR);
	note(6);
}

static void read_only(const char *path)
{
	struct {
		unsigned long set, clear, propagation, user_namespace;
	} attr = {.set = 1};

	if (syscall(SYS_mount_setattr, AT_FDCWD, path, 0, &attr, sizeof(attr)))
		err(1, "%s", path);
}

static void confine(const char *frozen, const char *hidden)
{
	int fd, size = 0, got;

	if (unshare(CLONE_NEWNS) || mount(NULL, "/", NULL, MS_REC | MS_SLAVE, NULL))
		err(1, "mount namespace");
	fd = open("/proc/thread-self/mountinfo", O_CLOEXEC);
	while ((got = read(fd, buffer + size, sizeof(buffer) - 1 - size)) > 0)
		size += got;
	close(fd);
	buffer[size] = 0;
	if (mount("/proc/sys", "/proc/sys", NULL, MS_BIND, NULL))
		err(1, "/proc/sys");
	read_only("/proc/sys");
	for (char *line = strtok(buffer, "\n"); line; line = strtok(NULL, "\n")) {
		char point[4096];

		if (sscanf(line, "%*s %*s %*s %*s %4095s", point) != 1)
			continue;
		if (strstr(line, " - bpf "))
			syscall(SYS_move_mount, AT_FDCWD, point, AT_FDCWD, "/proc/sys/kernel", 0);
		else if (strstr(line, " - cgroup") || strstr(line, " - sysfs "))
			read_only(point);
	}
	umount2("/proc/sys/kernel", MNT_DETACH);
	if (mount(frozen, frozen, NULL, MS_BIND | MS_REC, NULL))
		err(1, "%s", frozen);
	read_only(frozen);
	if (mount("floor", hidden, "tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, "size=8k,mode=0555"))
		err(1, "%s", hidden);
	read_only(hidden);
}

static void run(int cgroup, char **program)
{
	int home = open("/proc/thread-self/ns/mnt", O_CLOEXEC), pidfd = -1;
	struct clone_args args = {
		.flags = CLONE_INTO_CGROUP | CLONE_PIDFD,
		.pidfd = (unsigned long)&pidfd,
		.exit_signal = SIGCHLD,
		.cgroup = cgroup,
	};
	siginfo_t info;
	pid_t pid;

	confine(program[-2], program[-1]);
	/* A copy of so small a process costs next to nothing. */
	pid = syscall(SYS_clone3, &args, sizeof(args));
	if (!pid) {
		for (size_t n = 0; n < sizeof(dropped); n++)
			prctl(PR_CAPBSET_DROP, dropped[n], 0, 0, 0);
		execvp(program[0], program);
		_exit(127);
	}
	if (pid < 0 || setns(home, CLONE_NEWNS) || waitid(P_PIDFD, pidfd, &info, WEXITED))
		err(1, "run");
}

int main(int count, char **words)
{
	const char *what = count > 5 ? words[1] : "";
	int fd = -1;

	if (strcmp(what, "create") && strcmp(what, "remove") && (strcmp(what, "run") || count < 7))
		errx(2, "floor create|remove|run PINS CGROUP FROZEN HIDDEN [PROGRAM]");
	pins = words[2];
	if (strcmp(what, "remove"))
		fd = make(words[3]);
	if (!strcmp(what, "run"))
		run(fd, words + 6);
	if (strcmp(what, "create"))
		end(words[3]);
	return 0;
}
