/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What several hook families need: addresses, ownership, events. */
#ifndef HOSTLET_LIB_H
#define HOSTLET_LIB_H

#define AF_INET		   2
#define AF_INET6	   10
#define SOCK_RAW	   3
#define SOCK_BINDPORT_LOCK 8

#define EPERM		1
#define EACCES		13
#define EEXIST		17
#define EINVAL		22
#define ENOBUFS		105
#define EAFNOSUPPORT	97
#define EADDRINUSE	98
#define EADDRNOTAVAIL	99
#define ECONNREFUSED	111
#define ENETUNREACH	101
#define EPROTONOSUPPORT 93

/* What a cgroup program returns. */
enum { REFUSE = 0, ALLOW = 1, /* of packets that leave: without an error */ REFUSE_SILENTLY = 2 };

/*
 * Fields of a program's context are read once, by a load that clang cannot
 * merge with another or move: merged loads become arithmetic on the context
 * pointer, which the verifier refuses.
 */
#define ONCE(field) (*(volatile typeof(field) *)&(field))

/*
 * A function that the verifier looks at once by itself, and not again at every call. For what is rare: a call takes
 * about 12 ns on processors that do not trust their prediction of returns.
 */
#define SHARED __attribute__((noinline))

#define MAPPED bpf_htonl(0xffff)
#define inline __attribute__((always_inline)) inline

static inline struct hl_addr addr4(__u32 ip)
{
	return (struct hl_addr){{0, 0, MAPPED, ip}};
}

/*
 * Of an address all words are looked at in one: a branch for each would double the ways that the verifier has to
 * go from there, and take no less time.
 */
static inline bool addr_eq(const struct hl_addr *a, const struct hl_addr *b)
{
	return !((a->w[0] ^ b->w[0]) | (a->w[1] ^ b->w[1]) | (a->w[2] ^ b->w[2]) | (a->w[3] ^ b->w[3]));
}

/* 1 or 0, without a branch; for the same reason. */
static inline __u32 is_zero(__u32 x)
{
	__u64 wide = x;

	barrier_var(wide); /* or clang makes one */
	return (wide - 1) >> 63;
}

static inline bool addr_any(const struct hl_addr *a)
{
	return !(a->w[0] | a->w[1] | a->w[2] | a->w[3]);
}

static inline bool addr_is4(const struct hl_addr *a)
{
	return !(a->w[0] | a->w[1] | (a->w[2] ^ MAPPED));
}

/* 0.0.0.0 or ::, also as ::ffff:0.0.0.0 */
static inline bool addr_wild(const struct hl_addr *a)
{
	__u32 third = a->w[2];

	return !(a->w[0] | a->w[1] | a->w[3] | (__u64)third * (third ^ MAPPED));
}

static inline bool addr_loopback(const struct hl_addr *a)
{
	if (addr_is4(a))
		return (bpf_ntohl(a->w[3]) >> 24) == 127;
	return a->w[0] == 0 && a->w[1] == 0 && a->w[2] == 0 && a->w[3] == bpf_htonl(1);
}

/* 127.0.0.1 or ::1 themselves */
static inline bool addr_localhost(const struct hl_addr *a)
{
	if (addr_is4(a))
		return a->w[3] == bpf_htonl(0x7f000001);
	return addr_loopback(a);
}

/*
 * An address that no hostlet has and no socket is bound to: a look-up for it
 * finds the sockets on the host's wildcard only. The last of 127.64.0.0/10,
 * and of the loopback /64.
 */
#define ANCHOR4	  bpf_htonl(0x7f7fffff)
#define ANCHOR6_0 bpf_htonl(0xfd686f73)
#define ANCHOR6_1 bpf_htonl(0x746c7400)

/* In the /64 that the dedicated IPv6 loopbacks come from; those of IPv4 are in 127.0.0.0/8. */
static inline bool dedicated_loop(const struct hl_addr *a)
{
	return a->w[0] == ANCHOR6_0 && a->w[1] == ANCHOR6_1;
}

/* The machine's own loopback, where no hostlet has an address. */
static inline bool at_home(const struct hl_addr *a)
{
	return addr_localhost(a) || (addr_is4(a) && addr_loopback(a) && !(a->w[3] & bpf_htonl(LOOPS_BIT)));
}

/* A dedicated loopback address of another hostlet, or the host's own. */
static inline bool foreign_loop(const struct hl_addr *a)
{
	return addr_loopback(a) || dedicated_loop(a);
}

static inline bool addr_multicast(const struct hl_addr *a)
{
	if (addr_is4(a))
		return (bpf_ntohl(a->w[3]) >> 28) == 0xe;
	return (bpf_ntohl(a->w[0]) >> 24) == 0xff;
}

