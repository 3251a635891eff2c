/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The book of bound ports, and conflicts inside a hostlet.
 *
 * The kernel sees the sockets of one hostlet on different addresses, where a
 * machine with exactly these addresses would see a wildcard socket that
 * overlaps with them. The book knows, by port and family, how many sockets of
 * which reuse class stand on the wildcard and on single addresses; what
 * overlaps at the same address the kernel judges by itself.
 */
#ifndef HOSTLET_PORTS_H
#define HOSTLET_PORTS_H

enum claim {
	CLAIM_WILD,
	CLAIM_SPECIFIC,
	CLAIM_AUTO,
	CLAIM_LISTENER,
	CLAIM_WILD_LISTENER,
};

struct change {
	enum claim claim;
	__u8 class_;
	__s8 by; /* 1 or -1 */
	__u32 uid;
	__u16 hidden;
	struct hl_addr wild_addr;
};

static inline bool has_ports(__u32 proto)
{
	return proto == IPPROTO_TCP || proto == IPPROTO_UDP || proto == IPPROTO_UDPLITE;
}

static inline struct hl_port_key port_key(__u32 id, __u16 port, __u8 proto, __u8 family)
{
	return (struct hl_port_key){.id = id, .port = port, .proto = proto, .family = family};
}

/* A filter of ports: is there none, or was there ever a listener of a hostlet on one address? Those are asked first. */
static inline bool may_listen_on_one(const struct hl_globals *g, __u16 port)
{
	return g->on_one[port / 64 % (HL_FILTER / 64)] >> port % 64 & 1;
}

static inline void note_on_one(__u16 port)
{
	struct hl_globals *g = global();

	if (g && !may_listen_on_one(g, port))
		__sync_fetch_and_or(&g->on_one[port / 64 % (HL_FILTER / 64)], 1ull << port % 64);
}

static inline __u32 sum_of_addr(const struct hl_addr *a)
{
	return a->w[0] ^ a->w[1] * 3 ^ a->w[2] * 5 ^ a->w[3] * 7;
}

static inline struct hl_asked_key asked_key(const struct hl_addr *stands, __u16 port,
					    const struct hl_addr *peer, __u16 peer_port)
{
	return (struct hl_asked_key){
		.stands = sum_of_addr(stands), .port = port, .peer_port = peer_port, .peer = *peer};
}

/* The slots of a port in the table of what is settled. */
static inline __u64 *settled_slots(__u16 port)
{
	__u32 zero = 0;
	struct hl_settled *all = bpf_map_lookup_elem(&settled, &zero);

	return all ? &all->slot[port % HL_SETTLED_PORTS * HL_SETTLED_EACH] : 0;
}

static inline __u64 *settled_slot(__u32 ip, __u16 port)
{
	__u64 *slots = settled_slots(port);

	return slots ? slots + (ip >> 24 ^ ip >> 16) % HL_SETTLED_EACH : 0;
}

static inline __u64 settled_word(__u32 ip, __u16 port)
{
	return (__u64)ip << 32 | (__u32)port << 16;
}

/* Is the word for this address and port? */
static inline bool settled_for(__u64 word, __u32 ip, __u16 port)
{
	return (word & ~0xffffull) == settled_word(ip, port);
}

/* More is known of it. `was`: the word before it was looked at. */
static inline void settle(__u64 was, __u32 ip, __u16 port, __u16 flags)
{
	__u64 is = settled_for(was, ip, port) ? was : settled_word(ip, port) | (was & HL_SETTLED_CHANCE);
	__u64 *slot = settled_slot(ip, port);

	if (slot)
		__sync_val_compare_and_swap(slot, was, is | flags);
}

/* The same of an address of the host. It takes no hostlet's place, and shall not become one's own loopback. */
static inline void settle_host(__u64 was, const struct hl_addr *a, __u16 port, __u16 flags)
{
	if ((!(was >> 32) || settled_for(was, a->w[3], port)) && (at_home(a) || !addr_loopback(a)))
		settle(was, a->w[3], port, flags);
}

/*
 * What the book says of a port of UDP has changed: it is to be looked at again. Who has looked just before does not
 * write what it saw, for the slot is another by then.
 */
SHARED int unsettle(__u16 port)
{
	__u64 *slots = settled_slots(port), fresh = bpf_get_prandom_u32() & 0xffff;
	int i;

	for (i = 0; slots && i < HL_SETTLED_EACH; i++)
		__sync_lock_test_and_set(&slots[i], fresh);
	return 0;
}

