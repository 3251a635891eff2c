// SPDX-License-Identifier: Apache-2.0 OR MIT
/*
 * The same as preload.c by a supervisor: notify ADDRESS PROGRAM... The kernel stops each bind(2) and connect(2) of the program until
 * this process has looked at it (seccomp's user notification). It stands for interception in user space, as sandboxes do it.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <netinet/in.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#ifndef PIDFD_THREAD
#define PIDFD_THREAD O_EXCL
#endif

static struct sockaddr_in own = {.sin_family = AF_INET};

static void fail(const char *what)
{
	perror(what);
	exit(125);
}

/* In the child: from now on its calls are told to whoever has what this returns. */
static int told_of_calls(void)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_bind, 1, 0),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_connect, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_USER_NOTIF),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog filter = {sizeof(code) / sizeof(*code), code};

	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	return syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_NEW_LISTENER, &filter);
}

/* One descriptor over a socket: sent if it is given, else received. */
static int pass(int over, int fd)
{
	union {
		char room[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} control = {0};
	char byte = 0;
	struct iovec data = {&byte, 1};
	struct msghdr message = {.msg_iov = &data,
				 .msg_iovlen = 1,
				 .msg_control = &control,
				 .msg_controllen = sizeof(control)};
	struct cmsghdr *head = CMSG_FIRSTHDR(&message);

	head->cmsg_level = SOL_SOCKET;
	head->cmsg_type = SCM_RIGHTS;
	head->cmsg_len = CMSG_LEN(sizeof(int));
	*(int *)CMSG_DATA(head) = fd;
	if (fd >= 0)
		return sendmsg(over, &message, 0) < 0 ? -1 : 0;
	return recvmsg(over, &message, 0) < 0 ? -1 : *(int *)CMSG_DATA(head);
}

/* Does the program's call, or what has to be done before it goes on. */
static void answer(const struct seccomp_notif *call, struct seccomp_notif_resp *reply)
{
	struct sockaddr_in to, now;
	socklen_t room = sizeof(now);
	struct iovec here = {&to, sizeof(to)}, there = {(void *)call->data.args[1], sizeof(to)};
	int pid, fd, yes = 1;

	reply->flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE;
	if (call->data.args[2] < sizeof(to) ||
	    process_vm_readv(call->pid, &here, 1, &there, 1, 0) != sizeof(to) || to.sin_family != AF_INET)
		return;
	if (call->data.nr == SYS_bind && to.sin_addr.s_addr != INADDR_ANY)
		return;
	pid = syscall(SYS_pidfd_open, call->pid, PIDFD_THREAD);
	fd = syscall(SYS_pidfd_getfd, pid, (int)call->data.args[0], 0);
	reply->flags = 0;
	if (fd < 0) {
		reply->error = -errno;
	} else if (call->data.nr == SYS_bind) {
		to.sin_addr = own.sin_addr;
		reply->error = bind(fd, (void *)&to, sizeof(to)) ? -errno : 0;
	} else {
		reply->flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE;
		if (!getsockname(fd, (void *)&now, &room) && now.sin_addr.s_addr == INADDR_ANY &&
		    !now.sin_port) {
			setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &yes, sizeof(yes));
			bind(fd, (void *)&own, sizeof(own));
		}
	}
	close(fd);
	close(pid);
}

int main(int count, char **words)
{
	int pair[2], listener;

	if (count < 3 || inet_pton(AF_INET, words[1], &own.sin_addr) != 1) {
		fprintf(stderr, "usage: notify ADDRESS PROGRAM...\n");
		return 125;
	}
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair))
		fail("socketpair");
	/* The program is the parent's place: who started this waits for it, and ends it. */
	switch (fork()) {
	case -1:
		fail("fork");
		break;
	case 0:
		prctl(PR_SET_PDEATHSIG, 9, 0, 0, 0);
		listener = pass(pair[1], -1);
		close(pair[0]);
		for (;;) {
			struct seccomp_notif call = {0};
			struct seccomp_notif_resp reply = {0};

			if (ioctl(listener, SECCOMP_IOCTL_NOTIF_RECV, &call)) {
				if (errno == EINTR || errno == ENOENT)
					continue;
				return 0;
			}
			reply.id = call.id;
			answer(&call, &reply);
			/* It may have been killed meanwhile. */
			ioctl(listener, SECCOMP_IOCTL_NOTIF_SEND, &reply);
		}
	}
	listener = told_of_calls();
	if (listener < 0 || pass(pair[0], listener))
		fail("seccomp");
	close(listener);
	execvp(words[2], words + 2);
	fail(words[2]);
}
