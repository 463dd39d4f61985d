package measure_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/swtpmd/swtpmd/ima/measure"
)

// What a kernel shows of a policy is the same policy, read again.
func FuzzParsePolicy(f *testing.F) {
	f.Add("measure func=FILE_CHECK mask=^MAY_READ euid=0 uid>5 fowner<3 fsmagic=0x9fa0 pcr=11 template=ima-ng\n", byte(7))
	f.Add("# x\n\n\tappraise func=MODULE_CHECK appraise_type=imasig|modsig appraise_flag=check_blacklist appraise_algos=sha256,sha512", byte(7))
	f.Add("measure func=KEY_CHECK keyrings=.ima|.evm\nmeasure func=CRITICAL_DATA label=a|b obj_user=x", byte(0))
	f.Add("dont_measure fsuuid=6ba7b810-9dad-11d1-80b4-00c04fd430c8 fsname=ext4 permit_directio digest_type=verity", byte(3))
	f.Add("dont_audit fsname=fuse fs_subtype=sshfs # all\nappraise func=BPRM_CHECK appraise_type=sigv3\n", byte(0x4f))
	f.Add("appraise appraise_type=imasig digest_type=verity appraise_flag=x\naudit fs_subtype=a#b uid=0\t#c", byte(0x4f))
	f.Add("dont_audit\nmeasure fs_subtype=x", byte(0x1f))
	kernels := measure.Kernels()
	f.Fuzz(func(t *testing.T, text string, bits byte) {
		config := policyConfig(t)
		config.Kernel = kernels[int(bits>>4)%len(kernels)]
		config.MeasureKeys, config.Modsig, config.LSM = bits&1 != 0, bits&2 != 0, bits&4 != 0
		rules, err := measure.ParsePolicy(text, config)
		if err != nil {
			var refused *measure.RuleError
			require.ErrorAs(t, err, &refused)
			return
		}
		for _, r := range rules {
			shown := r.String()
			if shown == "" || strings.Contains(shown, "sigv3") && !config.Kernel.SigV3 || strings.Contains(shown, "=-") || strings.ContainsAny(shown, "<>") && strings.Contains(shown, "-") || strings.Contains(shown, "fsname=") || strings.Contains(shown, "fs_subtype=") {
				continue // the kernel does not take all that it shows
			}
			again, err := measure.ParsePolicy(shown, config)
			require.NoError(t, err, "%q", shown)
			require.Len(t, again, 1)
			require.Equal(t, shown, again[0].String())
		}
	})
}

// Whatever stands on the command line, IMA starts, or does not for want of a
// template, and says so.
func FuzzCommandLine(f *testing.F) {
	f.Add(`ima_policy="tcb critical_data" ima-hash=sha512 ima_template_fmt=d-ng|n-ng -- ima_tcb`)
	f.Add("ima_template= ima_hash=sha3-256 ima_template=ima")
	f.Add("ima_template=ima ima_hash=md5x ima_template_fmt=| ima_tcb")
	kernels := measure.Kernels()
	f.Fuzz(func(t *testing.T, line string) {
		for _, k := range kernels {
			m, err := measure.New(measure.Config{Kernel: k, CommandLine: line, Log: func(line string) { assert.True(t, strings.HasPrefix(line, "ima: ")) }})
			require.NoError(t, err)
			if err := m.Init(noTPM); err != nil {
				require.ErrorIs(t, err, measure.EINVAL)
				require.Zero(t, m.Count())
			}
		}
	})
}

// Whatever the kernel before hands over, IMA starts.
func FuzzKexecBuffer(f *testing.F) {
	m := start(f, debian(f, "ima_policy=critical_data"), nil)
	require.NoError(f, m.KexecLoad())
	f.Add(m.KexecExecute())
	f.Fuzz(func(t *testing.T, buffer []byte) {
		config := debian(t, "")
		config.KexecBuffer = buffer
		m, err := measure.New(config)
		require.NoError(t, err)
		require.NoError(t, m.Init(noTPM))
		_, err = m.ReadSecurityFile("ascii_runtime_measurements")
		require.NoError(t, err)
		require.NoError(t, m.KexecLoad())
	})
}
