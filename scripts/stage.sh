#!/usr/bin/env bash
# Sourced by what plays or measures in fresh network and mount namespaces. Sets up, below $work: a
# machine (this namespace: 192.0.2.1, 2001:db8::1 on eth0) and a client (192.0.2.2, 2001:db8::2) on
# the other end of its wire, and a place for an installation of hostlet of its own.

export HOSTLET_ROOT=${work:?}/root
client=$work/client.net

on_client() { nsenter --net="$client" "$@"; }

stage_set_up() {
  mkdir -p "$HOSTLET_ROOT/bpf"
  # Here, and not by the first hostlet command: some commands below have mounts of their own.
  mount -t bpf bpf "$HOSTLET_ROOT/bpf"
  touch "$client"
  unshare --net="$client" true
  ip link add eth0 type veth peer name eth0 netns "$client"
  # Addresses are usable at once: nobody else is on this wire.
  sysctl -qw net.ipv6.conf.all.accept_dad=0 net.ipv6.conf.eth0.accept_dad=0
  on_client sysctl -qw net.ipv6.conf.all.accept_dad=0 net.ipv6.conf.eth0.accept_dad=0
  ip link set lo up
  ip link set eth0 up
  ip address add 192.0.2.1/24 dev eth0
  ip address add 2001:db8::1/64 dev eth0 nodad
  on_client ip link set lo up
  on_client ip link set eth0 up
  on_client ip address add 192.0.2.2/24 dev eth0
  on_client ip address add 2001:db8::2/64 dev eth0 nodad
}

# The namespaces go by themselves, with the last process in them.
stage_tear_down() {
  umount -l "$HOSTLET_ROOT/bpf" "$client" 2>/dev/null || true
  rm -rf --one-file-system "$work"
}
