/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * tc ingress of the loopback interface: the address that a datagram was sent to (row A2).
 *
 * A socket may ask to be told it with each datagram (IP_PKTINFO and the like).
 * The kernel reads it from the packet, and no hook sees what it tells. So a
 * datagram that the guard has marked as one to the hostlet's own loopback gets
 * the address that the programs know, if it is for such a socket; the socket
 * is assigned here, since by that address nobody would find it. To find out
 * costs a look-up, about 130 ns of 4.6 us that a datagram over loopback takes.
 */
#ifndef HOSTLET_TOLD_H
#define HOSTLET_TOLD_H

static inline bool told_by4(struct sock *raw)
{
	unsigned long flags;

	if (bpf_core_field_exists(((struct inet_sock *)0)->inet_flags))
		flags = BPF_CORE_READ((struct inet_sock *)raw, inet_flags);
	else
		flags = BPF_CORE_READ((struct inet_sock___before_6_6 *)raw, cmsg_flags);
	return flags & (1ul << INET_FLAGS_PKTINFO | 1ul << INET_FLAGS_ORIGDSTADDR);
}

/* Does the socket want to be told where a datagram was sent to? */
static inline bool is_told(struct bpf_sock *sk)
{
	struct sock *raw = kernel_sock(sk);
	struct ipv6_pinfo *six;

	if (told_by4(raw))
		return true;
	if (sk->family != AF_INET6)
		return false;
	six = BPF_CORE_READ((struct inet_sock *)raw, pinet6);
	return BPF_CORE_READ_BITFIELD_PROBED(six, rxopt.bits.rxinfo) ||
	       BPF_CORE_READ_BITFIELD_PROBED(six, rxopt.bits.rxoinfo) ||
	       BPF_CORE_READ_BITFIELD_PROBED(six, rxopt.bits.rxorigdstaddr);
}

static inline bool assign_told(struct __sk_buff *skb, struct bpf_sock_tuple *t, __u32 size)
{
	struct bpf_sock *sk = bpf_sk_lookup_udp(skb, t, size, BPF_F_CURRENT_NETNS, 0);
	bool done;

	if (!sk)
		return false;
	/* Whoever it is for: that spares the kernel the same look-up. */
	done = !bpf_sk_assign(skb, sk, 0) && is_told(sk);
	bpf_sk_release(sk);
	return done;
}

static inline int tell4(struct __sk_buff *skb, bool given)
{
	struct bpf_sock_tuple t = {};
	void *data = (void *)(long)skb->data, *end = (void *)(long)skb->data_end;
	struct iphdr *head = data + ETH_HLEN;
	__u32 shown = LOCALHOST4, at;
	struct hl_extra *extra;
	struct iphdr ip;

	if ((void *)(head + 1) > end)
		return 0;
	ip = *head;
	if (ip.protocol != IPPROTO_UDP || (ip.frag_off & bpf_htons(0x3fff)))
		return 0;
	at = ETH_HLEN + ip.ihl * 4;
	t.ipv4.saddr = ip.saddr;
	t.ipv4.daddr = ip.daddr;
	if (bpf_skb_load_bytes(skb, at, &t.ipv4.sport, 2 * sizeof(__u16)))
		return 0;
	if (extra_loop(ip.daddr)) {
		extra = bpf_map_lookup_elem(&extras, &t.ipv4.daddr);
		if (!extra)
			return 0;
		shown = extra->shown;
	}
	if (!given && !assign_told(skb, &t, sizeof(t.ipv4)))
		return 0;
	bpf_l4_csum_replace(skb, at + offsetof(struct udphdr, check), ip.daddr, shown,
			    BPF_F_PSEUDO_HDR | BPF_F_MARK_MANGLED_0 | sizeof(shown));
	bpf_l3_csum_replace(skb, ETH_HLEN + offsetof(struct iphdr, check), ip.daddr, shown, sizeof(shown));
	bpf_skb_store_bytes(skb, ETH_HLEN + offsetof(struct iphdr, daddr), &shown, sizeof(shown), 0);
	return 0;
}

static inline int tell6(struct __sk_buff *skb, bool given)
{
	struct hl_addr to, shown = {{0, 0, 0, bpf_htonl(1)}};
	struct bpf_sock_tuple t = {};
	__u32 at = ETH_HLEN + sizeof(struct ipv6hdr);
	void *data = (void *)(long)skb->data, *end = (void *)(long)skb->data_end;
	struct ipv6hdr *head = data + ETH_HLEN, ip;

	if ((void *)(head + 1) > end || head->nexthdr != IPPROTO_UDP)
		return 0;
	ip = *head;
	__builtin_memcpy(&to, &ip.daddr, sizeof(to));
	__builtin_memcpy(t.ipv6.saddr, &ip.saddr, sizeof(t.ipv6.saddr));
	__builtin_memcpy(t.ipv6.daddr, &ip.daddr, sizeof(t.ipv6.daddr));
	if (bpf_skb_load_bytes(skb, at, &t.ipv6.sport, 2 * sizeof(__u16)) ||
	    (!given && !assign_told(skb, &t, sizeof(t.ipv6))))
		return 0;
	replace_in_sum(skb, at + offsetof(struct udphdr, check), &to, &shown, BPF_F_MARK_MANGLED_0);
	bpf_skb_store_bytes(skb, ETH_HLEN + offsetof(struct ipv6hdr, daddr), &shown, sizeof(shown), 0);
	return 0;
}

/*
 * A packet that the guard has marked: if it is to be told, it gets the address by which it is known inside. `given`: it has its
 * socket already, which is to be told.
 */
SHARED int tell_loopback(struct __sk_buff *skb, bool given)
{
	if (skb->ifindex != LOOPBACK_IFINDEX)
		return 0;
	return skb->protocol == bpf_htons(ETH_P_IP) ? tell4(skb, given) : tell6(skb, given);
}

#endif
