/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The tables. Who writes each stands beside it; everybody else only reads.
 * Sizes marked "set at load" come from the limits in hostlet.toml.
 */
#ifndef HOSTLET_MAPS_H
#define HOSTLET_MAPS_H

#define TABLE(name_, type_, key_, value_, entries_, flags_)                                                  \
	struct {                                                                                             \
		__uint(type, BPF_MAP_TYPE_##type_);                                                          \
		__uint(max_entries, entries_);                                                               \
		__uint(map_flags, flags_);                                                                   \
		__type(key, key_);                                                                           \
		__type(value, value_);                                                                       \
	} name_ SEC(".maps")

/* Written by user space, whole, when a hostlet's definition changes. */
struct {
	__uint(type, BPF_MAP_TYPE_CGROUP_STORAGE);
	__type(key, __u64);
	__type(value, struct hl_hostlet);
} hostlets SEC(".maps");

/* Written by user space. */
TABLE(owners, HASH, struct hl_addr, struct hl_owner, 65536, BPF_F_NO_PREALLOC); /* set at load */
TABLE(prefixes, LPM_TRIE, struct hl_prefix_key, struct hl_owner, 65536, BPF_F_NO_PREALLOC);
TABLE(routes, LPM_TRIE, struct hl_prefix_key, struct hl_route, 1048576, BPF_F_NO_PREALLOC);
TABLE(onlink, LPM_TRIE, struct hl_onlink_key, struct hl_onlink, 1048576, BPF_F_NO_PREALLOC);
TABLE(sources, HASH, struct hl_source_key, struct hl_source_entry, 65536, BPF_F_NO_PREALLOC);
TABLE(reach, HASH, struct hl_reach_key, __u32, 65536, BPF_F_NO_PREALLOC); /* set at load */

/* Written by user space: the addresses and prefixes that are local to this machine, where hostlets ask for them. */
TABLE(locals, LPM_TRIE, struct hl_prefix_key, __u32, 1048576, BPF_F_NO_PREALLOC);

/* Written by user space. */
TABLE(excluded, HASH, struct hl_file, __u32, 65536, BPF_F_NO_PREALLOC);

/* Written by user space: whether the trie of prefixes has entries. */
TABLE(prefixed, ARRAY, __u32, __u32, 1, 0);

/* Written by the calls that name such an address first, and emptied by user space: see loops.h. */
TABLE(loops, HASH, struct hl_loop_key, __u32, HL_EXTRAS + 65536, BPF_F_NO_PREALLOC);
TABLE(extras, HASH, __u32, struct hl_extra, HL_EXTRAS, BPF_F_NO_PREALLOC);

/* Written by user space: interfaces where the programs of learn.h and ping.h are attached. */
TABLE(watched, HASH, __u32, __u32, 65536, BPF_F_NO_PREALLOC);

/* Written by post_bind, LISTEN_CB and the first sendmsg; goes with its socket. */
struct {
	__uint(type, BPF_MAP_TYPE_SK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct hl_sock);
} socks SEC(".maps");

/*
 * Sockets of members that are as outside (rows B8, B10, B11), and by which flags of a hostlet: written
 * where that is decided; goes with its socket. Connections that it accepts inherit it.
 */
struct {
	__uint(type, BPF_MAP_TYPE_SK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC | BPF_F_CLONE);
	__type(key, int);
	__type(value, __u32);
} passing SEC(".maps");

/* Written by bind, read by post_bind. */
TABLE(binding, ARRAY, __u32, struct hl_binding, HL_BINDING, 0);

/* The same, for who finds its place in that table taken; goes with its socket. */
struct {
	__uint(type, BPF_MAP_TYPE_SK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct hl_binding);
} held SEC(".maps");

/* Written by post_bind, LISTEN_CB, the first sendmsg, sock_release and the learner. */
TABLE(ports, HASH, struct hl_port_key, struct hl_port, 131072, BPF_F_NO_PREALLOC); /* set at load */
TABLE(wild_udp, HASH, struct hl_wild_udp_key, __u32, 16384, BPF_F_NO_PREALLOC);

/* Written by LISTEN_CB; an entry goes when its socket does. */
TABLE(listeners, SOCKHASH, struct hl_listener_key, __u64, 65536, 0); /* set at load */

/*
 * Written by the learner (tc ingress): UDP sockets on the wildcard, with an address of zero, and those that were
 * connected once, beside others that are; the slot is zero.
 */
TABLE(udp_sockets, SOCKHASH, struct hl_listener_key, __u64, 65536, 0);

/* Written by the learner and by whoever changes what it has learned from; emptied by user space when an address goes. */
TABLE(settled, ARRAY, __u32, struct hl_settled, 1, 0);

/* Written by the learner around its own look-ups, read by sk_lookup, which runs within them: the learner asks. */
TABLE(asking, PERCPU_ARRAY, __u32, __u32, 1, 0);

/* Written where UDP packets for a wildcard socket pass. */
TABLE(asked, LRU_HASH, struct hl_asked_key, struct hl_addr, 65536, 0);

/*
 * Written by connect of a socket that was bound to the wildcard. Two kinds are in it: names that the hostlet itself is
 * told (known.h), and sources that packets get on their way out (abroad.h). Both are of a socket's two ends, and it
 * has one of them at a time.
 */
TABLE(known_as, LRU_HASH, struct hl_known_key, struct hl_known, 16384, 0);

/* The same for a socket: where in that table it is. */
struct {
	__uint(type, BPF_MAP_TYPE_SK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct hl_known_at);
} known_at SEC(".maps");

/* Written where packets for such connections arrive. */
TABLE(answers, LRU_HASH, struct hl_known_key, struct hl_answer, 4096, 0);

/* Written by every refusal. */
TABLE(events, ARRAY, __u32, struct hl_event, HL_EVENTS, 0);

/* Written by user space when the tables are made; from then on the programs count in it. */
TABLE(globals, ARRAY, __u32, struct hl_globals, 1, 0);

/* Wakes those who wait for events; what it holds does not matter. */
struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 4096);
} wake SEC(".maps");

/* Set at load. */
const volatile struct hl_kernel kernel SEC(".rodata.kernel") = {.foreign_source_error = 22};

#endif
