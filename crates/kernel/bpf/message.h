/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * sendmsg4/6 and recvmsg4/6: datagrams without a connection (rows A2, A7, A8, C3).
 * Control messages, sendmmsg and io_uring come here as well.
 */
#ifndef HOSTLET_MESSAGE_H
#define HOSTLET_MESSAGE_H

struct sending {
	struct hl_addr to; /* in: as asked; out: where to */
	struct hl_addr from; /* in: as the socket or the control message says; out: the source */
	__u16 port;
	__u16 from_port;
	__u8 proto;
	bool socket6;
};

/* Has the socket no address? One that was bound has, to the wildcard as well. */
static inline bool never_bound(struct bpf_sock *sk)
{
	if (sk->family == AF_INET)
		return !sk->src_ip4;
	return !(sk->src_ip6[0] | sk->src_ip6[1] | sk->src_ip6[2] | sk->src_ip6[3]);
}

/*
 * The first datagram of a socket that has got its port only now: it belongs to the hostlet from now on. One that
 * stands where an earlier connect left it has no other place, and the program has it on the wildcard.
 */
static inline bool enter_port(struct bpf_sock *sk, struct hl_sock *s, bool to4, bool socket6)
{
	bool left = !never_bound(sk);
	struct facts f;

	if (left && chose_port(sk))
		return false; /* that one was bound before its cgroup had rules */
	learn_facts(sk, &f);
	s->class_ = f.class_;
	s->flags = left ? HL_SOCK_BOUND : HL_SOCK_AUTO | HL_SOCK_WILD4;
	if (!left && to4)
		s->addr = addr4(0);
	if (left && socket6) {
		s->addr.w[0] = ONCE(sk->src_ip6[0]);
		s->addr.w[1] = ONCE(sk->src_ip6[1]);
		s->addr.w[2] = ONCE(sk->src_ip6[2]);
		s->addr.w[3] = ONCE(sk->src_ip6[3]);
	} else if (left) {
		s->addr = addr4(ONCE(sk->src_ip4));
	}
	if (addr_is4(&s->addr))
		s->flags |= HL_SOCK_WILD4;
	if (socket6 && !(left && f.v6only && addr_is4(&s->addr)))
		s->flags |= HL_SOCK_WILD6;
	if (left)
		s->uid = f.uid;
	return true;
}

/* The first datagram of a socket that was bound and left its port open. */
static inline void enter_left_open(struct bpf_sock *sk, struct hl_sock *s)
{
	struct facts f;

	learn_facts(sk, &f);
	s->class_ = f.class_;
	s->uid = f.uid;
	s->flags |= HL_SOCK_BOUND;
}

/* A socket that is not in the book of ports, or without its port: it has its port now. */
SHARED int enter_sender(struct bpf_sock_addr *ctx, __u32 id, bool to4)
{
	bool socket6 = ONCE(ctx->family) == AF_INET6;
	__u8 proto = ONCE(ctx->protocol);
	struct bpf_sock *sk = ctx->sk;
	struct hl_sock *kept, s = {};
	__u16 port;

	if (!sk)
		return 0;
	port = sk->src_port;
	if (!port)
		return 0;
	kept = bpf_sk_storage_get(&socks, sk, 0, 0);
	if (kept) {
		s = *kept;
		enter_left_open(sk, &s);
	} else if (enter_port(sk, &s, to4, socket6)) {
		s.id = id;
		s.proto = proto;
		kept = bpf_sk_storage_get(&socks, sk, 0, BPF_SK_STORAGE_GET_F_CREATE);
	}
	if (!kept)
		return 0;
	s.port = port;
	*kept = s;
	if (account(&s, 1))
		kept->flags = 0; /* not in the book: nothing to take out later */
	return 0;
}

/* The address this client spoke to, for a socket that stands for the wildcard (C3). */
static inline bool answer_from(const struct hl_hostlet *h, const struct hl_sock *s, struct sending *m)
{
	struct hl_asked_key key = asked_key(&s->addr, m->from_port, &m->to, m->port);
	struct hl_addr *a = bpf_map_lookup_elem(&asked, &key);

	if (!a || !owns(h, a))
		return false;
	m->from = *a;
	return true;
}

