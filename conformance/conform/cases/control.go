package cases

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/go-tpm/tpm2"

	"github.com/swtpmd/swtpmd/conformance/conform"
	"github.com/swtpmd/swtpmd/transport"
	"github.com/swtpmd/swtpmd/transport/swtpm"
)

// controlProtocol is where swtpm's control channel is described.
var controlProtocol = conform.Section{Document: "swtpm", Clause: "swtpm_ioctls(3)", Title: "Control Channel Commands"}

// controlling is a step on the control channel.
func controlling(do func(ctx context.Context, c *swtpm.Client) error) conform.Step {
	return conform.Step{Client: func(c *conform.Client) error {
		tpm, ok := transport.As[*swtpm.TPM](c.Device)
		if !ok {
			return errors.New("there is no control channel")
		}
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		return do(ctx, tpm.Control())
	}}
}

// refusedWith expects a result of the control channel.
func refusedWith(want swtpm.Result, do func(ctx context.Context, c *swtpm.Client) error) conform.Step {
	return controlling(func(ctx context.Context, c *swtpm.Client) error {
		err := do(ctx, c)
		var refused *swtpm.ResultError
		switch {
		case err == nil:
			return fmt.Errorf("SUCCESS, expected %v", want)
		case errors.As(err, &refused) && refused.Result == want:
			return nil
		}
		return fmt.Errorf("%w, expected %v", err, want)
	})
}

// controlled is a case of the control channel.
func controlled(name string, harm conform.Harm, steps ...conform.Step) conform.Case {
	needs := conform.Needs{Other: func(f *conform.Features) string {
		if !f.Control {
			return "no control channel in swtpm's protocol"
		}
		return ""
	}}
	if harm&conform.Resets != 0 { // the runner has to know that all is gone
		steps = append(steps, conform.Reset())
	}
	return ask(controlProtocol, name, steps...).Harming(harm).Needing(needs)
}

// established expects the flag tpmEstablished.
func established(want bool) conform.Step {
	return controlling(func(ctx context.Context, c *swtpm.Client) error {
		got, err := c.TPMEstablished(ctx)
		if err == nil && got != want {
			return fmt.Errorf("tpmEstablished is %t", got)
		}
		return err
	})
}

