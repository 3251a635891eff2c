/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * cgroup_skb ingress and egress: the guard (rows A2, A8, A16).
 *
 * Threat: a member, also root within the capability set that the launcher
 * leaves, that finds a way around the call hooks (ping sockets bind without
 * them, a listener without bind stands on the host's wildcard, options that
 * name foreign sources). Every packet of a member's socket passes here; what
 * neither leaves from the set nor arrives for it is dropped and reported.
 *
 * The dedicated loopback is private because packets to it carry a mark that
 * only this program writes and that only CAP_NET_ADMIN could forge. What
 * continues a TCP connection needs none: its SYN had one, and resets come
 * from the kernel itself.
 */
#ifndef HOSTLET_GUARD_H
#define HOSTLET_GUARD_H

#define LOOP_MARK(h) (LOOP_MARKED | (h)->id)

enum { REPORT_EVERY_NS = 100000000 };
enum { ICMP_ECHOREPLY = 0, ICMP_ECHO = 8 };

struct packet {
	struct hl_addr from;
	struct hl_addr to;
	__u8 proto;
	__u16 header; /* length of the IP header */
	bool no_route; /* an echo request that no route leads away from the hostlet's addresses */
};

static inline bool parse(struct __sk_buff *skb, struct packet *p)
{
	void *data = (void *)(long)skb->data, *end = (void *)(long)skb->data_end;

	p->no_route = false;
	if (skb->protocol == bpf_htons(ETH_P_IP)) {
		struct iphdr *ip = data;

		if ((void *)(ip + 1) > end)
			return false;
		p->from = addr4(ip->saddr);
		p->to = addr4(ip->daddr);
		p->proto = ip->protocol;
		p->header = ip->ihl * 4;
	} else if (skb->protocol == bpf_htons(ETH_P_IPV6)) {
		struct ipv6hdr *ip = data;

		if ((void *)(ip + 1) > end)
			return false;
		__builtin_memcpy(&p->from, &ip->saddr, sizeof(p->from));
		__builtin_memcpy(&p->to, &ip->daddr, sizeof(p->to));
		/* As if from a socket of IPv6 that is connected over IPv4, between two threads: no machine takes that. */
		if (addr_is4(&p->from) || addr_is4(&p->to))
			return false;
		p->proto = ip->nexthdr;
		p->header = sizeof(*ip);
	} else {
		return false;
	}
	return true;
}

/* Opens a TCP connection: the flags say SYN and nothing else that matters. */
static inline bool opens(struct __sk_buff *skb, const struct packet *p)
{
	__u8 flags;

	if (p->proto != IPPROTO_TCP)
		return true;
	if (bpf_skb_load_bytes(skb, p->header + 13, &flags, 1))
		return true;
	return (flags & 0x12) == 0x02;
}

SHARED int dropped(struct __sk_buff *skb, struct hl_hostlet *h, const struct packet *p, enum hl_call call)
{
	struct hl_event *e;
	__u64 now, seq;
	__u16 ports[2];
	bool out = call == HL_CALL_TRANSMIT;

	if (!h || !p)
		return 0;
	now = bpf_ktime_get_ns();
	if (now - h->dropped_at < REPORT_EVERY_NS) {
		__sync_fetch_and_add(&h->dropped, 1);
		return 0;
	}
	h->dropped_at = now;
	e = event_begin(&seq);
	if (!e)
		return 0;
	e->more = h->dropped;
	h->dropped = 0;
	e->id = h->id;
	e->pid = e->uid = e->error = 0;
	e->call = call;
	e->reason = p->no_route		    ? HL_REASON_NO_ROUTE
		    : addr_loopback(&p->to) ? HL_REASON_FOREIGN_LOOPBACK
		    : out		    ? HL_REASON_FOREIGN_SOURCE
					    : HL_REASON_FOREIGN_ADDRESS;
	e->proto = p->proto;
	e->port = 0;
	if (has_ports(p->proto) && !bpf_skb_load_bytes(skb, p->header, ports, sizeof(ports)))
		e->port = bpf_ntohs(out ? ports[0] : ports[1]);
	e->addr = out ? p->from : p->to;
	e->other = out ? p->to : p->from;
	e->family = family_of(&e->addr);
	e->comm[0] = 0;
	event_end(e, seq);
	return 0;
}

/* A network namespace that a member made is not ours to guard, where the kernel can tell. */
static inline bool elsewhere(struct __sk_buff *skb, const struct hl_hostlet *h)
{
	return kernel.packet_netns && bpf_get_netns_cookie(skb) != h->netns;
}

static inline bool is_echo(struct __sk_buff *skb, const struct packet *p, bool request)
{
	__u8 type, wanted;

	if (p->proto == IPPROTO_ICMP)
		wanted = request ? ICMP_ECHO : ICMP_ECHOREPLY;
	else if (p->proto == IPPROTO_ICMPV6)
		wanted = request ? ICMPV6_ECHO_REQUEST : ICMPV6_ECHO_REPLY;
	else
		return false;
	return !bpf_skb_load_bytes(skb, p->header, &type, sizeof(type)) && type == wanted;
}

/*
 * The loopback asked by echo: the kernel answers on every machine, and says nothing by it. A socket that is bound to another
 * interface would have it leave there.
 */
