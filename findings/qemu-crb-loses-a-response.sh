#!/bin/sh
# QEMU's tpm-crb loses a response that comes while its guest is migrated or saved.
#
# Before QEMU saves the state of the device, it waits for the TPM's response to the
# command under way. But the buffer of tpm-crb is memory of the guest, and all of that
# has been saved by then. So the guest goes on, elsewhere or after loadvm, with a device
# that says the command is done, and with its own command where the response should be.
# Commands take a TPM up to seconds (TPM2_Create of an RSA key), and much longer if it is
# slow or held.
#
# Seen with QEMU 7.2.22 (Debian 12, 1:7.2+dfsg-7+deb12u18+b3): after TPM2_Startup, which
# the TPM answered 3 s later, the source has 80010000000a00000000 in the buffer, and the
# destination 80010000000c00000144. tpm-tis keeps its buffer in the device's state and
# is right.
#
# This script fetches that version into a folder of its own. Two machines without a
# system run SeaBIOS, each with a TPM that is a program here and knows no more than the
# protocol; the first answers TPM2_Startup after 3 s. Nothing is installed.
# Exit codes: 0 as described; 1 something else was seen; 2 it could not be tried.
set -eu

version='1:7.2+dfsg-7+deb12u18+b3'

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cannot() {
	echo "qemu-crb-loses-a-response: $*" >&2
	exit 2
}
command -v python3 >/dev/null || cannot "needs python3"

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

cat >"$work/run.py" <<'PYTHON'
import json, os, socket, struct, subprocess, sys, threading, time

work, *qemu = sys.argv[1:]

def exactly(conn, n):
    data = b""
    while len(data) < n:
        piece = conn.recv(n - len(data))
        if not piece:
            raise EOFError
        data += piece
    return data

class TPM:
    """The part of swtpm's protocol that QEMU uses, and no TPM behind it."""

    def __init__(self, name, delay):
        self.path, self.delay = f"{work}/{name}.tpm", delay
        self.asked = threading.Event()
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(self.path)
        self.listener.listen(1)
        threading.Thread(target=self.control, daemon=True).start()

    def control(self):
        conn, _ = self.listener.accept()
        try:
            while True:
                head, fds, _, _ = socket.recv_fds(conn, 4, 1)
                if not head:
                    return
                code = int.from_bytes(head + exactly(conn, 4 - len(head)), "big")
                for fd in fds:
                    threading.Thread(target=self.data, args=(socket.socket(fileno=fd),), daemon=True).start()
                if code in (0x02, 0x05):  # INIT, SET_LOCALITY
                    exactly(conn, 4)
                answer = b""
                if code == 0x01:  # GET_CAPABILITY
                    answer = struct.pack(">I", 0x3FFF)
                elif code == 0x04:  # GET_TPMESTABLISHED
                    answer = bytes(4)
                elif code == 0x11:  # SET_BUFFERSIZE
                    exactly(conn, 4)
                    answer = struct.pack(">III", 3968, 2808, 4096)
                elif code == 0x0C:  # GET_STATEBLOB
                    kind = struct.unpack(">III", exactly(conn, 12))[1]
                    blob = b"" if kind == 3 else b"state"
                    answer = struct.pack(">III", 0, len(blob), len(blob)) + blob
                elif code == 0x0D:  # SET_STATEBLOB
                    exactly(conn, struct.unpack(">III", exactly(conn, 12))[2])
                conn.sendall(bytes(4) + answer)
        except (EOFError, OSError):
            pass

    def data(self, conn):
        try:
            while True:
                head = exactly(conn, 10)
                size, code = struct.unpack(">II", head[2:])
                exactly(conn, size - 10)
                if code == 0x144:  # TPM2_Startup
                    self.asked.set()
                    time.sleep(self.delay)
                rc = 0x101 if code == 0x181 else 0  # QEMU's own question, TPM2_ReadClock
                conn.sendall(struct.pack(">HII", 0x8001, 10, rc))
        except (EOFError, OSError):
            pass

class Machine:
    def __init__(self, name, tpm, *more):
        self.process = subprocess.Popen(
            qemu + ["-nodefaults", "-no-user-config", "-display", "none", "-machine", "q35", "-accel", "tcg",
                    "-icount", "shift=0", "-m", "64", "-qmp", "stdio",
                    "-chardev", f"socket,id=tpm,path={tpm.path}", "-tpmdev", "emulator,id=tpm0,chardev=tpm",
                    "-device", "tpm-crb,tpmdev=tpm0", *more],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.do("qmp_capabilities")

    def do(self, command, **arguments):
        self.process.stdin.write(json.dumps({"execute": command, "arguments": arguments}) + "\n")
        self.process.stdin.flush()
        for line in self.process.stdout:
            said = json.loads(line)
            if "error" in said:
                raise RuntimeError(said["error"]["desc"])
            if "return" in said:
                return said["return"]
        raise RuntimeError("QEMU has ended")

    def status(self, wanted, status):
        end = time.time() + 120
        while status() != wanted:
            if time.time() > end:
                raise RuntimeError(f"no status {wanted}")
            time.sleep(0.05)

    def buffer(self):
        """The first 10 octets of the buffer, TPM_CRB_DATA_BUFFER."""
        self.do("pmemsave", val=0xFED40080, size=10, filename=f"{work}/buffer")
        with open(f"{work}/buffer", "rb") as file:
            return file.read().hex()

machines = []
try:
    slow, other = TPM("slow", 3), TPM("other", 0)
    machines.append(Machine("source", slow))
    if not slow.asked.wait(120):
        raise RuntimeError("the firmware does not start the TPM")
    machines.append(Machine("destination", other, "-S", "-incoming", f"unix:{work}/migration"))
    source, destination = machines
    source.do("migrate", uri=f"unix:{work}/migration")
    source.status("completed", lambda: source.do("query-migrate").get("status"))
    destination.status("paused", lambda: destination.do("query-status")["status"])
    there, here = source.buffer(), destination.buffer()
except (RuntimeError, OSError) as error:
    print(f"qemu-crb-loses-a-response: {error}", file=sys.stderr)
    sys.exit(2)
finally:
    for machine in machines:
        machine.process.kill()
        machine.process.wait()
print("the TPM's response:               80010000000a00000000")
print(f"in the buffer at the source:      {there}")
print(f"in the buffer at the destination: {here}")
if there != "80010000000a00000000":
    print("not as described: the source has another response")
    sys.exit(1)
if here != "80010000000c00000144":
    print("not as described: the destination does not have the command")
    sys.exit(1)
print("as described")
PYTHON
python3 "$work/run.py" "$work" "$loader" --library-path "$libraries" "$program" \
	-L "$work/root/usr/share/qemu" -L "$work/root/usr/share/seabios"
