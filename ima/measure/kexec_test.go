package measure_test

import (
	"bytes"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/swtpmd/swtpmd/ima"
	"github.com/swtpmd/swtpmd/ima/measure"
)

// A list carried over by kexec: PCR 10 is not reset, the next kernel adds its own
// boot aggregate, and the whole list replays.
func TestKexecCarriesTheList(t *testing.T) {
	t.Parallel()
	for _, release := range []string{"6.1", "7.3"} {
		config := debian(t, "ima_policy=tcb|critical_data")
		config.Kernel = kernel(t, release)
		tpm := newFakeTPM(ima.SHA1, ima.SHA256)
		old := start(t, config, tpm)
		f := file("/etc/x", "x")
		old.Open(f, rootCred, measure.MayRead)
		old.Open(openWrite(f), rootCred, measure.MayWrite) // a violation
		require.NoError(t, old.KexecLoad())
		want := old.Count()
		buffer := old.KexecExecute()
		if config.Kernel.KexecAtExecute {
			want++ // kexec_execute
			assert.Equal(t, "kexec_execute", names(old)[want-1])
		}
		require.NotNil(t, buffer)

		next := config
		next.KexecBuffer = buffer
		next.Release = "next"
		m := start(t, next, tpm)
		assert.Equal(t, want+2, m.Count(), release)
		assert.Equal(t, names(old)[:want], names(m)[:want])
		assert.Equal(t, []string{"boot_aggregate", "kernel_version"}, names(m)[want:])
		assertConsistent(t, m, tpm)

		// Restored records are not in the hash table: the same file again is
		// a second record.
		m.Open(file("/etc/x", "x"), rootCred, measure.MayRead)
		assert.Equal(t, want+3, m.Count())
		assertConsistent(t, m, tpm)
	}
}

// In 6.1 what is recorded between load and execute is lost to the next kernel,
// so the list does not fit the PCR any more; 6.16 and later do not lose it.
func TestKexecLosesRecordsBeforeExecute(t *testing.T) {
	t.Parallel()
	for release, kept := range map[string]bool{"6.1": false, "7.3": true} {
		config := debian(t, "ima_policy=tcb|critical_data")
		config.Kernel = kernel(t, release)
		tpm := newFakeTPM(ima.SHA256)
		old := start(t, config, tpm)
		require.NoError(t, old.KexecLoad())
		old.BprmCheck(file("/sbin/kexec", "x"), rootCred)
		config.KexecBuffer = old.KexecExecute()
		old.BprmCheck(file("/sbin/late", "y"), rootCred)
		config.Release = "next"
		m := start(t, config, tpm)
		list, err := m.ReadSecurityFile("ascii_runtime_measurements")
		require.NoError(t, err)
		assert.Equal(t, kept, strings.Contains(string(list), "/sbin/kexec"), release)
		r, err := ima.Open(list, ima.Format{})
		require.NoError(t, err)
		c, err := ima.Compare(r, ima.PCRs{ima.SHA256: {10: tpm.pcrs[ima.SHA256][10]}})
		require.NoError(t, err)
		assert.Equal(t, kept, c.Match(), release)
		assert.Len(t, c.BootAggregates, 2)
	}
}

func TestKexecEvents(t *testing.T) {
	t.Parallel()
	config := debian(t, "ima_policy=critical_data")
	config.Kernel = kernel(t, "7.3")
	m := start(t, config, nil)
	list, err := m.ReadSecurityFile("binary_runtime_measurements")
	require.NoError(t, err)
	require.NoError(t, m.KexecLoad())
	assert.Equal(t, []string{"boot_aggregate", "kernel_version", "kexec_load"}, names(m))
	text := bufOf(m.Records()[2])
	assert.Equal(t, "kexec_segment_size=4096;ima_binary_runtime_size="+itoa(len(list)+24)+";ima_runtime_measurements_count=2;", text)
	require.NotNil(t, m.KexecExecute())
	_, err = m.MeasureCriticalData("l", "after", []byte("x"), false)
	assert.ErrorIs(t, err, measure.ENODEV, "measuring is suspended")
	assert.Equal(t, 4, m.Count())
}

func itoa(n int) string {
	var b []byte
	for ; n > 0; n /= 10 {
		b = append([]byte{byte('0' + n%10)}, b...)
	}
	return string(b)
}

func TestKexecBufferTooSmall(t *testing.T) {
	t.Parallel()
	config := debian(t, "ima_policy=critical_data")
	config.Kernel = kernel(t, "7.3")
	var log logLines
	config.Log = log.log
	m := start(t, config, nil)
	require.NoError(t, m.KexecLoad())
	_, err := m.MeasureCriticalData("l", "big", make([]byte, 5000), false)
	require.NoError(t, err)
	assert.Nil(t, m.KexecExecute())
	assert.Equal(t, "ima: Dump measurements failed. Error:-22", log.lines[len(log.lines)-1])
}

