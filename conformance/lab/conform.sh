#!/bin/busybox sh
# The guest's init of TestConformance: swtpmd gives the kernel that runs here a TPM, of one
# profile after the other, and swtpmd conform asks it through the kernel's devices. Reports are compressed and in base64,
# between the lines "== report NAME" and "== end".

export PATH=/bin
/bin/busybox --install -s /bin
mount -t proc none /proc
mount -t sysfs none /sys
mount -t devtmpfs none /dev
mount -t tmpfs none /run
mount -t tmpfs none /tmp
exec </dev/null >/dev/ttyS0 2>&1

# until_ WORDS: wait until the command succeeds, 60 s at most.
until_() {
	left=1200
	until "$@" 2>/dev/null; do
		left=$((left - 1))
		[ $left -gt 0 ] || { echo "waited for nothing: $*"; return 1; }
		usleep 50000
	done
}

insmod /mod/tpm_vtpm_proxy.ko
for profile in default v185; do
	swtpmd chardev --vtpm-proxy --tpm2 --profile=$profile >/run/out 2>&1 &
	daemon=$!
	until_ [ -c /dev/tpmrm0 ]
	for name in tpmrm0 tpm0; do
		swtpmd conform --target=/dev/$name --destructive --quiet --json=/run/$name.json
		echo "exit code $profile-$name $?"
		echo "== report $profile-$name"
		gzip -c /run/$name.json | base64
		echo "== end"
	done
	kill $daemon
	wait $daemon
	until_ [ ! -e /dev/tpm0 ]
	cat /run/out
done
reboot -f
