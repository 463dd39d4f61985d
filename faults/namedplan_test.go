package faults_test

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-tpm/tpm2"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/swtpmd/swtpmd/emulator/emulatortest"
	"github.com/swtpmd/swtpmd/faults"
	"github.com/swtpmd/swtpmd/faults/initcall"
	"github.com/swtpmd/swtpmd/transport"
)

// situation is a TPM under a plan of the library, in the time of a synctest bubble.
type situation struct {
	*testing.T
	emulatortest.Client
	tpm     *emulatortest.TPM
	device  transport.Device
	clock   *initcall.Clock
	journal told
}

func situate(t *testing.T, name string) *situation {
	t.Helper()
	plan, err := faults.FindPlan(name)
	require.NoError(t, err)
	file, err := plan.File()
	require.NoError(t, err)
	s := &situation{T: t, tpm: emulatortest.New(t, emulatortest.WithoutPower(), emulatortest.Unchecked()), clock: new(initcall.Clock)}
	s.device = wrap(t, s.tpm.TPM, faults.Plan{Clock: s.clock, Rules: file.Rules, Seed: file.Seed, Journal: s.journal.tell})
	s.Client = emulatortest.Client{TPM: s.device}
	s.powerOn()
	return s
}

func (s *situation) powerOn() {
	s.Helper()
	power, ok := transport.As[transport.Power](s.device)
	require.True(s, ok)
	require.NoError(s, power.Init())
}

func (s *situation) startup() error {
	_, err := tpm2.Startup{StartupType: tpm2.TPMSUClear}.Execute(s.Client)
	return err
}

func (s *situation) random() error {
	_, err := tpm2.GetRandom{BytesRequested: 8}.Execute(s.Client)
	return err
}

func (s *situation) advance(level initcall.Level) {
	s.Helper()
	require.NoError(s, s.clock.Advance(level, initcall.NoTime, "test"))
}

// took returns how long a command took.
func (s *situation) took(do func() error) time.Duration {
	s.Helper()
	start := time.Now()
	require.NoError(s, do())
	return time.Since(start)
}

func (s *situation) extend() error {
	_, err := tpm2.PCRExtend{PCRHandle: tpm2.AuthHandle{Handle: 10, Auth: tpm2.PasswordAuth(nil)},
		Digests: tpm2.TPMLDigestValues{Digests: []tpm2.TPMTHA{{HashAlg: tpm2.TPMAlgSHA256, Digest: make([]byte, 32)}}}}.Execute(s.Client)
	return err
}

const counter tpm2.TPMHandle = 0x01500000

// define defines a counter, and increment increments it.
func (s *situation) define() error {
	_, err := tpm2.NVDefineSpace{AuthHandle: tpm2.TPMRHOwner, PublicInfo: tpm2.New2B(tpm2.TPMSNVPublic{
		NVIndex: counter, NameAlg: tpm2.TPMAlgSHA256, DataSize: 8,
		Attributes: tpm2.TPMANV{OwnerWrite: true, OwnerRead: true, NT: tpm2.TPMNTCounter, NoDA: true},
	})}.Execute(s.Client)
	return err
}

func (s *situation) increment() error {
	public, err := tpm2.NVReadPublic{NVIndex: counter}.Execute(s.Client)
	if err != nil {
		return err
	}
	_, err = tpm2.NVIncrement{AuthHandle: tpm2.TPMRHOwner, NVIndex: tpm2.NamedHandle{Handle: counter, Name: public.NVName}}.Execute(s.Client)
	return err
}

// banks returns how many entries TPM_CAP_PCRS has.
func (s *situation) banks() int {
	s.Helper()
	got, err := tpm2.GetCapability{Capability: tpm2.TPMCapPCRs, PropertyCount: 1}.Execute(s.Client)
	require.NoError(s, err)
	list, err := got.CapabilityData.Data.AssignedPCR()
	require.NoError(s, err)
	return len(list.PCRSelections)
}

