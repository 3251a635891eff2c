/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The few kernel structures that are read, relocated at load time (CO-RE).
 * Written by hand: a dozen lines instead of a dump of every kernel type.
 */
#ifndef HOSTLET_CORE_H
#define HOSTLET_CORE_H

#define CORE __attribute__((preserve_access_index))

typedef struct {
	__u32 val;
} kuid_t;

struct hlist_nulls_node;

struct hlist_nulls_head {
	struct hlist_nulls_node *first;
} CORE;

/* The kernel's table of listeners, by address and port. */
struct inet_listen_hashbucket {
	struct hlist_nulls_head nulls_head;
} CORE;

struct inet_hashinfo {
	unsigned int lhash2_mask;
	struct inet_listen_hashbucket *lhash2;
} CORE;

struct inet_timewait_death_row {
	struct inet_hashinfo *hashinfo;
} CORE;

struct netns_ipv4 {
	struct inet_timewait_death_row tcp_death_row;
} CORE;

struct net {
	__u32 hash_mix;
	struct netns_ipv4 ipv4;
} CORE;

typedef struct {
	struct net *net;
} possible_net_t;

struct sock_common {
	possible_net_t skc_net;
	unsigned char skc_reuse : 4;
	unsigned char skc_reuseport : 1;
	unsigned char skc_ipv6only : 1;
	struct proto *skc_prot;
	__be32 skc_rcv_saddr;
	struct in6_addr skc_v6_rcv_saddr;
} CORE;

struct cred {
	kuid_t uid;
} CORE;

struct super_block {
	__u32 s_dev;
} CORE;

struct inode {
	struct super_block *i_sb;
	unsigned long i_ino;
} CORE;

struct file {
	struct inode *f_inode;
} CORE;

struct mm_struct {
	struct file *exe_file;
} CORE;

struct nsproxy {
	struct net *net_ns;
} CORE;

struct task_struct {
	int tgid;
	struct nsproxy *nsproxy;
	struct mm_struct *mm;
	const struct cred *cred;
	char comm[16];
} CORE;

struct sock {
	struct sock_common __sk_common;
	struct proto *sk_prot_creator;
	void *sk_user_data;
	__u8 sk_userlocks : 4;
	kuid_t sk_uid;
} CORE;

struct sk_buff {
	__u16 network_header;
	unsigned char *head;
	unsigned char *data;
} CORE;

/* Only where the kernel has MPTCP. */
struct tcp_sock {
	bool is_mptcp;
} CORE;

/* inet_flags is a word of bits since 6.6; before, bitfields. */
struct inet_sock {
	unsigned long inet_flags;
	struct ipv6_pinfo *pinet6;
	int mc_index;
	__be32 mc_addr;
} CORE;

struct inet_sock___before_6_6 {
	__u8 bind_address_no_port : 1;
	__u16 cmsg_flags;
} CORE;

/* What a socket of IPv6 wants to be told with a datagram. */
struct ipv6_pinfo {
	union {
		struct {
			__u16 rxinfo : 1;
			__u16 rxoinfo : 1;
			__u16 rxorigdstaddr : 1;
		} CORE bits;
	} CORE rxopt;
} CORE;

struct seq_file;

struct bpf_iter_meta {
	struct seq_file *seq;
} CORE;

struct bpf_iter__bpf_sk_storage_map {
	struct bpf_iter_meta *meta;
	struct bpf_map *map;
	struct sock *sk;
	void *value;
} CORE;

/* The same bits of inet_flags and of cmsg_flags. */
enum { INET_FLAGS_PKTINFO = 0, INET_FLAGS_ORIGDSTADDR = 6 };
enum { INET_FLAGS_BIND_ADDRESS_NO_PORT = 18 };

#endif
