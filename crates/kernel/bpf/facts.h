/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The kernel's own view of a socket, for what the context of a hook does not show. */
#ifndef HOSTLET_FACTS_H
#define HOSTLET_FACTS_H

struct facts {
	__u8 class_; /* see HL_CLASSES */
	bool v6only;
	__u32 uid;
};

static inline struct sock *kernel_sock(struct bpf_sock *sk)
{
	struct sock *raw = 0;

	/* A read of our own stack: the way to the plain address that works on every kernel. */
	bpf_probe_read_kernel(&raw, sizeof(raw), &sk);
	return raw;
}

/* A bitfield, out of the byte that was read at that place if it is there. */
#define BITS(raw_, field_, byte_, at_)                                                                       \
	(__CORE_RELO(raw_, field_, BYTE_OFFSET) == (at_)                                                     \
		 ? (byte_) << __CORE_RELO(raw_, field_, LSHIFT_U64) >> __CORE_RELO(raw_, field_, RSHIFT_U64) \
		 : BPF_CORE_READ_BITFIELD_PROBED(raw_, field_))

SHARED __u64 facts_at(__u64 sock)
{
	struct sock *raw = (struct sock *)sock;
	__u32 at = __CORE_RELO(raw, __sk_common.skc_reuse, BYTE_OFFSET);
	__u64 byte = 0, uid = BPF_CORE_READ(raw, sk_uid.val), class_, v6only;

	bpf_probe_read_kernel(&byte, 1, (void *)raw + at);
	class_ = (BITS(raw, __sk_common.skc_reuse, byte, at) ? 1 : 0) |
		 (BITS(raw, __sk_common.skc_reuseport, byte, at) ? 2 : 0);
	v6only = BITS(raw, __sk_common.skc_ipv6only, byte, at);
	return uid << 32 | v6only << 8 | class_;
}

static inline void learn_facts(struct bpf_sock *sk, struct facts *f)
{
	__u64 all = facts_at((__u64)kernel_sock(sk));

	f->class_ = all & (HL_CLASSES - 1);
	f->v6only = all >> 8 & 1;
	f->uid = all >> 32;
}

/*
 * A socket in a table has the table's functions; its connections are given back those that it was made with. Of a socket
 * that was accepted from one in a table, the kernel takes these to be the table's: its own connections would never end.
 */
static inline bool spoils_connections(struct bpf_sock *sk)
{
	struct sock *raw = kernel_sock(sk);

	return BPF_CORE_READ(raw, sk_prot_creator) != BPF_CORE_READ(raw, __sk_common.skc_prot) &&
	       !BPF_CORE_READ(raw, sk_user_data); /* else it is in the table already */
}

/* Did a bind name its port? */
static inline bool chose_port(struct bpf_sock *sk)
{
	return BPF_CORE_READ_BITFIELD_PROBED(kernel_sock(sk), sk_userlocks) & SOCK_BINDPORT_LOCK;
}

static inline bool keeps_port_open(struct bpf_sock *sk)
{
	struct sock *raw = kernel_sock(sk);

	if (bpf_core_field_exists(((struct inet_sock *)0)->inet_flags)) {
		unsigned long flags = BPF_CORE_READ((struct inet_sock *)raw, inet_flags);

		return flags & (1ul << INET_FLAGS_BIND_ADDRESS_NO_PORT);
	} else {
		struct inet_sock___before_6_6 *old = (void *)raw;

		return BPF_CORE_READ_BITFIELD_PROBED(old, bind_address_no_port);
	}
}

#endif