// libraryEffects is what each plan of the library does to a client.
var libraryEffects = map[string]func(s *situation){
	"ci-timeouts": func(s *situation) {
		require.NoError(s, s.startup())
		late := 0
		for range 100 {
			if d := s.took(s.extend); d > 0 {
				late++
				assert.Greater(s, d, 750*time.Millisecond, "Linux waits so long")
			}
		}
		assert.InDelta(s, 10, late, 8)
		assert.Zero(s, s.took(s.random))
	},
	"slow-nv": func(s *situation) {
		require.NoError(s, s.startup())
		for _, do := range []func() error{s.define, s.increment} {
			d := s.took(do)
			assert.True(s, d >= 500*time.Millisecond && d <= 2*time.Second, "%v", d)
		}
		assert.Zero(s, s.took(s.extend))
	},
	"nv-rate": func(s *situation) {
		require.NoError(s, s.startup())
		require.NoError(s, s.define())
		require.NoError(s, s.increment())
		require.NoError(s, s.increment())
		require.ErrorIs(s, s.increment(), tpm2.TPMRCNVRate)
		require.NoError(s, s.increment())
	},
	"field-upgrade": func(s *situation) {
		require.NoError(s, s.startup())
		assert.Zero(s, s.banks())
		require.ErrorIs(s, s.random(), tpm2.TPMRCUpgrade)
	},
	"spi-late": func(s *situation) {
		require.NoError(s, s.startup())
		s.advance(initcall.Late)
		go func() {
			time.Sleep(2 * time.Second)
			assert.NoError(s, s.clock.Advance(initcall.LateSync, initcall.NoTime, "test"))
			time.Sleep(time.Second)
			assert.NoError(s, s.clock.Advance(initcall.Userspace, initcall.NoTime, "test"))
		}()
		assert.Equal(s, 3*time.Second, s.took(s.random))
		assert.Zero(s, s.took(s.random))
	},
	"linux-7.3-late-sync": func(s *situation) {
		require.NoError(s, s.startup())
		s.advance(initcall.Late)
		require.ErrorIs(s, s.random(), tpm2.TPMRCFailure)
		s.advance(initcall.LateSync)
		require.NoError(s, s.random())
	},
	"linux-7.3-other-tpm": func(s *situation) {
		require.NoError(s, s.startup())
		name := func() string {
			h, name := primary(s.T, s.Client, tpm2.TPMRHNull, tpm2.ECCSRKTemplate)
			_, err := tpm2.FlushContext{FlushHandle: h}.Execute(s.Client)
			require.NoError(s, err)
			return name
		}
		null := name()
		_, err := tpm2.Shutdown{ShutdownType: tpm2.TPMSUState}.Execute(s.Client)
		require.NoError(s, err)
		s.powerOn()
		_, err = tpm2.Startup{StartupType: tpm2.TPMSUState}.Execute(s.Client)
		require.NoError(s, err)
		assert.NotEqual(s, null, name())
	},
	"duplicate-banks": func(s *situation) {
		require.NoError(s, s.startup())
		plain, err := s.tpm.Send(s.Context(), 0, unhex("8001000000160000017a000000050000000000000001"))
		require.NoError(s, err)
		assert.Equal(s, int(plain[18])+1, s.banks())
	},
	"retry-storm": func(s *situation) {
		for errors.Is(s.startup(), tpm2.TPMRCRetry) {
		}
		longest, now := 0, 0
		for range 200 {
			now++
			if err := s.random(); err == nil {
				longest, now = max(longest, now), 0
			} else {
				require.ErrorIs(s, err, tpm2.TPMRCRetry)
			}
		}
		assert.Greater(s, longest, 8, "more often than Linux asks")
	},
	"hard-resets": func(s *situation) {
		auth := tpm2.TPM2BSensitiveCreate{Sensitive: &tpm2.TPMSSensitiveCreate{UserAuth: tpm2.TPM2BAuth{Buffer: []byte("pin")}}}
		var last error
		for boot := 0; boot < 10 && last == nil; boot++ {
			require.NoError(s, s.startup())
			created, err := tpm2.CreatePrimary{PrimaryHandle: tpm2.TPMRHOwner, InSensitive: auth, InPublic: tpm2.New2B(protected())}.Execute(s.Client)
			require.NoError(s, err)
			_, last = tpm2.Sign{
				KeyHandle:  tpm2.AuthHandle{Handle: created.ObjectHandle, Name: created.Name, Auth: tpm2.PasswordAuth([]byte("pin"))},
				Digest:     tpm2.TPM2BDigest{Buffer: make([]byte, 32)},
				InScheme:   tpm2.TPMTSigScheme{Scheme: tpm2.TPMAlgECDSA, Details: tpm2.NewTPMUSigScheme(tpm2.TPMAlgECDSA, &tpm2.TPMSSchemeHash{HashAlg: tpm2.TPMAlgSHA256})},
				Validation: tpm2.TPMTTKHashCheck{Tag: tpm2.TPMSTHashCheck, Hierarchy: tpm2.TPMRHNull},
			}.Execute(s.Client)
			if last == nil {
				_, err = tpm2.Shutdown{ShutdownType: tpm2.TPMSUClear}.Execute(s.Client)
				require.ErrorIs(s, err, faults.ErrNoPower)
				s.powerOn()
			}
		}
		require.ErrorIs(s, last, tpm2.TPMRCLockout, "with the right PIN each time")
	},
	"userspace-asks": func(s *situation) {
		require.ErrorIs(s, s.startup(), tpm2.TPMRCFailure)
		s.advance(initcall.LateSync)
		require.ErrorIs(s, s.startup(), tpm2.TPMRCFailure)
		s.advance(initcall.Userspace)
		require.ErrorIs(s, s.random(), tpm2.TPMRCFailure)
		require.NoError(s, s.startup())
		require.NoError(s, s.random())
	},
	"flaky-line": func(s *situation) {
		require.NoError(s, s.startup())
		lost := 0
		for range 200 {
			if err := s.random(); err != nil {
				require.ErrorIs(s, err, faults.ErrNoAnswer)
				lost++
			}
		}
		assert.InDelta(s, 10, lost, 9)
	},
	"pending-self-tests": func(s *situation) {
		require.NoError(s, s.startup())
		require.ErrorIs(s, s.random(), tpm2.TPMRCTesting)
		assert.NotZero(s, s.banks())
		time.Sleep(2 * time.Second)
		require.NoError(s, s.random())
	},
	"firmware-alone": func(s *situation) {
		require.ErrorIs(s, s.startup(), tpm2.TPMRCFailure)
		s.advance(initcall.Kernel)
		require.NoError(s, s.startup())
		require.NoError(s, s.random())
	},
}

