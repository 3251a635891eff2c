/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Datagrams as the learner sees them at the interface. */
#ifndef HOSTLET_DATAGRAM_H
#define HOSTLET_DATAGRAM_H

struct datagram {
	struct hl_addr from;
	struct hl_addr to;
	__u16 from_port; /* network order, as the look-up wants it */
	__u16 to_port; /* the same */
};

/* From the network header on: a tunnel's packets have no other. */
static inline bool parse_udp(struct __sk_buff *skb, struct datagram *d)
{
	struct {
		__u16 source;
		__u16 dest;
	} udp;
	__u32 at;

	if (skb->protocol == bpf_htons(ETH_P_IP)) {
		struct {
			struct iphdr ip;
			__u16 source; /* where there are no options */
			__u16 dest;
		} first;

		/* Nothing that is shorter has ports. */
		if (bpf_skb_load_bytes_relative(skb, 0, &first, sizeof(first), BPF_HDR_START_NET) ||
		    first.ip.protocol != IPPROTO_UDP || (first.ip.frag_off & bpf_htons(0x1fff)))
			return false;
		d->from = addr4(first.ip.saddr);
		d->to = addr4(first.ip.daddr);
		d->from_port = first.source;
		d->to_port = first.dest;
		at = first.ip.ihl * 4;
		if (at == sizeof(first.ip))
			return true;
	} else if (skb->protocol == bpf_htons(ETH_P_IPV6)) {
		struct ipv6hdr ip;

		at = sizeof(ip);
		if (bpf_skb_load_bytes_relative(skb, 0, &ip, sizeof(ip), BPF_HDR_START_NET))
			return false;
		__builtin_memcpy(&d->from, &ip.saddr, sizeof(d->from));
		__builtin_memcpy(&d->to, &ip.daddr, sizeof(d->to));
		if (ip.nexthdr == IPPROTO_FRAGMENT) {
			struct {
				__u8 next;
				__u8 reserved;
				__u16 offset;
				__u32 id;
			} fragment;

			if (bpf_skb_load_bytes_relative(skb, at, &fragment, sizeof(fragment),
							BPF_HDR_START_NET) ||
			    fragment.next != IPPROTO_UDP || (fragment.offset & bpf_htons(0xfff8)))
				return false;
			at += sizeof(fragment);
		} else if (ip.nexthdr != IPPROTO_UDP) {
			return false;
		}
	} else {
		return false;
	}
	if (bpf_skb_load_bytes_relative(skb, at, &udp, sizeof(udp), BPF_HDR_START_NET))
		return false;
	d->from_port = udp.source;
	d->to_port = udp.dest;
	return true;
}

/*
 * Most packets show at a glance that there is nothing to learn from them: no datagram, or of IPv4 to where nothing is to
 * be done any more. What does not begin as the network header would, as that of a tunnel's packet, has a link header.
 */
static inline bool nothing_to_learn(struct __sk_buff *skb)
{
	void *data = (void *)(long)skb->data, *end = (void *)(long)skb->data_end;
	struct ethhdr *link = data;
	struct {
		struct iphdr ip;
		__u16 source;
		__u16 dest;
	} *four = data + sizeof(*link);
	struct ipv6hdr *six = data + sizeof(*link);
	__u64 *slot, word;
	__u8 version;
	__u16 port;

	if ((void *)(four + 1) > end || link->h_proto != skb->protocol)
		return false;
	version = link->h_dest[0] >> 4;
	if (link->h_proto == bpf_htons(ETH_P_IPV6))
		return version != 6 && (void *)(six + 1) <= end && six->nexthdr != IPPROTO_UDP &&
		       six->nexthdr != IPPROTO_FRAGMENT;
	if (link->h_proto != bpf_htons(ETH_P_IP) || version == 4)
		return false;
	if (four->ip.protocol != IPPROTO_UDP)
		return true;
	if (four->ip.ihl != 5 || (four->ip.frag_off & bpf_htons(0x1fff)) || skb->pkt_type == PACKET_BROADCAST)
		return false;
	port = bpf_ntohs(four->dest);
	slot = settled_slot(four->ip.daddr, port);
	word = slot ? ONCE(*slot) : 0;
	return settled_for(word, four->ip.daddr, port) && (word & HL_SETTLED_LEARNED);
}

#endif
