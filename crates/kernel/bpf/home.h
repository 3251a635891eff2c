/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * tc ingress: what comes back to connections from the host's real wildcard (see abroad.h).
 *
 * Their packets left from another address than the one where the socket stands; what answers them gets that
 * one for its destination, as if there had been no replacement. So the connection is whole for all who look
 * at packets between here and the socket: the host's stateful firewall, the reassembly of fragments, the
 * kernel's look-up. The guard knows such a packet by its mark.
 *
 * Threat: a peer that forges. Only what answers to the two ends that were noted is touched, and only while the
 * socket of the hostlet is there.
 */
#ifndef HOSTLET_HOME_H
#define HOSTLET_HOME_H

/* How long the kernel may take to answer. */
#define ANSWERS_NS 1000000000ull

/* In place of the protocol, in the keys of fragments. */
#define FRAGMENT_OF(proto_) (0x100 | (proto_))

/* Of one that waits for the end of its connection (TIME_WAIT) only the ends are left. */
#define WENT_ABROAD_TCP(sk) (ONCE((sk)->state) == BPF_TCP_TIME_WAIT || WENT_ABROAD(sk))

/* Is it to an address that such packets left from? Most of what arrives is not, and goes its way. */
static inline bool may_come_home(const struct hl_globals *g, struct __sk_buff *skb)
{
	struct hl_addr to = {};

	if (skb->protocol == bpf_htons(ETH_P_IP)) {
		to.w[2] = MAPPED;
		if (bpf_skb_load_bytes_relative(skb, offsetof(struct iphdr, daddr), &to.w[3], sizeof(to.w[3]),
						BPF_HDR_START_NET))
			return false;
	} else if (skb->protocol != bpf_htons(ETH_P_IPV6) ||
		   bpf_skb_load_bytes_relative(skb, offsetof(struct ipv6hdr, daddr), &to, sizeof(to),
					       BPF_HDR_START_NET)) {
		return false;
	}
	return may_be_in(g->abroad_to, &to);
}

static inline void note_answer(struct hl_known_key *key, const struct hl_addr *stands,
			       const struct hl_addr *shown)
{
	struct hl_answer answer = {.known = {.stands = *stands, .shown = *shown}, .at = bpf_ktime_get_ns()};
	struct hl_globals *g = global();

	bpf_map_update_elem(&answers, key, &answer, BPF_ANY);
	if (g)
		g->abroad_at = answer.at;
}

/* Which datagram a fragment is of, and whether more of it follow; false for what is whole. */
static inline bool is_fragment(struct __sk_buff *skb, const struct ends *e, struct hl_known_key *key,
			       bool *more)
{
	struct {
		__u8 next;
		__u8 reserved;
		__u16 offset;
		__u32 id;
	} fragment;
	struct ipv6hdr ip6;
	struct iphdr ip;

	if (addr_is4(&e->to)) {
		if (bpf_skb_load_bytes_relative(skb, 0, &ip, sizeof(ip), BPF_HDR_START_NET) ||
		    !(ip.frag_off & bpf_htons(0x3fff)))
			return false;
		*more = ip.frag_off & bpf_htons(0x2000);
		*key = known_key(0, FRAGMENT_OF(e->proto), ip.id, &e->from, 0);
		return true;
	}
	if (bpf_skb_load_bytes_relative(skb, 0, &ip6, sizeof(ip6), BPF_HDR_START_NET) ||
	    ip6.nexthdr != IPPROTO_FRAGMENT ||
	    bpf_skb_load_bytes_relative(skb, sizeof(ip6), &fragment, sizeof(fragment), BPF_HDR_START_NET))
		return false;
	*more = fragment.offset & bpf_htons(1);
	*key = known_key(0, FRAGMENT_OF(e->proto), fragment.id, &e->from, fragment.id >> 16);
	return true;
}

/* A fragment that has no ports: where the first one of its datagram went. */
static inline bool follows_home(struct __sk_buff *skb, struct ends *e)
{
	struct hl_known_key key;
	struct hl_answer *a;
	struct hl_addr to;
	bool more;

	if (!is_fragment(skb, e, &key, &more))
		return false;
	a = bpf_map_lookup_elem(&answers, &key);
	if (!a || !addr_eq(&a->known.shown, &e->to))
		return false;
	to = a->known.stands;
	if (!more)
		bpf_map_delete_elem(&answers, &key);
	if (rewrite(skb, e, &to, true))
		return false;
	skb->mark = ABROAD_MARK;
	return true;
}

enum { HL_AWAY, HL_HOME, /* and it may be the kernel who answers */ HL_ENDS, HL_ASSIGNED };

/*
 * Is the socket of an entry there still? One of UDP that wants to be told with each datagram where it was
 * sent to is given it as it is, firewall or not: the address that it would be told is one of the host.
 */
