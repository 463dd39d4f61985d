package lab

import (
	"cmp"
	"runtime"
)

// Board is a machine of QEMU's. The empty Board is Q35.
type Board string

// The boards.
const (
	Q35     Board = "q35"     // x86-64, TPM named by ACPI
	Virt    Board = "virt"    // arm64, TPM in the device tree, which a test may change
	PSeries Board = "pseries" // ppc64el, the PowerVM machine, TPM on its virtual bus
)

// Boards lists the boards.
func Boards() []Board { return []Board{Q35, Virt, PSeries} }

// boardFacts is what differs between boards. The first firmware and the first device
// are the defaults.
type boardFacts struct {
	arch          string // of the processor, as Debian names it
	goarch        string // the same, as Go does
	qemu          string // the program
	qemuPackage   string
	kernelPackage string // depends on Debian's current kernel; empty: no kernel of Debian's has a driver for the TPM
	firmwares     []Firmware
	devices       []Device
	machine       []string // QEMU's arguments for machine and processor
	memory        string   // QEMU's -m
	words         []string // of the kernel command line: the console
	report        []string // QEMU's devices for the port on which the guest reports
	port          string   // that port in the guest
	tree          bool     // the machine is described by a device tree
}

var boards = map[Board]*boardFacts{
	Q35: {
		arch: "amd64", goarch: "amd64", qemu: "qemu-system-x86_64", qemuPackage: "qemu-system-x86", kernelPackage: "linux-image-amd64",
		firmwares: []Firmware{SeaBIOS, OVMF}, devices: []Device{TIS, CRB},
		machine: []string{"-machine", "q35", "-cpu", "max"}, memory: "1024",
		words: []string{"console=ttyS0"},
		// OVMF takes the first two ports for terminals and writes to them.
		report: []string{"isa-serial,index=3,chardev=report"}, port: "/dev/ttyS3",
	},
	Virt: {
		arch: "arm64", goarch: "arm64", qemu: "qemu-system-aarch64", qemuPackage: "qemu-system-arm",
		firmwares: []Firmware{NoFirmware}, devices: []Device{TISDevice},
		machine: []string{"-machine", "virt", "-cpu", "cortex-a57"}, memory: "512",
		// Without earlycon the levels before arch_sync are printed when the driver of
		// the port has bound, all at once.
		words: []string{"console=ttyAMA0", "earlycon"},
		// There is one serial port.
		report: []string{"virtio-serial-device,id=ports", "virtconsole,chardev=report,bus=ports.0"}, port: "/dev/hvc0",
		tree: true,
	},
	PSeries: {
		arch: "ppc64el", goarch: "ppc64le", qemu: "qemu-system-ppc64", qemuPackage: "qemu-system-ppc", kernelPackage: "linux-image-powerpc64le",
		firmwares: []Firmware{SLOF}, devices: []Device{SPAPR},
		// TCG does not have the mitigations that the machine has by default.
		machine: []string{"-machine", "pseries,cap-cfpc=broken,cap-sbbc=broken,cap-ibs=broken,cap-ccf-assist=off", "-cpu", "power9"}, memory: "2048",
		words:  []string{"console=hvc0"},
		report: []string{"spapr-vty,chardev=report,reg=0x71000020"}, port: "/dev/hvc1",
	},
}

func (b Board) facts() *boardFacts { return boards[cmp.Or(b, Q35)] }

// String returns the board's name.
func (b Board) String() string { return string(cmp.Or(b, Q35)) }

// Firmware returns the firmware that the board has by default.
func (b Board) Firmware() Firmware { return b.facts().firmwares[0] }

// Device returns the TPM that the board has by default.
func (b Board) Device() Device { return b.facts().devices[0] }

// foreign reports whether the board's processor is another than that of this machine,
// so that no KVM can execute its instructions.
func (b Board) foreign() bool { return b.facts().goarch != runtime.GOARCH }
