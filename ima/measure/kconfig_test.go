package measure_test

import (
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/swtpmd/swtpmd/ima"
	"github.com/swtpmd/swtpmd/ima/measure"
)

// debianKconfig is what Debian's 6.1 has of what matters here.
const debianKconfig = `#
# Automatically generated file; DO NOT EDIT.
#
CONFIG_IMA=y
CONFIG_IMA_KEXEC=y
CONFIG_IMA_MEASURE_PCR_IDX=10
CONFIG_IMA_LSM_RULES=y
# CONFIG_IMA_NG_TEMPLATE is not set
CONFIG_IMA_SIG_TEMPLATE=y
CONFIG_IMA_DEFAULT_TEMPLATE="ima-sig"
CONFIG_IMA_DEFAULT_HASH="sha256"
# CONFIG_IMA_WRITE_POLICY is not set
CONFIG_IMA_READ_POLICY=y
# CONFIG_IMA_APPRAISE_MODSIG is not set
CONFIG_IMA_APPRAISE_REQUIRE_KEXEC_SIGS=y
CONFIG_IMA_APPRAISE_REQUIRE_MODULE_SIGS=y
CONFIG_IMA_MEASURE_ASYMMETRIC_KEYS=y
CONFIG_CRYPTO_MD5=y
CONFIG_CRYPTO_SHA1=y
CONFIG_CRYPTO_SHA256=y
CONFIG_CRYPTO_SHA512=m
CONFIG_CRYPTO_SM3_GENERIC=m
`

func TestReadKconfig(t *testing.T) {
	t.Parallel()
	c := measure.Config{Kernel: kernel(t, "6.1"), Release: "6.1.0-56-amd64"}
	require.NoError(t, c.ReadKconfig(strings.NewReader(debianKconfig)))
	assert.Equal(t, measure.Config{
		Kernel: kernel(t, "6.1"), Release: "6.1.0-56-amd64", Template: "ima-sig", DefaultHash: ima.SHA256, MeasurePCR: 10,
		ReadPolicy: true, MeasureKeys: true, LSM: true,
		BuildAppraiseRules: "appraise func=MODULE_CHECK appraise_type=imasig\nappraise func=KEXEC_KERNEL_CHECK appraise_type=imasig\n",
		Unavailable: []ima.HashAlgo{
			ima.MD4, ima.RMD160, ima.SHA384, ima.SHA512, ima.WP256, ima.WP384, ima.WP512, ima.SM3,
			ima.Streebog256, ima.Streebog512, ima.SHA3_256, ima.SHA3_384, ima.SHA3_512,
		},
		HashModules: []ima.HashAlgo{ima.SHA384, ima.SHA512, ima.SM3},
	}, c)
	// What a module has cannot be ima_hash, but a file's own hash.
	c.CommandLine = "ima_hash=sha512 ima_policy=tcb"
	m := start(t, c, nil)
	assert.True(t, strings.HasPrefix(m.Records()[0].FieldText("d-ng"), "sha256:"))
	f := file("/bin/x", "x")
	f.Inode.Xattrs = []ima.Xattr{{Name: "security.ima", Value: append([]byte{4, 6}, make([]byte, 64)...)}}
	m.BprmCheck(f, rootCred)
	assert.True(t, strings.HasPrefix(m.Records()[1].FieldText("d-ng"), "sha512:"))
	require.NoError(t, m.WritePolicy(rootCred, "appraise appraise_algos=sha512"))
	assert.Error(t, start(t, c, nil).WritePolicy(rootCred, "appraise appraise_algos=sha3-512"), "6.1 has no SHA-3")
	assert.Error(t, start(t, c, nil).WritePolicy(rootCred, "appraise appraise_algos=rmd160"), "not built")
}

