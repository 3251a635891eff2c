# Boots systemd as the first process of a machine of its own. Runs in new namespaces for mounts, processes, cgroups, IPC and names;
# the network is the test's. Arguments: the directory for the machine's root, that of its people (etc, home), then NAME=PATH for
# each file to be shown as /opt/NAME.
#
# Of the outer machine it sees the root file system, read-only, and nothing of what changes: systemd would clean /tmp and /var,
# and set what belongs to the kernel, so all that is its own here or cannot be written to.
set -e
root=$1 people=$2
shift 2
mount --make-rprivate /
mount --bind / "$root"
mount -o remount,bind,ro "$root"
for private in dev run tmp var opt; do
	mount -t tmpfs -o mode=755 "$private" "$root/$private"
done
chmod 1777 "$root/tmp"
mkdir -p "$root/var/lib" "$root/var/log" "$root/var/cache" "$root/var/spool" "$root/run/lock" "$root/run/sshd"
mkdir -m 1777 "$root/var/tmp"
ln -s /run "$root/var/run"
mount --bind "$people/etc" "$root/etc"
mount --bind "$people/home" "$root/home"
for file; do
	touch "$root/opt/${file%%=*}"
	mount --bind "${file#*=}" "$root/opt/${file%%=*}"
done

for node in null zero full random urandom tty; do
	touch "$root/dev/$node"
	mount --bind "/dev/$node" "$root/dev/$node"
done
mkdir "$root/dev/pts" "$root/dev/shm"
mount -t tmpfs -o mode=1777 shm "$root/dev/shm"
mount -t devpts -o newinstance,ptmxmode=0666,mode=0620,gid=5 devpts "$root/dev/pts"
ln -s pts/ptmx "$root/dev/ptmx"
ln -s /proc/self/fd "$root/dev/fd"
ln -s null "$root/dev/console"

# Of the settings only those of the network are the machine's own.
mount -t proc proc "$root/proc"
mount --bind "$root/proc/sys" "$root/proc/sys"
mount --bind "$root/proc/sys/net" "$root/proc/sys/net"
mount -o remount,bind,ro "$root/proc/sys"
[ ! -e "$root/proc/sysrq-trigger" ] || mount --bind /dev/null "$root/proc/sysrq-trigger"
mount -t sysfs sysfs "$root/sys"
mount -t cgroup2 cgroup2 "$root/sys/fs/cgroup"
mount -t bpf bpf "$root/sys/fs/bpf"
mount -o remount,bind,ro "$root/sys"

cd "$root"
# What was the root is below the new one until it is taken away.
pivot_root . mnt
umount -l /mnt
echo booting
exec env -i container=hostlet PATH=/usr/sbin:/usr/bin:/sbin:/bin \
	/lib/systemd/systemd --unit=hostlet-test.target --show-status=no