// controlCases are those of swtpm's control channel.
func controlCases() []conform.Case {
	type ctl = *swtpm.Client
	const resets = conform.Resets
	stop := controlling(func(ctx context.Context, c ctl) error { return c.Stop(ctx) })
	start := controlling(func(ctx context.Context, c ctl) error { return c.Init(ctx, 0) })
	locality := func(n uint8) func(context.Context, ctl) error {
		return func(ctx context.Context, c ctl) error { return c.SetLocality(ctx, n) }
	}
	resetEstablished := func(n uint8) func(context.Context, ctl) error {
		return func(ctx context.Context, c ctl) error { return c.ResetTPMEstablished(ctx, n) }
	}
	size := func(wanted uint32, test func(swtpm.Sizes) bool) conform.Step {
		return controlling(func(ctx context.Context, c ctl) error {
			got, err := c.SetBufferSize(ctx, wanted)
			if err == nil && !test(got) {
				return fmt.Errorf("the sizes are %+v", got)
			}
			return err
		})
	}
	blob := func(kind swtpm.StateType) conform.Step {
		return controlling(func(ctx context.Context, c ctl) error {
			b, err := c.GetStateBlob(ctx, kind, 0)
			if err == nil && len(b.Data) == 0 {
				return errors.New("the state is empty")
			}
			return err
		})
	}
	sane := func(s swtpm.Sizes) bool { return s.Min > 0 && s.Min <= s.Size && s.Size <= s.Max }
	cases := []conform.Case{
		controlled("GET_CAPABILITY has what QEMU asks for", 0, controlling(func(ctx context.Context, c ctl) error {
			got, err := c.Capabilities(ctx)
			if err == nil && got&swtpm.QEMURequires != swtpm.QEMURequires {
				return fmt.Errorf("%#x", uint32(got))
			}
			return err
		})),
		controlled("GET_CONFIG answers SUCCESS", 0, controlling(func(ctx context.Context, c ctl) error {
			_, err := c.Config(ctx)
			return err
		})),
		controlled("GET_INFO of the specification gives the family 2.0", 0, controlling(func(ctx context.Context, c ctl) error {
			info, err := c.Info(ctx, swtpm.InfoSpecification)
			if err == nil && (info.Specification == nil || info.Specification.Family != "2.0") {
				return fmt.Errorf("%+v", info)
			}
			return err
		})),
		controlled("SET_BUFFERSIZE of 0 gives the size and its limits", 0, size(0, sane)),
		controlled("SET_BUFFERSIZE while the TPM is running answers BAD_ORDINAL", 0, refusedWith(swtpm.BadOrdinal, func(ctx context.Context, c ctl) error {
			_, err := c.SetBufferSize(ctx, 4096)
			return err
		})),
		controlled("SET_BUFFERSIZE of 1 takes the least size", resets, stop, size(1, func(s swtpm.Sizes) bool { return s.Size == s.Min }), size(0xffffffff, sane), start),
		controlled("SET_BUFFERSIZE of 4,294,967,295 takes the largest size", resets, stop, size(0xffffffff, func(s swtpm.Sizes) bool { return s.Size == s.Max }), start),
		controlled("SET_LOCALITY of 5 answers BAD_LOCALITY", 0, refusedWith(swtpm.BadLocality, locality(5))),
		controlled("SET_LOCALITY of 255 answers BAD_LOCALITY", 0, refusedWith(swtpm.BadLocality, locality(255))),
		controlled("GET_TPMESTABLISHED after HASH_START gives 1", resets, conform.Reset(), powerUp(0),
			controlling(func(ctx context.Context, c ctl) error { return c.HashStart(ctx) }), controlling(func(ctx context.Context, c ctl) error { return c.HashEnd(ctx) }), established(true)),
		controlled("RESET_TPMESTABLISHED at locality 3 clears the flag", resets, controlling(func(ctx context.Context, c ctl) error { return c.HashStart(ctx) }),
			controlling(func(ctx context.Context, c ctl) error { return c.HashEnd(ctx) }), established(true), controlling(resetEstablished(3)), established(false)),
		controlled("RESET_TPMESTABLISHED at locality 4 clears the flag", resets, controlling(func(ctx context.Context, c ctl) error { return c.HashStart(ctx) }),
			controlling(func(ctx context.Context, c ctl) error { return c.HashEnd(ctx) }), established(true), controlling(resetEstablished(4)), established(false)),
		controlled("INIT leaves the flag tpmEstablished as it is", resets, controlling(func(ctx context.Context, c ctl) error { return c.HashStart(ctx) }),
			controlling(func(ctx context.Context, c ctl) error { return c.HashEnd(ctx) }), start, established(true), controlling(resetEstablished(3))),
		controlled("HASH_DATA without HASH_START answers SUCCESS", 0, controlling(func(ctx context.Context, c ctl) error { return c.HashData(ctx, []byte("data")) })),
		controlled("CANCEL_TPM_CMD without a command answers SUCCESS", 0, controlling(func(ctx context.Context, c ctl) error { return c.Cancel(ctx) })),
		controlled("GET_STATEBLOB of the permanent state gives it", 0, blob(swtpm.StatePermanent)),
		controlled("GET_STATEBLOB of the volatile state gives it", 0, blob(swtpm.StateVolatile)),
		controlled("SET_STATEBLOB while the TPM is running answers BAD_ORDINAL", 0, refusedWith(swtpm.BadOrdinal, func(ctx context.Context, c ctl) error {
			return c.SetStateBlob(ctx, swtpm.StatePermanent, &swtpm.Blob{Data: []byte("state")})
		})),
		controlled("STOP of a TPM that is stopped answers SUCCESS", resets, stop, stop, start),
		controlled("A command to a TPM that is stopped answers TPM_RC_FAILURE", resets, stop, do(tpm2.TPMCCReadClock).Fails(tpm2.TPMRCFailure), start),
		controlled("A command before TPM2_Startup answers TPM_RC_INITIALIZE", resets, start, do(tpm2.TPMCCReadClock).Fails(tpm2.TPMRCInitialize)),
		controlled("INIT twice answers SUCCESS", resets, start, start),
		controlled("SET_LOCALITY of a TPM that is stopped answers SUCCESS", resets, stop, controlling(locality(0)), start),
	}
	for _, request := range []struct {
		name string
		do   func(ctx context.Context, c ctl) error
	}{
		{"GET_TPMESTABLISHED", func(ctx context.Context, c ctl) error { _, err := c.TPMEstablished(ctx); return err }},
		{"RESET_TPMESTABLISHED", resetEstablished(3)},
		{"HASH_START", func(ctx context.Context, c ctl) error { return c.HashStart(ctx) }},
		{"HASH_END", func(ctx context.Context, c ctl) error { return c.HashEnd(ctx) }},
		{"CANCEL_TPM_CMD", func(ctx context.Context, c ctl) error { return c.Cancel(ctx) }},
		{"STORE_VOLATILE", func(ctx context.Context, c ctl) error { return c.StoreVolatile(ctx) }},
		{"GET_STATEBLOB", func(ctx context.Context, c ctl) error {
			_, err := c.GetStateBlob(ctx, swtpm.StatePermanent, 0)
			return err
		}},
	} {
		cases = append(cases, controlled(request.name+" of a TPM that is stopped answers BAD_ORDINAL", resets, stop, refusedWith(swtpm.BadOrdinal, request.do), start))
	}
	for n := range uint8(3) {
		cases = append(cases, controlled(fmt.Sprintf("RESET_TPMESTABLISHED at locality %d answers BAD_LOCALITY", n), 0, refusedWith(swtpm.BadLocality, resetEstablished(n))))
	}
	return cases
}
