/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Reports of what was refused: a ring that readers do not empty. */
#ifndef HOSTLET_EVENT_H
#define HOSTLET_EVENT_H

/* A place in the ring to write an event to; none if there is no ring. */
static inline struct hl_event *event_begin(__u64 *seq)
{
	struct hl_globals *g = global();
	struct hl_event *e;
	__u32 index;

	if (!g)
		return 0;
	*seq = __sync_fetch_and_add(&g->events, 1) + 1;
	index = *seq % HL_EVENTS;
	e = bpf_map_lookup_elem(&events, &index);
	/* Readers take an entry only when seq says so, before and after. */
	if (e)
		*(volatile __u64 *)&e->seq = 0;
	return e;
}

static inline void event_end(struct hl_event *e, __u64 seq)
{
	__u64 none = 0;

	e->time = bpf_ktime_get_boot_ns();
	barrier();
	*(volatile __u64 *)&e->seq = seq;
	bpf_ringbuf_output(&wake, &none, sizeof(none), BPF_RB_FORCE_WAKEUP);
}

struct refusal {
	__u16 call; /* enum hl_call */
	__u16 reason; /* enum hl_reason */
	__u16 proto;
	__u16 port;
	int error;
};

SHARED int report(const struct hl_hostlet *h, const struct refusal *what, const struct hl_addr *addr,
		  const struct hl_addr *other)
{
	/* By hand: on kernel 6.1 the helpers are not there for a program on TCP's state. */
	struct task_struct *task = (struct task_struct *)bpf_get_current_task();
	struct hl_addr none = {};
	struct hl_event *e;
	__u64 seq;

	if (!h || !what)
		return 0;
	e = event_begin(&seq);
	if (!e)
		return 0;
	e->id = h->id;
	e->pid = BPF_CORE_READ(task, tgid);
	e->uid = BPF_CORE_READ(task, cred, uid.val);
	e->call = what->call;
	e->reason = what->reason;
	e->error = -what->error;
	e->port = what->port;
	e->proto = what->proto;
	e->family = addr ? family_of(addr) : 0;
	e->addr = addr ? *addr : none;
	e->other = other && !addr_wild(other) ? *other : none;
	e->more = 0;
	bpf_probe_read_kernel_str(e->comm, sizeof(e->comm), &task->comm);
	event_end(e, seq);
	return 0;
}

/* Reports what a process asked for and did not get. */
static inline void refused(const struct hl_hostlet *h, enum hl_call call, enum hl_reason reason, int error,
			   __u32 proto, const struct hl_addr *addr, __u16 port, const struct hl_addr *other)
{
	struct refusal what = {.call = call, .reason = reason, .proto = proto, .port = port, .error = error};

	report(h, &what, addr, other);
}

#endif
