#!/bin/sh
# swtpm --daemon loses a state directory that is named by a relative path.
#
# "swtpm socket --daemon --tpmstate dir=state" goes to the background with exit code 0, and
# its working directory becomes "/". There is no directory "state" there, so the first
# write of state fails, which is at the start with startup-clear, and from then on the TPM
# answers 0x101, TPM_RC_FAILURE, to everything. Without --daemon, or with the whole path,
# it works.
#
# Seen with swtpm 0.7.1 (Debian 12, 0.7.1-1.3) and libtpms 0.9.2: TPM2_GetRandom,
# TPM2_NV_DefineSpace and TPM2_GetRandom answer 0x101, 0x101, 0x101; cwd is /.
#
# This script fetches that version into a folder of its own and sends it these commands.
# Nothing is installed.
# Exit codes: 0 as described; 1 something else was seen; 2 it could not be tried.
set -eu

version='0.7.1-1.3'

work=$(mktemp -d)
trap 'for file in "$work"/*.pid; do [ ! -s "$file" ] || kill "$(cat "$file")" 2>/dev/null || true; done; rm -rf "$work"' EXIT
cannot() {
	echo "swtpm-daemon-relative-directory: $*" >&2
	exit 2
}

# swtpm and everything it needs, as if nothing were installed.
mkdir -p "$work/archives/partial" "$work/root"
: >"$work/status"
apt-get -o Dir::State::status="$work/status" -o Dir::Cache::archives="$work/archives" \
	-o APT::Install-Recommends=false -o APT::Sandbox::User= -o Debug::NoLocking=1 \
	--download-only -y -qq install "swtpm=$version" >"$work/apt.log" 2>&1 ||
	cannot "cannot fetch swtpm=$version: $(tail -n 1 "$work/apt.log")"
for package in "$work"/archives/*.deb; do
	dpkg-deb -x "$package" "$work/root"
done
libraries=$(find "$work/root" -name '*.so*' -printf '%h\n' | sort -u | paste -sd :)
loader=$(find "$work/root" -name 'ld-linux-x86-64.so.2' | head -n 1)

# Sends commands in hexadecimal on one connection, and prints the response codes.
cat >"$work/send" <<'PERL'
use strict; use IO::Socket::UNIX;
my $path = shift;
my $socket;
for (1 .. 600) { # until swtpm listens
	last if $socket = IO::Socket::UNIX->new(Peer => $path);
	select undef, undef, undef, 0.1;
}
die "nobody listens at $path\n" unless $socket;
local $SIG{ALRM} = sub { die "no response\n" };
alarm 60;
my @codes;
for my $command (@ARGV) {
	syswrite $socket, pack "H*", $command;
	my $got = "";
	while (length $got < 10 || length $got < unpack "x2N", $got) {
		sysread($socket, $got, 4096, length $got) or die "the connection ended\n";
	}
	push @codes, sprintf "0x%x", unpack "x6N", $got;
}
print "@codes\n";
PERL
random=80010000000c0000017b0008
define=80020000002d0000012a40000001000000094000000900000000000000000e01500016000b0002000200000004

# codes NAME DIR [FLAG]: the response codes of a swtpm whose state is in DIR.
codes() {
	name=$1 dir=$2
	shift 2
	mkdir -p "$work/$name/state"
	(cd "$work/$name" && exec "$loader" --library-path "$libraries" "$work/root/usr/bin/swtpm" socket --tpm2 \
		--tpmstate dir="$dir" --server type=unixio,path="$work/$name.sock" \
		--flags not-need-init,startup-clear --pid file="$work/$name.pid" "$@" >>"$work/log" 2>&1) &
	perl "$work/send" "$work/$name.sock" "$random" "$define" "$random" || cannot "$name: $(tail -n 1 "$work/log")"
}
relative=$(codes relative state --daemon)
cwd=$(readlink "/proc/$(cat "$work/relative.pid")/cwd" || true)
whole=$(codes whole "$work/whole/state" --daemon)
foreground=$(codes foreground state)
echo "relative path, --daemon:  $relative (GetRandom, NV_DefineSpace, GetRandom); its directory is $cwd"
echo "whole path, --daemon:     $whole"
echo "relative path, no daemon: $foreground"

changed=
[ "$relative" = "0x101 0x101 0x101" ] || changed="with a relative path it answered $relative"
[ "$cwd" = / ] || changed="its working directory is $cwd"
[ "$whole $foreground" = "0x0 0x0 0x0 0x0 0x0 0x0" ] || changed="the others answered $whole and $foreground"
if [ -n "$changed" ]; then
	echo "not as described: $changed"
	exit 1
fi
echo "as described"
