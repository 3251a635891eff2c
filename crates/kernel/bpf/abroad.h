/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Connections from the host's real wildcard (rows A7, A8).
 *
 * A socket that the kernel put there has a port, so it cannot be bound any more when it connects: the
 * route gives it a source, which may be the host's. So connect notes which address of the set it is to
 * leave from, the guard lets nothing else pass with that foreign source, and marks it; at the exit of the
 * interface the source is replaced, and at the entry the destination of what comes back (see home.h).
 *
 * Only a socket that connect has marked is let through, only for the two ends that were noted, and only
 * where the program at the exit stands (see watched).
 */
#ifndef HOSTLET_ABROAD_H
#define HOSTLET_ABROAD_H

/*
 * How long after the last packet of the last such connection, its socket being closed, the peer may still
 * have to say something: as long as the kernel keeps what is left of the connection (TIME_WAIT), and a bit.
 */
#define ABROAD_LINGERS_NS 65000000000ull

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

/* A small filter of addresses: says of most that are not in it that they are not. */
static inline __u32 filter_bit(const struct hl_addr *a)
{
	return (a->w[0] ^ a->w[1] * 3 ^ a->w[2] * 5 ^ a->w[3]) * 0x9e3779b1 / (0x80000000 / (HL_FILTER / 2));
}

static inline bool may_be_in(const __u64 *filter, const struct hl_addr *a)
{
	__u32 bit = filter_bit(a);

	return filter[bit / 64 % (HL_FILTER / 64)] >> bit % 64 & 1;
}

static inline void put_in(__u64 *filter, const struct hl_addr *a)
{
	__u32 bit = filter_bit(a);

	if (!may_be_in(filter, a))
		__sync_fetch_and_or(&filter[bit / 64 % (HL_FILTER / 64)], 1ull << bit % 64);
}

/* A socket on the real wildcard connects; 0, or WHY not. `from`: where it stands; all zero: the route will say. */
SHARED int go_abroad(struct bpf_sock_addr *ctx, const struct hl_known_key *ends, const struct hl_addr *from,
		     const struct hl_addr *source)
{
	struct hl_known_key key; /* kernel 6.1 takes no key from an argument of a SHARED function */
	struct bpf_sock *sk = ctx->sk;
	struct hl_globals *g = global();
	struct hl_known_at *at;
	struct hl_known known;
	struct hl_sock *s;

	if (!sk || !g || !ends || !from || !source)
		return 0;
	s = bpf_sk_storage_get(&socks, sk, 0, 0);
	if (!s)
		return 0;
	at = bpf_sk_storage_get(&known_at, sk, 0, BPF_SK_STORAGE_GET_F_CREATE);
	if (!at)
		return WHY(HL_REASON_TABLE_FULL, ENOBUFS);
	key = *ends;
	known.stands = *from;
	known.shown = *source;
	known.sock = (__u64)kernel_sock(sk);
	/* Connected already: the source stays, also where the kernel does not use it (IPv4, after IPv6). */
	if (!addr_wild(from) && at->key.id && addr_is4(&at->shown) == addr_is4(from))
		known.shown = at->shown;
	/* One entry a socket: who connects often shall not push out what others have. */
	if (s->flags & HL_SOCK_ABROAD)
		bpf_map_delete_elem(&known_as, &at->key);
	if (bpf_map_update_elem(&known_as, &key, &known, BPF_ANY))
		return WHY(HL_REASON_TABLE_FULL, ENOBUFS);
	at->key = key;
	at->shown = known.shown;
	g->abroad_at = bpf_ktime_get_ns();
	put_in(g->abroad_to, &known.shown);
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
 * it has the foreign source that the route gave. True if the connection was noted: then that stays until the
 * exit, for the host's firewall is to see both directions alike.
 */
static inline bool sends_abroad(struct bpf_sock *sk, const struct hl_hostlet *h, __u16 port,
				const struct hl_addr *to, __u16 to_port)
{
	struct hl_known_key key = known_key(h->id, IPPROTO_UDP, port, to, to_port);

	return bpf_map_lookup_elem(&known_as, &key) ||
	       same_known(bpf_sk_storage_get(&known_at, sk, 0, 0), &key);
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
			noted_abroad(skb, h, from_, to_, proto_, header_,                                    \
				     bpf_sk_storage_get(&known_at, sk_, 0, 0));                              \
	})

