/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Connections from the host's real wildcard (rows A7, A8).
 *
 * A socket that the kernel put there has a port, so it cannot be bound any more when it connects: the
 * route gives it a source, which may be the host's. So connect notes which address of the set it is to
 * leave from, the guard lets nothing else pass with that foreign source, and marks it; at the exit of the
 * interface the source is replaced. What comes back is given to the socket at the entry, as it is.
 *
 * Only a socket that connect has marked is let through, only for the two ends that were noted, and only
 * where the program at the exit stands (see watched).
 */
#ifndef HOSTLET_ABROAD_H
#define HOSTLET_ABROAD_H

#define ABROAD_MARK 0x4b000000
#define ABROAD_MASK 0xff000000

/* How long after the end of the last such socket its connection may still have to say something. */
#define ABROAD_LINGERS_NS 300000000000ull

enum { ABROAD_FRAGMENTS = 1200 };

/* Where a packet comes from and goes to; ports in network order. */
struct ends {
	struct hl_addr from;
	struct hl_addr to;
	__u16 from_port;
	__u16 to_port;
	__u16 ports_at; /* from the network header on; 0: a later fragment, which has none */
	__u8 proto;
};

/* Is there any such connection? */
static inline bool any_abroad(const struct hl_globals *g)
{
	return g->abroad_at && (g->known_as || bpf_ktime_get_ns() - g->abroad_at < ABROAD_LINGERS_NS);
}

/* A socket on the real wildcard connects; 0, or an error. */
static inline int go_abroad(struct bpf_sock *sk, struct hl_known_key *key, const struct hl_addr *from,
			    const struct hl_addr *source)
{
	struct hl_known known = {.stands = *from, .shown = *source};
	struct hl_sock *s = bpf_sk_storage_get(&socks, sk, 0, 0);
	struct hl_globals *g = global();
	struct hl_known_key *at;
	struct hl_known *before;

	if (!s || !g)
		return 0;
	at = bpf_sk_storage_get(&known_at, sk, key, BPF_SK_STORAGE_GET_F_CREATE);
	if (!at)
		return ENOBUFS;
	/* Connected already: the source stays. */
	before = addr_wild(from) ? 0 : bpf_map_lookup_elem(&known_as, at);
	if (before)
		known.shown = before->shown;
	if (bpf_map_update_elem(&known_as, key, &known, BPF_ANY))
		return ENOBUFS;
	*at = *key;
	g->abroad_at = bpf_ktime_get_ns();
	s->flags |= HL_SOCK_ABROAD;
	count_known(s, true);
	return 0;
}

static inline bool is_abroad(struct bpf_sock *sk)
{
	struct hl_globals *g = global();
	struct hl_sock *s;

	if (!g || !g->abroad_at)
		return false;
	s = bpf_sk_storage_get(&socks, sk, 0, 0);
	return s && (s->flags & HL_SOCK_ABROAD);
}

/*
 * A datagram with an address, as all of IPv4 on a socket of IPv6 are to the kernel, of a connected socket:
 * it has the foreign source that the route gave. True if it gets the one that was noted.
 */
static inline bool sends_abroad(struct bpf_sock *sk, const struct hl_hostlet *h, __u16 port,
				const struct hl_addr *to, __u16 to_port, struct hl_addr *from)
{
	struct hl_known_key key;
	struct hl_known *k;

	if (addr_wild(from) || !is_abroad(sk) || owns(h, from))
		return false;
	key = known_key(h->id, IPPROTO_UDP, port, to, to_port);
	k = bpf_map_lookup_elem(&known_as, &key);
	if (!k) {
		*from = (struct hl_addr){}; /* to somebody else: as if it were not connected */
		return false;
	}
	if (addr_wild(&k->stands))
		k->stands = *from;
	*from = k->shown;
	return true;
}

/* A packet with a foreign source: is it of a connection that was noted? */
#define LEAVES_ABROAD(skb, h, from_, to_, proto_, header_)                                                   \
	({                                                                                                   \
		struct hl_globals *g_ = global();                                                            \
		struct bpf_sock *sk_ = (skb)->sk;                                                            \
		__u32 ifindex_ = (skb)->ifindex;                                                             \
		struct hl_sock *s_ = 0;                                                                      \
		if (g_ && g_->abroad_at && sk_ && has_ports(proto_) &&                                       \
		    bpf_map_lookup_elem(&watched, &ifindex_))                                                \
			s_ = bpf_sk_storage_get(&socks, sk_, 0, 0);                                          \
		s_ && (s_->flags & HL_SOCK_ABROAD) &&                                                        \
			noted_abroad(skb, h, from_, to_, proto_, header_);                             \
	})

