package lab

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestCommandLine(t *testing.T) {
	t.Parallel()
	const always = "console=ttyS0 panic=-1 ignore_loglevel log_buf_len=4M initcall_debug trace_event=initcall:initcall_level tp_printk"
	for _, c := range []struct {
		machine Machine
		want    string
	}{
		{Machine{Device: TIS}, ""},
		{Machine{Device: TIS, IMAPolicy: "tcb"}, " ima_policy=tcb"},
		{Machine{Device: TIS, IMAPolicy: "tcb|critical_data"}, " ima_policy=tcb|critical_data"},
		{Machine{Device: TIS, IMAPolicy: "tcb critical_data"}, ` "ima_policy=tcb critical_data"`},
		{Machine{Device: TIS, AsyncProbe: true}, " driver_async_probe=tpm_tis"},
		{Machine{Device: CRB, AsyncProbe: true, Append: "quiet x=1"}, " driver_async_probe=tpm_crb quiet x=1"},
	} {
		assert.Equal(t, always+c.want, c.machine.CommandLine())
	}
}

func TestArguments(t *testing.T) {
	t.Parallel()
	m := Machine{Kernel: "/k", Accel: TCG, Device: CRB, Firmware: SeaBIOS, Tools: Tools{OVMFCode: "/code", OVMFVars: "/vars"}}
	at := sockets{tpmControl: "/d/tpm", report: "/d,1/report", monitor: "/d/monitor", consoleLog: "/d/log", initramfs: "/d/initramfs", vars: "/d/vars"}
	line := strings.Join(m.args(at), " ")
	assert.Contains(t, line, "file,id=console,path=/d/log")
	assert.Contains(t, line, "socket,id=report,path=/d,,1/report")
	assert.Contains(t, line, "-device tpm-crb,tpmdev=tpm0")
	assert.Contains(t, line, "-no-reboot")
	assert.NotContains(t, line, "pflash")
	assert.Contains(t, line, "-accel tcg,thread=single ")
	assert.Contains(t, line, "-machine q35 -cpu max -m 1024 -smp 2 -device isa-serial,index=3,chardev=report")

	at.console, m.Firmware, m.Accel = "/d/console", OVMF, KVM
	line = strings.Join(m.args(at), " ")
	assert.Contains(t, line, "-chardev socket,id=console,path=/d/console -serial chardev:console", "no logfile=, which doubles bytes")
	assert.Contains(t, line, "-accel kvm -chardev")
	assert.Contains(t, line, "readonly=on,file=/code")
	assert.Contains(t, line, "unit=1,format=raw,file=/d/vars", "the variables are a copy")
}

func TestHardwareOfOnesOwn(t *testing.T) {
	t.Parallel()
	m := Machine{Board: Virt, Device: TISDevice, Firmware: NoFirmware, Memory: "2G", Processors: 4, QEMUArgs: []string{"-drive", "if=virtio,file=a b"}}
	args := m.args(sockets{})
	assert.Contains(t, strings.Join(args, " "), "-cpu cortex-a57 -m 2G -smp 4 ")
	assert.Equal(t, m.QEMUArgs, args[len(args)-2:], "one's own arguments come last")
}

// The commands are those of a run, with a word for the private folder, and nothing is left.
func TestCommandsWithoutABoot(t *testing.T) {
	t.Parallel()
	p := play(t, "unused", "good")
	commands, err := Commands(t.Context(), p.Config)
	require.NoError(t, err)
	require.Len(t, commands, 2)
	assert.Equal(t, []string{p.tpm.Name, "--dir", "DIR/tpm"}, commands[0][:3])
	line := strings.Join(commands[1], " ")
	assert.Contains(t, line, "-chardev socket,id=report,path=DIR/report.sock ")
	assert.Contains(t, line, "-initrd DIR/initramfs ")
	assert.NotContains(t, line, p.dir)
	p.assertGone(t, nil)
}

func TestSocketPathsAreBounded(t *testing.T) {
	t.Parallel()
	assert.NoError(t, checkSocket(strings.Repeat("x", 107)))
	assert.ErrorContains(t, checkSocket(strings.Repeat("x", 108)), "TMPDIR")
}

func TestTailKeepsWholeLastLines(t *testing.T) {
	t.Parallel()
	var short, long tail
	_, _ = short.Write([]byte("one\ntwo\n"))
	assert.Equal(t, "one\ntwo", short.String())
	for range 1000 {
		_, _ = long.Write([]byte("a line of the log\n"))
	}
	_, _ = long.Write([]byte("the end\n"))
	lines := strings.Split(long.String(), "\n")
	assert.Equal(t, "a line of the log", lines[0])
	assert.Equal(t, "the end", lines[len(lines)-1])
	assert.LessOrEqual(t, len(long.String()), tailSize)
}