static inline bool noted_abroad(struct __sk_buff *skb, const struct hl_hostlet *h, const struct hl_addr *from,
				const struct hl_addr *to, __u8 proto, __u16 header,
				const struct hl_known_at *at)
{
	struct hl_globals *g = global();
	struct hl_known_key key;
	struct hl_known *k, copy;
	__u16 ports[2];

	if (!g || bpf_skb_load_bytes(skb, header, ports, sizeof(ports)))
		return false;
	key = known_key(h->id, proto, bpf_ntohs(ports[0]), to, bpf_ntohs(ports[1]));
	k = bpf_map_lookup_elem(&known_as, &key);
	/* It had to give way to others. */
	if (!k && same_known(at, &key)) {
		copy = (struct hl_known){.stands = *from, .shown = at->shown};
		bpf_map_update_elem(&known_as, &key, &copy, BPF_ANY);
		k = bpf_map_lookup_elem(&known_as, &key);
	}
	/* The hostlet may have lost the address meanwhile, and another have got it. */
	if (!k || addr_is4(&k->shown) != addr_is4(from) || !owns(h, &k->shown))
		return false;
	/* As the guard has it of what leaves by itself. */
	if (is_loop(h, &k->shown) && !is_loop(h, to) && !owns(h, to))
		return false;
	if (addr_wild(&k->stands))
		k->stands = *from;
	else if (!addr_eq(&k->stands, from))
		return false;
	put_in(g->abroad_to, &k->shown);
	put_in(g->abroad_from, from);
	g->abroad_at = bpf_ktime_get_ns();
	if (proto == IPPROTO_UDP && skb->len > ABROAD_FRAGMENTS) {
		copy = *k;
		key.port = key.peer_port = 0;
		bpf_map_update_elem(&known_as, &key, &copy, BPF_ANY);
	}
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

/* What arrives, which home.h has marked, for a socket that connect has let go. */
#define ARRIVES_ABROAD(skb)                                                                                  \
	({                                                                                                   \
		struct bpf_sock *sk_ = (skb)->sk;                                                            \
		(skb)->mark == ABROAD_MARK &&sk_ &&WENT_ABROAD(sk_);                                         \
	})

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
		/* Whose addresses are mapped ones is no packet of IPv4, and is not to be changed as one. */
		if (addr_is4(&e->from) || addr_is4(&e->to))
			return false;
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

/* Where the network header begins: tunnels have none before it, and short frames are padded behind it. */
static inline __u32 network_at(struct __sk_buff *skb)
{
	struct sk_buff *raw = 0;

	/* As in kernel_sock. */
	bpf_probe_read_kernel(&raw, sizeof(raw), &skb);
	return BPF_CORE_READ(raw, head) + BPF_CORE_READ(raw, network_header) - BPF_CORE_READ(raw, data);
}

/* An address of IPv6 in the checksum at that place; 0, or an error. */
static inline long replace_in_sum(struct __sk_buff *skb, __u32 at, const struct hl_addr *from,
				  const struct hl_addr *to, __u64 flags)
{
	long error = 0;
	int i;

	for (i = 0; i < 4 && !error; i++)
		error = bpf_l4_csum_replace(skb, at, from->w[i], to->w[i],
					    BPF_F_PSEUDO_HDR | flags | sizeof(__u32));
	return error;
}

/* Replaces one of the addresses of a packet: the source, or of what arrives the destination. */
SHARED int rewrite(struct __sk_buff *skb, const struct ends *its, const struct hl_addr *by, bool arrives)
{
	__u32 flags = BPF_F_PSEUDO_HDR, at, sum;
	struct hl_addr from, to;
	__u16 ports_at;

	if (!its || !by)
		return -1;
	from = arrives ? its->to : its->from;
	to = *by;
	ports_at = its->ports_at;
	at = network_at(skb);
	if (its->proto == IPPROTO_UDP)
		flags |= BPF_F_MARK_MANGLED_0;
	sum = at + ports_at + (its->proto == IPPROTO_TCP ? 16 : its->proto == IPPROTO_UDP ? 6 : 2);
	if (addr_is4(&from)) {
		__u32 field = at + (arrives ? offsetof(struct iphdr, daddr) : offsetof(struct iphdr, saddr));

		if (bpf_skb_store_bytes(skb, field, &to.w[3], 4, 0) ||
		    bpf_l3_csum_replace(skb, at + offsetof(struct iphdr, check), from.w[3], to.w[3], 4))
			return -1;
		/* Of ICMP the addresses are no part of the sum. */
		if (!ports_at || its->proto == IPPROTO_ICMP)
			return 0;
		return bpf_l4_csum_replace(skb, sum, from.w[3], to.w[3], flags | 4);
	} else {
		__u32 field =
			at + (arrives ? offsetof(struct ipv6hdr, daddr) : offsetof(struct ipv6hdr, saddr));

		/* No sum over the header hides the change from that of the whole packet. */
		if (bpf_skb_store_bytes(skb, field, &to, sizeof(to), BPF_F_RECOMPUTE_CSUM))
			return -1;
		return ports_at ? replace_in_sum(skb, sum, &from, &to, flags) : 0;
	}
}

/* Is it an address of that hostlet? */
SHARED int is_of(__u32 id, const struct hl_addr *a)
{
	const struct hl_owner *o;
	struct hl_addr copy;

	if (!a)
		return false;
	copy = *a;
	o = owner_of(&copy);
	return o && o->id == id;
}

/*
 * At the exit: the source that was noted. Others may use such a mark for something else: what is of no
 * connection here goes its way, unless its socket is of that hostlet. Since the guard let it go that socket may have been
 * connected or bound anew: packets wait until the kernel knows their next hop.
 *
 * The copy that this machine itself gets over IPv6 has passed the guard, but no exit and has no socket any more: that of no
 * connection here is dropped.
 */
SHARED int mend_source(struct __sk_buff *skb)
{
	__u32 id = skb->mark & ~MARK_MASK;
	struct bpf_sock *sk = skb->sk;
	struct hl_sock *s = sk ? bpf_sk_storage_get(&socks, sk, 0, 0) : 0;
	bool drop = skb->pkt_type == PACKET_LOOPBACK || (s && s->id == id);
	int otherwise = drop ? TC_ACT_SHOT : TC_ACT_UNSPEC;
	struct hl_known_key key;
	struct hl_known *k;
	bool home, own;
	struct hl_addr to;
	struct ends e;

	if (!find_ends(skb, &e))
		return otherwise;
	key = known_key(id, e.proto, bpf_ntohs(e.from_port), &e.to, bpf_ntohs(e.to_port));
	k = bpf_map_lookup_elem(&known_as, &key);
	if (!k || !addr_eq(&k->stands, &e.from) || addr_is4(&k->shown) != addr_is4(&e.from))
		return otherwise;
	/* As the guard has it: another thread may have connected the socket since, or the table another entry in this place. */
	to = k->shown;
	if (!is_of(id, &to))
		return TC_ACT_SHOT;
	home = foreign_loop(&e.to);
	own = (home || foreign_loop(&to)) && is_of(id, &e.to);
	if (foreign_loop(&to) && !own)
		return TC_ACT_SHOT;
	skb->mark = home && own ? LOOP_MARKED | id : 0;
	return rewrite(skb, &e, &to, false) ? TC_ACT_SHOT : TC_ACT_UNSPEC;
}

/* No machine sends from its loopback to a group, and no hostlet: the call was another's, between two threads. */
static inline bool looped_from_loop(struct __sk_buff *skb)
{
	struct hl_addr from = addr4(0);

	return !bpf_skb_load_bytes_relative(skb, offsetof(struct iphdr, saddr), &from.w[3], sizeof(from.w[3]),
					    BPF_HDR_START_NET) &&
	       addr_loopback(&from) && owner_of(&from);
}

/*
 * What this machine itself gets of what it sends to a group or to all over IPv4: the kernel makes that copy before the
 * guard's turn, and without the socket. It gets the source that was noted as well; true if it must not arrive.
 */
SHARED int mend_looped(struct __sk_buff *skb)
{
	const struct hl_owner *o;
	struct hl_known_at *at;
	struct hl_port_key key;
	struct bpf_sock *sk;
	struct hl_addr to;
	struct hl_sock *s;
	struct ends e;
	__u32 id;

	if (!find_ends(skb, &e) || e.proto != IPPROTO_UDP)
		return false;
	sk = UDP_SOCKET(skb, &e.to, e.to_port, &e.from, e.from_port);
	o = owner_of(&e.from);
	/* Whoever sent it is gone, or stands elsewhere: then its hostlet has the port in its book. */
	if (!sk) {
		key = port_key(o ? o->id : 0, bpf_ntohs(e.from_port), IPPROTO_UDP, family_of(&e.from));
		return !o || !bpf_map_lookup_elem(&ports, &key);
	}
	s = bpf_sk_storage_get(&socks, sk, 0, 0);
	at = s && (s->flags & HL_SOCK_ABROAD) ? bpf_sk_storage_get(&known_at, sk, 0, 0) : 0;
	if (!at || (o && o->id == s->id)) {
		/* Of the host, or as outside; else one of a hostlet that is another by now. */
		bool stays = s && s->flags && !(o && o->id == s->id);

		bpf_sk_release(sk);
		return stays;
	}
	to = at->shown;
	id = s->id;
	bpf_sk_release(sk);
	o = owner_of(&to);
	return !o || o->id != id || foreign_loop(&to) || !addr_is4(&to) || rewrite(skb, &e, &to, false);
}

#endif
