#!/bin/busybox sh
# The guest's init. It reads orders from the fourth serial port, one in a line, and
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

port=/dev/ttyS3
ima=/sys/kernel/security/ima
tpm=/sys/class/tpm/tpm0

stty -F $port raw -echo
exec 3<>$port

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
		for device in "$driver"/*:*; do
			[ -e "$device" ] && echo "${driver##*/} ${device##*/}"
		done
	done
}

items() {
	dmesg -r | grep -E 'ima: |tpm|TPM|MSFT0101|init_ima|init_tis|crb_acpi_driver_init|initcall_level: |Run /init' | item dmesg
	ls /sys/class/tpm | item tpm-class
	ls /dev | grep tpm | item tpm-nodes
	cat $tpm/tpm_version_major 2>/dev/null | item tpm-version
	bound | item tpm-bound
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

await() {
	left=$1
	while [ ! -e $tpm ]; do
		[ "$left" -gt 0 ] || return 1
		left=$((left - 1))
		usleep 50000
	done
}

# bind uses the name of the ACPI device, which is the same for both drivers.
bind() {
	for driver in /sys/bus/*/drivers/tpm_tis /sys/bus/*/drivers/tpm_crb; do
		[ -e "$driver/bind" ] || continue
		echo MSFT0101:00 2>/dev/null >"$driver/bind" && return 0
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
