#!/bin/sh
# tcti-mssim of tpm2-tss waits 40 ms in each command but the first, unless the simulator
# acknowledges what is only a part of one.
#
# It writes the header of a request (9 bytes) and the TPM command in two calls, over TCP
# with the Nagle algorithm, so that the kernel keeps the command until the other end has
# acknowledged the header. Linux puts an acknowledgment off for 40 ms on a connection on
# which it has answered before: it expects to send it with the next response. A simulator
# that sets TCP_QUICKACK when it has read a header gets the command at once. swtpm's tcti
# writes a command in one call.
#
# Seen with libtss2-tcti-mssim0 3.2.1-3 and tpm2-tools 5.4-1 (Debian 12) on Linux:
# TPM2_GetRandom of tpm2_getrandom, its second command, comes 40 to 50 ms after its header,
# and less than 1 ms after it with TCP_QUICKACK.
#
# This script fetches these versions into a folder of its own, and runs them against a
# server that answers two commands and looks at the clock. Nothing is installed. The
# shortest of ten times counts, so that a busy machine changes nothing.
# Exit codes: 0 as described; 1 something else was seen; 2 it could not be tried.
set -eu

tools='5.4-1' tcti='3.2.1-3'

work=$(mktemp -d)
server=
trap '[ -z "$server" ] || kill "$server" 2>/dev/null || true; rm -rf "$work"' EXIT
cannot() {
	echo "tcti-mssim-waits-for-ack: $*" >&2
	exit 2
}

# The tools and everything they need, as if nothing were installed.
mkdir -p "$work/archives/partial" "$work/root"
: >"$work/status"
apt-get -o Dir::State::status="$work/status" -o Dir::Cache::archives="$work/archives" \
	-o APT::Install-Recommends=false -o APT::Sandbox::User= -o Debug::NoLocking=1 \
	--download-only -y -qq install "tpm2-tools=$tools" "libtss2-tcti-mssim0=$tcti" >"$work/apt.log" 2>&1 ||
	cannot "cannot fetch tpm2-tools=$tools and libtss2-tcti-mssim0=$tcti: $(tail -n 1 "$work/apt.log")"
for package in "$work"/archives/*.deb; do
	dpkg-deb -x "$package" "$work/root"
done
libraries=$(find "$work/root" -name '*.so*' -printf '%h\n' | sort -u | paste -sd :)
loader=$(find "$work/root" -name 'ld-linux-x86-64.so.2' | head -n 1)

# The server of the simulator's protocol: prints its port, and for each TPM2_GetRandom the
# microseconds between the header and the command.
cat >"$work/serve" <<'PERL'
use strict; use IO::Socket::INET; use Socket qw(IPPROTO_TCP);
my ($quick, $count) = @ARGV;
sub now { syscall 228, 1, my $t = "\0" x 16; my ($s, $n) = unpack "q2", $t; $s * 1e6 + $n / 1e3 } # clock_gettime
my ($command, $platform);
for (1 .. 100) { # two ports in a row that are free
	$command = IO::Socket::INET->new(Listen => 5, LocalAddr => "127.0.0.1") or next;
	$platform = IO::Socket::INET->new(Listen => 5, LocalAddr => "127.0.0.1", LocalPort => $command->sockport + 1) and last;
}
die "no ports\n" unless $platform;
$| = 1;
print $command->sockport, "\n";
sub take {
	my ($conn, $n) = @_;
	my $got = "";
	while (length $got < $n) { sysread($conn, $got, $n - length $got, length $got) or return }
	$got;
}
my $child = fork // die "no process\n";
if (!$child) { # POWER_ON and NV_ON
	while (my $conn = $platform->accept) {
		while (defined take($conn, 4)) { syswrite $conn, "\0" x 4 }
	}
	exit;
}
$SIG{TERM} = sub { kill TERM => $child; exit };
my %answers = (
	0x17a => pack("H*", "80010000001b00000000" . "00" . "00000006" . "00000001" . "0000012000000040"), # TPM_PT_MAX_DIGEST
	0x17b => pack("H*", "80010000001400000000" . "0008" . "0102030405060708"),
);
while ($count > 0 and my $conn = $command->accept) {
	while (defined(my $head = take($conn, 9))) {
		my ($code, $locality, $size) = unpack "NCN", $head;
		last unless $code == 8; # SEND_COMMAND
		setsockopt $conn, IPPROTO_TCP, 12, 1 if $quick; # TCP_QUICKACK
		my $begun = now();
		my $tpm = take($conn, $size) // last;
		my $cc = unpack "x6N", $tpm;
		if ($cc == 0x17b) { printf "%d\n", now() - $begun; $count-- }
		my $answer = $answers{$cc} // pack("H*", "80010000000a00000143");
		syswrite $conn, pack("N", length $answer) . $answer . "\0" x 4;
	}
}
kill TERM => $child;
PERL

# shortest QUICK: the shortest time of ten between a header and its command.
shortest() {
	: >"$work/out"
	perl "$work/serve" "$1" 10 >"$work/out" 2>"$work/err" &
	server=$!
	until [ -s "$work/out" ]; do
		kill -0 "$server" 2>/dev/null || cannot "the server ended: $(cat "$work/err")"
		sleep 0.1
	done
	port=$(head -n 1 "$work/out")
	for run in 1 2 3 4 5 6 7 8 9 10; do
		timeout 60 "$loader" --library-path "$libraries" "$work/root/usr/bin/tpm2_getrandom" --hex 8 \
			-T "mssim:host=127.0.0.1,port=$port" >"$work/random" 2>"$work/log" || cannot "run $run: $(tail -n 1 "$work/log")"
		[ "$(cat "$work/random")" = 0102030405060708 ] || cannot "it printed $(cat "$work/random")"
	done
	wait "$server" || true
	server=
	tail -n +2 "$work/out" | sort -n | head -n 1
}
plain=$(shortest 0)
quick=$(shortest 1)
echo "the command comes $plain µs after its header, at the soonest"
echo "with TCP_QUICKACK: $quick µs"
if [ "$plain" -lt 30000 ] || [ "$quick" -gt 20000 ]; then
	echo "not as described"
	exit 1
fi
echo "as described"
