package lab

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestConformance boots Debian's kernel and has swtpmd conform ask /dev/tpmrm0 and /dev/tpm0
// in the guest, with the default profile and with v185: no case fails, and what the resource
// manager answers by itself is told as such. SWTPMD_CONFORM_KEEP names a folder for the
// reports, PROFILE-tpmrm0.json and PROFILE-tpm0.json.
func TestConformance(t *testing.T) {
	if os.Getenv("SWTPMD_CONFORM") != "all" {
		t.Skip("SWTPMD_CONFORM is not \"all\": the guest runs for minutes")
	}
	b, modules := equipDevices(t, bootsRequired())
	defer b.enter(false)()
	g := b.deviceGuest("conform.sh", modules)
	g.clock, g.limit = "shift=0,sleep=off", 40*time.Minute
	log := g.run(t, b)
	for profile, passes := range map[string]int{"default": 2800, "v185": 3900} {
		for _, name := range []string{"tpmrm0", "tpm0"} {
			checkConformance(t, log, profile, name, passes)
		}
	}
}

// checkConformance looks at what a guest has told of one device whose TPM has a profile.
func checkConformance(t *testing.T, log, profile, name string, passes int) {
	t.Helper()
	full := profile + "-" + name
	report := conformReport(t, log, full)
	if dir := os.Getenv("SWTPMD_CONFORM_KEEP"); dir != "" {
		require.NoError(t, os.WriteFile(filepath.Join(dir, full+".json"), report, 0o600))
	}
	var file struct {
		ResourceManager bool
		Totals          map[string]int
		Cases           []struct{ Name, Status, Expected, Got, Why string }
	}
	require.NoError(t, json.Unmarshal(report, &file))
	t.Logf("/dev/%s, %s: %v", name, profile, file.Totals)
	assert.Equal(t, name == "tpmrm0", file.ResourceManager)
	assert.Greater(t, file.Totals["pass"], passes, full)
	managed := 0
	for _, c := range file.Cases {
		assert.NotContains(t, []string{"fail", "not run"}, c.Status, "/dev/%s, %s: %s: expected %s, got %s %s", name, profile, c.Name, c.Expected, c.Got, c.Why)
		if strings.HasPrefix(c.Why, "resource manager") {
			managed++
		}
	}
	assert.Equal(t, name == "tpmrm0", managed > 0, "%d cases at /dev/%s, %s", managed, name, profile)
	assert.Contains(t, log, "exit code "+full+" 0")
}

// conformReport returns a report that the guest has printed.
func conformReport(t *testing.T, log, name string) []byte {
	t.Helper()
	found := regexp.MustCompile(`(?s)== report ` + name + `\r?\n(.*?)== end`).FindStringSubmatch(log)
	require.NotNil(t, found, "%s", log)
	packed, err := base64.StdEncoding.DecodeString(strings.Join(strings.Fields(found[1]), ""))
	require.NoError(t, err)
	z, err := gzip.NewReader(bytes.NewReader(packed))
	require.NoError(t, err)
	report, err := io.ReadAll(z)
	require.NoError(t, err)
	return report
}
