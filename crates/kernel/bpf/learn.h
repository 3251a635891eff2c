/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * tc ingress: the learner (rows A6, C3, and multicast).
 *
 * No hook can put a UDP socket into a table when it is bound. So the first
 * datagram for a wildcard socket at an address where the kernel would not
 * find it is looked at here: the socket is looked up where it really is bound
 * and entered into udp_sockets, from where sk_lookup gives it this and all
 * later datagrams, reassembled fragments included.
 *
 * Multicast and broadcast go to every wildcard socket of the port: the kernel
 * delivers them only to sockets that are bound to nothing, so each hostlet's
 * gets a copy of its own.
 */
#ifndef HOSTLET_LEARN_H
#define HOSTLET_LEARN_H

/*
 * The socket at an address; for no peer in particular, or one that is connected to it could be found: the sender, from no
 * port. One of IPv6 that is connected to nothing again hears but its old peer's address. For IPv6 one of
 * IPv6, also where that stands on a mapped address.
 */
static inline struct bpf_sock *socket_at(struct __sk_buff *skb, const struct datagram *d,
					 const struct hl_addr *at, bool six)
{
	struct bpf_sock_tuple t = {};
	struct bpf_sock *sk;
	__u32 *asks, zero = 0;

	asks = bpf_map_lookup_elem(&asking, &zero);
	if (!asks)
		return 0;
	/* A datagram may have no port too: sk_lookup is told who asks. */
	*(volatile __u32 *)asks = true;
	if (!six) {
		t.ipv4.daddr = at->w[3];
		t.ipv4.dport = d->to_port;
		sk = bpf_sk_lookup_udp(skb, &t, sizeof(t.ipv4), BPF_F_CURRENT_NETNS, 0);
	} else {
		__builtin_memcpy(t.ipv6.saddr, &d->from, sizeof(d->from));
		__builtin_memcpy(t.ipv6.daddr, at, sizeof(*at));
		t.ipv6.dport = d->to_port;
		sk = bpf_sk_lookup_udp(skb, &t, sizeof(t.ipv6), BPF_F_CURRENT_NETNS, 0);
	}
	*(volatile __u32 *)asks = false;
	return sk;
}

/*
 * The socket of a hostlet that really is bound there, as one that stands for the wildcard. If that one is
 * connected, the kernel finds one of the host on the real wildcard, where the two share the port.
 */
static inline struct bpf_sock *its_socket(struct __sk_buff *skb, __u32 id, const struct datagram *d,
					  const struct hl_addr *at)
{
	struct bpf_sock *sk = socket_at(skb, d, at, !addr_is4(&d->to));
	struct hl_sock *s;

	if (!sk)
		return 0;
	s = bpf_sk_storage_get(&socks, sk, 0, 0);
	if (s && s->id == id)
		return sk;
	bpf_sk_release(sk);
	return 0;
}

/* Has sk_lookup give this and all later datagrams of this kind to whom they are for. */
SHARED int learn_at(struct __sk_buff *skb, __u32 id, const struct datagram *d)
{
	struct hl_listener_key lk = {.id = id};
	struct hl_port_key key;
	struct hl_port *p;
	struct bpf_sock *sk;
	struct hl_addr at;

	if (!d)
		return 0;
	key = port_key(id, bpf_ntohs(d->to_port), IPPROTO_UDP, family_of(&d->to));
	lk.port = key.port;
	lk.family = key.family;
	p = bpf_map_lookup_elem(&ports, &key);
	if (!p || p->learned || !has_wild(p))
		return 0;
	at = p->wild_addr;
	sk = its_socket(skb, id, d, &at);
	if (!sk)
		return 0;
	if (!bpf_map_update_elem(&udp_sockets, &lk, sk, BPF_ANY))
		p->learned = 1;
	bpf_sk_release(sk);
	return 0;
}

/* Is it one of those addresses? Then the socket there that is connected to nothing again is for sk_lookup, if there is one. */
SHARED int learn_idle(struct __sk_buff *skb, __u32 id, const struct datagram *d)
{
	struct hl_listener_key lk = {.id = id};
	struct hl_port_key key;
	struct bpf_sock *sk, *known;
	struct hl_port *p;

	if (!d)
		return false;
	key = port_key(id, bpf_ntohs(d->to_port), IPPROTO_UDP, family_of(&d->to));
	key.addr = d->to;
	p = bpf_map_lookup_elem(&ports, &key);
	if (!p || !idle_share(p))
		return false;
	lk.addr = key.addr;
	lk.port = key.port;
	lk.family = key.family;
	known = bpf_map_lookup_elem(&udp_sockets, &lk);
	if (known) {
		bool idle = known->state != BPF_TCP_ESTABLISHED;

		bpf_sk_release(known);
		if (idle)
			return true;
	}
	sk = its_socket(skb, id, d, &lk.addr);
	if (sk) {
		bpf_map_update_elem(&udp_sockets, &lk, sk, BPF_ANY);
		bpf_sk_release(sk);
	}
	return true;
}

