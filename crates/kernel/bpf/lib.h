/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What several hook families need: addresses, and the hostlet whose program runs. */
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
#define ENETUNREACH	101
#define EPROTONOSUPPORT 93
#define EOPNOTSUPP	95

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
#define HOSTLET_UNLESS(ctx, sk, test_) UNLESS_PASSING(HOSTLET_OR_ALLOW(ctx), sk, test_)

#define UNLESS_PASSING(h, sk, test_)                                                                         \
	({                                                                                                   \
		struct hl_hostlet *f_ = (h);                                                                 \
		if ((f_->flags & (HL_EXCLUDE | HL_FIT_PASS)) && (sk) && test_(sk, f_->flags))                \
			return ALLOW;                                                                        \
		f_;                                                                                          \
	})

#define HOSTLET_FOR(ctx, sk) HOSTLET_UNLESS(ctx, sk, passes)

/*
 * The same for a socket of which `s` is known, or none. A socket stays in its network namespace: for one that a hook
 * has entered there that need not be asked again.
 */
#define HOSTLET_KNOWING(ctx, sk, s)                                                                          \
	({                                                                                                   \
		struct hl_hostlet *k_ = hostlet_here();                                                      \
		if (!k_ || (!((s) && (s)->id == k_->id) && bpf_get_netns_cookie(ctx) != k_->netns))          \
			return ALLOW;                                                                        \
		UNLESS_PASSING(k_, sk, passes);                                                              \
	})

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

#endif
