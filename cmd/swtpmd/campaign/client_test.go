package campaign_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/swtpmd/swtpmd/cmd/swtpmd/campaign"
	"github.com/swtpmd/swtpmd/cmd/swtpmd/cli"
	"github.com/swtpmd/swtpmd/emulator/wire"
	"github.com/swtpmd/swtpmd/transport"
	"github.com/swtpmd/swtpmd/transport/ask"
	"github.com/swtpmd/swtpmd/transport/dial"
	"github.com/swtpmd/swtpmd/transport/raw"
)

// clientVariable has the test binary be a client of the TPM.
const clientVariable = "CAMPAIGN_TEST_CLIENT"

// flakyVariable names the file in which the client flaky counts its runs.
const flakyVariable = "CAMPAIGN_TEST_RUNS"

var clients = map[string]func(ask.TPM) error{"notebook": notebook, "crash": crash, "sleep": sleep, "nothing": nothing, "guest": guest, "flaky": flaky}

// TestMain is one of the clients, too, and swtpmd.
func TestMain(m *testing.M) {
	if os.Getenv(mainVariable) != "" {
		commands := []cli.Command{campaign.Command, campaign.Shrink}
		os.Exit(cli.Main(context.Background(), "swtpmd", commands, os.Args[1:], cli.Streams{In: os.Stdin, Out: os.Stdout, Err: os.Stderr}))
	}
	run := clients[os.Getenv(clientVariable)]
	if run == nil {
		os.Exit(m.Run())
	}
	tpm, err := raw.Dial(context.Background(), "unix", os.Getenv("SWTPMD_SOCKET"))
	if os.Getenv(clientVariable) == "guest" {
		err = switchOn()
	}
	if err == nil {
		err = run(ask.TPM{Device: patient{tpm}})
	}
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
}

// patient is a TPM that is sent a command once more, twice at most, if it says so.
type patient struct{ transport.Device }

func (p patient) Send(ctx context.Context, locality uint8, command []byte) (response []byte, err error) {
	for range 3 {
		if response, err = p.Device.Send(ctx, locality, command); err != nil {
			return nil, err
		}
		h, _ := transport.ParseHeader(response)
		switch wire.RC(h.Code) {
		case wire.RCRetry, wire.RCNVRate, wire.RCYielded, wire.RCTesting:
			continue
		}
		break
	}
	return response, nil
}

// notebook keeps three pages in the TPM. Where the TPM refuses, it gives up and says so:
// that is good. It must not lose a page and say nothing. It does: it forgets the error of
// the last page. That is the planted bug.
func notebook(tpm ask.TPM) error {
	ctx := context.Background()
	pages := []string{"first", "second", "third"}
	index := func(page int) wire.Handle { return wire.Handle(0x01800001 + page) }
	refused := func(err error) error {
		fmt.Println("given up:", err)
		return nil
	}
	for i, page := range pages {
		const attributes = wire.NVPPWrite | wire.NVAuthRead | wire.NVPlatformCreate
		err := tpm.NVDefine(ctx, &wire.NVPublic{Index: index(i), NameAlg: wire.AlgSHA256, Attributes: attributes, Size: uint16(len(page))})
		if err != nil {
			return refused(err)
		}
	}
	for i, page := range pages {
		if err := tpm.NVWrite(ctx, index(i), []byte(page), 64); err != nil && i < len(pages)-1 {
			return refused(err)
		}
	}
	for i, page := range pages {
		kept, err := tpm.NVRead(ctx, index(i), 64)
		switch {
		case errors.Is(err, wire.RCNVUninitialized), err == nil && string(kept) != page:
			return fmt.Errorf("page %d is lost, and nobody was told", i+1)
		case err != nil:
			return refused(err)
		}
	}
	return nil
}

// crash dies of a signal when the TPM refuses a random number.
func crash(tpm ask.TPM) error {
	response, err := tpm.Device.Send(context.Background(), 0, transport.NewCommand(transport.TagNoSessions, uint32(wire.CCGetRandom), []byte{0, 8}))
	if h, _ := transport.ParseHeader(response); err != nil || h.Code != 0 {
		self, err := os.FindProcess(os.Getpid())
		if err != nil {
			return err
		}
		if err := self.Kill(); err != nil {
			return err
		}
		time.Sleep(time.Minute)
	}
	return nil
}

// sleep waits for long when the TPM refuses a random number.
func sleep(tpm ask.TPM) error {
	response, err := tpm.Device.Send(context.Background(), 0, transport.NewCommand(transport.TagNoSessions, uint32(wire.CCGetRandom), []byte{0, 8}))
	if h, _ := transport.ParseHeader(response); err != nil || h.Code != 0 {
		time.Sleep(time.Minute)
	}
	return nil
}

// nothing does not care for the TPM.
func nothing(ask.TPM) error { return nil }

// switchOn gives the TPM power, as QEMU does.
func switchOn() error {
	control, err := dial.Parse("swtpm:ctrl=" + os.Getenv("SWTPMD_CONTROL"))
	if err != nil {
		return err
	}
	device, err := control.Dial(context.Background())
	if err != nil {
		return err
	}
	power, ok := transport.As[transport.Power](device)
	if !ok {
		return errors.New("the control channel has no switch")
	}
	return power.Init()
}

// guest prints what a kernel does, and is right if the TPM then asks it to send a command
// again.
func guest(tpm ask.TPM) error {
	ctx := context.Background()
	if err := tpm.Startup(ctx, wire.SUClear); err != nil {
		return err
	}
	const boot = "[    0.000000] Linux version 6.1.0\n[    0.500000] calling  reboot_init+0x0/0x10 @ 1\n"
	if err := os.WriteFile(os.Getenv("SWTPMD_CONSOLE"), []byte(boot), 0o600); err != nil {
		return err
	}
	once := ask.TPM{Device: tpm.Device.(patient).Device}
	for {
		if _, err := once.Banks(ctx); errors.Is(err, wire.RCRetry) {
			return nil
		} else if err != nil {
			return err
		}
		time.Sleep(time.Millisecond) // the console is read by another process
	}
}

// flaky fails the first, the third time that it runs, and so on, whatever the TPM does.
func flaky(ask.TPM) error {
	f, err := os.OpenFile(os.Getenv(flakyVariable), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer f.Close()
	if _, err := f.WriteString("x"); err != nil {
		return err
	}
	runs, err := f.Stat()
	if err == nil && runs.Size()%2 == 1 {
		err = errors.New("now and then")
	}
	return err
}
