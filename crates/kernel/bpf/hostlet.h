/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What crosses between the kernel programs and user space. This is the only
 * definition: the Rust types are generated from it through BTF.
 *
 * Every address is 128 bits in network order; IPv4 is written ::ffff:a.b.c.d,
 * so that one table serves both families. Ports are in host order unless the
 * field says otherwise.
 */
#ifndef HOSTLET_H
#define HOSTLET_H

#include <linux/bpf.h>

/* Raised whenever a structure or a table below changes its shape. */
enum { HL_LAYOUT = 11 };

struct hl_addr {
	__u32 w[4];
};

/* hl_hostlet.flags */
enum hl_flag {
	HL_V4 = 1 << 0, /* has IPv4 addresses, or a loopback of that family at least */
	HL_V6 = 1 << 1,
	HL_MANY4 = 1 << 2, /* more than primary4: ask the owners table */
	HL_MANY6 = 1 << 3,
	HL_PREFIX = 1 << 4, /* owns prefixes: ask the trie when the hash has no answer */
	HL_ROUTED4 = 1 << 5, /* the source depends on the route */
	HL_ROUTED6 = 1 << 6,
	HL_GUARD = 1 << 7,
	HL_RAW = 1 << 8, /* raw sockets were granted by name */
	HL_REACH = 1 << 9, /* has entries in the reach table */
	HL_GONE = 1 << 10, /* being removed: everything new is refused */
	HL_PASS = 1 << 11, /* fell back: its members are as processes outside */
	HL_EXCLUDE = 1 << 12, /* programs of the excluded table are as outside */
	HL_FIT_REFUSE =
		1 << 13, /* its addresses are for routes by their interfaces; other calls are refused */
	HL_FIT_PASS = 1 << 14, /* the same; other calls are done as outside */
	HL_ALL4 = 1 << 15, /* with primary4, few4 has all of that family: no need to ask the owners table */
	HL_ALL6 = 1 << 16,
};

enum hl_source {
	HL_SOURCE_PRIMARY = 0,
	HL_SOURCE_RANDOM = 1,
	HL_SOURCE_BY_DESTINATION = 2,
};

enum { HL_FEW4 = 7, HL_FEW6 = 7 };

/* One hostlet, as its programs see it: the value of the cgroup storage. */
struct hl_hostlet {
	__u64 netns; /* cookie of the network namespace it belongs to */
	__u32 id;
	__u32 flags; /* enum hl_flag */
	__u32 source; /* enum hl_source */
	__u32 pad;
	struct hl_addr primary4; /* what the IPv4 wildcard stands on; the loopback if there is no address */
	struct hl_addr primary6;
	struct hl_addr loop4;
	struct hl_addr loop6; /* all zero: no IPv6 on this host */
	__u32 few4[HL_FEW4]; /* the next addresses of the set, to spare small sets the look-up; 0: none */
	struct hl_addr few6[HL_FEW6];
	__u64 dropped_at; /* written by the guard: when it last reported, ns */
	__u64 dropped; /* written by the guard: drops since then that were not reported */
};

/* owners (hash) and prefixes (trie): whose address is it. */
enum hl_owner_flag {
	HL_OWNER_LOOP = 1 << 0, /* a dedicated loopback address */
	HL_OWNER_MANY = 1 << 1, /* its hostlet has more addresses of this family */
};

struct hl_owner {
	__u32 id;
	__u32 flags; /* enum hl_owner_flag */
};

/*
 * Further loopback addresses, 127.0.0.2 to 127.255.255.254: on a machine all of them are local. What
 * a hostlet's programs name gets an address of 127.192.0.0/10 at its first use, which stands for it
 * until the hostlet ends. The hostlets' own loopbacks lie elsewhere, in 127.64.0.0/10.
 */
enum { HL_EXTRA_NET = 0x7fc00000, HL_EXTRA_MASK = 0xffc00000 }; /* host order */
enum { HL_EXTRAS = 65536, HL_EXTRAS_EACH = 1024 };

