/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * tc egress: sources for echo requests (row A15).
 *
 * Echo sockets (ping without privileges) send without passing any hook that could
 * choose their source. The guard lets such a request go as far as this, marked with the
 * hostlet's id; here it gets an address of the hostlet, or goes no further.
 */
#ifndef HOSTLET_PING_H
#define HOSTLET_PING_H

static inline const struct hl_addr *echo_source(__u32 id, __u32 ifindex, __u16 family)
{
	struct hl_source_key key = {.id = id, .ifindex = ifindex, .family = family};
	struct hl_source_entry *e = bpf_map_lookup_elem(&sources, &key);

	if (!e) {
		key.ifindex = 0;
		e = bpf_map_lookup_elem(&sources, &key);
	}
	return e ? &e->addr : 0;
}

static inline int mend4(struct __sk_buff *skb, const struct hl_addr *source)
{
	__u32 at, to = source->w[3];
	struct iphdr ip;

	if (bpf_skb_load_bytes_relative(skb, 0, &ip, sizeof(ip), BPF_HDR_START_NET))
		return TC_ACT_SHOT;
	/* Where the network header begins: a tunnel has no header before it. */
	at = skb->len - bpf_ntohs(ip.tot_len);
	if (bpf_skb_store_bytes(skb, at + offsetof(struct iphdr, saddr), &to, sizeof(to), 0) ||
	    bpf_l3_csum_replace(skb, at + offsetof(struct iphdr, check), ip.saddr, to, sizeof(to)))
		return TC_ACT_SHOT;
	return TC_ACT_UNSPEC;
}

static inline int mend6(struct __sk_buff *skb, const struct hl_addr *source)
{
	struct hl_addr from, to = *source;
	struct ipv6hdr ip;
	__u32 at;

	if (bpf_skb_load_bytes_relative(skb, 0, &ip, sizeof(ip), BPF_HDR_START_NET) ||
	    ip.nexthdr != IPPROTO_ICMPV6)
		return TC_ACT_SHOT; /* in fragments: the checksum is not where it could be mended */
	at = skb->len - sizeof(ip) - bpf_ntohs(ip.payload_len);
	__builtin_memcpy(&from, &ip.saddr, sizeof(from));
	if (bpf_skb_store_bytes(skb, at + offsetof(struct ipv6hdr, saddr), &to, sizeof(to), 0))
		return TC_ACT_SHOT;
	if (replace_in_sum(skb, at + sizeof(ip) + offsetof(struct icmp6hdr, icmp6_cksum), &from, &to, 0))
		return TC_ACT_SHOT;
	return TC_ACT_UNSPEC;
}

SEC("tc")
int hl_ping(struct __sk_buff *skb)
{
	struct hl_globals *g = global();
	const struct hl_addr *source;
	struct bpf_sock *sk;
	__u32 id;
	bool four;

	/* The second is one that was reflected (the setting fwmark_reflect). Every packet comes here: no call for nothing. */
	if (!skb->mark || skb->mark == ABROAD_MARK)
		return g && any_abroad(g) ? mend_answer(skb) : TC_ACT_UNSPEC;
	if ((skb->mark & MARK_MASK) == ABROAD_MARK)
		return mend_source(skb);
	if ((skb->mark & MARK_MASK) != PING_MARK)
		return TC_ACT_UNSPEC;
	/* Others may use such a mark for something else; the guard writes it for sockets that speak ICMP. */
	sk = skb->sk;
	sk = sk ? bpf_sk_fullsock(sk) : 0;
	if (!sk || has_ports(sk->protocol))
		return TC_ACT_UNSPEC;
	id = skb->mark & ~MARK_MASK;
	skb->mark = 0;
	four = skb->protocol == bpf_htons(ETH_P_IP);
	source = echo_source(id, skb->ifindex, four ? 4 : 6);
	if (!source)
		return TC_ACT_SHOT;
	return four ? mend4(skb, source) : mend6(skb, source);
}

#endif
