package lab

import "strings"

// Firmware is the firmware that the machine runs before the kernel.
type Firmware string

// The firmwares. All but NoFirmware start a TPM that they find and measure into
// PCR 0-7.
const (
	SeaBIOS    Firmware = "seabios"
	OVMF       Firmware = "ovmf"
	SLOF       Firmware = "slof"
	NoFirmware Firmware = "none" // QEMU starts the kernel, which starts the TPM
)

// Device is the TPM's register interface, on which the driver depends.
type Device string

// The interfaces, as QEMU names them.
const (
	TIS       Device = "tpm-tis"
	CRB       Device = "tpm-crb"
	TISDevice Device = "tpm-tis-device" // TIS without ACPI
	SPAPR     Device = "tpm-spapr"
)

// Driver returns the kernel's name of the driver.
func (d Device) Driver() string {
	switch d {
	case TISDevice:
		return "tpm_tis"
	case SPAPR:
		return "tpm_ibmvtpm"
	}
	return strings.ReplaceAll(string(d), "-", "_")
}

// spaprUnit is the TPM's unit address on the virtual bus of PowerVM. The kernel names
// the device by it.
const spaprUnit = "71000010"

// kernelName returns the kernel's name of the device that the driver binds to: that of
// ACPI, or what the device tree says.
func (d Device) kernelName() string {
	switch d {
	case TISDevice:
		return "c000000.tpm_tis"
	case SPAPR:
		return spaprUnit
	}
	return "MSFT0101:00"
}

// option returns the value of QEMU's -device.
func (d Device) option() string {
	option := string(d) + ",tpmdev=tpm0"
	if d == SPAPR {
		option += ",reg=0x" + spaprUnit
	}
	return option
}
