/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Sockets on the wildcard that connect (rows A2, A7).
 *
 * Such a socket stands on the primary address, and the kernel binds none again. A machine would have
 * given it the source by route: 127.0.0.1 to the loopback, the address of that network to another
 * of its own addresses. To those only sockets of the hostlet can speak, and they are told what a machine
 * would have them see: connect notes the source that it would have been, the hooks that name addresses
 * show it, and the learner at the loopback interface gives datagrams to whom they would go.
 */
#ifndef HOSTLET_KNOWN_H
#define HOSTLET_KNOWN_H

static inline struct hl_known_key known_key(__u32 id, __u32 proto, __u16 port, const struct hl_addr *peer,
					    __u16 peer_port)
{
	return (struct hl_known_key){
		.id = id, .port = port, .peer_port = peer_port, .peer = *peer, .proto = proto};
}

static inline bool same_known(const struct hl_known_at *at, const struct hl_known_key *key)
{
	return at && at->key.id == key->id && at->key.port == key->port &&
	       at->key.peer_port == key->peer_port && at->key.proto == key->proto &&
	       addr_eq(&at->key.peer, &key->peer);
}

/* The socket for a packet from there to here; ports in network order. */
#define SOCKET_OF(lookup_, ctx, from_, from_port_, to_, to_port_)                                            \
	({                                                                                                   \
		struct bpf_sock_tuple t_ = {};                                                               \
		__u32 size_ = sizeof(t_.ipv4);                                                               \
		if (addr_is4(to_)) {                                                                         \
			t_.ipv4.saddr = (from_)->w[3];                                                       \
			t_.ipv4.daddr = (to_)->w[3];                                                         \
			t_.ipv4.sport = (from_port_);                                                        \
			t_.ipv4.dport = (to_port_);                                                          \
		} else {                                                                                     \
			__builtin_memcpy(t_.ipv6.saddr, (from_), sizeof(*(from_)));                          \
			__builtin_memcpy(t_.ipv6.daddr, (to_), sizeof(*(to_)));                              \
			t_.ipv6.sport = (from_port_);                                                        \
			t_.ipv6.dport = (to_port_);                                                          \
			size_ = sizeof(t_.ipv6);                                                             \
		}                                                                                            \
		lookup_((ctx), &t_, size_, BPF_F_CURRENT_NETNS, 0);                                          \
	})

#define UDP_SOCKET(ctx, from_, from_port_, to_, to_port_)                                                    \
	SOCKET_OF(bpf_sk_lookup_udp, ctx, from_, from_port_, to_, to_port_)

static inline void count_known(struct hl_sock *s, bool is)
{
	struct hl_globals *g = global();

	if (!g || !!(s->flags & HL_SOCK_KNOWN_AS) == is)
		return;
	s->flags ^= HL_SOCK_KNOWN_AS;
	if (is)
		g->known_ever = 1;
	__sync_fetch_and_add(&g->known_as, is ? 1 : -1);
}

/* It is not any more what the table says of it. When it closes that stays: what it sent may still be read. */
static inline void forget_known(struct bpf_sock *sk, struct hl_sock *s)
{
	struct hl_known_at *at;

	if (!(s->flags & HL_SOCK_KNOWN_AS))
		return;
	at = bpf_sk_storage_get(&known_at, sk, 0, 0);
	if (at)
		bpf_map_delete_elem(&known_as, &at->key);
	count_known(s, false);
}

/*
 * A bound socket connects to an address of its own: what it would have had for its source, or has from an earlier
 * connect, is noted if that is another than where it stands.
 */
static inline void note_known(struct bpf_sock_addr *ctx, struct bpf_sock *sk, struct hl_hostlet *h,
			      struct hl_known_key *key, const struct hl_addr *from)
{
	struct hl_sock *s = bpf_sk_storage_get(&socks, sk, 0, 0);
	bool connected = sk->state == BPF_TCP_ESTABLISHED;
	struct hl_known known = {.stands = *from, .shown = *from}, *k;
	struct hl_known_at *at = 0;

