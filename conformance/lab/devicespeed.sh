#!/bin/busybox sh
# The guest's init of BenchmarkDevices: swtpmd and swtpm give the kernel that runs here a
# TPM in turn, and a client asks /dev/tpm0. What is measured is in lines
# "rate NAME COMMAND COMMANDS-A-SECOND MICROSECONDS", the last of which are the server's
# processor time for a command.

export PATH=/bin
/bin/busybox --install -s /bin
mount -t proc none /proc
mount -t sysfs none /sys
mount -t devtmpfs none /dev
mount -t tmpfs none /run
mount -t tmpfs none /tmp
exec </dev/null >/dev/ttyS0 2>&1
. /settings # rounds

# until_ WORDS: wait until the command succeeds, 60 s at most.
until_() {
	left=1200
	until "$@" 2>/dev/null; do
		left=$((left - 1))
		[ $left -gt 0 ] || return 1
		usleep 50000
	done
}
gone() { [ ! -e $1 ]; }

# Both keep their state in files, and begin with none.
serve() { exec $1 chardev --vtpm-proxy --tpm2 --tpmstate dir=/run/state --flags startup-clear; }

# measure NAME: serve with NAME, ask, and end it.
measure() {
	rm -rf /run/state
	mkdir /run/state
	serve $1 >/run/out 2>&1 &
	pid=$!
	if ! until_ [ -c /dev/tpm0 ]; then
		kill $pid
		wait $pid
		echo "failed $1: exit code $?: $(cat /run/out)"
		return
	fi
	while read -r command times steps; do
		echo "rate $1 $command $(askdevice rate /dev/tpm0 $times $pid $steps)"
	done </commands
	kill $pid
	wait $pid
	until_ gone /dev/tpm0
}

insmod /mod/tpm_vtpm_proxy.ko
dmesg -n 1
for round in $(seq $rounds); do
	if [ $((round % 2)) = 1 ]; then order="swtpmd swtpm"; else order="swtpm swtpmd"; fi
	for name in $order; do measure $name; done
done
echo end
reboot -f
