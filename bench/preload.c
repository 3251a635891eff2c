// SPDX-License-Identifier: Apache-2.0 OR MIT
/*
 * What people preload to tie a program to an address: bind(2) to the wildcard and connect(2) without a bind take the one in
 * OWN_ADDRESS. It stands for a kind of tool; it is measured, not recommended: a wildcard server has one address, static binaries and
 * sendto(2) are as ever, and whoever wants to get around it does.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <dlfcn.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <sys/socket.h>

typedef int (*call)(int, const struct sockaddr *, socklen_t);

static struct sockaddr_in own = {.sin_family = AF_INET};
static call next_bind, next_connect;

__attribute__((constructor)) static void start(void)
{
	const char *address = getenv("OWN_ADDRESS");

	if (!address || inet_pton(AF_INET, address, &own.sin_addr) != 1)
		abort();
	next_bind = (call)dlsym(RTLD_NEXT, "bind");
	next_connect = (call)dlsym(RTLD_NEXT, "connect");
}

int bind(int fd, const struct sockaddr *to, socklen_t size)
{
	const struct sockaddr_in *in = (const void *)to;
	struct sockaddr_in mine = own;

	if (size < sizeof(*in) || in->sin_family != AF_INET || in->sin_addr.s_addr != INADDR_ANY)
		return next_bind(fd, to, size);
	mine.sin_port = in->sin_port;
	return next_bind(fd, (const void *)&mine, sizeof(mine));
}

int connect(int fd, const struct sockaddr *to, socklen_t size)
{
	struct sockaddr_in now;
	socklen_t room = sizeof(now);
	int yes = 1;

	if (size >= sizeof(now) && to->sa_family == AF_INET && !getsockname(fd, (void *)&now, &room) &&
	    now.sin_addr.s_addr == INADDR_ANY && !now.sin_port) {
		setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &yes, sizeof(yes));
		next_bind(fd, (const void *)&own, sizeof(own));
	}
	return next_connect(fd, to, size);
}
