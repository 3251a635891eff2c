/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Sockets that are as outside although a member has them (rows B8, B10, B11).
 *
 * Those of excluded programs are marked when they are made, those that a route
 * lets pass at the call that finds it out. The mark stays with the socket,
 * whoever holds it, and what it accepts has it too (of SCTP, where the kernel
 * clones for it: before, the guard drops what such connections send). Only
 * hostlets that want one or the other pay for it.
 *
 * Nothing but the mark says that a socket passes, neither its protocol nor
 * its kind: a cgroup may have had sockets of all of them before it got rules.
 * The mark says why, for the cgroup may have had the rules of another hostlet.
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

/* From now on this socket is as outside, in hostlets with that flag. For a socket of a context or of a packet. */
#define MARK_PASSING(sk, flag_)                                                                              \
	({                                                                                                   \
		__u32 why_ = (flag_);                                                                        \
		__u32 *mark_ = bpf_sk_storage_get(&passing, (sk), &why_, BPF_SK_STORAGE_GET_F_CREATE);       \
		if (mark_)                                                                                   \
			*mark_ |= why_;                                                                      \
		mark_ != 0;                                                                                  \
	})

/* Why this socket is as outside in such a hostlet; 0: it is not. */
#define passing_mark(sk, flags_)                                                                             \
	({                                                                                                   \
		__u32 *found_ = bpf_sk_storage_get(&passing, (sk), 0, 0);                                    \
		found_ ? (flags_) & (HL_EXCLUDE | HL_FIT_PASS) & *found_ : 0;                                \
	})

/*
 * The socket of MPTCP that this TCP socket is a flow of; none for every other socket. Where the kernel
 * does not know MPTCP the verifier leaves it out.
 */
#define MPTCP_OF(sk)                                                                                         \
	({                                                                                                   \
		struct mptcp_sock *m_ = 0;                                                                   \
		if (bpf_core_field_exists(((struct tcp_sock *)0)->is_mptcp))                                 \
			m_ = bpf_skc_to_mptcp_sock(sk);                                                      \
		m_;                                                                                          \
	})

/*
 * The kernel makes the flows of MPTCP, which no hook sees then: they pass if that which the program has
 * does. To have such a socket is no sign of it: it may be older than the rules of its cgroup, of a
 * session's scope, say. Then its flows are confined like TCP.
 */
#define flow_passes(sk, flags_)                                                                              \
	({                                                                                                   \
		struct mptcp_sock *of_ = MPTCP_OF(sk);                                                       \
		__u32 its_ = of_ ? passing_mark(of_, flags_) : 0;                                            \
		its_ != 0 && MARK_PASSING(sk, its_);                                                         \
	})

/* Was this socket found to pass? All that the programs on sockets themselves can ask; see MARK_PASSING. */
#define found_passing(sk, flags_) (passing_mark(sk, flags_) != 0)

/* Does this socket pass in a hostlet with these flags? */
#define passes(sk, flags_) (found_passing(sk, flags_) || flow_passes(sk, flags_))

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
