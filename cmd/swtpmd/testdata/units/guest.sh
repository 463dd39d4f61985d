# Runs in the container that host.sh boots: what a user of the units does, and what becomes
# of it.
say() { echo "said: $*"; }
state() { systemctl is-active "$@" | tr '\n' ' '; }

systemctl start swtpmd@guest.socket swtpmd@other-1.socket
say "sockets $(state swtpmd@guest.socket swtpmd@other-1.socket)"
say "before a client $(state swtpmd@guest.service)"
export TPM2TOOLS_TCTI=swtpm:path=/run/swtpmd/guest.sock
tpm2_nvdefine -Q -C o -s 4 0x1500001
printf kept | tpm2_nvwrite -Q -C o -i - 0x1500001
say "with a client $(state swtpmd@guest.service)"
say "user $(ps -o user:32= -C swtpmd)"
systemctl reload swtpmd@guest.service
say "after a reload $(tpm2_nvread -C o -s 4 0x1500001)"
systemctl kill --signal=KILL swtpmd@guest.service
say "after SIGKILL $(tpm2_nvread -C o -s 4 0x1500001)"
systemctl stop swtpmd@guest.service
say "after a stop $(tpm2_nvread -C o -s 4 0x1500001)"

# As QEMU does.
control=/run/swtpmd/other-1.sock.ctrl
swtpm_ioctl --unix $control -i
tpm2_startup -T swtpm:path=/run/swtpmd/other-1.sock -c
say "users $(ps -o user:32= -C swtpmd | sort | tr '\n' ' ')"
swtpm_ioctl --unix $control -s
while systemctl is-active swtpmd@other-1.service | grep -q '^active$\|^deactivating$'; do sleep 0.1; done
say "after its guest $(state swtpmd@other-1.service swtpmd@other-1.socket)"
swtpm_ioctl --unix $control -i
say "with the next guest $(state swtpmd@other-1.service)"
su -s /bin/sh -c 'tpm2_getrandom -T swtpm:path=/run/swtpmd/guest.sock 4' nobody >/dev/null 2>&1
say "somebody else $?"
systemctl stop swtpmd@guest.socket swtpmd@guest.service swtpmd@other-1.socket swtpmd@other-1.service
say "sockets that are left $(ls /run/swtpmd)"
say "sandboxes $(journalctl --quiet --output=cat --unit=swtpmd@guest.service | grep -o 'sandbox=[a-z]*' | sort -u)"
say "failed $(systemctl list-units --state=failed --plain --no-legend 'swtpmd*')"
