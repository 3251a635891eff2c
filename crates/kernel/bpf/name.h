/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * getsockname4/6 and getpeername4/6: the names as the program knows them
 * (rows A2, A6, A9): 127.0.0.1 for the dedicated loopback, the wildcard for
 * a socket that stands for it, the port that was asked for.
 */
#ifndef HOSTLET_NAME_H
#define HOSTLET_NAME_H

/* Turns the dedicated loopback back into the name that the program used. */
static inline bool show_localhost(const struct hl_hostlet *h, struct hl_addr *a)
{
	if (addr_is4(a)) {
		__u32 ip = shown_loop4(h, a->w[3]);

		if (!ip)
			return false;
		a->w[3] = ip;
		return true;
	}
	if (!is_loop(h, a))
		return false;
	*a = (struct hl_addr){{0, 0, 0, bpf_htonl(1)}};
	return true;
}

/* 0.0.0.0 on a socket of IPv4; on one of IPv6 it is ::, whatever the family spoken. */
static inline struct hl_addr any_like(struct bpf_sock_addr *ctx, const struct hl_addr *a)
{
	if (addr_is4(a) && ONCE(ctx->family) != AF_INET6)
		return (struct hl_addr){{0, 0, MAPPED, 0}};
	return (struct hl_addr){};
}

/* Changes the address or the port, or says that nothing is to be changed. */
static inline bool own_name(struct bpf_sock_addr *ctx, const struct hl_hostlet *h, struct hl_addr *a,
			    __u16 *port)
{
	const __u32 bound = HL_SOCK_ABROAD | HL_SOCK_HIDDEN | HL_SOCK_WILD4 | HL_SOCK_WILD6;
	struct bpf_sock *sk = ctx->sk;
	bool connected, changed = false;
	struct hl_sock *s;

	if (addr_wild(a) || !sk)
		return false;
	/* A UDP one may be connected to port 0. */
	connected = sk->dst_port || sk->state == BPF_TCP_ESTABLISHED;
	s = connected ? 0 : bpf_sk_storage_get(&socks, sk, 0, 0);
	/* Accepted and connected sockets show what they are; as does what a refused connect left to one bound to a group. */
	if (connected || (s && (s->flags & bound) == HL_SOCK_ABROAD)) {
		changed = show_known(sk, h, a);
		return show_localhost(h, a) || changed;
	}
	if (!s) {
		/* Never bound by the program: what is left of a connect that failed or is over. */
		*a = any_like(ctx, a);
		return true;
	}
	if (s->flags & HL_SOCK_HIDDEN && *port == s->hidden) {
		*port = s->port;
		changed = true;
	}
	if (s->flags & (HL_SOCK_WILD4 | HL_SOCK_WILD6)) {
		*a = s->flags & HL_SOCK_WILD6 ? (struct hl_addr){} : (struct hl_addr){{0, 0, MAPPED, 0}};
		return true;
	}
	return show_localhost(h, a) || changed;
}

SEC("cgroup/getsockname4")
int hl_getsockname4(struct bpf_sock_addr *ctx)
{
	struct bpf_sock *sk = ctx->sk;
	struct hl_hostlet *h = HOSTLET_FOR(ctx, sk);
	struct hl_addr a = addr4(ONCE(ctx->user_ip4));
	__u16 port = bpf_ntohs(ONCE(ctx->user_port));

	if (own_name(ctx, h, &a, &port)) {
		ctx->user_ip4 = a.w[3];
		ctx->user_port = bpf_htons(port);
	}
	return ALLOW;
}

SEC("cgroup/getsockname6")
int hl_getsockname6(struct bpf_sock_addr *ctx)
{
	struct bpf_sock *sk = ctx->sk;
	struct hl_hostlet *h = HOSTLET_FOR(ctx, sk);
	__u16 port = bpf_ntohs(ONCE(ctx->user_port));
	struct hl_addr a;

	read_user_ip6(ctx, &a);
	if (own_name(ctx, h, &a, &port)) {
		write_user_ip6(ctx, &a);
		ctx->user_port = bpf_htons(port);
	}
	return ALLOW;
}

static inline bool peer_name(struct bpf_sock *sk, const struct hl_hostlet *h, struct hl_addr *a, __u16 port)
{
	bool known = show_peer(sk, h, a, port);

	return show_localhost(h, a) || known;
}

SEC("cgroup/getpeername4")
int hl_getpeername4(struct bpf_sock_addr *ctx)
{
	struct hl_addr a = addr4(ONCE(ctx->user_ip4));
	struct bpf_sock *sk = ctx->sk;
	struct hl_hostlet *h;

	if (!may_be_renamed(&a))
		return ALLOW;
	h = HOSTLET_FOR(ctx, sk);
	if (peer_name(sk, h, &a, bpf_ntohs(ONCE(ctx->user_port))))
		ctx->user_ip4 = a.w[3];
	return ALLOW;
}

SEC("cgroup/getpeername6")
int hl_getpeername6(struct bpf_sock_addr *ctx)
{
	__u16 port = bpf_ntohs(ONCE(ctx->user_port));
	struct bpf_sock *sk = ctx->sk;
	struct hl_hostlet *h;
	struct hl_addr a;

	read_user_ip6(ctx, &a);
	if (!may_be_renamed(&a))
		return ALLOW;
	h = HOSTLET_FOR(ctx, sk);
	if (peer_name(sk, h, &a, port))
		write_user_ip6(ctx, &a);
	return ALLOW;
}

#endif