static inline void learn(struct __sk_buff *skb, const struct datagram *d)
{
	bool four = addr_is4(&d->to), connected = false;
	__u32 ip = d->to.w[3];
	__u16 port = bpf_ntohs(d->to_port);
	__u64 *slot = settled_slot(ip, port), was;
	const struct hl_owner *o;
	struct hl_port_key key;
	struct hl_port *p;

	if (!slot)
		return;
	was = ONCE(*slot);
	if (four && settled_for(was, ip, port) && (was & HL_SETTLED_LEARNED))
		return;
	o = owner_of(&d->to);
	if (!o) {
		if (four)
			settle_host(was, &d->to, port, HL_SETTLED_LEARNED);
		return;
	}
	key = port_key(o->id, port, IPPROTO_UDP, family_of(&d->to));
	p = bpf_map_lookup_elem(&ports, &key);
	if (p && (p->specific[1] | p->specific[2] | p->specific[3]))
		connected = learn_idle(skb, o->id, d);
	if (p && !p->learned && has_wild(p))
		learn_at(skb, o->id, d);
	else if (four && !connected)
		settle(was, d->to.w[3], bpf_ntohs(d->to_port), HL_SETTLED_LEARNED);
}

/* What relay says of a datagram whose socket wants to be told where it was sent to. */
enum { TO_BE_TOLD = 2 };

/*
 * A datagram between sockets of a hostlet, one of which is known by another address than the one where
 * it stands (see known.h): for the socket that is connected to who it is known as. 0: none got it.
 */
SHARED int relay(struct __sk_buff *skb, const struct datagram *d)
{
	const struct hl_owner *o;
	struct hl_addr from, at;
	struct hl_known_key key;
	struct bpf_sock *sk;
	struct hl_known *k;
	bool known = false, done;
	int given;

	if (!d)
		return false;
	from = d->from;
	at = d->to;
	o = owner_of(&at);
	if (!o)
		return false;
	key = known_key(o->id, IPPROTO_UDP, bpf_ntohs(d->from_port), &d->to, bpf_ntohs(d->to_port));
	k = bpf_map_lookup_elem(&known_as, &key);
	if (k && addr_eq(&k->stands, &d->from)) {
		from = k->shown;
		known = true;
	}
	key = known_key(o->id, IPPROTO_UDP, bpf_ntohs(d->to_port), &from, bpf_ntohs(d->from_port));
	k = bpf_map_lookup_elem(&known_as, &key);
	if (k && addr_eq(&k->shown, &d->to)) {
		at = k->stands;
		known = true;
	}
	if (!known)
		return false;
	sk = UDP_SOCKET(skb, &from, d->from_port, &at, d->to_port);
	if (!sk)
		return false;
	done = sk->state == BPF_TCP_ESTABLISHED && !bpf_sk_assign(skb, sk, 0);
	given = !done ? 0 : is_told(sk) ? TO_BE_TOLD : 1;
	bpf_sk_release(sk);
	return given;
}

/* Gives it to the socket on the wildcard of a hostlet; 0 if there is none. */
SHARED int give_to_wild(struct __sk_buff *skb, __u32 id, const struct datagram *d)
{
	struct hl_port_key key;
	struct hl_port *p;
	struct bpf_sock *sk;
	struct hl_addr at;
	long error;

	if (!d)
		return 0;
	key = port_key(id, bpf_ntohs(d->to_port), IPPROTO_UDP, family_of(&d->to));
	p = bpf_map_lookup_elem(&ports, &key);
	if (!p || !has_wild(p))
		return 0;
	at = p->wild_addr;
	sk = its_socket(skb, id, d, &at);
	if (!sk)
		return 0;
	error = bpf_sk_assign(skb, sk, 0);
	bpf_sk_release(sk);
	return !error;
}

/* A copy made below comes back here with the slot it is for. */
static inline int deliver_copy(struct __sk_buff *skb, const struct datagram *d, __u8 slot)
{
	struct hl_wild_udp_key wk = {
		.port = bpf_ntohs(d->to_port), .family = family_of(&d->to), .slot = slot};
	__u32 *id = bpf_map_lookup_elem(&wild_udp, &wk);

	if (!id || !give_to_wild(skb, *id, d))
		return TC_ACT_SHOT;
	skb->mark = 0;
	return TC_ACT_UNSPEC;
}

