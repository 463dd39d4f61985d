package lab

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
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
	assert.Contains(t, line, "-accel tcg,thread=single -smp 2 ")
	assert.Contains(t, line, "-machine q35 -cpu max -m 1024 -device isa-serial,index=3,chardev=report")

	at.console, m.Firmware, m.Accel = "/d/console", OVMF, KVM
	line = strings.Join(m.args(at), " ")
	assert.Contains(t, line, "-chardev socket,id=console,path=/d/console -serial chardev:console", "no logfile=, which doubles bytes")
	assert.Contains(t, line, "-accel kvm -smp")
	assert.Contains(t, line, "readonly=on,file=/code")
	assert.Contains(t, line, "unit=1,format=raw,file=/d/vars", "the variables are a copy")
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
