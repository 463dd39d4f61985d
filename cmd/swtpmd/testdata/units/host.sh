#!/bin/sh
# host.sh DIR PROGRAM UNITS: boots systemd in a container whose files are those of this
# machine and the units, lets it run guest.sh, and prints what that says. It runs in a
# mount namespace of its own. Exit code 77: this machine lets it have no container.
set -eu
dir=$1 program=$2 units=$3 here=$(dirname "$0")
root=$dir/root
cannot() {
	echo "$*"
	exit 77
}
mount -t tmpfs tmpfs "$dir" 2>&1 || cannot "no tmpfs can be mounted"
mkdir "$dir/upper" "$dir/work" "$root"
mount -t overlay overlay -o "lowerdir=/,upperdir=$dir/upper,workdir=$dir/work" "$root" 2>&1 || cannot "no overlay can be mounted"
# nspawn's own filter has no Landlock.
container() {
	systemd-nspawn --quiet --register=no --keep-unit --directory="$root" --private-network \
		--system-call-filter='landlock_create_ruleset landlock_add_rule landlock_restrict_self' "$@" </dev/null
}
container --pipe true 2>&1 || cannot "systemd-nspawn starts no container"

: >"$root/etc/machine-id"
cp "$program" "$root/usr/bin/swtpmd"
cp "$units"/swtpmd@.service "$units"/swtpmd@.socket "$root/etc/systemd/system/"
systemd-sysusers --root="$root" --replace=/usr/lib/sysusers.d/swtpmd.conf - <"$units/swtpmd.sysusers" 2>&1 || cannot "systemd-sysusers makes no group"
cp "$here/guest.sh" "$root/guest.sh"
printf 'SWTPMD_FLAGS=--flags=startup-clear\n' >"$root/etc/default/swtpmd-guest"
cat >"$root/etc/systemd/system/test.service" <<'UNIT'
[Unit]
After=basic.target
[Service]
Type=oneshot
ExecStart=/bin/sh /guest.sh
StandardOutput=file:/said
StandardError=inherit
TimeoutStartSec=2min
ExecStopPost=/bin/systemctl poweroff --force
UNIT
cat >"$root/etc/systemd/system/test.target" <<'UNIT'
[Unit]
Requires=basic.target test.service
After=basic.target test.service
UNIT
container --boot systemd.unit=test.target >"$dir/console" 2>&1 || true
cat "$root/said" || cat "$dir/console"
