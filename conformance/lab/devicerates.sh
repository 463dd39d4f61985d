#!/bin/busybox sh
# The guest's init of BenchmarkDevices: commands through /dev/tpm0, to swtpmd and to
# swtpm, twice in turn.

export PATH=/bin:/usr/bin
/bin/busybox --install -s /bin
mount -t proc none /proc
mount -t sysfs none /sys
mount -t devtmpfs none /dev
mount -t tmpfs none /run
exec </dev/null >/dev/ttyS0 2>&1
insmod /mod/tpm_vtpm_proxy.ko
mkdir /run/swtpm

# In hexadecimal digits: GetRandom of 8 bytes; PCR_Extend of PCR 16.
random=80010000000c0000017b0008
extend=80020000004100000182000000100000000940000009000000000000000001000b000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f

measure() {
	left=400
	until [ -e /dev/tpmrm0 ]; do
		left=$((left - 1))
		[ $left -gt 0 ] || break
		usleep 50000
	done
	usleep 1000000 # the kernel fills its pool of random bytes
	echo "== $1"
	echo random: $(askdevice rate /dev/tpm0 1000 $random)
	echo extend: $(askdevice rate /dev/tpm0 1000 $extend)
	echo "== between"
	kill $2
	wait $2
	while [ -e /dev/tpmrm0 ]; do usleep 50000; done
}

for round in 1 2; do
	swtpmd chardev --vtpm-proxy --log=level=0 >/dev/null 2>&1 &
	measure swtpmd-$round $!
	swtpm chardev --vtpm-proxy --tpm2 --tpmstate dir=/run/swtpm >/dev/null &
	measure swtpm-$round $!
done
reboot -f
