// SPDX-License-Identifier: Apache-2.0 OR MIT
/*
 * What the kernel itself takes for a session with a hostlet: a module for PAM that moves the process that opens one into a cgroup, given
 * by its directory, and does nothing else. The kernel waits with that until each processor has seen that nobody forks meanwhile.
 */
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

enum { SUCCESS = 0, SESSION_ERR = 14 };

int pam_sm_open_session(void *handle, int flags, int argc, const char **argv)
{
	char procs[4096];
	int fd, moved;

	(void)handle, (void)flags;
	if (argc != 1)
		return SESSION_ERR;
	snprintf(procs, sizeof(procs), "%s/cgroup.procs", argv[0]);
	fd = open(procs, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return SESSION_ERR;
	moved = write(fd, "0", 1) == 1;
	close(fd);
	return moved ? SUCCESS : SESSION_ERR;
}

int pam_sm_close_session(void *handle, int flags, int argc, const char **argv)
{
	(void)handle, (void)flags, (void)argc, (void)argv;
	return SUCCESS;
}
