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
static inline void enter_port(struct bpf_sock *sk, const struct hl_hostlet *h, const struct sending *m)
{
	struct hl_sock s = {.id = h->id, .port = m->from_port, .proto = m->proto};
	bool left = !never_bound(sk);
	struct hl_sock *kept;
	struct facts f;

	if (!m->from_port || (left && chose_port(sk)))
		return; /* that one was bound before its cgroup had rules */
	learn_facts(sk, &f);
	s.class_ = f.class_;
	s.flags = left ? HL_SOCK_BOUND : HL_SOCK_AUTO | HL_SOCK_WILD4;
	if (!left && addr_is4(&m->to))
		s.addr = addr4(0);
	if (left && m->socket6) {
		s.addr.w[0] = ONCE(sk->src_ip6[0]);
		s.addr.w[1] = ONCE(sk->src_ip6[1]);
		s.addr.w[2] = ONCE(sk->src_ip6[2]);
		s.addr.w[3] = ONCE(sk->src_ip6[3]);
	} else if (left) {
		s.addr = addr4(ONCE(sk->src_ip4));
	}
	if (addr_is4(&s.addr))
		s.flags |= HL_SOCK_WILD4;
	if (m->socket6 && !(left && f.v6only && addr_is4(&s.addr)))
		s.flags |= HL_SOCK_WILD6;
	if (left)
		s.uid = f.uid;
	kept = bpf_sk_storage_get(&socks, sk, &s, BPF_SK_STORAGE_GET_F_CREATE);
	if (kept && account(&s, 1))
		kept->flags = 0; /* not in the book: nothing to take out later */
}

/* The first datagram of a socket that was bound and left its port open. */
static inline void enter_left_open(struct bpf_sock *sk, const struct sending *m, struct hl_sock *kept)
{
	struct hl_sock s = *kept;
	struct facts f;

	if (!m->from_port)
		return;
	learn_facts(sk, &f);
	s.class_ = f.class_;
	s.uid = f.uid;
	s.port = m->from_port;
	s.flags |= HL_SOCK_BOUND;
	*kept = s;
	if (account(&s, 1))
		kept->flags = 0; /* not in the book: nothing to take out later */
}

/* The address this client spoke to, for a socket that stands for the wildcard (C3). */
static inline bool answer_from(const struct hl_hostlet *h, const struct sending *m, struct hl_addr *out)
{
	struct hl_asked_key key = {.id = h->id, .port = m->from_port, .peer_port = m->port, .peer = m->to};
	struct hl_addr *a = bpf_map_lookup_elem(&asked, &key);

	if (!a || !owns(h, a))
		return false;
	*out = *a;
	return true;
}

static inline int send_to(struct bpf_sock *sk, struct hl_hostlet *h, struct sending *m)
{
	bool four = addr_is4(&m->to), own_loop = false;
	enum hl_reason reason = HL_REASON_FOREIGN_ADDRESS;
	struct hl_addr asked, chosen;
	struct hl_sock *s = 0;
	int error;

	/* It has its port whatever becomes of the datagram: what comes there is for this socket. */
	if (!(h->flags & HL_GONE) && (never_bound(sk) || !sk->dst_port) &&
	    !bpf_sk_storage_get(&socks, sk, 0, 0))
		enter_port(sk, h, m);
	s = bpf_sk_storage_get(&socks, sk, 0, 0);
	if (s && !s->port)
		enter_left_open(sk, m, s);
	asked = m->to;
	if (h->flags & HL_GONE) {
		reason = HL_REASON_REMOVED;
		error = ENETUNREACH;
		goto refuse;
	}
	if (four)
		mean_oneself(sk, &m->from, &m->to);
	if (addr_loopback(&m->to) || addr_wild(&m->to) || dedicated_loop(&m->to)) {
		own_loop = true;
		if (!host_service(h, &m->to, m->port, m->proto)) {
			error = to_own_loop(h, &m->to, m->port, m->proto, false, &reason);
			/* Nobody is there: nobody is at the usual address either. */
			if (error == ECONNREFUSED) {
				m->to = h->loop4;
				error = 0;
			}
			if (error)
				goto refuse;
		}
	}
	/* Without an address of the family there is no route; before that comes a source that cannot be one. */
	if (!own_loop && !(h->flags & (four ? HL_V4 : HL_V6)) && !(h->flags & HL_FIT_PASS) &&
	    (four ? !addr_multicast(&m->from) && !addr_broadcast(&m->from)
		  : addr_wild(&m->from) || addr_localhost(&m->from) || owns(h, &m->from))) {
		reason = HL_REASON_NO_ADDRESS;
		error = ENETUNREACH;
		goto refuse;
	}
	/* The only address and the only source: nothing to choose. */
	if (!own_loop && !(h->flags & (four ? HL_MANY4 : HL_MANY6)) &&
	    addr_eq(&m->from, four ? &h->primary4 : &h->primary6))
		return ALLOW;
	if (sends_abroad(sk, h, m->from_port, &m->to, m->port, &m->from))
		return ALLOW;
	if (!own_loop && addr_wild(&m->from) && unfit(sk, h, &m->to)) {
		error = h->flags & HL_FIT_PASS ? let_pass(sk) : ENETUNREACH;
		if (!error)
			return ALLOW;
		reason = error == ENOBUFS ? HL_REASON_TABLE_FULL : HL_REASON_NO_ROUTE;
		goto refuse;
	}
	/*
	 * A socket that stands for the wildcard: on the primary as a rule, on the other family's, or on what
	 * was the primary when it was bound.
	 */
	if (addr_wild(&m->from) || addr_eq(&m->from, four ? &h->primary4 : &h->primary6) ||
	    addr_is4(&m->from) != four || is_loop(h, &m->from) || !owns(h, &m->from)) {
		s = bpf_sk_storage_get(&socks, sk, 0, 0);
		if (s && !four && addr_is4(&m->from) &&
		    (s->flags & (HL_SOCK_WILD4 | HL_SOCK_WILD6)) == HL_SOCK_WILD4) {
			bpf_set_retval(-EAFNOSUPPORT);
			return REFUSE;
		}
		if (addr_wild(&m->from) ||
		    (s && (s->flags & (HL_SOCK_WILD4 | HL_SOCK_WILD6)) && addr_eq(&m->from, &s->addr))) {
			if (own_loop) {
				m->from = *loop_like(h, &m->to);
				return ALLOW;
			}
			/* With one address there is nothing to remember. */
			if (s && (h->flags & (four ? HL_MANY4 : HL_MANY6)) && !(s->flags & HL_SOCK_AUTO) &&
			    answer_from(h, m, &chosen)) {
				m->from = chosen;
				return ALLOW;
			}
			error = addr_multicast(&m->to) ? multicast_source(sk, h, &m->to, &chosen)
						       : choose_source(h, &m->to, &chosen);
			if (error) {
				reason = HL_REASON_NO_ADDRESS;
				goto refuse;
			}
			m->from = chosen;
			return ALLOW;
		}
	}
	if (addr_localhost(&m->from))
		m->from = *loop_like(h, &m->from);
	if (!own_loop && no_way_from_loop(h, &m->from, &m->to)) {
		bpf_set_retval(-EINVAL);
		return REFUSE;
	}
	if (further_loop(h, &m->from) && m->from.w[3] != LOOP_BROADCAST) {
		chosen = m->from;
		m->from.w[3] = extra_for(h->id, m->from.w[3], true);
		if (m->from.w[3])
			return ALLOW;
		m->from = chosen;
		reason = HL_REASON_TABLE_FULL;
		error = ENOBUFS;
		goto refuse;
	}
	if (owns(h, &m->from) || addr_multicast(&m->from) || addr_broadcast(&m->from) ||
	    reachable(h, &m->from, 0))
		return ALLOW;
	reason = HL_REASON_FOREIGN_SOURCE;
	error = addr_is4(&m->from) ? kernel.foreign_source_error : EINVAL;
refuse:
	refused(h, HL_CALL_SENDMSG, reason, error, m->proto, &asked, m->port, &m->from);
	bpf_set_retval(-error);
	return REFUSE;
}

