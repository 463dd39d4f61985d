#!/bin/busybox sh
# The guest's init. It reads orders from the port that /port names, one in a line, and
# answers each with a line "done ORDER STATUS":
#
#   collect LABEL   send a report of what this kernel knows about TPM and IMA
#   await N         wait until a TPM is registered, N twentieths of a second at most
#   bind            bind the TPM's driver to its device, as an administrator would
#   policy          load /policy into IMA
#   reboot          restart the machine (no answer)
#   poweroff        power it off (no answer)
#
# A report is
#   report LABEL
#   item NAME SIZE SHA256      size and hash of the content
#   (the content in base64)
#   .
#   end COUNT
#
# Only this script writes to that port, so that no kernel messages come in between.

export PATH=/bin
mount -t proc none /proc
mount -t sysfs none /sys
mount -t devtmpfs none /dev
mount -t securityfs none /sys/kernel/security
mount -t debugfs none /sys/kernel/debug
mount -t tmpfs none /run

read -r port </port
ima=/sys/kernel/security/ima
tpm=/sys/class/tpm/tpm0

# Some drivers forget what was set when nobody has the port open.
exec 3<>$port
stty -F $port raw -echo

# item NAME: standard input is the content.
item() {
	cat >/run/item
	size=$(wc -c </run/item)
	hash=$(sha256sum </run/item | cut -c 1-64)
	echo "item $1 $size $hash"
	base64 </run/item
	echo .
}

# bound lists the drivers of the TPM and the devices bound to them.
bound() {
	for driver in /sys/bus/*/drivers/tpm_*; do
		for device in "$driver"/*; do
			[ -e "$device/driver" ] && echo "${driver##*/} ${device##*/}"
		done
	done
}

# lines are those of the kernel's log that are about TPM and IMA: what initcall_debug
# prints of their functions, and who waits for whom.
lines() {
	dmesg -r | grep -E -e 'ima: ' -e 'tpm|TPM|MSFT0101' -e 'probe of 7100' -e 'init_ima|security_initcall_late' \
		-e 'init_tis|crb_acpi_driver_init' -e 'initcall_level: ' -e 'Run /init' -e 'returned -?517' -e supplier -e deferred -e regulator_init_complete -e 'late-attack: '
}

items() {
	lines | item dmesg
	ls /sys/class/tpm | item tpm-class
	ls /dev | grep tpm | item tpm-nodes
	cat $tpm/tpm_version_major 2>/dev/null | item tpm-version
	bound | item tpm-bound
	# Those of the kernel are in brackets.
	ps -o args | grep -v '^\[' | item processes
	cat /sys/kernel/debug/devices_deferred 2>/dev/null | item deferred
	grep . $tpm/pcr-*/* 2>/dev/null | item pcrs
	grep -q nokaslr /proc/cmdline && awk -f /symbols.awk /proc/kallsyms /proc/kallsyms | item symbols
	if [ -e $ima/runtime_measurements_count ]; then
		cat $ima/ascii_runtime_measurements | item ima-ascii
		cat $ima/binary_runtime_measurements | item ima-binary
		cat $ima/runtime_measurements_count | item ima-count
		cat $ima/violations | item ima-violations
	fi
}

collect() {
	items >/run/items
	echo "report $1"
	cat /run/items
	echo "end $(grep -c '^item ' /run/items)"
}

# probed reports whether the kernel has said that the probe of a TPM succeeded, which is
# after the TPM was registered.
probed() {
	dmesg | grep -q -e 'MSFT0101:00 .*returned 0 ' -e 'c000000.tpm_tis .*returned 0 ' -e '71000010 .*returned 0 '
}

await() {
	left=$1
	while [ ! -e $tpm ] || ! probed; do
		[ "$left" -gt 0 ] || return 1
		left=$((left - 1))
		usleep 50000
	done
}

# bind uses the names of the devices: the one of ACPI, which is the same for both
# drivers, and those of device trees.
bind() {
	for driver in /sys/bus/*/drivers/tpm_*; do
		[ -e "$driver/bind" ] || continue
		for device in MSFT0101:00 c000000.tpm_tis 71000010; do
			echo $device 2>/dev/null >"$driver/bind" && return 0
		done
	done
	return 1
}

echo "hello 1 $(uname -r)" >&3
while read -r order argument <&3; do
	case $order in
	collect) collect "$argument" >&3 ;;
	await) await "$argument" ;;
	bind) bind ;;
	policy) cat /policy >$ima/policy ;;
	reboot) reboot -f ;;
	poweroff) poweroff -f ;;
	*) false ;;
	esac
	echo "done $order $?" >&3
done
poweroff -f