/* Datagrams to the peer are of no call hook, but where a socket of IPv6 speaks IPv4. */
static inline bool connected_to(struct bpf_sock *sk, const struct hl_addr *to, __u16 port)
{
	return addr_is4(to) && ONCE(sk->dst_ip4) == to->w[3] && ONCE(sk->dst_port) == bpf_htons(port);
}

/*
 * Which source a datagram leaves from, where there is more than one to choose from or none; 0, or WHY not.
 * `s`: what is known of its socket, if anything.
 */
SHARED int message_source(struct bpf_sock_addr *ctx, struct hl_hostlet *h, struct sending *m,
			  const struct hl_sock *s, bool own_loop)
{
	struct bpf_sock *sk = ctx->sk;
	__u32 its_flags = 0, extra;
	bool four, wild, stands;
	struct hl_known_at *at;
	int error;

	if (!sk || !h || !m)
		return 0;
	if (s)
		its_flags = s->flags;
	four = addr_is4(&m->to);
	wild = addr_wild(&m->from);
	/* Without an address of the family there is no route; before that comes a source that cannot be one. */
	if (!own_loop && !(h->flags & (four ? HL_V4 : HL_V6)) && !(h->flags & HL_FIT_PASS) &&
	    (four ? !addr_multicast(&m->from) && !addr_broadcast(&m->from)
		  : wild || addr_is4(&m->from) || addr_localhost(&m->from) || owns(h, &m->from)))
		return WHY(HL_REASON_NO_ADDRESS, ENETUNREACH);
	at = !wild && (its_flags & HL_SOCK_ABROAD) ? bpf_sk_storage_get(&known_at, sk, 0, 0) : 0;
	/* The loopback is no source of the route's but to itself: the program has named it. */
	if (!wild && (its_flags & HL_SOCK_ABROAD) && !owns(h, &m->from) &&
	    !(at && addr_localhost(&m->from) && !is_loop(h, &at->shown))) {
		if (sends_abroad(sk, h, m->from_port, &m->to, m->port))
			return 0;
		/* To somebody else from the same source, which the kernel refuses if that is of IPv4 alone. */
		wild = !at || (four && !addr_is4(&at->shown));
		m->from = wild ? (struct hl_addr){} : at->shown;
	}
	if (!own_loop && wild && unfit(sk, h, &m->to))
		return WHY(HL_REASON_NO_ROUTE, ENETUNREACH);
	/*
	 * A socket that stands for the wildcard: on the primary as a rule, on the other family's, on what
	 * was the primary when it was bound, or where an earlier connect left it.
	 */
	stands = s && (its_flags & (HL_SOCK_WILD4 | HL_SOCK_WILD6)) &&
		 (wild || addr_eq(&m->from, &s->addr) ||
		  addr_eq(&m->from, four ? &h->primary4 : &h->primary6) || addr_is4(&m->from) != four ||
		  is_loop(h, &m->from) || !owns(h, &m->from));
	if (stands && !four && addr_is4(&m->from) &&
	    (its_flags & (HL_SOCK_WILD4 | HL_SOCK_WILD6)) == HL_SOCK_WILD4)
		return WHY(0, EAFNOSUPPORT);
	if (stands && addr_eq(&m->from, &s->addr)) {
		/* To its peer it leaves from where it stands: errors are for that. */
		if (connected_to(sk, &m->to, m->port))
			return 0;
		wild = true;
	}
	if (wild && own_loop) {
		m->from = *loop_like(h, &m->to);
		return 0;
	}
	if (wild) {
		/* With one address there is nothing to remember. */
		if (s && (its_flags & (HL_SOCK_WILD4 | HL_SOCK_WILD6)) && !(its_flags & HL_SOCK_AUTO) &&
		    (h->flags & (four ? HL_MANY4 : HL_MANY6)) && answer_from(h, s, m))
			return 0;
		error = socket_source(sk, h, &m->to, &m->from);
		return error ? WHY(HL_REASON_NO_ADDRESS, error) : 0;
	}
	if (addr_localhost(&m->from))
		m->from = *loop_like(h, &m->from);
	if (!own_loop && no_way_from_loop(h, &m->from, &m->to))
		return WHY(0, EINVAL);
	if (further_loop(h, &m->from) && m->from.w[3] != LOOP_BROADCAST) {
		extra = extra_for(h->id, m->from.w[3], true);
		if (!extra)
			return WHY(HL_REASON_TABLE_FULL, ENOBUFS);
		m->from.w[3] = extra;
		return 0;
	}
	if (owns(h, &m->from) || addr_multicast(&m->from) || addr_broadcast(&m->from) ||
	    reachable(h, &m->from, 0))
		return 0;
	return WHY(HL_REASON_FOREIGN_SOURCE, addr_is4(&m->from) ? kernel.foreign_source_error : EINVAL);
}

