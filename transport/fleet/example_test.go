package fleet_test

import (
	"context"
	"fmt"
	"log"
	"os"
	"sync"
	"sync/atomic"

	"github.com/swtpmd/swtpmd/emulator/wire"
	"github.com/swtpmd/swtpmd/transport/ask"
	"github.com/swtpmd/swtpmd/transport/fleet"
	"github.com/swtpmd/swtpmd/transport/raw"
	"github.com/swtpmd/swtpmd/transport/swtpm"
)

// A hundred TPMs serve a hundred clients, each of which gives its TPM power as QEMU does,
// starts it, and gets random bytes of it.
func Example() {
	dir, err := os.MkdirTemp("", "fleet")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	ctx := context.Background()
	f, err := fleet.New(fleet.Options{Dir: dir})
	if err != nil {
		log.Fatal(err)
	}
	for i := range 100 {
		if err := f.Add(ctx, fmt.Sprint("guest", i), fleet.Config{}); err != nil {
			log.Fatal(err)
		}
	}
	var octets atomic.Int64
	var clients sync.WaitGroup
	for _, status := range f.List() {
		clients.Go(func() {
			n, err := client(ctx, status)
			if err != nil {
				log.Print(status.Name, ": ", err)
			}
			octets.Add(int64(n))
		})
	}
	clients.Wait()
	fmt.Println(len(f.List()), "TPMs,", octets.Load(), "random octets")
	if err := f.Close(ctx); err != nil {
		log.Fatal(err)
	}
	// Output: 100 TPMs, 1600 random octets
}

// client returns how many random octets it has got.
func client(ctx context.Context, s fleet.Status) (int, error) {
	power, err := swtpm.DialControl(ctx, "unix", s.Control)
	if err != nil {
		return 0, err
	}
	defer power.Close()
	if err := power.Init(ctx, 0); err != nil {
		return 0, err
	}
	commands, err := raw.Dial(ctx, "unix", s.Data)
	if err != nil {
		return 0, err
	}
	defer commands.Close()
	tpm := ask.TPM{Device: commands}
	if err := tpm.Startup(ctx, wire.SUClear); err != nil {
		return 0, err
	}
	random, err := commands.Send(ctx, 0, []byte{0x80, 0x01, 0, 0, 0, 12, 0, 0, 0x01, 0x7b, 0, 16})
	return max(len(random)-12, 0), err
}