// protected is the template of a signing key with dictionary attack protection.
func protected() tpm2.TPMTPublic {
	return tpm2.TPMTPublic{
		Type: tpm2.TPMAlgECC, NameAlg: tpm2.TPMAlgSHA256,
		ObjectAttributes: tpm2.TPMAObject{FixedTPM: true, FixedParent: true, SensitiveDataOrigin: true, UserWithAuth: true, SignEncrypt: true},
		Parameters:       tpm2.NewTPMUPublicParms(tpm2.TPMAlgECC, &tpm2.TPMSECCParms{CurveID: tpm2.TPMECCNistP256}),
	}
}

// Each plan of the library does what its comment says, and its journal has it.
func TestNamedPlans(t *testing.T) {
	t.Parallel()
	for _, p := range faults.NamedPlans() {
		t.Run(p.Name, func(t *testing.T) {
			t.Parallel()
			effect, ok := libraryEffects[p.Name]
			require.True(t, ok, "nothing says what it does to a client")
			assert.Regexp(t, `(Report|Source): `, p.Doc, "where it was met")
			assert.NotEmpty(t, p.Summary())
			file, err := p.File()
			require.NoError(t, err)
			plan := faults.Plan{Rules: file.Rules, Clock: new(initcall.Clock)}
			require.NoError(t, plan.Validate(), "and it needs no --dangerous")
			synctest.Test(t, func(t *testing.T) {
				s := situate(t, p.Name)
				effect(s)
				assert.NotEmpty(t, s.journal)
			})
		})
	}
	assert.Len(t, libraryEffects, len(faults.NamedPlans()), "a plan is not there any more")
	_, err := faults.FindPlan("x")
	var unknown *faults.UnknownPlanError
	require.ErrorAs(t, err, &unknown)
	assert.ErrorContains(t, err, "slow-nv")
}