static inline int at_its_place(struct __sk_buff *skb, __u8 proto, const struct hl_addr *stands, __u16 port,
			       const struct hl_addr *peer, __u16 peer_port, bool assigns)
{
	struct bpf_sock *sk;
	int is = HL_AWAY;

	/* The two kinds of pointers share no load, by a field of their own each. */
	if (proto == IPPROTO_TCP) {
		sk = SOCKET_OF(bpf_skc_lookup_tcp, skb, peer, peer_port, stands, port);
		if (sk && WENT_ABROAD_TCP(sk) && ONCE(sk->state) != BPF_TCP_LISTEN)
			is = ONCE(sk->state) == BPF_TCP_ESTABLISHED ? HL_HOME : HL_ENDS;
	} else {
		sk = SOCKET_OF(bpf_sk_lookup_udp, skb, peer, peer_port, stands, port);
		if (sk && WENT_ABROAD(sk) && ONCE(sk->state) == BPF_TCP_ESTABLISHED)
			is = assigns && is_told(sk) && !bpf_sk_assign(skb, sk, 0) ? HL_ASSIGNED : HL_HOME;
	}
	if (sk)
		bpf_sk_release(sk);
	return is;
}

/*
 * Where the kernel has put a socket that connected after connect's hook, and of which no packet has passed the
 * guard since. It may be gone, and something else be there: whoever asks looks up what stands at that address.
 */
static inline struct hl_addr stands_by_now(__u64 sock, bool four)
{
	struct sock *raw = (struct sock *)sock;
	struct in6_addr six = {};

	if (four)
		return addr4(BPF_CORE_READ(raw, __sk_common.skc_rcv_saddr));
	/* Not where the kernel has no IPv6. */
	if (bpf_core_field_exists(raw->__sk_common.skc_v6_rcv_saddr))
		BPF_CORE_READ_INTO(&six, raw, __sk_common.skc_v6_rcv_saddr);
	return *(struct hl_addr *)&six;
}

/* Where the socket of a connection stands, by the two ends that the peer knows. */
static inline bool noted_at(__u8 proto, const struct hl_addr *shown, __u16 port, const struct hl_addr *peer,
			    __u16 peer_port, struct hl_addr *stands)
{
	const struct hl_owner *o = owner_of(shown);
	struct hl_known_key key;
	struct hl_reach_key many = {};
	struct hl_known *k;

	if (!o)
		return false;
	key = known_key(o->id, proto, bpf_ntohs(port), peer, bpf_ntohs(peer_port));
	k = bpf_map_lookup_elem(&known_as, &key);
	if (!k || !addr_eq(&k->shown, shown))
		return false;
	*stands = k->stands;
	if (addr_wild(stands)) {
		*stands = stands_by_now(k->sock, addr_is4(shown));
		many.id = o->id;
		many.addr = *stands;
		/* One that is bound to a group stays there: what is for its source is not for it (as for_many). */
		if (addr_wild(stands) || addr_multicast(stands) || addr_broadcast(stands) ||
		    bpf_map_lookup_elem(&reach, &many))
			return false;
	}
	return !addr_eq(stands, shown);
}

/* At the entry: true if it is for such a connection. */
SHARED int comes_home(struct __sk_buff *skb)
{
	struct ends ends, *e = &ends;
	struct hl_known_key key;
	struct hl_addr stands;
	bool more;
	int is;

	if (!find_ends(skb, e))
		return false;
	if (!e->ports_at)
		return follows_home(skb, e);
	if (!noted_at(e->proto, &e->to, e->to_port, &e->from, e->from_port, &stands))
		return false;
	/* Where it stands for the loopback is where a machine's would: 127.0.0.1. */
	is = at_its_place(skb, e->proto, &stands, e->to_port, &e->from, e->from_port, !foreign_loop(&e->to));
	if (is == HL_AWAY)
		return false;
	if (is == HL_ASSIGNED)
		return true;
	if (is == HL_ENDS) {
		key = known_key(0, e->proto, bpf_ntohs(e->to_port), &e->from, bpf_ntohs(e->from_port));
		note_answer(&key, &stands, &e->to);
	}
	if (e->proto == IPPROTO_UDP && is_fragment(skb, e, &key, &more))
		note_answer(&key, &stands, &e->to);
	if (rewrite(skb, e, &stands, true))
		return false;
	skb->mark = ABROAD_MARK;
	return true;
}

/*
 * An error about a packet of such a connection: it quotes the source that was noted, and the kernel looks
 * for the socket by what is quoted; firewalls want the error to be for that source too. In IPv4 the sum over
 * the quoted header hides the change from that of ICMP.
 */
