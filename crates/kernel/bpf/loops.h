/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The rest of 127.0.0.0/8 (row A2): on a machine all of it is local.
 *
 * A hostlet has one loopback address of its own, which stands for 127.0.0.1.
 * For each further one that its programs name, the first call that needs it
 * takes an address by chance from a range that is set aside for all hostlets.
 * It stays until user space ends the hostlet, so that whoever kept it in a
 * name or a socket is never answered by somebody else.
 *
 * Whether an address is in the range is seen without a table: who uses
 * 127.0.0.1 alone pays nothing.
 */
#ifndef HOSTLET_LOOPS_H
#define HOSTLET_LOOPS_H

#define LOOP_BROADCAST bpf_htonl(0x7fffffff)

/* Set in 127.64.0.0/10 and 127.192.0.0/10, host order. */
#define LOOPS_BIT 0x400000

#define LOCALHOST4 bpf_htonl(0x7f000001)

/* In the range where those addresses are. */
static __always_inline bool extra_loop(__u32 ip)
{
	return (ip & bpf_htonl(HL_EXTRA_MASK)) == bpf_htonl(HL_EXTRA_NET);
}

static __always_inline const struct hl_owner *whose_extra(__u32 ip)
{
	struct hl_extra *e = bpf_map_lookup_elem(&extras, &ip);

	return e ? &e->owner : 0;
}

static __always_inline bool own_extra(const struct hl_hostlet *h, __u32 ip)
{
	const struct hl_owner *o = extra_loop(ip) ? whose_extra(ip) : 0;

	return o && o->id == h->id;
}

/* What the hostlet's programs call this loopback address of it; 0 if it is none. */
static __always_inline __u32 shown_loop4(const struct hl_hostlet *h, __u32 ip)
{
	struct hl_extra *e;

	if (ip == h->loop4.w[3])
		return LOCALHOST4;
	if (!extra_loop(ip))
		return 0;
	e = bpf_map_lookup_elem(&extras, &ip);
	return e && e->owner.id == h->id ? e->shown : 0;
}

/*
 * What stands for a loopback address of a hostlet; 0 if nothing does, and nothing is to be made or the
 * tables are full. Two threads may come here at a time: the table decides whose is kept.
 */
__noinline __u32 extra_for(__u32 id, __u32 ip, __u32 make)
{
	struct hl_loop_key key = {id, ip}, all = {id, 0};
	struct hl_extra fresh = {.owner = {id, HL_OWNER_LOOP}, .shown = ip};
	__u32 *found = bpf_map_lookup_elem(&loops, &key), *count, none = 0, extra;
	int i;

	if (found)
		return *found;
	if (!make)
		return 0;
	count = bpf_map_lookup_elem(&loops, &all);
	if (!count) {
		bpf_map_update_elem(&loops, &all, &none, BPF_NOEXIST);
		count = bpf_map_lookup_elem(&loops, &all);
	}
	if (!count)
		return 0;
	if (__sync_fetch_and_add(count, 1) >= HL_EXTRAS_EACH)
		goto full;
	for (i = 0; i < 8; i++) {
		extra = bpf_htonl(HL_EXTRA_NET | (bpf_get_prandom_u32() & ~HL_EXTRA_MASK));
		/* The broadcast address is no address to be bound. */
		if (extra == LOOP_BROADCAST || bpf_map_update_elem(&extras, &extra, &fresh, BPF_NOEXIST))
			continue;
		if (!bpf_map_update_elem(&loops, &key, &extra, BPF_NOEXIST))
			return extra;
		bpf_map_delete_elem(&extras, &extra);
		found = bpf_map_lookup_elem(&loops, &key);
		break;
	}
full:
	__sync_fetch_and_add(count, -1);
	return found ? *found : 0;
}

#endif
