package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"time"

	"github.com/swtpmd/swtpmd/conformance"
	"github.com/swtpmd/swtpmd/conformance/differential/conversation"
	"github.com/swtpmd/swtpmd/conformance/differential/version185"
	"github.com/swtpmd/swtpmd/emulator"
	"github.com/swtpmd/swtpmd/emulator/emulatortest"
	"github.com/swtpmd/swtpmd/transport"
)

// packetsPerConversation are the commands of one of --version185.
const packetsPerConversation = 150

// modeled makes TPMs of the profile v185 that answer the same commands with the same bytes.
func modeled(check bool) (*conversation.Target, error) {
	profile, err := emulator.ProfileByName("v185")
	if err != nil {
		return nil, err
	}
	profile.Config.CheckErrors = check
	return &conversation.Target{Name: "emulator", Fresh: func(context.Context) (transport.Device, error) {
		tpm, err := emulator.New(emulator.Platform{Entropy: emulatortest.NewEntropy(185), Clock: &emulatortest.Clock{}}, profile.Config)
		if err != nil {
			return nil, err
		}
		return tpm, tpm.Init()
	}}, nil
}

// playVersion185 holds the emulator against the model of version 185.
func playVersion185(ctx context.Context, o options, stdout, stderr io.Writer) int {
	target, err := modeled(o.check)
	if err != nil {
		fmt.Fprintf(stderr, "differential: %v\n", err)
		return exitBroken
	}
	fmt.Fprintf(stderr, "emulator against the model of version 185, --seed %d\n", o.seed)
	var total version185.Tally
	count := func(tally version185.Tally, played error) {
		total.Add(tally)
		err = played
	}
	if o.share > 0 {
		count(version185.Attributes(ctx, target, o.seed, o.share))
		if err == nil {
			count(version185.Truncations(ctx, target, o.seed, o.share))
		}
	}
	last := time.Now()
	for i := 0; i < o.version185 && err == nil; i++ {
		count(version185.Play(ctx, target, o.seed+uint64(i), packetsPerConversation))
		if time.Since(last) > 5*time.Second {
			last = time.Now()
			fmt.Fprintf(stderr, "conversation %d of %d, %d commands\n", i+1, o.version185, total.Packets)
		}
	}
	var finding *version185.Finding
	found := errors.As(err, &finding)
	if !found {
		if err := errors.Join(err, writeTally(stdout, total, o.json)); err != nil {
			fmt.Fprintf(stderr, "differential: %v\n", err)
			return exitBroken
		}
		return exitEqual
	}
	if err := writeTally(stdout, total, o.json); err != nil {
		fmt.Fprintf(stderr, "differential: %v\n", err)
	}
	fmt.Fprintf(stderr, "differential: %v", finding)
	return exitFound
}

// writeTally writes what was sent, as text or JSON.
func writeTally(w io.Writer, t version185.Tally, asJSON bool) error {
	if asJSON {
		encoder := json.NewEncoder(w)
		encoder.SetIndent("", "  ")
		return encoder.Encode(t)
	}
	_, err := fmt.Fprintf(w, "%d commands\n\n%-28s %9s %9s\n", t.Packets, "command", "sent", "succeeded")
	for _, name := range slices.Sorted(maps.Keys(t.Sent)) {
		_, failed := fmt.Fprintf(w, "%-28s %9d %9d\n", name, t.Sent[name], t.Succeeded[name])
		err = cmp.Or(err, failed)
	}
	for _, code := range slices.Sorted(maps.Keys(t.Codes)) {
		_, failed := fmt.Fprintf(w, "%9d %s\n", t.Codes[code], conformance.Describe(code))
		err = cmp.Or(err, failed)
	}
	return err
}
