/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The kernel's own view of a socket, for what the context of a hook does not show. */
#ifndef HOSTLET_FACTS_H
#define HOSTLET_FACTS_H

struct facts {
	__u8 class_; /* see HL_CLASSES */
	bool v6only;
	bool listener; /* somebody may listen on the wildcard at its port */
	__u32 uid;
};

/* The same in a word: the class, and from these bits on the others. */
enum { FACT_V6ONLY = 8, FACT_LISTENER = 9, FACT_UID = 32 };

static inline struct sock *kernel_sock(struct bpf_sock *sk)
{
	__u64 raw = 0;

	/* The verifier knows nothing of a sum: the way to the plain address that works on every kernel, and makes no call. */
	__sync_fetch_and_add(&raw, (__u64)sk);
	return (struct sock *)raw;
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
	/* Not a word on listeners: there may be some. */
	return uid << FACT_UID | 1 << FACT_LISTENER | v6only << FACT_V6ONLY | class_;
}

static inline void tell_facts(__u64 all, struct facts *f)
{
	f->class_ = all & (HL_CLASSES - 1);
	f->v6only = all >> FACT_V6ONLY & 1;
	f->listener = all >> FACT_LISTENER & 1;
	f->uid = all >> FACT_UID;
}

static inline void learn_facts(struct bpf_sock *sk, struct facts *f)
{
	tell_facts(facts_at((__u64)kernel_sock(sk)), f);
}

static inline __u32 rotated(__u32 word, int by)
{
	return word << by | word >> (32 - by);
}

/* As the kernel sums up the wildcard of either family and a port (ipv4_portaddr_hash). */
static inline __u32 wildcard_hash(__u32 mix, __u16 port)
{
	__u32 a = mix + 0xdeadbeef + 4, b = a, c = a;

	c = (c ^ b) - rotated(b, 14);
	a = (a ^ c) - rotated(c, 11);
	b = (b ^ a) - rotated(a, 25);
	c = (c ^ b) - rotated(b, 16);
	a = (a ^ c) - rotated(c, 4);
	b = (b ^ a) - rotated(a, 14);
	c = (c ^ b) - rotated(b, 24);
	return c ^ port;
}

enum { LISTENER_CHAINS = 65536 }; /* the kernel makes no more */

/* Are the kernel's chains of listeners of the shape that is known here? */
static inline bool knows_chains(void)
{
	const struct inet_listen_hashbucket *chains = 0;
	const struct inet_hashinfo *all = 0;
	const struct net *net = 0;

	return bpf_core_field_exists(net->hash_mix) && bpf_core_field_exists(all->lhash2_mask) &&
	       bpf_core_field_exists(chains->nulls_head);
}

/*
 * Can there be a listener on the wildcard at this port, in that network namespace? The kernel's chain of
 * such listeners is empty for most ports, and to see that costs a fifth of asking for the socket.
 */
static inline bool may_have_listener(const struct net *net, __u16 port)
{
	const struct inet_listen_hashbucket *chains = 0;
	const struct inet_hashinfo *all = 0;
	__u64 first = 0, at;

	all = net->ipv4.tcp_death_row.hashinfo;
	at = wildcard_hash(net->hash_mix, port) & all->lhash2_mask & (LISTENER_CHAINS - 1);
	at = at * bpf_core_type_size(struct inet_listen_hashbucket) +
	     __CORE_RELO(chains, nulls_head, BYTE_OFFSET);
	chains = all->lhash2;
	/* The end of such a chain is an odd number; what cannot be read is 0. */
	bpf_probe_read_kernel(&first, sizeof(first), (void *)chains + at);
	return ~first & 1;
}

/*
 * Run once, when all is loaded, while a listener on the wildcard stands at the port that is given: is it seen? Sums and
 * layout are nobody's promise, so a kernel that has others is noticed here, and bind looks for sockets then.
 */
SEC("syscall")
int hl_sees_listener(__u32 *port)
{
	struct task_struct *task = (void *)bpf_get_current_task_btf();

	return knows_chains() && may_have_listener(task->nsproxy->net_ns, *port);
}

/*
 * What bind wants to know of its socket. Of TCP it is had by loads; programs on sockets themselves cannot ask for such a
 * pointer.
 */
SHARED __u64 facts_for_bind(struct bpf_sock_addr *ctx, __u16 port)
{
	struct bpf_sock *sk = ctx->sk;
	struct hl_globals *g = global();
	const struct sock *raw;
	__u64 listener = 1;

	if (!sk || !g)
		return 0;
	raw = ctx->protocol == IPPROTO_TCP ? (const struct sock *)bpf_skc_to_tcp_sock(sk) : 0;
	if (!raw)
		return facts_at((__u64)kernel_sock(sk));
	if (knows_chains() && g->sees_listeners)
		listener = may_have_listener(raw->__sk_common.skc_net.net, port);
	return (__u64)raw->sk_uid.val << FACT_UID | listener << FACT_LISTENER |
	       (__u64)BPF_CORE_READ_BITFIELD(raw, __sk_common.skc_ipv6only) << FACT_V6ONLY |
	       BPF_CORE_READ_BITFIELD(raw, __sk_common.skc_reuseport) << 1 |
	       (1 ^ is_zero(BPF_CORE_READ_BITFIELD(raw, __sk_common.skc_reuse)));
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