func TestKexecRestoreRefuses(t *testing.T) {
	t.Parallel()
	old := start(t, debian(t, "ima_policy=critical_data"), nil)
	require.NoError(t, old.KexecLoad())
	good := old.KexecExecute()
	legacy := start(t, debian(t, "ima_template=ima"), nil)
	require.NoError(t, legacy.KexecLoad())
	long := start(t, debian(t, "ima_template_fmt=d-ng|n-ng"+strings.Repeat("|xattrlengths", 6)), nil)
	require.NoError(t, long.KexecLoad())
	const failed = "ima: Failed to restore the measurement list: -22"
	for name, c := range map[string]struct {
		buffer []byte
		count  int // records restored
		log    []string
	}{
		"version":          {patched(good, 0, 2), 0, []string{"ima: attempting to restore a incompatible measurement list", failed}},
		"size too large":   {patched(good, 10, 1), 0, []string{failed}},
		"size too small":   {patched(good, 8, 1, 0), 0, []string{failed}},
		"count too large":  {patched(good, 16, 9), 2, nil},
		"count too small":  {patched(good, 16, 1), 0, []string{failed}},
		"damaged record":   {patched(good, 24+24, 0xff), 0, []string{failed}},
		"unknown template": {patched(good, 24+28, 'X'), 0, []string{`ima: attempting to initialize the template "Xma-sig" failed`}},
		"the ima template": {legacy.KexecExecute(), 0, []string{`ima: attempting to restore an unsupported template "ima" failed`, failed}},
		"long name":        {long.KexecExecute(), 0, []string{"ima: attempting to restore a template name that is too long", failed}},
		"no header":        {[]byte{1, 2, 3}, 0, nil},
	} {
		var log logLines
		config := debian(t, "")
		config.Log = log.log
		config.KexecBuffer = c.buffer
		m := start(t, config, nil)
		assert.Equal(t, c.count+1, m.Count(), name)
		assert.Equal(t, c.log, append([]string(nil), log.lines[2:len(log.lines)-1]...), name)
	}
}

func patched(list []byte, at int, b ...byte) []byte {
	list = bytes.Clone(list)
	copy(list[at:], b)
	return list
}

// A record of a custom format that equals a built-in one gets the built-in name.
func TestKexecRenamesKnownFormats(t *testing.T) {
	t.Parallel()
	old := start(t, debian(t, "ima_template_fmt=d-ng|n-ng"), nil)
	require.NoError(t, old.KexecLoad())
	assert.Equal(t, "d-ng|n-ng", old.Records()[0].Template().Name())
	config := debian(t, "")
	config.KexecBuffer = old.KexecExecute()
	m := start(t, config, nil)
	assert.Equal(t, "ima-ng", m.Records()[0].Template().Name())
}

// Staging and deleting: the lists put together are the whole one.
func TestStaging(t *testing.T) {
	t.Parallel()
	config := debian(t, "ima_policy=critical_data")
	config.Kernel = kernel(t, "7.3")
	config.Staging = true
	tpm := newFakeTPM(ima.SHA1)
	m := start(t, config, tpm)
	const current, staged = "binary_runtime_measurements_sha1", "binary_runtime_measurements_sha1_staged"
	whole := mustRead(t, m, current)
	assert.Empty(t, mustRead(t, m, staged))
	assert.ErrorIs(t, m.WriteList(staged, "D\n"), measure.ENOENT)
	require.NoError(t, m.WriteList(staged, "A\n"))
	assert.ErrorIs(t, m.WriteList("ascii_runtime_measurements_staged", "A\n"), measure.EEXIST)
	assert.Equal(t, whole, mustRead(t, m, staged))
	assert.Empty(t, mustRead(t, m, current))
	assert.Equal(t, 0, m.Count())
	record := func(event string) error {
		_, err := m.MeasureCriticalData("l", event, []byte("x"), false)
		return err
	}
	require.NoError(t, record("after"))
	assert.ErrorIs(t, m.AddBootAggregate(ima.BootAggregateName), measure.EEXIST, "what is staged still counts as measured")
	whole = append(whole, mustRead(t, m, current)...)
	r, err := ima.Open(whole, ima.Format{})
	require.NoError(t, err)
	c, err := ima.Compare(r, tpm.pcrs)
	require.NoError(t, err)
	assert.True(t, c.Match())

	require.NoError(t, m.KexecLoad())
	carried := config
	carried.KexecBuffer = stagedAndCurrent(t, config)
	assert.Equal(t, []string{"boot_aggregate", "kernel_version", "kexec_load", "kexec_execute", "boot_aggregate", "kernel_version"}, names(start(t, carried, nil)))
	require.NoError(t, m.WriteList(staged, "D\n"))
	assert.Empty(t, mustRead(t, m, staged))
	assert.ErrorIs(t, m.WriteList(current, "9\n"), measure.ENOENT)
	for _, bad := range []string{"", "1", "x\n", "0\n", "-1\n", "A\n"} {
		assert.ErrorIs(t, m.WriteList(current, bad), measure.EINVAL, "%q", bad)
	}
	assert.ErrorIs(t, m.WriteList(staged, "B\n"), measure.EINVAL)
	assert.ErrorIs(t, m.WriteList("violations", "1\n"), measure.EACCES)
	require.NoError(t, m.WriteList(current, "1\n"))
	assert.Equal(t, []string{"kexec_load"}, names(m))
	assert.ErrorIs(t, record("after"), measure.EEXIST, "the hash table keeps what was deleted")
	assert.NotNil(t, m.KexecExecute())
	assert.ErrorIs(t, m.WriteList(staged, "A\n"), measure.EACCES, "suspended")

	config.CommandLine += " ima_flush_htable"
	m = start(t, config, nil)
	require.NoError(t, m.WriteList(current, "2\n"))
	require.NoError(t, m.AddBootAggregate(ima.BootAggregateName))
	assert.ErrorIs(t, m.WriteList(staged, "D\n"), measure.ENOENT)
}

// stagedAndCurrent gives the kexec buffer of a kernel with a staged list: what is
// staged comes first.
func stagedAndCurrent(t *testing.T, config measure.Config) []byte {
	t.Helper()
	m := start(t, config, nil)
	require.NoError(t, m.WriteList("binary_runtime_measurements_staged", "A\n"))
	require.NoError(t, m.KexecLoad())
	buffer := m.KexecExecute()
	require.NotNil(t, buffer)
	return buffer
}

func mustRead(t *testing.T, m *measure.IMA, name string) []byte {
	t.Helper()
	b, err := m.ReadSecurityFile(name)
	require.NoError(t, err)
	return b
}
