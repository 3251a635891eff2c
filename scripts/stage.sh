#!/usr/bin/env bash
# Sourced by what plays or measures in fresh network and mount namespaces. Sets up, below $work: a
# machine (this namespace: 192.0.2.1, 2001:db8::1 on eth0) and a client (192.0.2.2, 2001:db8::2) on
# the other end of its wire, and a place for an installation of hostlet of its own.

export HOSTLET_ROOT=${work:?}/root
client=$work/client.net

# Whatever runs in these namespaces ends with the stage: they may not be anybody else's.
for kind in mnt net; do
  if [ "/proc/$$/ns/$kind" -ef "/proc/$PPID/ns/$kind" ] || [ "/proc/$$/ns/$kind" -ef "/proc/1/ns/$kind" ]; then
    echo "${0##*/}: has to be started in fresh network and mount namespaces; make does that" >&2
    rmdir "$work" 2>/dev/null || true
    exit 1
  fi
done

on_client() { nsenter --net="$client" "$@"; }

# What a configuration with DHCP says besides on a machine without a number of its own, as most containers are.
no_machine_id() {
  [ -s /etc/machine-id ] || printf '[dhcp]\nhardware-prefix = "02:68:6c"\n'
}

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

playing=
# Plays, and ends as the play did; nothing is left, also after ^C. The play is a job so that a signal is heard
# at once, whatever the play waits for.
stage_play() { # FUNCTION
  trap stage_at_exit EXIT
  trap 'echo; echo "Interrupted; cleaning up."; exit 130' INT TERM HUP
  trap 'exit 141' PIPE
  stage_perform "$1" &
  playing=$!
  wait "$playing"
}
stage_at_exit() {
  local code=$?
  trap '' INT TERM HUP PIPE
  set +e
  # Without a word of the shell's about that.
  { kill -s KILL "$playing" && wait "$playing"; } 2>/dev/null
  stage_tear_down
  exit "$code"
}

stage_perform() { # FUNCTION
  set -E
  trap 'stage_failed "$?" "$LINENO" "$BASH_COMMAND"' ERR
  "$1"
}
stage_failed() { # STATUS LINE COMMAND
  # What fails in a subshell is no end yet.
  [ "$BASH_SUBSHELL" -gt 1 ] ||
    printf '%s, line %s: this ended with %s: %s\n' "${BASH_SOURCE[1]##*/}" "$2" "$1" "$3" >&2
}

# The namespaces, and what is attached in them, go by themselves with the last process.
stage_tear_down() {
  local end=$((SECONDS + 10))
  while ! { stage_end_processes && stage_remove_cgroups; } && [ "$SECONDS" -lt "$end" ]; do
    sleep 0.02
  done
  umount -l "$HOSTLET_ROOT/bpf" "$work"/*.net 2>/dev/null || true
  rm -rf --one-file-system "$work"
}

# Kills what is in the stage's namespaces, whoever started it; succeeds when there was nothing any more.
stage_end_processes() {
  local at none=0
  for at in /proc/[0-9]*; do
    if [ "$at" != "/proc/$$" ] && stage_has "$at"; then
      none=1
      kill -s KILL "${at#/proc/}" 2>/dev/null || true
    fi
  done
  return "$none"
}
stage_has() { # /proc/PID
  local net
  [ ! "$1/ns/mnt" -ef "/proc/$$/ns/mnt" ] || return 0
  for net in "/proc/$$/ns/net" "$work"/*.net; do
    [ ! "$1/ns/net" -ef "$net" ] || return 0
  done
  return 1
}

# The directory of an installation's cgroups is named by a documented hash of its path, FNV-1a.
stage_remove_cgroups() {
  local LC_ALL=C root hash=$((0x811c9dc5)) byte n dir
  root=$(realpath -m "$HOSTLET_ROOT")
  for ((n = 0; n < ${#root}; n++)); do
    printf -v byte %d "'${root:n:1}"
    hash=$((((hash ^ (byte & 0xff)) * 0x01000193) & 0xffffffff))
  done
  printf -v dir 'hostlet-%08x' "$hash"
  # Beside it may be the one of the kernel part.
  for dir in /sys/fs/cgroup/{,unified/}"$dir"{,.ready}; do
    [ ! -d "$dir" ] || find "$dir" -depth -type d -exec rmdir {} + 2>/dev/null || true
    [ ! -d "$dir" ] || return 1
  done
}
