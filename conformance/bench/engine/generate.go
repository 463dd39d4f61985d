package main

import (
	"crypto/rand"
	"fmt"
	"io"
	"os/exec"
	"syscall"
	"text/tabwriter"

	"github.com/swtpmd/swtpmd/emulator/crypt"
)

// keyBits is the size of the keys that -generate makes.
const keyBits = 2048

// generate makes so many RSA keys in this process and with the program openssl, in turn, and
// prints the medians of the processor time for a key.
func generate(out io.Writer, count int) error {
	var ours, theirs, starts []float64
	for range count {
		us, err := generateHere()
		if err != nil {
			return err
		}
		key, err := opensslTime("genpkey", "-algorithm", "RSA", "-pkeyopt", fmt.Sprintf("rsa_keygen_bits:%d", keyBits))
		if err != nil {
			return err
		}
		start, err := opensslTime("genpkey", "-algorithm", "ED25519")
		if err != nil {
			return err
		}
		ours, theirs, starts = append(ours, us), append(theirs, key), append(starts, start)
	}
	other := median(theirs) - median(starts)
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintf(w, "ms a key of %d bits\temulator/crypt\topenssl\tours/openssl\t\n", keyBits)
	fmt.Fprintf(w, "\t%.1f\t%.1f\t%.2f\t\n", median(ours)/1000, other/1000, median(ours)/other)
	return w.Flush()
}

// generateHere makes a key from a new seed, and returns the processor time of this process
// in microseconds.
func generateHere() (float64, error) {
	var seed [crypt.DRBGSeedSize]byte
	if _, err := rand.Read(seed[:]); err != nil {
		return 0, err
	}
	var gen crypt.DRBGState
	gen.Instantiate(&seed)
	before, err := processorTime()
	if err != nil {
		return 0, err
	}
	if _, err := crypt.GenerateRSA(&gen, keyBits, crypt.RSAOptions{Workers: 1}); err != nil {
		return 0, err
	}
	after, err := processorTime()
	return after - before, err
}

// processorTime is the time in microseconds that processors have spent on this process.
func processorTime() (float64, error) {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		return 0, err
	}
	return float64(usage.Utime.Nano()+usage.Stime.Nano()) / 1000, nil
}

// opensslTime runs openssl with words, and returns the processor time of the process in
// microseconds.
func opensslTime(words ...string) (float64, error) {
	c := exec.Command("openssl", words...)
	if out, err := c.CombinedOutput(); err != nil {
		return 0, fmt.Errorf("openssl %v: %w: %s", words, err, out)
	}
	spent := c.ProcessState.UserTime() + c.ProcessState.SystemTime()
	return float64(spent.Microseconds()), nil
}