/* loops (hash): what stands for a loopback address of a hostlet; for `ip` 0, how many it has. */
struct hl_loop_key {
	__u32 id;
	__u32 ip; /* as its programs know it, network order */
};

/* extras (hash by what stands for it, network order): whose it is, and what its programs call it. */
struct hl_extra {
	struct hl_owner owner;
	__u32 shown; /* network order */
};

struct hl_prefix_key {
	__u32 prefixlen; /* 96 more than the IPv4 length */
	struct hl_addr addr;
};

/* routes (trie): the mirror of the main routing table. Keyed by hl_prefix_key. */
struct hl_route {
	__u32 ifindex;
	__u32 pad;
	struct hl_addr gateway; /* all zero: on link */
	struct hl_addr source; /* the route's own preference; all zero: none */
};

/* excluded (hash): programs that keep the machine's address; a process is known by its mm's exe_file. */
struct hl_file {
	__u32 dev; /* s_dev of the inode's file system */
	__u32 pad;
	__u64 ino;
};

/* onlink (trie): a hostlet's address in the subnet of a next hop. */
struct hl_onlink_key {
	__u32 prefixlen; /* 32 more than hl_prefix_key's */
	__u32 id;
	struct hl_addr addr;
};

struct hl_onlink {
	__u32 ifindex;
	struct hl_addr addr;
};

/* sources (hash): a hostlet's addresses by interface, numbered from 0; interface 0 has all. */
struct hl_source_key {
	__u32 id;
	__u32 ifindex;
	__u16 family; /* 4 or 6 */
	__u16 index;
};

struct hl_source_entry {
	struct hl_addr addr;
	__u32 count; /* in entry 0: how many there are */
};

/* reach (hash): addresses outside the set that a hostlet may use all the same. */
struct hl_reach_key {
	__u32 id;
	struct hl_addr addr;
	__u32 port; /* 0: a broadcast address that may be bound */
};

/*
 * ports (hash): what a hostlet has bound. With an address: the sockets bound
 * to it. With the address all zero: the aggregate of that port and family.
 * With id 0: sockets of any hostlet on the host's real wildcard.
 */
struct hl_port_key {
	__u32 id;
	struct hl_addr addr;
	__u16 port;
	__u8 proto;
	__u8 family; /* 4 or 6 */
};

enum { HL_CLASSES = 4 }; /* bit 0: SO_REUSEADDR, bit 1: SO_REUSEPORT */

struct hl_port {
	struct bpf_spin_lock lock;
	__u32 whose; /* a sum of its key; 0: on its way out of the table */
	__u16 wild[HL_CLASSES]; /* sockets on the wildcard, by class */
	__u16 specific[HL_CLASSES]; /* sockets on one address, by class */
	__u16 autobound; /* sockets the kernel bound to the real wildcard */
	__u16 listeners; /* on one address; of UDP, where the key has an address: those that are connected */
	__u16 wild_listeners;
	__u32 uid; /* owner of the SO_REUSEPORT sockets */
	__u16 hidden; /* the port that really stands behind this one, or 0 */
	__u16 learned; /* the udp table holds the wildcard socket */
	__u16 mixed; /* there was more than one on the wildcard, or it was connected: wild_addr does not say all */
	struct hl_addr wild_addr; /* where the wildcard socket really is bound */
};

/* socks (socket storage): what must be known of a bound socket later on. */
enum hl_sock_flag {
	HL_SOCK_WILD4 = 1 << 0, /* stands for the IPv4 wildcard */
	HL_SOCK_WILD6 = 1 << 1,
	HL_SOCK_BOUND = 1 << 2, /* counted in the ports table */
	HL_SOCK_AUTO = 1 << 3, /* the kernel chose the port, on the real wildcard */
	HL_SOCK_LISTEN = 1 << 4,
	HL_SOCK_HIDDEN = 1 << 5, /* another port really stands behind its port */
	HL_SOCK_KNOWN_AS = 1 << 6, /* connected, and in the table known_as */
	HL_SOCK_ABROAD = 1 << 7, /* connected from the real wildcard: its source is replaced */
	HL_SOCK_CONNECTED = 1 << 8, /* UDP: counted as connected, or once was */
};

