package lab

import (
	"runtime"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// A board is booted with what it has by default, and with nothing that it does not have.
func TestMachineCheck(t *testing.T) {
	t.Parallel()
	for _, b := range Boards() {
		m := Machine{Board: b, Firmware: b.Firmware(), Device: b.Device(), Accel: TCG}
		assert.NoError(t, m.Check(), b)
		for what, change := range map[string]func(*Machine){
			"board":       func(m *Machine) { m.Board = "versatile" },
			"firmware":    func(m *Machine) { m.Firmware = "coreboot" },
			"device":      func(m *Machine) { m.Device = "tpm-spi" },
			"accelerator": func(m *Machine) { m.Accel = KVM },
			"device tree": func(m *Machine) { m.Tree = "/ { };" },
		} {
			if what == "accelerator" && b.facts().goarch == runtime.GOARCH || what == "device tree" && b == Virt {
				continue
			}
			wrong := m
			change(&wrong)
			assert.ErrorContains(t, wrong.Check(), what, b)
		}
	}
	assert.NoError(t, Machine{Firmware: SeaBIOS, Device: TIS}.Check(), "the empty board is q35")
}

// Each board's console, TPM and port for reports are its own.
func TestBoardArguments(t *testing.T) {
	t.Parallel()
	for b, want := range map[Board][]string{
		Q35:     {"-machine q35", "-device tpm-tis,tpmdev=tpm0", "-device isa-serial,index=3,chardev=report", "console=ttyS0 "},
		Virt:    {"-machine virt", "-device tpm-tis-device,tpmdev=tpm0", "-device virtconsole,chardev=report,bus=ports.0", "console=ttyAMA0 earlycon ", "-dtb /tree", "driver_async_probe=tpm_tis"},
		PSeries: {"-machine pseries,", "-device tpm-spapr,tpmdev=tpm0,reg=0x71000010", "-device spapr-vty,chardev=report,reg=0x71000020", "console=hvc0 ", "driver_async_probe=tpm_ibmvtpm"},
	} {
		m := Machine{Board: b, Firmware: b.Firmware(), Device: b.Device(), Accel: TCG, AsyncProbe: b != Q35}
		at := sockets{}
		if b == Virt {
			at.tree = "/tree"
		}
		line := strings.Join(m.args(at), " ")
		for _, part := range want {
			assert.Contains(t, line, part, b)
		}
	}
}

// What the initramfs names as the port is the board's.
func TestPortOfTheBoard(t *testing.T) {
	t.Parallel()
	for _, b := range Boards() {
		image, err := Initramfs(Contents{Busybox: []byte("busy"), Port: b.facts().port})
		require.NoError(t, err)
		assert.Equal(t, b.facts().port+"\n", readArchive(t, unzip(t, image))["port"].content)
	}
}

// The probe of the TPM is told from others by the board's name for it.
func TestProbesOfTheBoardsTPM(t *testing.T) {
	t.Parallel()
	log := parseLog([]byte("[    0.900000] probe of c000000.tpm_tis returned -517 after 3 usecs\n" +
		"[    1.000000] probe of 71000010 returned 0 after 10 usecs\n" +
		"[    1.100000] probe of regulator-tpm returned 0 after 10 usecs\n"))
	assert.Equal(t, []probe{{at: log[0].At, took: 3000, code: -eprobeDefer, of: "c000000.tpm_tis"}}, ownProbes(log, TISDevice))
	assert.Equal(t, []probe{{at: log[1].At, took: 10000, of: "71000010"}}, ownProbes(log, SPAPR))
	assert.Empty(t, ownProbes(log, TIS))
	newer := parseLog([]byte("[   10.340732] probe of c000000.tpm_tis with driver tpm_tis returned -517 after 23 usecs\n"))
	require.Len(t, ownProbes(newer, TISDevice), 1, "as 7.3 prints it")
	assert.Equal(t, -eprobeDefer, ownProbes(newer, TISDevice)[0].code)
}

const dumped = `/dts-v1/;

/ {
	compatible = "linux,dummy-virt";

	platform-bus@c000000 {
		compatible = "qemu,platform\0simple-bus";

		tpm_tis@0 {
			tpm-version = "2";
			compatible = "tcg,tpm-tis-mmio";
		};
	};

	pl061@9030000 {
		compatible = "arm,pl061\0arm,primecell";
	};

	gpio-keys {
		compatible = "gpio-keys";

		poweroff {
			label = "GPIO Key Poweroff";
		};
	};
};
`

func TestLabel(t *testing.T) {
	t.Parallel()
	got, err := label(dumped)
	require.NoError(t, err)
	for _, line := range []string{"\t\ttpm: tpm_tis@0 {", "\tgpio: pl061@9030000 {", "\tkeys: gpio-keys {"} {
		assert.Contains(t, got, line+"\n")
	}
	assert.Equal(t, dumped, strings.NewReplacer("tpm: ", "", "gpio: ", "", "keys: ", "").Replace(got), "nothing else is changed")
	_, err = label(strings.ReplaceAll(dumped, "tcg,", ""))
	assert.ErrorContains(t, err, "no TPM")
}

// Every tree explains itself and changes the TPM's node.
func TestTrees(t *testing.T) {
	t.Parallel()
	require.Len(t, Trees(), 7)
	for _, name := range Trees() {
		source, err := Tree(name)
		require.NoError(t, err)
		assert.True(t, strings.HasPrefix(source, "/* The TPM "), name)
		assert.Contains(t, source, "\n&tpm {", name)
	}
	_, err := Tree("none")
	assert.ErrorContains(t, err, "regulator-gpio")
	_, err = Tree("no-such-file.dts")
	assert.ErrorContains(t, err, "no-such-file.dts")
}