static inline bool noted_abroad(struct __sk_buff *skb, const struct hl_hostlet *h, const struct hl_addr *from,
				const struct hl_addr *to, __u8 proto, __u16 header)
{
	struct hl_globals *g = global();
	struct hl_known_key key;
	struct hl_known *k, copy;
	__u16 ports[2];

	if (!g || bpf_skb_load_bytes(skb, header, ports, sizeof(ports)))
		return false;
	key = known_key(h->id, proto, bpf_ntohs(ports[0]), to, bpf_ntohs(ports[1]));
	k = bpf_map_lookup_elem(&known_as, &key);
	/* The hostlet may have lost the address meanwhile, and another have got it. */
	if (!k || !owns(h, &k->shown))
		return false;
	if (addr_wild(&k->stands))
		k->stands = *from;
	else if (!addr_eq(&k->stands, from))
		return false;
	g->abroad_at = bpf_ktime_get_ns();
	if (proto == IPPROTO_UDP && skb->len > ABROAD_FRAGMENTS) {
		copy = *k;
		key.port = key.peer_port = 0;
		bpf_map_update_elem(&known_as, &key, &copy, BPF_ANY);
	}
	return true;
}

/* From the network header on: a tunnel's packets have no other. */
static inline bool find_ends(struct __sk_buff *skb, struct ends *e)
{
	__u16 ports[2];

	e->from_port = e->to_port = 0;
	if (skb->protocol == bpf_htons(ETH_P_IP)) {
		struct iphdr ip;

		if (bpf_skb_load_bytes_relative(skb, 0, &ip, sizeof(ip), BPF_HDR_START_NET))
			return false;
		e->from = addr4(ip.saddr);
		e->to = addr4(ip.daddr);
		e->proto = ip.protocol;
		e->ports_at = ip.frag_off & bpf_htons(0x1fff) ? 0 : ip.ihl * 4;
	} else if (skb->protocol == bpf_htons(ETH_P_IPV6)) {
		struct ipv6hdr ip;

		if (bpf_skb_load_bytes_relative(skb, 0, &ip, sizeof(ip), BPF_HDR_START_NET))
			return false;
		__builtin_memcpy(&e->from, &ip.saddr, sizeof(e->from));
		__builtin_memcpy(&e->to, &ip.daddr, sizeof(e->to));
		e->proto = ip.nexthdr;
		e->ports_at = sizeof(ip);
		if (ip.nexthdr == IPPROTO_FRAGMENT) {
			struct {
				__u8 next;
				__u8 reserved;
				__u16 offset;
				__u32 id;
			} fragment;

			if (bpf_skb_load_bytes_relative(skb, sizeof(ip), &fragment, sizeof(fragment),
							BPF_HDR_START_NET))
				return false;
			e->proto = fragment.next;
			e->ports_at = fragment.offset & bpf_htons(0xfff8) ? 0 : sizeof(ip) + sizeof(fragment);
		}
	} else {
		return false;
	}
	if (e->proto != IPPROTO_TCP && e->proto != IPPROTO_UDP)
		return false;
	if (!e->ports_at)
		return true;
	if (bpf_skb_load_bytes_relative(skb, e->ports_at, ports, sizeof(ports), BPF_HDR_START_NET))
		return false;
	e->from_port = ports[0];
	e->to_port = ports[1];
	return true;
}

/*
 * Is this a socket that connect has let go abroad? An entry outlives its socket, and another, also of the
 * host, may have the same two ends by then.
 */
#define WENT_ABROAD(sk)                                                                                      \
	({                                                                                                   \
		struct hl_sock *its_ = bpf_sk_storage_get(&socks, (sk), 0, 0);                               \
		its_ && (its_->flags & HL_SOCK_ABROAD);                                                      \
	})

/* Of one that waits for the end of its connection (TIME_WAIT) only the ends are left. */
#define WENT_ABROAD_TCP(sk) (ONCE((sk)->state) == BPF_TCP_TIME_WAIT || WENT_ABROAD(sk))

/* At the entry: for a connection that left from another source than its socket has. */
static inline bool comes_home(struct __sk_buff *skb)
{
	const struct hl_owner *o;
	struct hl_known_key key;
	struct bpf_sock *sk = 0;
	struct hl_addr stands;
	struct hl_known *k;
	struct ends e;
	bool connected;

	if (!find_ends(skb, &e) || !e.ports_at)
		return false;
	o = owner_of(&e.to);
	if (!o)
		return false;
	key = known_key(o->id, e.proto, bpf_ntohs(e.to_port), &e.from, bpf_ntohs(e.from_port));
	k = bpf_map_lookup_elem(&known_as, &key);
	if (!k || !addr_eq(&k->shown, &e.to) || addr_wild(&k->stands))
		return false;
	stands = k->stands;
	if (addr_eq(&stands, &e.to))
		return false;
	/* The two kinds of pointers share no load, by a field of their own each. */
	if (e.proto == IPPROTO_TCP) {
		sk = SOCKET_OF(bpf_skc_lookup_tcp, skb, &e.from, e.from_port, &stands, e.to_port);
		connected = sk && WENT_ABROAD_TCP(sk) && ONCE(sk->state) != BPF_TCP_LISTEN;
	} else {
		sk = SOCKET_OF(bpf_sk_lookup_udp, skb, &e.from, e.from_port, &stands, e.to_port);
		connected = sk && WENT_ABROAD(sk) && ONCE(sk->dst_port);
	}
	if (!sk)
		return false;
	connected = connected && !bpf_sk_assign(skb, sk, 0);
	bpf_sk_release(sk);
	return connected;
}