	barrier(); /* clang would keep all words of the addresses twice */
	if (!s || !(s->flags & (HL_SOCK_WILD4 | HL_SOCK_WILD6)))
		;
	else if (!connected && (addr_loopback(&key->peer) || is_loop(h, &key->peer)))
		known.shown = *loop_like(h, &key->peer);
	else if (!connected && any_source(ctx, h, &key->peer, &known.shown))
		known.shown = known.stands;
	else if (connected && (s->flags & HL_SOCK_KNOWN_AS)) {
		at = bpf_sk_storage_get(&known_at, sk, 0, 0);
		k = at ? bpf_map_lookup_elem(&known_as, &at->key) : 0;
		if (k)
			known.shown = k->shown;
	}
	if (s)
		forget_known(sk, s);
	if (s && !addr_eq(&known.shown, &known.stands)) {
		if (bpf_map_update_elem(&known_as, key, &known, BPF_ANY))
			return;
		at = bpf_sk_storage_get(&known_at, sk, 0, BPF_SK_STORAGE_GET_F_CREATE);
		if (at) {
			at->key = *key;
			at->shown = known.shown;
			count_known(s, true);
		}
		return;
	}
	/* What an earlier socket of this port left. */
	bpf_map_delete_elem(&known_as, key);
	if (key->proto == IPPROTO_UDP) {
		key->peer = *loop_like(h, from);
		bpf_map_delete_elem(&known_as, key);
	}
}

/* It connects elsewhere, from where it stands. */
static inline void not_known(struct bpf_sock *sk)
{
	struct hl_globals *g = global();
	struct hl_sock *s;

	if (!g || !g->known_as)
		return;
	s = bpf_sk_storage_get(&socks, sk, 0, 0);
	if (s)
		forget_known(sk, s);
}

/* Is it connected as from the loopback? Then it stays there until it is connected to nothing. */
static inline bool known_from_loop(struct bpf_sock *sk, const struct hl_hostlet *h)
{
	struct hl_globals *g = global();
	struct hl_known_at *at;
	struct hl_known *k;
	struct hl_sock *s;

	if (!g || !g->known_as || sk->state != BPF_TCP_ESTABLISHED)
		return false;
	s = bpf_sk_storage_get(&socks, sk, 0, 0);
	if (!s || !(s->flags & HL_SOCK_KNOWN_AS))
		return false;
	at = bpf_sk_storage_get(&known_at, sk, 0, 0);
	k = at ? bpf_map_lookup_elem(&known_as, &at->key) : 0;
	return k && is_loop(h, &k->shown);
}

/* The other end of a socket, in the family of `a`. */
static inline struct hl_addr other_end(struct bpf_sock *sk, const struct hl_addr *a)
{
	/* Both are read before the choice: see ONCE. */
	struct hl_addr four = addr4(ONCE(sk->dst_ip4));
	struct hl_addr six = {
		{ONCE(sk->dst_ip6[0]), ONCE(sk->dst_ip6[1]), ONCE(sk->dst_ip6[2]), ONCE(sk->dst_ip6[3])}};

	return addr_is4(a) ? four : six;
}

static inline struct hl_addr this_end(struct bpf_sock *sk, const struct hl_addr *a)
{
	/* Both are read before the choice: see ONCE. */
	struct hl_addr four = addr4(ONCE(sk->src_ip4));
	struct hl_addr six = {
		{ONCE(sk->src_ip6[0]), ONCE(sk->src_ip6[1]), ONCE(sk->src_ip6[2]), ONCE(sk->src_ip6[3])}};

	return addr_is4(a) ? four : six;
}

