/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The kernel part of hostlet. One file a hook family; this one puts them
 * together, because they share the tables and are loaded as one.
 *
 * Attached to each hostlet's cgroup: bind, connect, message, name, socket,
 * guard. Once for the network namespace: lookup. Once an interface: learn,
 * ping.
 * Processes outside all hostlets run none of the programs of a cgroup.
 */
#include <linux/bpf.h>
#include <linux/types.h>
#include <stdbool.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/icmpv6.h>
#include <linux/in.h>
#include <linux/in6.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/pkt_cls.h>
#include <linux/udp.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_core_read.h>

#include "hostlet.h"
#include "core.h"
#include "maps.h"
#include "marks.h"
#include "loops.h"
#include "lib.h"
#include "owns.h"
#include "event.h"
#include "facts.h"
#include "pass.h"
#include "ports.h"
#include "source.h"
#include "known.h"
#include "abroad.h"
#include "bind.h"
#include "book.h"
#include "socket.h"
#include "name.h"
#include "message.h"
#include "connect.h"
#include "lookup.h"
#include "guard.h"
#include "told.h"
#include "home.h"
#include "datagram.h"
#include "learn.h"
#include "ping.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";