/* Is the socket of an entry there still? */
static inline bool is_home(struct __sk_buff *skb, __u8 proto, const struct hl_addr *stands, __u16 port,
			   const struct hl_addr *peer, __u16 peer_port)
{
	struct bpf_sock *sk;
	bool home;

	if (proto == IPPROTO_TCP) {
		sk = SOCKET_OF(bpf_skc_lookup_tcp, skb, peer, peer_port, stands, port);
		home = sk && WENT_ABROAD_TCP(sk);
	} else {
		sk = SOCKET_OF(bpf_sk_lookup_udp, skb, peer, peer_port, stands, port);
		home = sk && WENT_ABROAD(sk);
	}
	if (sk)
		bpf_sk_release(sk);
	return home;
}

/*
 * An error about a packet of such a connection: it quotes the source that was noted, and the kernel looks
 * for the socket by what is quoted. In IPv4 the sum over the quoted header hides the change from that of ICMP.
 */
static inline void mend_quoted4(struct __sk_buff *skb)
{
	struct hl_addr from, to;
	struct hl_known_key key;
	const struct hl_owner *o;
	struct hl_known *k;
	struct hl_addr stands;
	__u32 in, at;
	struct iphdr ip;
	__u16 ports[2];
	__u8 type;

	if (bpf_skb_load_bytes_relative(skb, 0, &ip, sizeof(ip), BPF_HDR_START_NET) ||
	    ip.protocol != IPPROTO_ICMP || (ip.frag_off & bpf_htons(0x3fff)))
		return;
	in = ip.ihl * 4;
	at = skb->len - bpf_ntohs(ip.tot_len) + in + 8;
	if (bpf_skb_load_bytes_relative(skb, in, &type, sizeof(type), BPF_HDR_START_NET) ||
	    (type != 3 && type != 11 && type != 12) ||
	    bpf_skb_load_bytes_relative(skb, in + 8, &ip, sizeof(ip), BPF_HDR_START_NET) ||
	    (ip.protocol != IPPROTO_TCP && ip.protocol != IPPROTO_UDP) ||
	    bpf_skb_load_bytes_relative(skb, in + 8 + ip.ihl * 4, ports, sizeof(ports), BPF_HDR_START_NET))
		return;
	from = addr4(ip.saddr);
	to = addr4(ip.daddr);
	o = owner_of(&from);
	if (!o)
		return;
	key = known_key(o->id, ip.protocol, bpf_ntohs(ports[0]), &to, bpf_ntohs(ports[1]));
	k = bpf_map_lookup_elem(&known_as, &key);
	if (!k || !addr_eq(&k->shown, &from) || addr_wild(&k->stands))
		return;
	stands = k->stands;
	if (!is_home(skb, ip.protocol, &stands, ports[0], &to, ports[1]))
		return;
	bpf_skb_store_bytes(skb, at + offsetof(struct iphdr, saddr), &stands.w[3], sizeof(stands.w[3]), 0);
	bpf_l3_csum_replace(skb, at + offsetof(struct iphdr, check), ip.saddr, stands.w[3], sizeof(stands.w[3]));
}