/* The name of a connected socket itself; as all that follow, with the hostlet's loopback as it really is. */
static inline bool show_known(struct bpf_sock *sk, const struct hl_hostlet *h, struct hl_addr *a)
{
	struct hl_globals *g = global();
	struct hl_known_key key;
	struct hl_known *k;
	struct hl_addr peer;
	struct hl_sock *s;

	if (!g || !g->known_as)
		return false;
	s = bpf_sk_storage_get(&socks, sk, 0, 0);
	if (!s || !(s->flags & HL_SOCK_KNOWN_AS))
		return false;
	peer = other_end(sk, a);
	key = known_key(h->id, sk->protocol, sk->src_port, &peer, bpf_ntohs(sk->dst_port));
	k = bpf_map_lookup_elem(&known_as, &key);
	if (!k && (s->flags & HL_SOCK_ABROAD)) {
		struct hl_known_at *at = bpf_sk_storage_get(&known_at, sk, 0, 0);

		if (!at || addr_wild(a) || addr_is4(a) != addr_is4(&at->shown) || owns(h, a) ||
		    for_many(h, a))
			return false;
		*a = at->shown;
		return true;
	}
	if (!k)
		return false;
	/* From the real wildcard: what the route gave may be one of the set, and stays then. */
	if (s->flags & HL_SOCK_ABROAD ? owns(h, a) || for_many(h, a) : !addr_eq(&k->stands, a))
		return false;
	*a = k->shown;
	return true;
}

/* Can this be the address of a socket that is known by another? */
static inline bool may_be_known(const struct hl_hostlet *h, const struct hl_addr *a)
{
	struct hl_globals *g = global();

	return g && g->known_ever && addr_eq(a, addr_is4(a) ? &h->primary4 : &h->primary6);
}

/* Can its programs know this peer by another address? Most are not, and cost no look-up at all. */
static inline bool may_be_renamed(const struct hl_addr *a)
{
	struct hl_globals *g = global();

	return foreign_loop(a) || (g && g->known_ever);
}

static inline __u32 many_like(const struct hl_hostlet *h, const struct hl_addr *a)
{
	return h->flags & (addr_is4(a) ? HL_MANY4 : HL_MANY6);
}

/* The name of the peer, for the socket at the other end. */
static inline bool show_peer(struct bpf_sock *sk, const struct hl_hostlet *h, struct hl_addr *a, __u16 port)
{
	struct hl_known_key key;
	struct hl_known *k;
	struct hl_addr local;

	if (!may_be_known(h, a) || !sk)
		return false;
	local = this_end(sk, a);
	if (!is_loop(h, &local) && !many_like(h, a))
		return false;
	key = known_key(h->id, sk->protocol, port, &local, sk->src_port);
	k = bpf_map_lookup_elem(&known_as, &key);
	if (!k || !addr_eq(&k->stands, a))
		return false;
	*a = k->shown;
	return true;
}

/* The sender of a datagram; the address that it was sent to is not told here. */
static inline bool show_sender(struct bpf_sock_addr *ctx, struct bpf_sock *sk, const struct hl_hostlet *h,
			       struct hl_addr *a, __u16 port)
{
	struct hl_known_key key;
	struct hl_addr to, shown;
	struct bpf_sock *sender;
	struct hl_known *k;

	if (!may_be_known(h, a) || !sk)
		return false;
	to = *loop_like(h, a);
	key = known_key(h->id, IPPROTO_UDP, port, &to, sk->src_port);
	k = bpf_map_lookup_elem(&known_as, &key);
	if (!k) {
		struct hl_addr stands = this_end(sk, a);
		struct hl_asked_key ak = asked_key(&stands, sk->src_port, a, port);
		struct hl_addr *asked_for = many_like(h, a) ? bpf_map_lookup_elem(&asked, &ak) : 0;

		key.peer = asked_for ? *asked_for : stands;
		k = bpf_map_lookup_elem(&known_as, &key);
	}
	if (!k || !addr_eq(&k->stands, a))
		return false;
	shown = k->shown;
	/* One that is not connected any more, or another on its port, is what it is. One that is gone was it. */
	sender = UDP_SOCKET(ctx, &key.peer, bpf_htons(key.peer_port), a, bpf_htons(port));
	if (sender) {
		struct hl_sock *s = bpf_sk_storage_get(&socks, sender, 0, 0);
		bool known = s && (s->flags & HL_SOCK_KNOWN_AS) && sender->state == BPF_TCP_ESTABLISHED;

		bpf_sk_release(sender);
		if (!known)
			return false;
	}
	*a = shown;
	return true;
}

#endif
