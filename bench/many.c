// SPDX-License-Identifier: Apache-2.0 OR MIT
/*
 * What the kernel itself takes for an `apply` that makes so many hostlets at once, and for one that removes them: for each a cgroup, the
 * attachments, entries of tables; and for all of them what is listed, and written. Prints the milliseconds of each.
 *
 *   many PINS CGROUP COUNT ADDRESSES|prefix
 */
#include "floor.h"
#include <time.h>

/* A table like one of hostlet's, so that no hostlet's addresses are in the way; and how many entries of it one hostlet has. */
struct table {
	int fd, each;
	struct bpf_map_info info;
};

static struct table like(const char *name, int each)
{
	struct table table = {.each = each};
	union bpf_attr attr = {};
	int pin = open_pin("maps", name);

	attr.info.bpf_fd = pin;
	attr.info.info_len = sizeof(table.info);
	attr.info.info = (unsigned long)&table.info;
	if (syscall(SYS_bpf, BPF_OBJ_GET_INFO_BY_FD, &attr, sizeof(attr)))
		err(1, "look at %s", name);
	memset(&attr, 0, sizeof(attr));
	attr.map_type = table.info.type;
	attr.key_size = table.info.key_size;
	attr.value_size = table.info.value_size;
	attr.max_entries = table.info.max_entries;
	attr.map_flags = table.info.map_flags;
	table.fd = syscall(SYS_bpf, BPF_MAP_CREATE, &attr, sizeof(attr));
	if (table.fd < 0)
		err(1, "make a table like %s", name);
	close(pin);
	return table;
}

/* Gives one of the hostlets its entries, or takes them: many in one go. */
static void change(const struct table *table, unsigned int hostlet, int add)
{
	static char keys[65536], values[65536];
	unsigned int count = table->each, size = table->info.key_size;
	union bpf_attr attr = {};

	memset(keys, 0, count * size);
	for (unsigned int n = 0; n < count; n++) {
		unsigned int number = htonl(hostlet * count + n), bits = (size - 4) * 8;

		if (table->info.type == BPF_MAP_TYPE_LPM_TRIE)
			memcpy(keys + n * size, &bits, sizeof(bits));
		memcpy(keys + (n + 1) * size - sizeof(number), &number, sizeof(number));
	}
	if (count > 8) {
		attr.batch.map_fd = table->fd;
		attr.batch.keys = (unsigned long)keys;
		attr.batch.values = add ? (unsigned long)values : 0;
		attr.batch.count = count;
		if (syscall(SYS_bpf, add ? BPF_MAP_UPDATE_BATCH : BPF_MAP_DELETE_BATCH, &attr, sizeof(attr)))
			err(1, "a batch");
		return;
	}
	attr.map_fd = table->fd;
	for (unsigned int n = 0; n < count; n++) {
		attr.key = (unsigned long)(keys + n * size);
		attr.value = add ? (unsigned long)values : 0;
		if (syscall(SYS_bpf, add ? BPF_MAP_UPDATE_ELEM : BPF_MAP_DELETE_ELEM, &attr, sizeof(attr)))
			err(1, "an entry");
	}
}

/* The record of a cgroup, as that of no hostlet; it goes with the cgroup. */
static void record(int records, int cgroup)
{
	static const char none[4096];
	union bpf_attr attr = {.map_fd = records};
	struct stat stat;
	__u64 key;

	if (fstat(cgroup, &stat))
		err(1, "a cgroup");
	key = stat.st_ino;
	attr.key = (unsigned long)&key;
	attr.value = (unsigned long)none;
	if (syscall(SYS_bpf, BPF_MAP_UPDATE_ELEM, &attr, sizeof(attr)))
		err(1, "the record of a cgroup");
}

static double now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return time.tv_sec * 1e3 + time.tv_nsec / 1e6;
}

static void many(const char *parent, int count, const char *addresses)
{
	int prefix = !strcmp(addresses, "prefix"), each = prefix ? 0 : atoi(addresses);
	/* An address has an owner and two sources; a hostlet has loopbacks of both families, and one with a prefix alone two sources. */
	struct table kept[] = {like("owners", each + 2), like("sources", prefix ? 2 : 2 * each),
			       like("prefixes", prefix)};
	double begin = now(), between;
	char cgroup[4096];
	int records;

	/* Eight rows fit on a page; what is to be is written before, and that it is, behind. */
	note(6 + count / 8);
	observe(netlink(NETLINK_ROUTE));
	open_programs();
	records = open_pin("maps", "hostlets");
	if (mkdir(parent, 0755))
		err(1, "%s", parent);
	for (int n = 0; n < count; n++) {
		int fd;

		snprintf(cgroup, sizeof(cgroup), "%s/%05d", parent, n);
		fd = made(cgroup);
		for (int t = 0; t < 3; t++)
			change(kept + t, n, 1);
		record(records, fd);
		close(fd);
	}
	note(4 + count / 8);
	between = now();
	list_sockets();
	note(4 + count / 8);
	for (int n = 0; n < count; n++) {
		snprintf(cgroup, sizeof(cgroup), "%s/%05d", parent, n);
		if (rmdir(cgroup))
			err(1, "%s", cgroup);
		for (int t = 0; t < 3; t++)
			change(kept + t, n, 0);
	}
	if (rmdir(parent))
		err(1, "%s", parent);
	note(6 + count / 8);
	printf("%f %f\n", between - begin, now() - between);
}

int main(int count, char **words)
{
	if (count < 5)
		errx(2, "many PINS CGROUP COUNT ADDRESSES|prefix");
	pins = words[1];
	many(words[2], atoi(words[3]), words[4]);
	return 0;
}
