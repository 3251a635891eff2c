// SPDX-License-Identifier: Apache-2.0 OR MIT
/*
 * What the kernel itself takes for what hostlet has it do: the calls of `hostlet create`, `remove` and `run` that change something, or
 * that nothing can be decided without, one after the other. It parses nothing, checks nothing, heals nothing and has no database (it
 * writes as many bytes as one would). A process of this size is what a command cannot take less than; the rest is hostlet's.
 *
 *   floor create|remove|run PINS CGROUP FROZEN HIDDEN [PROGRAM]
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <linux/sched.h>
#include <linux/sock_diag.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static const struct {
	const char *name;
	int type;
} programs[] = {
	{"hl_egress", BPF_CGROUP_INET_EGRESS},
	{"hl_ingress", BPF_CGROUP_INET_INGRESS},
	{"hl_sock_create", BPF_CGROUP_INET_SOCK_CREATE},
	{"hl_sock_release", BPF_CGROUP_INET_SOCK_RELEASE},
	{"hl_sock_ops", BPF_CGROUP_SOCK_OPS},
	{"hl_bind4", BPF_CGROUP_INET4_BIND},
	{"hl_bind6", BPF_CGROUP_INET6_BIND},
	{"hl_post_bind4", BPF_CGROUP_INET4_POST_BIND},
	{"hl_post_bind6", BPF_CGROUP_INET6_POST_BIND},
	{"hl_connect4", BPF_CGROUP_INET4_CONNECT},
	{"hl_connect6", BPF_CGROUP_INET6_CONNECT},
	{"hl_sendmsg4", BPF_CGROUP_UDP4_SENDMSG},
	{"hl_sendmsg6", BPF_CGROUP_UDP6_SENDMSG},
	{"hl_recvmsg4", BPF_CGROUP_UDP4_RECVMSG},
	{"hl_recvmsg6", BPF_CGROUP_UDP6_RECVMSG},
	{"hl_getsockname4", BPF_CGROUP_INET4_GETSOCKNAME},
	{"hl_getsockname6", BPF_CGROUP_INET6_GETSOCKNAME},
	{"hl_getpeername4", BPF_CGROUP_INET4_GETPEERNAME},
	{"hl_getpeername6", BPF_CGROUP_INET6_GETPEERNAME},
};
static const char *const tables[] = {"owners", "sources", "onlink", "reach", "hostlets"};
static const unsigned char dropped[] = {21, 12, 13, 39, 38, 19, 16, 17, 22, 2};
static char buffer[65536];
static const char *pins;

static int open_pin(const char *kind, const char *name)
{
	union bpf_attr attr = {};
	char path[4096];
	int fd;

	snprintf(path, sizeof(path), "%s/%s/%s", pins, kind, name);
	attr.pathname = (unsigned long)path;
	fd = syscall(SYS_bpf, BPF_OBJ_GET, &attr, sizeof(attr));
	if (fd < 0)
		err(1, "%s", path);
	return fd;
}

static int netlink(int protocol)
{
	int fd = socket(AF_NETLINK, SOCK_DGRAM | SOCK_CLOEXEC, protocol);

	if (fd < 0)
		err(1, "netlink");
	return fd;
}

/* Sends a request and takes the answer, to its end. */
static void ask(int fd, int type, int flags, const void *body, size_t size)
{
	struct {
		struct nlmsghdr head;
		char body[256];
	} request = {.head = {NLMSG_HDRLEN + size, type, NLM_F_REQUEST | flags}};
	struct nlmsghdr *answer = (void *)buffer;
	struct nlmsgerr *said = NLMSG_DATA(answer);

	memcpy(request.body, body, size);
	if (send(fd, &request, request.head.nlmsg_len, 0) < 0)
		err(1, "ask the kernel");
	do {
		if (recv(fd, buffer, sizeof(buffer), 0) < 0)
			err(1, "the kernel's answer");
	} while (answer->nlmsg_type != NLMSG_ERROR && answer->nlmsg_type != NLMSG_DONE);
	if (answer->nlmsg_type == NLMSG_ERROR && said->error)
		errx(1, "netlink: %s", strerror(-said->error));
}

static void list(int fd, int type, int family)
{
	struct ifinfomsg any = {.ifi_family = family};

	ask(fd, type, NLM_F_DUMP, &any, sizeof(any));
}

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

/* As a database does for so many pages, but for its locks. */
static void note(int pages)
{
	int fd = memfd_create("notes", MFD_CLOEXEC);

	for (int page = 0; page < pages; page++)
		if (pwrite(fd, buffer, 4120, page * 4120) < 0)
			err(1, "write");
	close(fd);
}

static int make(const char *cgroup)
{
	int route = netlink(NETLINK_ROUTE), fd;

	list(route, RTM_GETADDR, AF_UNSPEC);
	list(route, RTM_GETLINK, AF_UNSPEC);
	list(route, RTM_GETROUTE, AF_INET);
	list(route, RTM_GETROUTE, AF_INET6);
	note(6);
	loopback(route, RTM_NEWADDR);
	if (mkdir(cgroup, 0755) || (fd = open(cgroup, O_DIRECTORY | O_CLOEXEC)) < 0)
		err(1, "%s", cgroup);
	for (size_t n = 0; n < sizeof(tables) / sizeof(*tables); n++)
		open_pin("maps", tables[n]);
	for (size_t n = 0; n < sizeof(programs) / sizeof(*programs); n++) {
		union bpf_attr attr = {
			.target_fd = fd,
			.attach_bpf_fd = open_pin("programs", programs[n].name),
			.attach_type = programs[n].type,
			.attach_flags = BPF_F_ALLOW_MULTI,
		};

		if (syscall(SYS_bpf, BPF_PROG_ATTACH, &attr, sizeof(attr)))
			err(1, "attach %s", programs[n].name);
	}
	note(4);
	return fd;
}

static void end(const char *cgroup)
{
	static const int protocols[] = {IPPROTO_TCP, IPPROTO_UDP, IPPROTO_UDPLITE};
	int diag = netlink(NETLINK_SOCK_DIAG);
	struct inet_diag_req_v2 all = {.idiag_states = -1};

	for (int n = 0; n < 6; n++) {
		all.sdiag_protocol = protocols[n / 2];
		all.sdiag_family = n % 2 ? AF_INET6 : AF_INET;
		/* One listing goes through TCP of both families. */
		if (n != 1)
			ask(diag, SOCK_DIAG_BY_FAMILY, NLM_F_DUMP, &all, sizeof(all));
	}
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