/*
 * Most datagrams, without a call and with few look-ups: of a socket that is not connected, on the wildcard or where
 * all of its hostlet's IPv4 or IPv6 stands, to anybody else. What is not so plain is for message_source.
 */
static inline bool plain_source(struct bpf_sock *sk, const struct hl_hostlet *h, const struct hl_sock *s,
				struct sending *m, bool four)
{
	const struct hl_addr *primary = four ? &h->primary4 : &h->primary6;
	__u32 routed = four ? HL_ROUTED4 : HL_ROUTED6, all = four ? HL_ALL4 : HL_ALL6;
	bool on_wild = s && (s->flags & (HL_SOCK_WILD4 | HL_SOCK_WILD6)) && !(s->flags & HL_SOCK_AUTO);

	if (sk->state == BPF_TCP_ESTABLISHED || !(h->flags & (four ? HL_V4 : HL_V6)) ||
	    (h->flags & (HL_FIT_REFUSE | HL_FIT_PASS)) || addr_multicast(&m->to) ||
	    (s && (s->flags & HL_SOCK_ABROAD)))
		return false;
	if (on_wild) {
		if (!addr_eq(&m->from, primary) || !addr_eq(&m->from, &s->addr))
			return false;
		if (answer_from(h, s, m))
			return true;
	} else if (!(four ? addr_wild(&m->from) : addr_any(&m->from))) {
		return false;
	}
	if ((h->flags & (all | routed)) != all || h->source != HL_SOURCE_PRIMARY || owns_fast(h, &m->to))
		return false;
	m->from = *primary;
	return true;
}

static inline int send_to(struct bpf_sock_addr *ctx, struct bpf_sock *sk, struct hl_hostlet *h,
			  struct hl_sock *s, struct sending *m)
{
	bool four = addr_is4(&m->to), own_loop = false;
	struct hl_addr asked = m->to;
	int why;

	/* It has its port whatever becomes of the datagram: what comes there is for this socket. */
	if (s ? !s->port : !(h->flags & HL_GONE) && (sk->state != BPF_TCP_ESTABLISHED || never_bound(sk))) {
		enter_sender(ctx, h->id, four);
		s = bpf_sk_storage_get(&socks, sk, 0, 0);
	}
	if (h->flags & HL_GONE) {
		why = WHY(HL_REASON_REMOVED, ENETUNREACH);
		goto refuse;
	}
	if (four)
		mean_oneself(ctx, sk, h, s, &m->from, &m->to);
	if (addr_loopback(&m->to) || addr_wild(&m->to) || dedicated_loop(&m->to)) {
		own_loop = true;
		/* Where nobody is, one that is connected is not told so. */
		why = to_own_loop(h, &m->to, m->port, m->proto, sk->state == BPF_TCP_ESTABLISHED);
		if (why)
			goto refuse;
	}
	/* The only address and the only source: nothing to choose. */
	if (!own_loop && !(h->flags & (four ? HL_MANY4 : HL_MANY6)) &&
	    (h->flags & (HL_FIT_PASS | (four ? HL_V4 : HL_V6))) &&
	    addr_eq(&m->from, four ? &h->primary4 : &h->primary6))
		return ALLOW;
	/* As little if it names none. */
	if (four ? addr_wild(&m->from) : addr_any(&m->from)) {
		if (own_loop || (one_source(h, &m->to) && !(h->flags & (HL_FIT_REFUSE | HL_FIT_PASS)))) {
			m->from = own_loop ? *loop_like(h, &m->to) : four ? h->primary4 : h->primary6;
			return ALLOW;
		}
	}
	if (!own_loop && plain_source(sk, h, s, m, four))
		return ALLOW;
	why = message_source(ctx, h, m, s, own_loop);
	if (WHY_REASON(why) == HL_REASON_NO_ROUTE && (h->flags & HL_FIT_PASS))
		why = let_pass(ctx);
	if (!why)
		return ALLOW;
refuse:
	if (WHY_REASON(why))
		refused(h, HL_CALL_SENDMSG, WHY_REASON(why), WHY_ERROR(why), m->proto, &asked, m->port,
			&m->from);
	bpf_set_retval(-WHY_ERROR(why));
	return REFUSE;
}

