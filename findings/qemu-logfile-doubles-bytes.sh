#!/bin/sh
# QEMU's logfile= on a socket records bytes twice.
#
# A serial port on "-chardev socket,…,logfile=FILE" is how a console is followed
# and kept at the same time. While the socket's reader is slower than the guest,
# QEMU logs a byte that the socket has just refused, and logs it again when it is
# sent. The reader gets every byte once; the log has some of them twice, at any
# place in a line. A kernel's console log that was kept in this way has time
# stamps and function names that the kernel did not print.
#
# Seen with QEMU 7.2.22 (Debian 12, 1:7.2+dfsg-7+deb12u18+b3) on
# a machine with two processors: of 16384 bytes that a guest wrote, the reader
# got 16384, and the log had 16442, 58 bytes twice. How many they are depends on
# the reader's pace.
# "-serial file:FILE", on the same guest, was right.
#
# This script fetches that version into a folder of its own, has a boot sector
# write letters to the serial port, and compares. Nothing is installed.
# Exit codes: 0 as described; 1 something else was seen; 2 it could not be tried.
set -eu

version='1:7.2+dfsg-7+deb12u18+b3'
bytes=16384

work=$(mktemp -d)
qemu=
trap '[ -z "$qemu" ] || kill "$qemu" 2>/dev/null || true; rm -rf "$work"' EXIT
cannot() {
	echo "qemu-logfile-doubles-bytes: $*" >&2
	exit 2
}

# QEMU and everything it needs, as if nothing were installed.
mkdir -p "$work/archives/partial" "$work/root"
: >"$work/status"
apt-get -o Dir::State::status="$work/status" -o Dir::Cache::archives="$work/archives" \
	-o APT::Install-Recommends=false -o APT::Sandbox::User= -o Debug::NoLocking=1 \
	--download-only -y -qq install "qemu-system-x86=$version" >"$work/apt.log" 2>&1 ||
	cannot "cannot fetch qemu-system-x86=$version: $(tail -n 1 "$work/apt.log")"
for package in "$work"/archives/*.deb; do
	dpkg-deb -x "$package" "$work/root"
done
libraries=$(find "$work/root" -name '*.so*' -printf '%h\n' | sort -u | paste -sd :)
export QEMU_MODULE_DIR="$work/root/usr/lib/x86_64-linux-gnu/qemu"
loader=$(find "$work/root" -name 'ld-linux-x86-64.so.2' | head -n 1)
program=$work/root/usr/bin/qemu-system-x86_64
"$loader" --library-path "$libraries" "$program" --version | head -n 1

# The guest: for si = 16384 down to 1, wait for the transmitter, send the next
# letter of A to Z; then halt.
printf '\372\276\000\100\263\101\272\375\003\354\250\040\164\373\272\370\003\210\330\356\376\303\200\373\133\165\002\263\101\116\165\346\364\353\375' >"$work/disk"
truncate -s 510 "$work/disk"
printf '\125\252' >>"$work/disk"
truncate -s 1M "$work/disk"

# guest CHARDEV: boots it in the background, with its serial port there.
guest() {
	"$loader" --library-path "$libraries" "$program" \
		-L "$work/root/usr/share/qemu" -L "$work/root/usr/share/seabios" \
		-nodefaults -no-user-config -display none -machine pc -accel tcg -m 16 -snapshot \
		-drive "if=ide,format=raw,file=$work/disk" -chardev "$1" -serial chardev:console \
		2>>"$work/qemu.log" &
	qemu=$!
}

# A reader that takes 64 bytes every 5 ms.
cat >"$work/reader" <<'PERL'
use strict; use IO::Socket::UNIX;
my ($path, $bytes) = @ARGV;
my $socket;
for (1 .. 600) { # until QEMU listens
	last if $socket = IO::Socket::UNIX->new(Peer => $path);
	select undef, undef, undef, 0.1;
}
die "nobody listens at $path\n" unless $socket;
local $SIG{ALRM} = sub { die "the guest has not written $bytes bytes\n" };
alarm 120;
for (my $got = 0; $got < $bytes;) {
	my $read = sysread $socket, my $text, 64;
	die "the console ended after $got bytes\n" unless $read;
	$got += $read;
	syswrite STDOUT, $text;
	select undef, undef, undef, 0.005;
}
PERL

perl -e 'print substr join("", "A" .. "Z") x 700, 0, shift' "$bytes" >"$work/written"

guest "socket,id=console,path=$work/socket,server=on,wait=on,logfile=$work/log"
perl "$work/reader" "$work/socket" "$bytes" >"$work/read" || cannot "the guest did not run: $(tail -n 1 "$work/qemu.log")"
kill "$qemu" && wait "$qemu" || true
qemu=

guest "file,id=console,path=$work/file"
tries=0
until [ "$(cat "$work/file" 2>/dev/null | wc -c)" -ge "$bytes" ]; do
	tries=$((tries + 1))
	[ "$tries" -lt 1200 ] || cannot "the second guest did not run: $(tail -n 1 "$work/qemu.log")"
	sleep 0.1
done
kill "$qemu" && wait "$qemu" || true
qemu=

logged=$(wc -c <"$work/log")
tr -s A-Z <"$work/log" >"$work/squeezed" # no letter follows itself in what was written
echo "written by the guest:     $bytes bytes"
echo "read from the socket:     $(wc -c <"$work/read") bytes"
echo "in logfile=:              $logged bytes, $((logged - bytes)) twice"
echo "in -serial file:          $(wc -c <"$work/file") bytes"

changed=
cmp -s "$work/written" "$work/read" || changed="the reader did not get what the guest wrote"
cmp -s "$work/written" "$work/file" || changed="the file is not what the guest wrote"
cmp -s "$work/written" "$work/squeezed" || changed="the log differs by more than doubled bytes"
[ "$logged" -gt "$bytes" ] || changed="the log has every byte once"
if [ -n "$changed" ]; then
	echo "not as described: $changed"
	exit 1
fi
echo "as described"
