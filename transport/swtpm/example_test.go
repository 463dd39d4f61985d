//go:build unix

package swtpm_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"github.com/swtpmd/swtpmd/emulator"
	"github.com/swtpmd/swtpmd/transport"
	"github.com/swtpmd/swtpmd/transport/swtpm"
)

// A TPM for QEMU: -chardev socket,id=chr,path=… -tpmdev
// emulator,id=tpm,chardev=chr -device tpm-tis,tpmdev=tpm. Here a Device plays
// QEMU's part.
func Example() {
	ctx := context.Background()
	dir, err := os.MkdirTemp("", "")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = os.RemoveAll(dir) }()
	tpm, err := emulator.New(emulator.Platform{}, emulator.Config{})
	if err != nil {
		fmt.Println(err)
		return
	}
	path := filepath.Join(dir, "ctrl")
	listener, err := transport.ListenUnix(ctx, path, transport.Access{Mode: 0o770})
	if err != nil {
		fmt.Println(err)
		return
	}
	server := swtpm.NewServer(tpm, swtpm.Options{
		Events: func(e swtpm.Event) { fmt.Println("event:", e.Kind) },
	})
	served := make(chan error, 1)
	go func() { served <- server.ServeControl(listener) }()

	guest, err := swtpm.Dial(ctx, path)
	if err != nil {
		fmt.Println(err)
		return
	}
	startup := []byte{0x80, 0x01, 0, 0, 0, 12, 0, 0, 0x01, 0x44, 0, 0}
	response, err := guest.Send(ctx, 0, startup)
	fmt.Printf("without power: %x %v\n", response, err)
	fmt.Println("power on:", guest.Init())
	response, err = guest.Send(ctx, 0, startup)
	fmt.Printf("started: %x %v\n", response, err)
	fmt.Println("shut down:", guest.Control().Shutdown(ctx))
	fmt.Println("served:", <-served, "reason:", server.Reason())
	_, _ = server.Close(ctx), guest.Close()
	// Output:
	// without power: 80010000000a00000101 <nil>
	// event: INIT
	// power on: <nil>
	// started: 80010000000a00000000 <nil>
	// event: SHUTDOWN
	// shut down: <nil>
	// served: <nil> reason: SHUTDOWN request
}
