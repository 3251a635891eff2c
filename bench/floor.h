// SPDX-License-Identifier: Apache-2.0 OR MIT
/* The calls that what hostlet does is made of: see floor.c and many.c. */
#define _GNU_SOURCE
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
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
#define PROGRAMS (sizeof(programs) / sizeof(*programs))
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

/* As a database does for so many pages, but for its locks. */
static void note(int pages)
{
	int fd = memfd_create("notes", MFD_CLOEXEC);

	for (int page = 0; page < pages; page++)
		if (pwrite(fd, buffer, 4120, page * 4120) < 0)
			err(1, "write");
	close(fd);
}

/* What is on the machine, without which nothing can be decided. */
static void observe(int route)
{
	list(route, RTM_GETADDR, AF_UNSPEC);
	list(route, RTM_GETLINK, AF_UNSPEC);
	list(route, RTM_GETROUTE, AF_INET);
	list(route, RTM_GETROUTE, AF_INET6);
}

static int attached[PROGRAMS];

static void open_programs(void)
{
	for (size_t n = 0; n < PROGRAMS; n++)
		attached[n] = open_pin("programs", programs[n].name);
}

/* A cgroup with all programs. */
static int made(const char *cgroup)
{
	int fd;

	if (mkdir(cgroup, 0755) || (fd = open(cgroup, O_DIRECTORY | O_CLOEXEC)) < 0)
		err(1, "%s", cgroup);
	for (size_t n = 0; n < PROGRAMS; n++) {
		union bpf_attr attr = {
			.target_fd = fd,
			.attach_bpf_fd = attached[n],
			.attach_type = programs[n].type,
			.attach_flags = BPF_F_ALLOW_MULTI,
		};

		if (syscall(SYS_bpf, BPF_PROG_ATTACH, &attr, sizeof(attr)))
			err(1, "attach %s", programs[n].name);
	}
	return fd;
}

/* Whose sockets are whose. */
static void list_sockets(void)
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
	close(diag);
}
