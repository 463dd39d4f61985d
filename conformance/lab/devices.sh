#!/bin/busybox sh
# The guest's init of TestDevices: swtpmd gives the kernel that runs here TPMs. What it
# prints on the console is in chapters, "== NAME", between the kernel's own lines.

export PATH=/bin
/bin/busybox --install -s /bin
mount -t proc none /proc
mount -t sysfs none /sys
mount -t devtmpfs none /dev
mount -t tmpfs none /run
exec </dev/null >/dev/ttyS0 2>&1

getrandom=80010000000c0000017b0008
# PCR_Extend of PCR 16 in the bank of SHA-256, with an empty password.
extend=80020000004100000182000000100000000940000009000000000000000001000b000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f

chapter() { echo "== $*"; }

# until_ WORDS: wait until the command succeeds, 20 s at most.
until_() {
	left=400
	until "$@" 2>/dev/null; do
		left=$((left - 1))
		[ $left -gt 0 ] || { echo "waited for nothing: $*"; return 1; }
		usleep 50000
	done
}
gone() { [ ! -e $1 ]; }
# told DEVICE [N]: swtpmd has told of N devices (one without N), and DEVICE is there.
told() { [ -e $1 ] && [ $(grep -c -e '^New TPM device' -e 'ready":true' /run/out) -ge ${2:-1} ]; }

# serve FLAGS: swtpmd chardev in the background, and its process in $pid.
serve() {
	: >/run/out
	swtpmd chardev --vtpm-proxy --log=file=/run/log,truncate "$@" >/run/out 2>&1 &
	pid=$!
}

# stop: end it, and wait until the kernel has no TPM any more.
stop() {
	kill $pid
	wait $pid
	echo "exit code $?"
	until_ gone /dev/tpm0
}

nodes() { echo nodes: $(cd /dev && ls -d tpm* 2>/dev/null); }

insmod /mod/tpm_vtpm_proxy.ko

chapter registered
serve --tpm2 --json --admin=/run/admin
until_ told /dev/tpmrm0
cat /run/out
nodes
cat /sys/class/tpm/tpm0/tpm_version_major
askdevice ask /dev/tpm0 $getrandom
askdevice wait /dev/tpm0 $getrandom
askdevice ask /dev/tpmrm0 $getrandom
askdevice wait /dev/tpmrm0 $getrandom
echo unknown: $(askdevice ask /dev/tpmrm0 80010000000a000001ff)
echo set-locality: $(askdevice ask /dev/tpm0 80020000000b2000100003)
swtpmd ctl --admin /run/admin status
echo rate: $(askdevice rate /dev/tpm0 100 $pid time:$getrandom)

chapter suspend
echo extended: $(askdevice ask /dev/tpm0 $extend)
echo before: $(cat /sys/class/tpm/tpm0/pcr-sha256/16)
echo 0 >/sys/class/rtc/rtc0/wakealarm
echo +3 >/sys/class/rtc/rtc0/wakealarm
echo mem >/sys/power/state
echo suspended: $?
echo after: $(cat /sys/class/tpm/tpm0/pcr-sha256/16)
askdevice ask /dev/tpm0 $getrandom
nodes

chapter killed
exec 5<>/dev/tpm0
kill -9 $pid
wait $pid
until_ gone /dev/tpmrm0
printf '\x80\x01\x00\x00\x00\x0c\x00\x00\x01\x7b\x00\x08' | cat >&5
exec 5<&-
nodes

chapter late
serve --admin=/run/admin --defer-until=userspace
until_ grep -q 'another one after the deferral' /run/log
nodes
swtpmd ctl --admin /run/admin advance userspace >/dev/null
until_ told /dev/tpm0 2
cat /run/out
askdevice ask /dev/tpm0 $getrandom
stop

chapter absent
serve --defer-for=2s --while-deferred=absent
usleep 1000000
nodes
cat /run/out
until_ told /dev/tpm0
cat /run/out
askdevice ask /dev/tpm0 $getrandom
stop