static inline bool addr_broadcast(const struct hl_addr *a)
{
	return addr_is4(a) && a->w[3] == 0xffffffff;
}

static inline __u8 family_of(const struct hl_addr *a)
{
	return addr_is4(a) ? 4 : 6;
}

static inline struct hl_globals *global(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&globals, &zero);
}

/* Whose address is it, of all hostlets. */
static inline const struct hl_owner *owner_of(const struct hl_addr *a)
{
	const struct hl_owner *o = bpf_map_lookup_elem(&owners, a);
	struct hl_prefix_key key = {128, *a};
	__u32 zero = 0, *some;

	if (o)
		return o;
	if (addr_is4(a) && extra_loop(a->w[3]))
		return whose_extra(a->w[3]);
	some = bpf_map_lookup_elem(&prefixed, &zero);
	if (!some || !*some)
		return 0;
	return bpf_map_lookup_elem(&prefixes, &key);
}

/* The one address of that family, or the loopback; otherwise whether the others are to be asked. */
enum { OWNS_NOT, OWNS_IT, OWNS_MORE };

static inline int owns_first(const struct hl_hostlet *h, const struct hl_addr *a)
{
	if (addr_is4(a)) {
		if (a->w[3] == h->primary4.w[3] || a->w[3] == h->loop4.w[3])
			return OWNS_IT;
		if (extra_loop(a->w[3]))
			return own_extra(h, a->w[3]) ? OWNS_IT : OWNS_NOT;
		return h->flags & HL_MANY4 ? OWNS_MORE : OWNS_NOT;
	}
	if (addr_any(a))
		return OWNS_NOT;
	if (addr_eq(a, &h->primary6) || addr_eq(a, &h->loop6))
		return OWNS_IT;
	return h->flags & HL_MANY6 ? OWNS_MORE : OWNS_NOT;
}

static inline bool owns_other(const struct hl_hostlet *h, const struct hl_addr *a)
{
	struct hl_prefix_key key = {128};
	const struct hl_owner *o;
	int i;

	if (addr_is4(a)) {
		for (i = 0; i < HL_FEW4; i++)
			if (a->w[3] == h->few4[i])
				return a->w[3] != 0;
	} else {
		for (i = 0; i < HL_FEW6; i++)
			if (addr_eq(a, &h->few6[i]))
				return true;
	}
	key.addr = *a; /* kernel 6.1 takes no key from an argument of a SHARED function */
	o = bpf_map_lookup_elem(&owners, &key.addr);
	if (!o && (h->flags & HL_PREFIX))
		o = bpf_map_lookup_elem(&prefixes, &key);
	return o && o->id == h->id;
}

SHARED int owns_more(const struct hl_hostlet *h, const struct hl_addr *a)
{
	return h && a && owns_other(h, a);
}

/* Is it in the hostlet's set, or its loopback. */
static inline bool owns(const struct hl_hostlet *h, const struct hl_addr *a)
{
	int is = owns_first(h, a);
	struct hl_addr
		copy; /* what a SHARED function is given, clang and the verifier know nothing of afterwards */

	if (is != OWNS_MORE)
		return is;
	copy = *a;
	return owns_more(h, &copy);
}

/* The same without a call, which costs as much as the rest: where packets pass. */
static inline bool owns_fast(const struct hl_hostlet *h, const struct hl_addr *a)
{
	int is = owns_first(h, a);

	return is == OWNS_MORE ? owns_other(h, a) : is;
}

static inline bool is_loop(const struct hl_hostlet *h, const struct hl_addr *a)
{
	if (addr_is4(a))
		return a->w[3] == h->loop4.w[3] || own_extra(h, a->w[3]);
	return !addr_any(a) && addr_eq(a, &h->loop6);
}

/*
 * Is it a loopback address of IPv4 that gets one of its own for this hostlet? What stands for one
 * already is taken for itself: the kernel shows it in some places (IP_PKTINFO).
 */
static inline bool further_loop(const struct hl_hostlet *h, const struct hl_addr *a)
{
	return addr_is4(a) && addr_loopback(a) && !addr_localhost(a) && !is_loop(h, a);
}

/* The dedicated loopback address of the family of `a`. */
static inline const struct hl_addr *loop_like(const struct hl_hostlet *h, const struct hl_addr *a)
{
	return addr_is4(a) ? &h->loop4 : &h->loop6;
}

static inline bool reachable(const struct hl_hostlet *h, const struct hl_addr *a, __u32 port)
{
	struct hl_reach_key key = {h->id, *a, port};

	return (h->flags & HL_REACH) && bpf_map_lookup_elem(&reach, &key);
}