static inline void copy_to_all(struct __sk_buff *skb, const struct datagram *d)
{
	struct hl_wild_udp_key wk = {.port = bpf_ntohs(d->to_port), .family = family_of(&d->to)};
	__u32 mark = skb->mark;
	int i;

	for (i = 0; i < HL_MCAST_SLOTS; i++) {
		wk.slot = i;
		if (bpf_map_lookup_elem(&wild_udp, &wk)) {
			skb->mark = COPY_MARK | i;
			bpf_clone_redirect(skb, skb->ifindex, BPF_F_INGRESS);
		}
	}
	skb->mark = mark;
}

/*
 * What this machine sends to a group it gets back itself, without a link header and with its route.
 *
 * Over IPv6 it is given a header, and copied. Over IPv4 a copy, having lost the route, would be taken for
 * a forgery of an own address; so the one that there is goes to one hostlet, the sender's own if it listens,
 * unless a socket of the host, or one that is bound to the group, is there to get it.
 */
static inline void looped4(struct __sk_buff *skb, const struct datagram *d)
{
	struct hl_wild_udp_key wk = {.port = bpf_ntohs(d->to_port), .family = 4};
	struct bpf_sock *sk = socket_at(skb, d, &d->to, false);
	struct hl_addr from = d->from;
	const struct hl_owner *o;
	__u32 *id;
	int i;

	if (sk) {
		bpf_sk_release(sk);
		return;
	}
	o = owner_of(&from);
	if (o && give_to_wild(skb, o->id, d))
		return;
	for (i = 0; i < HL_MCAST_SLOTS; i++) {
		bool given;

		wk.slot = i;
		id = bpf_map_lookup_elem(&wild_udp, &wk);
		given = id && give_to_wild(skb, *id, d);
		/* One way round the loop: Linux 6.1 refuses others, if the compiler puts them before it. */
		barrier_var(given);
		if (given)
			return;
	}
}

static inline void looped6(struct __sk_buff *skb, const struct datagram *d)
{
	struct ethhdr link = {.h_dest = {0x33, 0x33}, .h_proto = bpf_htons(ETH_P_IPV6)};

	__builtin_memcpy(link.h_dest + 2, &d->to.w[3], 4);
	if (!bpf_skb_change_head(skb, sizeof(link), 0) &&
	    !bpf_skb_store_bytes(skb, 0, &link, sizeof(link), 0))
		copy_to_all(skb, d);
}

/* To a group or to all. */
SHARED int to_many(struct __sk_buff *skb, const struct datagram *d)
{
	if (!d)
		return TC_ACT_UNSPEC;
	if ((skb->mark & MARK_MASK) == COPY_MARK)
		return deliver_copy(skb, d, skb->mark & 0xff);
	if (skb->pkt_type != PACKET_LOOPBACK)
		copy_to_all(skb, d);
	else if (addr_is4(&d->to))
		looped4(skb, d);
	else
		looped6(skb, d);
	return TC_ACT_UNSPEC;
}

SEC("tc")
int hl_learn(struct __sk_buff *skb)
{
	struct hl_globals *g = global();
	__u32 type = ONCE(skb->pkt_type);
	struct datagram d;
	int given = 0;

	if (!g)
		return TC_ACT_UNSPEC;
	/* The copy that this machine gets of what it sends to a group has not passed the exit. */
	if (type == PACKET_LOOPBACK && (skb->mark & MARK_MASK) == ABROAD_MARK && any_abroad(g) &&
	    mend_source(skb) == TC_ACT_SHOT)
		return TC_ACT_SHOT;
	if (type == PACKET_LOOPBACK && skb->protocol == bpf_htons(ETH_P_IP) &&
	    (looped_from_loop(skb) || (any_abroad(g) && mend_looped(skb))))
		return TC_ACT_SHOT;
	if (any_abroad(g) && may_come_home(g, skb)) {
		if (comes_home(skb))
			return TC_ACT_UNSPEC;
		mend_quoted(skb);
	}
	if (!g->wild_udp || (!g->known_as && nothing_to_learn(skb)) || !parse_udp(skb, &d))
		goto told;
	/* Whoever is in that table is on the wildcard, or was. */
	given = g->known_as && skb->ifindex == LOOPBACK_IFINDEX ? relay(skb, &d) : 0;
	if (given == TO_BE_TOLD)
		goto told;
	if (given)
		return TC_ACT_UNSPEC;
	/* Of what is looped back the kernel does not say whether it is for a group, or for all of a network. */
	if (addr_multicast(&d.to) || type == PACKET_BROADCAST || type == PACKET_LOOPBACK ||
	    addr_broadcast(&d.to))
		return to_many(skb, &d);
	learn(skb, &d);
told:
	if ((skb->mark & MARK_MASK) == LOOP_MARKED)
		tell_loopback(skb, given == TO_BE_TOLD);
	return TC_ACT_UNSPEC;
}

#endif