chapter retry
serve --defer-for=1s --while-deferred=retry
until_ told /dev/tpm0
cat /run/out
askdevice ask /dev/tpm0 $getrandom
stop

chapter held
serve --defer-for=8s --while-deferred=hold
until_ grep -q 'another one after the deferral' /run/log
nodes
until_ told /dev/tpm0 2
cat /run/out
askdevice ask /dev/tpm0 $getrandom
grep -o 'outcome=[a-z]*' /run/log | sort | uniq -c
stop

chapter users
chmod 666 /dev/vtpmx
su tester -c 'exec swtpmd chardev --vtpm-proxy'
echo "exit code $?"

insmod /mod/fuse.ko
insmod /mod/cuse.ko
chapter cuse
chmod 666 /dev/cuse
su tester -c 'exec swtpmd cuse -n vtpm7 --log=level=0' >/run/out 2>&1 &
pid=$!
until_ told /dev/vtpm7
cat /run/out
echo capability: $(askdevice ioctl /dev/vtpm7 0x80085000 "" 8)
echo before init: $(askdevice ask /dev/vtpm7 $getrandom)
echo init: $(askdevice ioctl /dev/vtpm7 0xc0045001 00000000 4)
echo startup: $(askdevice ask /dev/vtpm7 80010000000c000001440000)
askdevice ask /dev/vtpm7 $getrandom
askdevice wait /dev/vtpm7 $getrandom
exec 5<>/dev/vtpm7
echo second: $(askdevice ask /dev/vtpm7 $getrandom)
exec 5<&-
swtpmd cuse -n vtpm7 --log=level=0
echo unknown: $(askdevice ioctl /dev/vtpm7 0x80045016 "" 4)
echo shutdown: $(askdevice ioctl /dev/vtpm7 0x80045002 "" 4)
wait $pid
echo "exit code $?"
until_ gone /dev/vtpm7

chapter cuse killed
swtpmd cuse -n vtpm7 --flags=startup-clear --log=level=0 >/run/out 2>&1 &
pid=$!
until_ told /dev/vtpm7
askdevice ask /dev/vtpm7 $getrandom
kill -9 $pid
wait $pid
until_ gone /dev/vtpm7
ls /dev | grep -c vtpm7

# ioctl_ WORDS: what swtpm_ioctl prints, on one line, and its exit code.
ioctl_() {
	said=$(swtpm_ioctl "$@" /dev/vtpm7 2>&1)
	echo "swtpm_ioctl $*:" $said "($?)"
}
# tool NAME WORDS: what a program of tpm2-tools prints on stdout, on one line, and its exit code.
tool() {
	name=$1
	shift
	said=$(tpm2_$name -T device:/dev/vtpm7 "$@" 2>/run/err)
	echo "tpm2_$name:" $said "($?)"
}

if [ -x /bin/swtpm_ioctl ]; then
	chapter cuse clients
	swtpmd cuse -n vtpm7 --state=/run/cuse --log=level=0 >/run/out 2>&1 &
	pid=$!
	until_ told /dev/vtpm7
	ioctl_ -c
	ioctl_ -i
	tool startup -c
	tool getrandom --hex 8
	tool pcrextend 16:sha256=$(echo -n abc | sha256sum | cut -c-64)
	ioctl_ -l 3
	ioctl_ -e
	ioctl_ -h abc
	ioctl_ -e
	ioctl_ -r 3
	ioctl_ -g
	ioctl_ --info 1
	ioctl_ -C
	tool pcrread sha256:16,17
	ioctl_ -v
	ioctl_ --save permanent /run/blob
	ioctl_ --stop
	ioctl_ -b 3968
	ioctl_ --load permanent /run/blob
	ioctl_ -i
	tool pcrread sha256:16
	swtpm_ioctl --tpm-device /dev/vtpm7 -s
	wait $pid
	echo "exit code $?"
fi

chapter end
reboot -f
