#!/bin/busybox sh
# The guest's init of TestLife. It gives each line of the second serial port to a shell,
# and answers with what that prints and, on a new line, "done STATUS".

export PATH=/bin
/bin/busybox --install -s /bin
mount -t proc none /proc
mount -t sysfs none /sys
mount -t devtmpfs none /dev
mount -t tmpfs none /run
stty -F /dev/ttyS1 raw -echo
exec 3<>/dev/ttyS1
echo "done 0" >&3
# In a process of its own: the end of a process in the background would have the shell's
# read begin anew, without what it has read of a line.
(
	while read -r line <&3; do
		sh -c "$line" </dev/null >&3 2>&1 3>&-
		printf '\ndone %s\n' $? >&3
	done
)