SEC("cgroup/sendmsg4")
int hl_sendmsg4(struct bpf_sock_addr *ctx)
{
	struct bpf_sock *sk = ctx->sk;
	struct sending m = {.to = addr4(ONCE(ctx->user_ip4)),
			    .from = addr4(ONCE(ctx->msg_src_ip4)),
			    .port = bpf_ntohs(ONCE(ctx->user_port)),
			    .proto = ONCE(ctx->protocol),
			    .socket6 = ONCE(ctx->family) == AF_INET6};
	struct hl_hostlet *h;
	struct hl_sock *s;

	if (!sk)
		return ALLOW;
	s = bpf_sk_storage_get(&socks, sk, 0, 0);
	h = HOSTLET_KNOWING(ctx, sk, s);
	m.from_port = sk->src_port;
	if (send_to(ctx, sk, h, s, &m) == REFUSE)
		return REFUSE;
	ctx->user_ip4 = m.to.w[3];
	ctx->msg_src_ip4 = m.from.w[3];
	return ALLOW;
}

SEC("cgroup/sendmsg6")
int hl_sendmsg6(struct bpf_sock_addr *ctx)
{
	struct bpf_sock *sk = ctx->sk;
	struct sending m = {
		.port = bpf_ntohs(ONCE(ctx->user_port)), .proto = ONCE(ctx->protocol), .socket6 = true};
	struct hl_hostlet *h;
	struct hl_sock *s;

	if (!sk)
		return ALLOW;
	s = bpf_sk_storage_get(&socks, sk, 0, 0);
	h = HOSTLET_KNOWING(ctx, sk, s);
	read_user_ip6(ctx, &m.to);
	m.from.w[0] = ONCE(ctx->msg_src_ip6[0]);
	m.from.w[1] = ONCE(ctx->msg_src_ip6[1]);
	m.from.w[2] = ONCE(ctx->msg_src_ip6[2]);
	m.from.w[3] = ONCE(ctx->msg_src_ip6[3]);
	m.from_port = sk->src_port;
	if (send_to(ctx, sk, h, s, &m) == REFUSE)
		return REFUSE;
	write_user_ip6(ctx, &m.to);
	ctx->msg_src_ip6[0] = m.from.w[0];
	ctx->msg_src_ip6[1] = m.from.w[1];
	ctx->msg_src_ip6[2] = m.from.w[2];
	ctx->msg_src_ip6[3] = m.from.w[3];
	return ALLOW;
}

static inline bool sender_name(struct bpf_sock_addr *ctx, struct bpf_sock *sk, const struct hl_hostlet *h,
			       struct hl_addr *a, __u16 port)
{
	bool known = show_sender(ctx, sk, h, a, port);

	return show_localhost(h, a) || known;
}

SEC("cgroup/recvmsg4")
int hl_recvmsg4(struct bpf_sock_addr *ctx)
{
	struct hl_addr a = addr4(ONCE(ctx->user_ip4));
	struct bpf_sock *sk = ctx->sk;
	struct hl_hostlet *h;

	if (!may_be_renamed(&a))
		return ALLOW;
	h = HOSTLET_FOR(ctx, sk);
	if (sender_name(ctx, sk, h, &a, bpf_ntohs(ONCE(ctx->user_port))))
		ctx->user_ip4 = a.w[3];
	return ALLOW;
}

SEC("cgroup/recvmsg6")
int hl_recvmsg6(struct bpf_sock_addr *ctx)
{
	__u16 port = bpf_ntohs(ONCE(ctx->user_port));
	struct bpf_sock *sk = ctx->sk;
	struct hl_hostlet *h;
	struct hl_addr a;

	read_user_ip6(ctx, &a);
	if (!may_be_renamed(&a))
		return ALLOW;
	h = HOSTLET_FOR(ctx, sk);
	if (sender_name(ctx, sk, h, &a, port))
		write_user_ip6(ctx, &a);
	return ALLOW;
}

#endif