SEC("cgroup/sendmsg4")
int hl_sendmsg4(struct bpf_sock_addr *ctx)
{
	struct bpf_sock *sk = ctx->sk;
	struct hl_hostlet *h = HOSTLET_FOR(ctx, sk);
	struct sending m = {.to = addr4(ONCE(ctx->user_ip4)),
			    .from = addr4(ONCE(ctx->msg_src_ip4)),
			    .port = bpf_ntohs(ONCE(ctx->user_port)),
			    .proto = ONCE(ctx->protocol),
			    .socket6 = ONCE(ctx->family) == AF_INET6};

	if (!sk)
		return ALLOW;
	m.from_port = sk->src_port;
	if (send_to(sk, h, &m) == REFUSE)
		return REFUSE;
	ctx->user_ip4 = m.to.w[3];
	ctx->msg_src_ip4 = m.from.w[3];
	return ALLOW;
}

SEC("cgroup/sendmsg6")
int hl_sendmsg6(struct bpf_sock_addr *ctx)
{
	struct bpf_sock *sk = ctx->sk;
	struct hl_hostlet *h = HOSTLET_FOR(ctx, sk);
	struct sending m = {
		.port = bpf_ntohs(ONCE(ctx->user_port)), .proto = ONCE(ctx->protocol), .socket6 = true};

	if (!sk)
		return ALLOW;
	read_user_ip6(ctx, &m.to);
	m.from.w[0] = ONCE(ctx->msg_src_ip6[0]);
	m.from.w[1] = ONCE(ctx->msg_src_ip6[1]);
	m.from.w[2] = ONCE(ctx->msg_src_ip6[2]);
	m.from.w[3] = ONCE(ctx->msg_src_ip6[3]);
	m.from_port = sk->src_port;
	if (send_to(sk, h, &m) == REFUSE)
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
	struct bpf_sock *sk = ctx->sk;
	struct hl_hostlet *h = HOSTLET_FOR(ctx, sk);

	struct hl_addr a = addr4(ONCE(ctx->user_ip4));

	if (sender_name(ctx, sk, h, &a, bpf_ntohs(ONCE(ctx->user_port))))
		ctx->user_ip4 = a.w[3];
	return ALLOW;
}

SEC("cgroup/recvmsg6")
int hl_recvmsg6(struct bpf_sock_addr *ctx)
{
	struct bpf_sock *sk = ctx->sk;
	struct hl_hostlet *h = HOSTLET_FOR(ctx, sk);
	__u16 port = bpf_ntohs(ONCE(ctx->user_port));
	struct hl_addr a;

	read_user_ip6(ctx, &a);
	if (sender_name(ctx, sk, h, &a, port))
		write_user_ip6(ctx, &a);
	return ALLOW;
}

#endif