struct hl_sock {
	__u32 id;
	__u16 flags; /* enum hl_sock_flag */
	__u16 port; /* as the program knows it */
	__u16 hidden; /* as the kernel knows it, if that differs */
	__u8 proto;
	__u8 class_; /* reuse class when it was bound */
	__u32 uid;
	struct hl_addr addr; /* bound to, in the kernel's view */
};

/*
 * binding (array): from bind to post_bind of the same thread. Making socket storage in bind
 * would double its cost; most of what bind decides needs none. Threads whose numbers meet in one place do not
 * take it from each other: who finds it taken has it kept with its socket (held).
 */
enum { HL_BINDING = 4096, HL_BINDING_ENDS = 4096 /* jiffies; a bind that failed leaves its place taken */ };

struct hl_binding {
	__u64 thread; /* its number, above it when it began, in jiffies; 0: nobody's */
	__u16 flags; /* enum hl_sock_flag */
	__u16 port; /* as asked for */
	__u32 uid;
	__u8 class_; /* as hl_sock has them */
	__u8 pad[7];
};

/* listeners (sockhash): TCP sockets that connections to a hostlet are given to. */
enum { HL_SLOTS = 16 };

struct hl_listener_key {
	__u32 id;
	struct hl_addr addr; /* all zero: the wildcard */
	__u16 port;
	__u8 family;
	__u8 slot;
};

/* asked (LRU hash): which address a UDP client spoke to. */
struct hl_asked_key {
	__u32 stands; /* a sum of where the socket on the wildcard really is bound; of IPv4 each has its own */
	__u16 port;
	__u16 peer_port;
	struct hl_addr peer;
};

/*
 * known_as (LRU hash): connections of sockets on the wildcard that a machine would have given another
 * source than the address where the socket stands.
 */
struct hl_known_key {
	__u32 id;
	__u16 port; /* of the socket */
	__u16 peer_port;
	struct hl_addr peer;
	__u32 proto;
};

struct hl_known {
	struct hl_addr stands; /* where the socket is bound; all zero: the kernel has not said yet */
	struct hl_addr shown; /* the source that a machine would have chosen */
	__u64 sock; /* where `stands` is to be had as long as that is all zero: the kernel's struct sock, or 0 */
};

/* known_at (socket storage): the key of its entry, and what must not be lost when that gives way to others. */
struct hl_known_at {
	struct hl_known_key key;
	struct hl_addr shown;
};

/*
 * answers (LRU hash): the same for what the kernel answers by itself, without the socket. The key has no
 * hostlet. Fragments that follow have their datagram's number in place of the ports.
 */
struct hl_answer {
	struct hl_known known;
	__u64 at; /* when the packet arrived, ns */
};

/* wild_udp (hash): hostlets with a wildcard UDP socket on a port, for multicast. */
enum { HL_MCAST_SLOTS = 16 };

struct hl_wild_udp_key {
	__u16 port;
	__u8 family;
	__u8 slot;
};

/*
 * settled (array of one): IPv4 addresses and ports of which is known what becomes of their datagrams. A word
 * each: the address in network order, the port in host order, what is known, and bits that change when a socket on the
 * port does.
 */
enum { HL_SETTLED_PORTS = 256, HL_SETTLED_EACH = 4 };

enum hl_settled_flag {
	HL_SETTLED_LEARNED = 1 << 0, /* the learner has nothing to do any more */
	HL_SETTLED_FOUND = 1 << 1, /* the kernel finds the socket by itself */
	HL_SETTLED_ASKED = 1 << 2, /* and its answers leave from the address that was asked */
	HL_SETTLED_CHANCE = 0xfff8,
};