static inline void mend_quoted6(struct __sk_buff *skb)
{
	struct hl_addr from, to, stands;
	struct hl_known_key key;
	const struct hl_owner *o;
	struct hl_known *k;
	struct ipv6hdr ip;
	__u16 ports[2];
	__u8 type;
	__u32 at;
	int i;

	if (bpf_skb_load_bytes_relative(skb, 0, &ip, sizeof(ip), BPF_HDR_START_NET) ||
	    ip.nexthdr != IPPROTO_ICMPV6)
		return;
	at = skb->len - bpf_ntohs(ip.payload_len);
	if (bpf_skb_load_bytes_relative(skb, sizeof(ip), &type, sizeof(type), BPF_HDR_START_NET) ||
	    type < 1 || type > 4 ||
	    bpf_skb_load_bytes_relative(skb, sizeof(ip) + 8, &ip, sizeof(ip), BPF_HDR_START_NET) ||
	    (ip.nexthdr != IPPROTO_TCP && ip.nexthdr != IPPROTO_UDP) ||
	    bpf_skb_load_bytes_relative(skb, 2 * sizeof(ip) + 8, ports, sizeof(ports), BPF_HDR_START_NET))
		return;
	__builtin_memcpy(&from, &ip.saddr, sizeof(from));
	__builtin_memcpy(&to, &ip.daddr, sizeof(to));
	o = owner_of(&from);
	if (!o)
		return;
	key = known_key(o->id, ip.nexthdr, bpf_ntohs(ports[0]), &to, bpf_ntohs(ports[1]));
	k = bpf_map_lookup_elem(&known_as, &key);
	if (!k || !addr_eq(&k->shown, &from) || addr_wild(&k->stands))
		return;
	stands = k->stands;
	if (!is_home(skb, ip.nexthdr, &stands, ports[0], &to, ports[1]))
		return;
	bpf_skb_store_bytes(skb, at + 8 + offsetof(struct ipv6hdr, saddr), &stands, sizeof(stands), 0);
	for (i = 0; i < 4; i++)
		bpf_l4_csum_replace(skb, at + offsetof(struct icmp6hdr, icmp6_cksum), from.w[i], stands.w[i],
				    sizeof(__u32));
}

SHARED int mend_quoted(struct __sk_buff *skb)
{
	if (skb->protocol == bpf_htons(ETH_P_IP))
		mend_quoted4(skb);
	else if (skb->protocol == bpf_htons(ETH_P_IPV6))
		mend_quoted6(skb);
	return 0;
}

/*
 * At the exit: the source that was noted. Others may use such a mark for something else: what is of no
 * connection here goes its way, unless its socket says that it is of one.
 */
static inline int mend_source(struct __sk_buff *skb)
{
	__u32 id = skb->mark & ~ABROAD_MASK, at, sum, flags = BPF_F_PSEUDO_HDR;
	struct bpf_sock *sk = skb->sk;
	struct hl_sock *s = sk ? bpf_sk_storage_get(&socks, sk, 0, 0) : 0;
	int otherwise = s && (s->flags & HL_SOCK_ABROAD) ? TC_ACT_SHOT : TC_ACT_UNSPEC;
	const struct hl_owner *o;
	struct hl_known_key key;
	struct hl_known *k;
	struct hl_addr to;
	struct ends e;
	int i;

	if (!find_ends(skb, &e))
		return otherwise;
	key = known_key(id, e.proto, bpf_ntohs(e.from_port), &e.to, bpf_ntohs(e.to_port));
	k = bpf_map_lookup_elem(&known_as, &key);
	if (!k || !addr_eq(&k->stands, &e.from))
		return otherwise;
	to = k->shown;
	o = foreign_loop(&e.to) ? owner_of(&e.to) : 0;
	skb->mark = o && o->id == id ? LOOP_MARKED | id : 0;
	if (e.proto == IPPROTO_UDP)
		flags |= BPF_F_MARK_MANGLED_0;
	sum = e.ports_at + (e.proto == IPPROTO_TCP ? 16 : 6);
	if (addr_is4(&e.to)) {
		struct iphdr ip;

		if (bpf_skb_load_bytes_relative(skb, 0, &ip, sizeof(ip), BPF_HDR_START_NET))
			return TC_ACT_SHOT;
		at = skb->len - bpf_ntohs(ip.tot_len);
		if (bpf_skb_store_bytes(skb, at + offsetof(struct iphdr, saddr), &to.w[3], 4, 0) ||
		    bpf_l3_csum_replace(skb, at + offsetof(struct iphdr, check), e.from.w[3], to.w[3], 4))
			return TC_ACT_SHOT;
		if (e.ports_at && bpf_l4_csum_replace(skb, at + sum, e.from.w[3], to.w[3], flags | 4))
			return TC_ACT_SHOT;
		return TC_ACT_UNSPEC;
	} else {
		struct ipv6hdr ip;

		if (bpf_skb_load_bytes_relative(skb, 0, &ip, sizeof(ip), BPF_HDR_START_NET))
			return TC_ACT_SHOT;
		at = skb->len - sizeof(ip) - bpf_ntohs(ip.payload_len);
		if (bpf_skb_store_bytes(skb, at + offsetof(struct ipv6hdr, saddr), &to, sizeof(to), 0))
			return TC_ACT_SHOT;
		for (i = 0; i < 4 && e.ports_at; i++)
			if (bpf_l4_csum_replace(skb, at + sum, e.from.w[i], to.w[i], flags | 4))
				return TC_ACT_SHOT;
		return TC_ACT_UNSPEC;
	}
}

#endif