static inline void change_counts(struct hl_port *p, const struct change *c)
{
	__u32 class_ = c->class_ & (HL_CLASSES - 1);

	/* Or clang makes an "or" of the sum of the place and the index, which the verifier knows of numbers alone. */
	barrier_var(class_);
	switch (c->claim) {
	case CLAIM_WILD:
		p->wild[class_] += c->by;
		if (c->by > 0) {
			p->wild_addr = c->wild_addr;
			p->learned = 0;
			p->mixed |= p->wild[0] + p->wild[1] + p->wild[2] + p->wild[3] > 1;
		}
		break;
	case CLAIM_SPECIFIC:
		p->specific[class_] += c->by;
		break;
	case CLAIM_AUTO:
		p->autobound += c->by;
		break;
	case CLAIM_LISTENER:
		p->listeners += c->by;
		break;
	case CLAIM_WILD_LISTENER:
		p->wild_listeners += c->by;
		break;
	}
	if (c->by > 0) {
		if (class_ & 2)
			p->uid = c->uid;
		if (c->hidden)
			p->hidden = c->hidden;
	} else {
		p->learned = 0;
	}
}

static inline bool port_unused(const struct hl_port *p)
{
	int i;

	for (i = 0; i < HL_CLASSES; i++)
		if (p->wild[i] | p->specific[i])
			return false;
	return !p->autobound;
}

/* Never 0. */
static inline __u32 sum_of(const struct hl_port_key *k)
{
	__u32 sum = k->id * 0x9e3779b1 ^ (k->port << 16 | k->proto << 8 | k->family) ^ sum_of_addr(&k->addr);

	return sum ?: 1;
}

/* One try of the below; 1: again. */
SHARED int try_change(const struct hl_port_key *at, const struct change *c)
{
	struct hl_port_key key; /* kernel 6.1 takes no key from an argument of a SHARED function */
	struct hl_port fresh = {};
	bool other, unused = false;
	struct hl_port *p;
	__u32 sum;
	long error;

	if (!at || !c)
		return 0;
	key = *at;
	sum = sum_of(&key);
	p = bpf_map_lookup_elem(&ports, &key);
	if (!p) {
		if (c->by < 0)
			return 0;
		change_counts(&fresh, c);
		fresh.whose = sum;
		error = bpf_map_update_elem(&ports, &key, &fresh, BPF_NOEXIST);
		return !error ? 0 : error == -EEXIST ? 1 : -ENOBUFS;
	}
	bpf_spin_lock(&p->lock);
	other = p->whose != sum;
	if (!other) {
		change_counts(p, c);
		if (c->by < 0 && port_unused(p)) {
			p->whose = 0;
			unused = true;
		}
	}
	bpf_spin_unlock(&p->lock);
	if (unused)
		bpf_map_delete_elem(&ports, &key);
	return other;
}

/*
 * One step in the book. An entry that reaches zero is marked as nobody's under its lock and then deleted;
 * whoever meets such a one, or finds that the memory became another port's entry since the look-up, tries again,
 * so that no count is lost. Returns 0, or of what is added -ENOBUFS when the table is full.
 */
SHARED int port_change(const struct hl_port_key *at, const struct change *c)
{
	int i, state;

	if (!at || !c)
		return 0;
	for (i = 0; i < 16; i++) {
		state = try_change(at, c);
		if (state > 0)
			continue;
		if (at->proto == IPPROTO_UDP)
			unsettle(at->port);
		return state;
	}
	return c->by < 0 ? 0 : -ENOBUFS;
}

/* Would a machine with these addresses refuse a new socket of this class here? */
static inline bool conflicts(const struct hl_port *p, bool wild, bool tcp, const struct facts *f)
{
	__u32 listening = p->wild_listeners + (wild ? p->listeners : 0);
	__u32 by_address = f->class_ & is_zero(tcp ? listening : 0);
	__u32 by_port = f->class_ >> 1 & is_zero(f->uid ^ p->uid);
	__u32 against = 0;
	int c;

	for (c = 0; c < HL_CLASSES; c++) {
		__u32 others = p->wild[c] + (wild ? p->specific[c] : 0);
		__u32 shares = (by_address & c) | (by_port & c >> 1);

		against |= shares ? 0 : others;
	}
	return against;
}

#endif