struct hl_settled {
	__u64 slot[HL_SETTLED_PORTS * HL_SETTLED_EACH];
};

/* events (array used as a ring that readers do not empty). */
enum { HL_EVENTS = 4096, HL_COMM = 16 };

enum hl_call {
	HL_CALL_BIND = 1,
	HL_CALL_CONNECT,
	HL_CALL_SENDMSG,
	HL_CALL_SOCKET,
	HL_CALL_RECEIVE, /* the guard, inwards */
	HL_CALL_TRANSMIT, /* the guard, outwards */
	HL_CALL_LISTEN,
};

enum hl_reason {
	HL_REASON_FOREIGN_ADDRESS = 1, /* not in the set */
	HL_REASON_FOREIGN_SOURCE, /* the socket or the control message names a foreign source */
	HL_REASON_NO_ADDRESS, /* no address of that family */
	HL_REASON_PROTOCOL, /* a protocol that cannot be confined */
	HL_REASON_RAW,
	HL_REASON_PORT_HELD, /* a host socket holds the port on the wildcard */
	HL_REASON_FOREIGN_LOOPBACK, /* a loopback address that is not the hostlet's */
	HL_REASON_TABLE_FULL,
	HL_REASON_REMOVED, /* the hostlet is being removed */
	HL_REASON_NO_ROUTE, /* no route to there from its addresses (B10) */
	HL_REASON_DUAL_STACK, /* IPv6, from a socket of both families that stands on an address of IPv4 */
	HL_REASON_ACCEPTED, /* listening by a socket that was accepted from another */
};

struct hl_event {
	__u64 seq; /* 1 for the first; written last */
	__u64 time; /* CLOCK_BOOTTIME, ns */
	__u32 id;
	__u32 pid; /* 0: no process, a packet */
	__u32 uid;
	__u16 call; /* enum hl_call */
	__u16 reason; /* enum hl_reason */
	__s32 error; /* the errno given, negative; 0: dropped */
	__u16 port;
	__u16 proto;
	__u32 family;
	__u32 pad;
	struct hl_addr addr; /* what was asked for */
	struct hl_addr other; /* source of a packet or message, where there is one */
	__u64 more; /* how many of the same were not reported */
	char comm[HL_COMM];
};

/* What was found out about this kernel before the programs were loaded; they see it as constants. */
struct hl_kernel {
	__u32 foreign_source_error; /* to a source that is not its own: EINVAL or ENETUNREACH */
	__u8 packet_netns; /* it tells the network namespace of a packet */
	__u8 pad[3];
};

enum { HL_FILTER = 1024 }; /* bits */

/* globals (array of one) */
struct hl_globals {
	__u64 netns; /* the installation's network namespace */
	__u64 events; /* how many events were written */
	__u32 wild_udp; /* how many UDP sockets the learner is for: on the wildcard, or connected and sharing a port */
	__u32 autobound; /* how many sockets of members stand on the host's real wildcard */
	__u32 layout; /* HL_LAYOUT of whoever made the tables */
	__u32 hostlets; /* the limits they were made for */
	__u32 sockets;
	__u32 addresses;
	__u32 known_as; /* how many open sockets are in the table of that name */
	__u32 known_ever; /* whether one ever was: what it sent, and who accepted it, outlive it */
	__u32 sees_listeners; /* whether the kernel's chains of listeners are as bind reads them: tried when loaded */
	__u32 pad;
	__u64 abroad_at; /* when a packet last left abroad, ns; 0: none did */
	__u64 abroad_to[HL_FILTER / 64]; /* a filter of the addresses that such packets leave from */
	__u64 abroad_from[HL_FILTER / 64]; /* and of those where their sockets stand */
	__u64 on_one[HL_FILTER / 64]; /* a filter of the ports where TCP ever listened on one address */
};

#endif
