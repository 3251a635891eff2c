/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Whose an address is, and what a hostlet may use. */
#ifndef HOSTLET_OWNS_H
#define HOSTLET_OWNS_H

/* Whose address is it, of all hostlets. */
static inline const struct hl_owner *owner_of(const struct hl_addr *a)
{
	const struct hl_owner *o = bpf_map_lookup_elem(&owners, a);
	struct hl_prefix_key key = {128, *a};
	__u32 zero = 0, *some;

	if (o)
		return o;
	if (addr_is4(a) && extra_loop(a->w[3]))
		return whose_extra(a->w[3]);
	some = bpf_map_lookup_elem(&prefixed, &zero);
	if (!some || !*some)
		return 0;
	return bpf_map_lookup_elem(&prefixes, &key);
}

/* The one address of that family, or the loopback; otherwise whether the others are to be asked. */
enum { OWNS_NOT, OWNS_IT, OWNS_MORE };

static inline int owns_first(const struct hl_hostlet *h, const struct hl_addr *a)
{
	if (addr_is4(a)) {
		if (a->w[3] == h->primary4.w[3] || a->w[3] == h->loop4.w[3])
			return OWNS_IT;
		if (extra_loop(a->w[3]))
			return own_extra(h, a->w[3]) ? OWNS_IT : OWNS_NOT;
		return h->flags & HL_MANY4 ? OWNS_MORE : OWNS_NOT;
	}
	if (addr_any(a))
		return OWNS_NOT;
	if (addr_eq(a, &h->primary6) || addr_eq(a, &h->loop6))
		return OWNS_IT;
	return h->flags & HL_MANY6 ? OWNS_MORE : OWNS_NOT;
}

static inline bool owns_other(const struct hl_hostlet *h, const struct hl_addr *a)
{
	struct hl_prefix_key key = {128};
	const struct hl_owner *o;
	int i;

	if (addr_is4(a)) {
		for (i = 0; i < HL_FEW4; i++)
			if (a->w[3] == h->few4[i])
				return a->w[3] != 0;
		if (h->flags & HL_ALL4)
			return false;
	} else {
		for (i = 0; i < HL_FEW6; i++)
			if (addr_eq(a, &h->few6[i]))
				return true;
		if (h->flags & HL_ALL6)
			return false;
	}
	key.addr = *a; /* kernel 6.1 takes no key from an argument of a SHARED function */
	o = bpf_map_lookup_elem(&owners, &key.addr);
	if (!o && (h->flags & HL_PREFIX))
		o = bpf_map_lookup_elem(&prefixes, &key);
	return o && o->id == h->id;
}

SHARED int owns_more(const struct hl_hostlet *h, const struct hl_addr *a)
{
	return h && a && owns_other(h, a);
}

/* Is it in the hostlet's set, or its loopback. */
static inline bool owns(const struct hl_hostlet *h, const struct hl_addr *a)
{
	int is = owns_first(h, a);
	struct hl_addr
		copy; /* what a SHARED function is given, clang and the verifier know nothing of afterwards */

	if (is != OWNS_MORE)
		return is;
	copy = *a;
	return owns_more(h, &copy);
}

/* The same without a call, which costs as much as the rest: where packets pass. */
static inline bool owns_fast(const struct hl_hostlet *h, const struct hl_addr *a)
{
	int is = owns_first(h, a);

	return is == OWNS_MORE ? owns_other(h, a) : is;
}

static inline bool is_loop(const struct hl_hostlet *h, const struct hl_addr *a)
{
	if (addr_is4(a))
		return a->w[3] == h->loop4.w[3] || own_extra(h, a->w[3]);
	return !addr_any(a) && addr_eq(a, &h->loop6);
}

/*
 * Is it a loopback address of IPv4 that gets one of its own for this hostlet? What stands for one
 * already is taken for itself: the kernel shows it in some places (IP_PKTINFO).
 */
static inline bool further_loop(const struct hl_hostlet *h, const struct hl_addr *a)
{
	return addr_is4(a) && addr_loopback(a) && !addr_localhost(a) && !is_loop(h, a);
}

/* The dedicated loopback address of the family of `a`. */
static inline const struct hl_addr *loop_like(const struct hl_hostlet *h, const struct hl_addr *a)
{
	return addr_is4(a) ? &h->loop4 : &h->loop6;
}

static inline bool reachable(const struct hl_hostlet *h, const struct hl_addr *a, __u32 port)
{
	struct hl_reach_key key = {h->id, *a, port};

	return (h->flags & HL_REACH) && bpf_map_lookup_elem(&reach, &key);
}

/* A group, or a broadcast address: where a socket hears, not where it leaves from. */
static inline bool for_many(const struct hl_hostlet *h, const struct hl_addr *a)
{
	return addr_multicast(a) || addr_broadcast(a) || reachable(h, a, 0);
}

#endif
