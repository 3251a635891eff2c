/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Sockets in the book of ports (see ports.h): what each is entered under, and taken out again.
 */
#ifndef HOSTLET_BOOK_H
#define HOSTLET_BOOK_H

/* Notes that a hostlet has a wildcard UDP socket on a port, or that one of them is gone. */
SHARED int count_wild_udp(__u32 hostlet, __u16 port, __u8 family, bool add)
{
	struct hl_wild_udp_key key = {.port = port, .family = family};
	struct hl_port_key pk = port_key(hostlet, port, IPPROTO_UDP, family);
	struct hl_port *p;
	__u32 *id;
	int i;

	for (i = 0; i < HL_MCAST_SLOTS; i++) {
		key.slot = i;
		id = bpf_map_lookup_elem(&wild_udp, &key);
		if (add) {
			if (id && *id == hostlet)
				return 0;
			if (!id && !bpf_map_update_elem(&wild_udp, &key, &hostlet, BPF_NOEXIST))
				return 0;
		} else if (id && *id == hostlet) {
			/* Siblings on the wildcard keep the entry. */
			p = bpf_map_lookup_elem(&ports, &pk);
			if (!p || !(p->wild[0] | p->wild[1] | p->wild[2] | p->wild[3]))
				bpf_map_delete_elem(&wild_udp, &key);
			return 0;
		}
	}
	return 0;
}

/* In the book under a family or under both; 0, or an error and it is under none. */
static inline int account_both(struct hl_port_key *key, struct change *c, bool four, bool six)
{
	int error;

	key->family = 4;
	error = four ? port_change(key, c) : 0;
	if (error || !six)
		return error;
	key->family = 6;
	error = port_change(key, c);
	if (error && four) {
		key->family = 4;
		c->by = -1;
		port_change(key, c);
	}
	return error;
}

/* Enters a socket into the book of ports, or takes it out. */
SHARED int account(struct hl_sock *s, int by)
{
	struct hl_port_key key;
	struct hl_globals *g;
	struct change c;
	bool four, six;
	int error = 0;

	if (!s)
		return 0;
	c = (struct change){.claim = CLAIM_SPECIFIC,
			    .class_ = s->class_,
			    .by = by,
			    .uid = s->uid,
			    .hidden = s->hidden,
			    .wild_addr = s->addr};
	four = s->flags & HL_SOCK_WILD4;
	six = s->flags & HL_SOCK_WILD6;
	if (four || six) {
		c.claim = CLAIM_WILD;
		/* What the kernel finds by itself needs no steering. */
		if ((s->flags & HL_SOCK_AUTO) && s->proto != IPPROTO_TCP)
			c.claim = CLAIM_AUTO;
	} else {
		four = addr_is4(&s->addr);
		six = !four;
	}
	key = port_key(s->id, s->port, s->proto, 4);
	error = account_both(&key, &c, four, six);
	if (error)
		return error;
	if (s->flags & HL_SOCK_AUTO) {
		/*
		 * On the host's real wildcard: lookup.h keeps others' packets from it. Not one that
		 * shares its port, since a socket of the host may be meant.
		 */
		g = global();
		if (s->class_ || !g)
			return 0;
		__sync_fetch_and_add(&g->autobound, by);
		key.id = 0;
		c = (struct change){.claim = CLAIM_AUTO, .by = by};
		account_both(&key, &c, s->flags & HL_SOCK_WILD4, s->flags & HL_SOCK_WILD6);
		return 0;
	}
	if (s->proto != IPPROTO_UDP)
		return 0;
	/* UDP packets are let through to a socket on one address by that address. */
	key.family = family_of(&s->addr);
	key.addr = s->addr;
	error = port_change(&key, &c);
	if (error) {
		key.addr = (struct hl_addr){};
		c.by = -1;
		account_both(&key, &c, four, six);
		return error;
	}
	if (c.claim == CLAIM_WILD) {
		if (four)
			count_wild_udp(s->id, s->port, 4, by > 0);
		if (six)
			count_wild_udp(s->id, s->port, 6, by > 0);
		g = global();
		if (g)
			__sync_fetch_and_add(&g->wild_udp, by);
	}
	return 0;
}

/* The same for a listener: SO_REUSEADDR does not share with one. */
static inline void count_listener(const struct hl_sock *s, int by)
{
	bool wild = s->flags & (HL_SOCK_WILD4 | HL_SOCK_WILD6), four = addr_is4(&s->addr);
	struct change c = {.claim = wild ? CLAIM_WILD_LISTENER : CLAIM_LISTENER, .by = by};
	struct hl_port_key key = port_key(s->id, s->port, IPPROTO_TCP, 4);

	if (wild ? s->flags & HL_SOCK_WILD4 : four)
		port_change(&key, &c);
	key.family = 6;
	if (wild ? s->flags & HL_SOCK_WILD6 : !four)
		port_change(&key, &c);
}

#endif