// Options that the kernel does not have yet are left alone, and the others are
// those of the file.
func TestReadKconfigOfAnotherKernel(t *testing.T) {
	t.Parallel()
	const text = "CONFIG_IMA=y\nCONFIG_IMA_INIT_LATE_SYNC=y\nCONFIG_IMA_STAGING=y\nCONFIG_IMA_KEXEC_EXTRA_MEMORY_KB=4\nCONFIG_IMA_MEASURE_PCR_IDX=11\n"
	for release, has := range map[string]bool{"6.1": false, "7.3": true} {
		c := measure.Config{Kernel: kernel(t, release), LSM: true, MeasureKeys: true}
		require.NoError(t, c.ReadKconfig(strings.NewReader(text)))
		assert.Equal(t, has, c.InitLateSync, release)
		assert.Equal(t, has, c.Staging, release)
		assert.Equal(t, has, c.KexecExtraKB == 4, release)
		assert.Equal(t, 11, c.MeasurePCR)
		assert.False(t, c.LSM || c.MeasureKeys, "not in the file")
	}
	// KEY_CHECK is there or not as the kernel was built.
	for symbol, taken := range map[string]bool{"": false, "CONFIG_IMA_MEASURE_ASYMMETRIC_KEYS=y\n": true} {
		c := measure.Config{Kernel: kernel(t, "6.12")}
		require.NoError(t, c.ReadKconfig(strings.NewReader("CONFIG_IMA=y\nCONFIG_CRYPTO_SHA1=y\nCONFIG_CRYPTO_SHA256=y\n"+symbol)))
		assert.Equal(t, taken, start(t, c, nil).WritePolicy(rootCred, "measure func=KEY_CHECK keyrings=.ima") == nil, symbol)
	}
}

func TestReadKconfigRefuses(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]measure.KconfigError{
		"":                           {Symbol: "CONFIG_IMA"},
		"# CONFIG_IMA is not set":    {Symbol: "CONFIG_IMA"},
		"CONFIG_IMA=m":               {Symbol: "CONFIG_IMA"},
		"CONFIG_IMA=y\nCONFIG_X":     {Line: 2},
		"CONFIG_IMA=y\n\x1f\x8b":     {Line: 2},
		"IMA=y":                      {Line: 1},
		"CONFIG_IMA=y\nCONFIG_X=\"a": {Line: 2, Symbol: "CONFIG_X"},
		strings.Repeat("#\n", 2) + "CONFIG_" + strings.Repeat("x", 1<<14): {Line: 3},
		"CONFIG_IMA=y\nCONFIG_IMA_MEASURE_PCR_IDX=15":                     {Line: 2, Symbol: "CONFIG_IMA_MEASURE_PCR_IDX"},
		"CONFIG_IMA=y\nCONFIG_IMA_MEASURE_PCR_IDX=":                       {Line: 2, Symbol: "CONFIG_IMA_MEASURE_PCR_IDX"},
		"CONFIG_IMA=y\nCONFIG_IMA_DEFAULT_TEMPLATE=\"ima-foo\"":           {Line: 2, Symbol: "CONFIG_IMA_DEFAULT_TEMPLATE"},
		"CONFIG_IMA=y\nCONFIG_IMA_DEFAULT_HASH=\"sha257\"":                {Line: 2, Symbol: "CONFIG_IMA_DEFAULT_HASH"},
		"CONFIG_IMA=y\nCONFIG_IMA_DEFAULT_HASH=\"sha512\"":                {Line: 2, Symbol: "CONFIG_IMA_DEFAULT_HASH"},
	} {
		c := measure.Config{Kernel: kernel(t, "6.12"), LSM: true}
		var wrong *measure.KconfigError
		require.ErrorAs(t, c.ReadKconfig(strings.NewReader(text)), &wrong, "%.80q", text)
		assert.Equal(t, want.Line, wrong.Line, "%.80q", text)
		assert.Equal(t, want.Symbol, wrong.Symbol, "%.80q", text)
		assert.NotEmpty(t, wrong.Reason)
		assert.Contains(t, wrong.Error(), "kernel configuration")
		assert.True(t, c.LSM, "nothing has changed")
	}
	broken := errors.New("broken")
	assert.ErrorIs(t, new(measure.Config).ReadKconfig(io.MultiReader(strings.NewReader("CONFIG_IMA=y\n"), iotest.ErrReader(broken))), broken)
}

func FuzzReadKconfig(f *testing.F) {
	f.Add(debianKconfig, byte(0))
	f.Add("CONFIG_IMA=y\nCONFIG_IMA_STAGING=y\nCONFIG_IMA_MEASURE_PCR_IDX=14\nCONFIG_IMA_DEFAULT_HASH=\"sha1\"\nCONFIG_CRYPTO_SHA1=y", byte(4))
	kernels := measure.Kernels()
	f.Fuzz(func(t *testing.T, text string, k byte) {
		c := measure.Config{Kernel: kernels[int(k)%len(kernels)]}
		if err := c.ReadKconfig(strings.NewReader(text)); err != nil {
			var wrong *measure.KconfigError
			require.ErrorAs(t, err, &wrong)
			return
		}
		_, err := measure.New(c)
		require.NoError(t, err)
	})
}