static inline void mend_quoted4(struct __sk_buff *skb)
{
	struct hl_addr from, to, stands;
	struct iphdr outer, ip;
	struct ends e = {};
	__u16 ports[2];
	__u32 in, at;
	__u8 type;

	if (bpf_skb_load_bytes_relative(skb, 0, &outer, sizeof(outer), BPF_HDR_START_NET) ||
	    outer.protocol != IPPROTO_ICMP || (outer.frag_off & bpf_htons(0x3fff)))
		return;
	in = outer.ihl * 4;
	if (bpf_skb_load_bytes_relative(skb, in, &type, sizeof(type), BPF_HDR_START_NET) ||
	    (type != 3 && type != 11 && type != 12) ||
	    bpf_skb_load_bytes_relative(skb, in + 8, &ip, sizeof(ip), BPF_HDR_START_NET) ||
	    (ip.protocol != IPPROTO_TCP && ip.protocol != IPPROTO_UDP) || ip.saddr != outer.daddr ||
	    bpf_skb_load_bytes_relative(skb, in + 8 + ip.ihl * 4, ports, sizeof(ports), BPF_HDR_START_NET))
		return;
	from = addr4(ip.saddr);
	to = addr4(ip.daddr);
	if (!noted_at(ip.protocol, &from, ports[0], &to, ports[1], &stands) ||
	    !at_its_place(skb, ip.protocol, &stands, ports[0], &to, ports[1], false))
		return;
	at = network_at(skb) + in + 8;
	bpf_skb_store_bytes(skb, at + offsetof(struct iphdr, saddr), &stands.w[3], sizeof(stands.w[3]), 0);
	bpf_l3_csum_replace(skb, at + offsetof(struct iphdr, check), ip.saddr, stands.w[3],
			    sizeof(stands.w[3]));
	e.to = from;
	e.proto = IPPROTO_ICMP;
	rewrite(skb, &e, &stands, true);
}

static inline void mend_quoted6(struct __sk_buff *skb)
{
	struct hl_addr from, to, stands, outer_to;
	struct ends e = {};
	struct ipv6hdr ip;
	__u16 ports[2];
	__u8 type;
	__u32 at;

	if (bpf_skb_load_bytes_relative(skb, 0, &ip, sizeof(ip), BPF_HDR_START_NET) ||
	    ip.nexthdr != IPPROTO_ICMPV6)
		return;
	__builtin_memcpy(&outer_to, &ip.daddr, sizeof(outer_to));
	if (bpf_skb_load_bytes_relative(skb, sizeof(ip), &type, sizeof(type), BPF_HDR_START_NET) ||
	    type < 1 || type > 4 ||
	    bpf_skb_load_bytes_relative(skb, sizeof(ip) + 8, &ip, sizeof(ip), BPF_HDR_START_NET) ||
	    (ip.nexthdr != IPPROTO_TCP && ip.nexthdr != IPPROTO_UDP) ||
	    bpf_skb_load_bytes_relative(skb, 2 * sizeof(ip) + 8, ports, sizeof(ports), BPF_HDR_START_NET))
		return;
	__builtin_memcpy(&from, &ip.saddr, sizeof(from));
	__builtin_memcpy(&to, &ip.daddr, sizeof(to));
	if (!addr_eq(&from, &outer_to) || !noted_at(ip.nexthdr, &from, ports[0], &to, ports[1], &stands) ||
	    !at_its_place(skb, ip.nexthdr, &stands, ports[0], &to, ports[1], false))
		return;
	at = network_at(skb) + sizeof(ip);
	bpf_skb_store_bytes(skb, at + 8 + offsetof(struct ipv6hdr, saddr), &stands, sizeof(stands),
			    BPF_F_RECOMPUTE_CSUM);
	replace_in_sum(skb, at + offsetof(struct icmp6hdr, icmp6_cksum), &from, &stands, 0);
	e.to = from;
	e.proto = IPPROTO_ICMPV6;
	e.ports_at = sizeof(ip);
	rewrite(skb, &e, &stands, true);
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
 * At the exit: what the kernel answers for such a connection by itself, resets and the last acknowledgements,
 * leaves from where the socket stood. It passes no guard, and is of no hostlet's socket.
 */
SHARED int mend_answer(struct __sk_buff *skb)
{
	struct hl_globals *g = global();
	struct bpf_sock *sk, *full;
	struct hl_known_key key;
	struct hl_answer *a;
	struct hl_addr to;
	struct ends e;

	if (!g)
		return TC_ACT_UNSPEC;
	sk = skb->sk;
	full = sk ? bpf_sk_fullsock(sk) : 0;
	if (full && full->type != SOCK_RAW && !WENT_ABROAD(full))
		return TC_ACT_UNSPEC;
	if (!find_ends(skb, &e) || e.proto != IPPROTO_TCP || !may_be_in(g->abroad_from, &e.from))
		return TC_ACT_UNSPEC;
	key = known_key(0, e.proto, bpf_ntohs(e.from_port), &e.to, bpf_ntohs(e.to_port));
	a = bpf_map_lookup_elem(&answers, &key);
	if (!a || !addr_eq(&a->known.stands, &e.from) || bpf_ktime_get_ns() - a->at > ANSWERS_NS)
		return TC_ACT_UNSPEC;
	to = a->known.shown;
	skb->mark = 0;
	return rewrite(skb, &e, &to, false) ? TC_ACT_SHOT : TC_ACT_UNSPEC;
}

#endif