/* A place in the ring to write an event to; none if there is no ring. */
static inline struct hl_event *event_begin(__u64 *seq)
{
	struct hl_globals *g = global();
	struct hl_event *e;
	__u32 index;

	if (!g)
		return 0;
	*seq = __sync_fetch_and_add(&g->events, 1) + 1;
	index = *seq % HL_EVENTS;
	e = bpf_map_lookup_elem(&events, &index);
	/* Readers take an entry only when seq says so, before and after. */
	if (e)
		*(volatile __u64 *)&e->seq = 0;
	return e;
}

static inline void event_end(struct hl_event *e, __u64 seq)
{
	__u64 none = 0;

	e->time = bpf_ktime_get_boot_ns();
	barrier();
	*(volatile __u64 *)&e->seq = seq;
	bpf_ringbuf_output(&wake, &none, sizeof(none), BPF_RB_FORCE_WAKEUP);
}

struct refusal {
	__u16 call; /* enum hl_call */
	__u16 reason; /* enum hl_reason */
	__u16 proto;
	__u16 port;
	int error;
};

SHARED int report(const struct hl_hostlet *h, const struct refusal *what, const struct hl_addr *addr,
		  const struct hl_addr *other)
{
	/* By hand: on kernel 6.1 the helpers are not there for a program on TCP's state. */
	struct task_struct *task = (struct task_struct *)bpf_get_current_task();
	struct hl_addr none = {};
	struct hl_event *e;
	__u64 seq;

	if (!h || !what)
		return 0;
	e = event_begin(&seq);
	if (!e)
		return 0;
	e->id = h->id;
	e->pid = BPF_CORE_READ(task, tgid);
	e->uid = BPF_CORE_READ(task, cred, uid.val);
	e->call = what->call;
	e->reason = what->reason;
	e->error = -what->error;
	e->port = what->port;
	e->proto = what->proto;
	e->family = addr ? family_of(addr) : 0;
	e->addr = addr ? *addr : none;
	e->other = other && !addr_wild(other) ? *other : none;
	e->more = 0;
	bpf_probe_read_kernel_str(e->comm, sizeof(e->comm), &task->comm);
	event_end(e, seq);
	return 0;
}

/* Reports what a process asked for and did not get. */
static inline void refused(const struct hl_hostlet *h, enum hl_call call, enum hl_reason reason, int error,
			   __u32 proto, const struct hl_addr *addr, __u16 port, const struct hl_addr *other)
{
	struct refusal what = {.call = call, .reason = reason, .proto = proto, .port = port, .error = error};

	report(h, &what, addr, other);
}

/*
 * The hostlet of the cgroup whose program runs; none before it is published, and none for one that
 * fell back: every hook and the guard let its calls and packets go as those of processes outside.
 */
static inline struct hl_hostlet *hostlet_here(void)
{
	struct hl_hostlet *h = bpf_get_local_storage(&hostlets, 0);

	return h && h->id && !(h->flags & HL_PASS) ? h : 0;
}

/*
 * A member may make a network namespace of its own; that one is not ours to
 * restrict. Sockets there go their way.
 */
#define HOSTLET_OR_ALLOW(ctx)                                                                                \
	({                                                                                                   \
		struct hl_hostlet *h_ = hostlet_here();                                                      \
		if (!h_ || bpf_get_netns_cookie(ctx) != h_->netns)                                           \
			return ALLOW;                                                                        \
		h_;                                                                                          \
	})

/* The same where there is a socket, which may be one that passes, by `test_` (see pass.h). */
#define HOSTLET_UNLESS(ctx, sk, test_)                                                                       \
	({                                                                                                   \
		struct hl_hostlet *f_ = HOSTLET_OR_ALLOW(ctx);                                               \
		if ((f_->flags & (HL_EXCLUDE | HL_FIT_PASS)) && (sk) && test_(sk, f_->flags))                \
			return ALLOW;                                                                        \
		f_;                                                                                          \
	})

#define HOSTLET_FOR(ctx, sk) HOSTLET_UNLESS(ctx, sk, passes)

/* The address in the call, both ways; each word by a load and a store of its own. */
static inline void read_user_ip6(struct bpf_sock_addr *ctx, struct hl_addr *a)
{
	a->w[0] = ONCE(ctx->user_ip6[0]);
	a->w[1] = ONCE(ctx->user_ip6[1]);
	a->w[2] = ONCE(ctx->user_ip6[2]);
	a->w[3] = ONCE(ctx->user_ip6[3]);
}

static inline void write_user_ip6(struct bpf_sock_addr *ctx, const struct hl_addr *a)
{
	ONCE(ctx->user_ip6[0]) = a->w[0];
	ONCE(ctx->user_ip6[1]) = a->w[1];
	ONCE(ctx->user_ip6[2]) = a->w[2];
	ONCE(ctx->user_ip6[3]) = a->w[3];
}

/* The kernel's own view of a socket, for what the context does not show. */
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
