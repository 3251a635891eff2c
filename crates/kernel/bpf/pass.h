/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Sockets that are as outside although a member has them (rows B8, B10, B11).
 *
 * Those of excluded programs are marked when they are made, those that a route
 * lets pass at the call that finds it out. The mark stays with the socket,
 * whoever holds it, and what it accepts has it too. Only hostlets that want
 * one or the other pay for it.
 *
 * Excluding is no border: who may run an excluded program has it do what they
 * like (a library of their own, a debugger). It is for programs that would
 * not work with another address than the machine's.
 */
#ifndef HOSTLET_PASS_H
#define HOSTLET_PASS_H

/* Is the calling process one of an excluded program? Threads of io_uring have the program of their maker. */
static inline bool excluded_program(void)
{
	struct task_struct *task = (struct task_struct *)bpf_get_current_task();
	struct inode *inode = BPF_CORE_READ(task, mm, exe_file, f_inode);
	struct hl_file key = {.dev = BPF_CORE_READ(inode, i_sb, s_dev), .ino = BPF_CORE_READ(inode, i_ino)};

	return bpf_map_lookup_elem(&excluded, &key);
}

/* From now on this socket is as outside. For a socket of a program's context or of a packet. */
#define MARK_PASSING(sk)                                                                                     \
	({                                                                                                   \
		__u32 yes_ = 1;                                                                              \
		bpf_sk_storage_get(&passing, (sk), &yes_, BPF_SK_STORAGE_GET_F_CREATE) != 0;                 \
	})

/*
 * A socket that the kernel made for one that passes: the flows of MPTCP, connections that SCTP accepts.
 * Nobody but an excluded program has sockets of these protocols, so it needs no more than a look.
 */
static inline bool of_excluded_only(void *sk)
{
	struct sock *raw = kernel_sock(sk);
	__u16 proto = BPF_CORE_READ(raw, sk_protocol);

	if (proto == IPPROTO_TCP)
		return bpf_core_field_exists(((struct tcp_sock *)0)->is_mptcp) &&
		       BPF_CORE_READ((struct tcp_sock *)raw, is_mptcp);
	return proto == IPPROTO_SCTP && BPF_CORE_READ(raw, sk_type) != SOCK_RAW;
}

/* Does this socket pass? See MARK_PASSING. */
#define passes(sk)                                                                                           \
	(bpf_sk_storage_get(&passing, (sk), 0, 0) || (of_excluded_only(sk) && MARK_PASSING(sk)))

/* For user space: the cookies of all sockets that pass. */
SEC("iter/bpf_sk_storage_map")
int hl_list_passing(struct bpf_iter__bpf_sk_storage_map *ctx)
{
	struct sock *sk = ctx->sk;
	__u64 cookie;

	if (!sk)
		return 0;
	cookie = bpf_get_socket_cookie(sk);
	bpf_seq_write(ctx->meta->seq, &cookie, sizeof(cookie));
	return 0;
}

#endif