static inline bool echo_at_home(struct __sk_buff *skb, const struct hl_hostlet *h, const struct packet *p,
				bool out)
{
	return (at_home(&p->from) || (out && owns(h, &p->from))) && at_home(&p->to) &&
	       (!out || skb->ifindex == LOOPBACK_IFINDEX) && is_echo(skb, p, out);
}

/*
 * An echo socket that was neither bound nor connected: no hook saw it, and the route gave it a
 * source. Where ping.h stands at the exit it gets one of the hostlet's there.
 */
static inline bool echo_to_mend(struct __sk_buff *skb, struct hl_hostlet *h, struct packet *p)
{
	__u32 ifindex = skb->ifindex;

	if (!(h->flags & (addr_is4(&p->to) ? HL_V4 : HL_V6)) || foreign_loop(&p->to) ||
	    !is_echo(skb, p, true) || !bpf_map_lookup_elem(&watched, &ifindex))
		return false;
	if (h->flags & (HL_FIT_REFUSE | HL_FIT_PASS)) {
		struct hl_addr to = p->to;

		if (ifindex != LOOPBACK_IFINDEX && !addr_multicast(&to) && !fits(h, &to, ifindex)) {
			struct bpf_sock *sk = skb->sk;

			p->no_route = true;
			return (h->flags & HL_FIT_PASS) && sk && MARK_PASSING(sk, HL_FIT_PASS);
		}
	}
	skb->mark = PING_MARK | h->id;
	return true;
}

static inline bool opened_port(struct __sk_buff *skb, const struct hl_hostlet *h, const struct packet *p,
			       bool out)
{
	__u16 port;

	if (!(h->flags & HL_REACH) || bpf_skb_load_bytes(skb, p->header + (out ? 2 : 0), &port, sizeof(port)))
		return false;
	return reachable(h, out ? &p->to : &p->from, bpf_ntohs(port));
}

/* A packet of a socket that is as outside. */
static inline bool packet_passes(struct __sk_buff *skb, const struct hl_hostlet *h)
{
	struct bpf_sock *sk;

	if (!(h->flags & (HL_EXCLUDE | HL_FIT_PASS)))
		return false;
	sk = skb->sk;
	return sk && passes(sk, h->flags);
}

SEC("cgroup_skb/egress")
int hl_egress(struct __sk_buff *skb)
{
	struct hl_hostlet *h = hostlet_here();
	struct packet p;

	if (!h || !(h->flags & HL_GUARD) || packet_passes(skb, h))
		return ALLOW;
	if (!parse(skb, &p))
		return REFUSE; /* not IP: nothing that a member should have */
	if (owns_fast(h, &p.from)) {
		if (is_loop(h, &p.to)) {
			skb->mark = LOOP_MARK(h);
			return ALLOW;
		}
		/* Machines send so, but none takes it: it is lost without a word. */
		if (is_loop(h, &p.from) && !foreign_loop(&p.to) && !owns(h, &p.to))
			return REFUSE_SILENTLY;
		if (!foreign_loop(&p.to) || opened_port(skb, h, &p, true))
			return ALLOW;
	}
	if ((!foreign_loop(&p.to) || is_loop(h, &p.to) || opened_port(skb, h, &p, true)) &&
	    LEAVES_ABROAD(skb, h, &p.from, &p.to, p.proto, p.header)) {
		skb->mark = ABROAD_MARK | h->id;
		return ALLOW;
	}
	if (elsewhere(skb, h) || echo_at_home(skb, h, &p, true) || echo_to_mend(skb, h, &p))
		return ALLOW;
	dropped(skb, h, &p, HL_CALL_TRANSMIT);
	return REFUSE;
}

/* Its mark has done its work; a program that asks for marks (SO_RCVMARK) gets what a machine has. Of connections it is in no message. */
static inline int let_in(struct __sk_buff *skb, const struct packet *p)
{
	if (p->proto != IPPROTO_TCP)
		skb->mark = 0;
	return ALLOW;
}

SEC("cgroup_skb/ingress")
int hl_ingress(struct __sk_buff *skb)
{
	struct hl_hostlet *h = hostlet_here();
	struct packet p;

	if (!h || !(h->flags & HL_GUARD) || packet_passes(skb, h))
		return ALLOW;
	if (!parse(skb, &p))
		return REFUSE; /* not IP: nothing that a member should have */
	if (is_loop(h, &p.to)) {
		if (skb->mark == LOOP_MARK(h))
			return let_in(skb, &p);
		if ((p.proto == IPPROTO_TCP && !opens(skb, &p)) ||
		    (p.proto != IPPROTO_TCP && opened_port(skb, h, &p, false)))
			return ALLOW;
	} else if (dedicated_loop(&p.from) && !is_loop(h, &p.from)) {
		/* Another hostlet sends from its loopback: nothing that arrives from another machine. */
	} else if (owns_fast(h, &p.to) || addr_multicast(&p.to) || addr_broadcast(&p.to) ||
		   reachable(h, &p.to, 0)) {
		return ALLOW;
	}
	if (ARRIVES_ABROAD(skb))
		return let_in(skb, &p);
	/* To the hostlet's loopback, under the name that its programs have for it: see told.h. */
	if (addr_loopback(&p.to) && skb->mark == LOOP_MARK(h))
		return let_in(skb, &p);
	if (elsewhere(skb, h) || echo_at_home(skb, h, &p, false))
		return ALLOW;
	dropped(skb, h, &p, HL_CALL_RECEIVE);
	return REFUSE;
}

#endif
