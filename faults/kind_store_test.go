package faults_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-tpm/tpm2"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/swtpmd/swtpmd/emulator"
	"github.com/swtpmd/swtpmd/emulator/emulatortest"
	"github.com/swtpmd/swtpmd/emulator/state"
	"github.com/swtpmd/swtpmd/emulator/wire"
	"github.com/swtpmd/swtpmd/faults"
)

// changeAuth changes something that outlives a reset.
func changeAuth(tpm emulatortest.Client, auth string) error {
	_, err := tpm2.HierarchyChangeAuth{AuthHandle: tpm2.TPMRHEndorsement, NewAuth: tpm2.TPM2BAuth{Buffer: []byte(auth)}}.Execute(tpm)
	return err
}

// authIs reports whether the endorsement hierarchy has an authValue, by setting it again.
func authIs(t *testing.T, tpm emulatortest.Client, auth string) bool {
	t.Helper()
	_, err := tpm2.HierarchyChangeAuth{
		AuthHandle: tpm2.AuthHandle{Handle: tpm2.TPMRHEndorsement, Auth: tpm2.PasswordAuth([]byte(auth))},
		NewAuth:    tpm2.TPM2BAuth{Buffer: []byte(auth)},
	}.Execute(tpm)
	if err != nil {
		require.ErrorIs(t, err, tpm2.TPMRCBadAuth)
	}
	return err == nil
}

func TestAStoreThatFailsPutsTheTPMInFailureMode(t *testing.T) {
	t.Parallel()
	tpm := emulatortest.New(t)
	client, journal := faulty(t, tpm, "HierarchyChangeAuth#1: store=fail")
	require.ErrorIs(t, changeAuth(client, "new"), tpm2.TPMRCFailure)
	require.ErrorIs(t, stir(client), tpm2.TPMRCFailure, "until it is reset")
	require.Len(t, *journal, 1)
	assert.Regexp(t, `^a write of \d+ octets failed$`, (*journal)[0].Detail)

	require.Equal(t, wire.RCSuccess, tpm.Restart(wire.SUClear))
	assert.True(t, authIs(t, client, ""), "the state is the old one")
	require.NoError(t, changeAuth(client, "new"), "the fault is over")
}

func TestAStoreThatRefusesIsAskedAgain(t *testing.T) {
	t.Parallel()
	for fault, code := range map[string]tpm2.TPMRC{"store=full": tpm2.TPMRCNVUnavailable, "store=rate": tpm2.TPMRCNVRate} {
		client, journal := faulty(t, emulatortest.New(t), "*#1-2: "+fault)
		getRandomBytes(t, client) // needs no NV
		require.ErrorIs(t, changeAuth(client, "new"), code)
		require.NoError(t, changeAuth(client, "new"))
		assert.Len(t, *journal, 2)
	}
}

// Whatever the place at which a write breaks off, the TPM of a state directory has the old
// state or the new one after a reset, in the same process and in the next.
func TestATornWriteLeavesTheOldStateOrTheNew(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	var old, changed int
	for seed := range uint64(24) {
		directory, err := state.OpenDirectory(dir, state.DirectoryOptions{NoSync: true})
		require.NoError(t, err)
		tpm, err := emulator.New(emulator.Platform{Store: directory}, emulator.Config{CheckErrors: true})
		require.NoError(t, err)
		require.NoError(t, tpm.Init())
		client, journal := emulatortest.Client{}, new(told)
		client.TPM = wrap(t, tpm, faults.Plan{
			Rules: rules(t, "HierarchyChangeAuth#1: store=torn"), Seed: seed,
			Journal: journal.tell,
		})
		startup := func() {
			_, err := tpm2.Startup{StartupType: tpm2.TPMSUClear}.Execute(client)
			require.NoError(t, err)
		}
		startup()
		require.ErrorIs(t, changeAuth(client, "new"), tpm2.TPMRCFailure)
		assert.Regexp(t, `^a write broke off after \d+ of \d+ octets$`, (*journal)[0].Detail)
		if seed%2 == 0 {
			require.NoError(t, tpm.Init())
		} else { // the process has ended with the power
			require.NoError(t, directory.Close())
			directory, err = state.OpenDirectory(dir, state.DirectoryOptions{NoSync: true})
			require.NoError(t, err)
			tpm, err = emulator.New(emulator.Platform{Store: directory}, emulator.Config{CheckErrors: true})
			require.NoError(t, err)
			require.NoError(t, tpm.Init())
			client.TPM = tpm
		}
		startup()
		if authIs(t, client, "") {
			old++
		} else {
			require.True(t, authIs(t, client, "new"))
			changed++
			_, err = tpm2.Clear{AuthHandle: tpm2.TPMRHLockout}.Execute(client)
			require.NoError(t, err)
		}
		require.NoError(t, directory.Close())
	}
	assert.NotZero(t, old)
	assert.NotZero(t, changed)
}

func TestASlowStoreMakesTheAnswerLate(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		client, journal := faulty(t, emulatortest.New(t), "*: store=slow:3s")
		start := time.Now()
		getRandomBytes(t, client)
		assert.Zero(t, time.Since(start), "no write")
		require.NoError(t, changeAuth(client, "new"))
		assert.Equal(t, 3*time.Second, time.Since(start))
		assert.Equal(t, []string{"store=slow:3s passed: the TPM wrote nothing", "store=slow:3s delayed: a write took 3s longer"}, journal.details())
	})
}

// Who takes the power away does not wait for a slow write.
func TestAPowerCutEndsASlowWrite(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		tpm := emulatortest.New(t)
		device := wrap(t, tpm, faults.Plan{Rules: rules(t, "*: store=slow:3s")})
		answer := make(chan error, 1)
		go func() { answer <- changeAuth(emulatortest.Client{TPM: device}, "new") }()
		synctest.Wait()
		start := time.Now()
		require.NoError(t, device.(interface{ PowerOff() error }).PowerOff())
		require.ErrorIs(t, <-answer, tpm2.TPMRCFailure)
		assert.Zero(t, time.Since(start))
	})
}

func TestStoreFaultsThatAreNone(t *testing.T) {
	t.Parallel()
	spells(t, "store=fail", "store=torn", "store=full", "store=rate", "store=slow:200ms")
	refuses(t, map[string]string{
		"store": "write store=", "store=gone": `and not "gone"`, "store=slow": `and not "slow"`,
		"store=slow:": "such as 200ms", "store=slow:-1s": "such as 200ms",
	})
	for _, fault := range []faults.Fault{faults.StoreFault(9), faults.SlowStore(0)} {
		plan := faults.Plan{Rules: []faults.Rule{{Do: fault}}}
		require.Error(t, plan.Validate())
	}
}
