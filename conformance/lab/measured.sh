#!/bin/busybox sh
# The init of a measured guest. It loads the modules for the disk, goes on with the root
# file system that is there, and has its /lab/serve take over.

export PATH=/bin
/bin/busybox --install -s /bin
mount -t proc none /proc
mount -t sysfs none /sys
mount -t devtmpfs none /dev
mount -t securityfs none /sys/kernel/security
mount -t tracefs none /sys/kernel/tracing
for module in $(cat /mod/order); do
	insmod "/mod/$module"
done
if [ -e /probes ]; then
	echo 8192 >/sys/kernel/tracing/buffer_size_kb
	cat /probes >/sys/kernel/tracing/kprobe_events
	echo 1 >/sys/kernel/tracing/events/lab/enable
fi
mount -t ext4 -o noatime /dev/vda /mnt || reboot -f
cp -r /root/. /mnt/
chmod -R 755 /mnt/lab
for place in dev proc sys; do
	mount --move /$place /mnt/$place
done
mount -t tmpfs none /mnt/run
mount -t tmpfs none /mnt/tmp
exec switch_root /mnt /lab/serve
