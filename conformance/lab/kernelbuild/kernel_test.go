package kernelbuild

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestNamesAreReadAsTheyAreWritten(t *testing.T) {
	t.Parallel()
	seen := make(map[string]bool)
	for _, k := range Catalog() {
		got, err := ParseName(k.Name())
		require.NoError(t, err)
		assert.Equal(t, k, got)
		assert.False(t, seen[k.Name()], k.Name())
		seen[k.Name()] = true
	}
	assert.Len(t, seen, len(Arches)*len(Releases)*4)
}

func TestNamesThatNameNoKernel(t *testing.T) {
	t.Parallel()
	for _, name := range []string{
		"", "arm64", "arm64-6.1", "arm-6.1-late", "arm64-6-late", "arm64-6.1-later", "arm64-6.1-late-module",
		"arm64-6.1-late/../x", "riscv-*", "arm64-[", "arm64-6.1-late\n",
	} {
		_, err := Select([]string{name})
		var wrong *NameError
		require.ErrorAs(t, err, &wrong, "%q", name)
		assert.Equal(t, name, wrong.Name)
		assert.Contains(t, err.Error(), "ARCH-RELEASE-START")
	}
}

func TestPatternsChooseFromTheCatalog(t *testing.T) {
	t.Parallel()
	chosen := kernels(t, "arm64-6.1-*", "arm64-6.1-late", "x86_64-6.19-late_sync", "arm64-newest-late")
	var names []string
	for _, k := range chosen {
		names = append(names, k.Name())
	}
	assert.Equal(t, []string{
		"arm64-6.1-late", "arm64-6.1-late_sync", "arm64-6.1-late-modules", "arm64-6.1-late_sync-modules",
		"x86_64-6.19-late_sync", "arm64-newest-late",
	}, names)
}

// Whatever makes another image makes another key.
func TestKeys(t *testing.T) {
	t.Parallel()
	k := Kernel{Arch: ARM64, Release: "6.1", Start: Late}
	assert.Equal(t, k.Key("6.1.192-3"), k.Key("6.1.192-3"))
	assert.Regexp(t, "^[0-9a-f]{12}$", k.Key("6.1.192-3"))
	changed := map[string]string{"unchanged": k.Key("6.1.192-3"), "version": k.Key("6.1.193-1")}
	for name, other := range map[string]Kernel{
		"arch": {Arch: X8664, Release: "6.1", Start: Late}, "release": {Arch: ARM64, Release: "6.12", Start: Late},
		"start": {Arch: ARM64, Release: "6.1", Start: LateSync}, "modules": {Arch: ARM64, Release: "6.1", Start: Late, Modules: true},
		"extra": {Arch: ARM64, Release: "6.1", Start: Late, Extra: "CONFIG_X=y\n"},
	} {
		changed[name] = other.Key("6.1.192-3")
	}
	by := make(map[string]string)
	for name, key := range changed {
		assert.Empty(t, by[key], "%s has the key of %s", name, by[key])
		by[key] = name
	}
}

func TestReleasesInOrder(t *testing.T) {
	t.Parallel()
	assert.Negative(t, compareReleases("6.1", "6.12"))
	assert.Negative(t, compareReleases("6.12", "7.3"))
	assert.Positive(t, compareReleases("6.10", "6.9"))
	assert.Zero(t, compareReleases("7.3", "7.3"))
}

// The fragments set each option once, and what the lab depends on is among them.
func TestFragments(t *testing.T) {
	t.Parallel()
	for _, k := range Catalog() {
		got := make(map[string]string)
		for _, f := range k.fragments(true) {
			settings, err := parseConfig(f.name, f.text)
			require.NoError(t, err)
			require.NotEmpty(t, settings, f.name)
			for _, s := range settings {
				assert.Empty(t, got[s.option], "%s: %s is set twice", k.Name(), s.option)
				got[s.option] = s.value
			}
		}
		for _, option := range []string{"IMA", "TCG_TIS", "KALLSYMS", "PRINTK_TIME", "SECURITYFS", "DEBUG_FS"} {
			assert.Equal(t, "y", got["CONFIG_"+option], "%s: %s", k.Name(), option)
		}
		assert.Equal(t, k.Modules, got["CONFIG_MODULES"] == "y", k.Name())
		assert.Equal(t, k.Start == LateSync, got["CONFIG_IMA_INIT_LATE_SYNC"] == "y", k.Name())
		without := k.fragments(false)
		for _, f := range without {
			assert.NotContains(t, f.text, "LATE_SYNC", "%s: a source without the option", k.Name())
		}
	}
}

func TestConfigurationsAreRead(t *testing.T) {
	t.Parallel()
	got, err := parseConfig("x", "# words\n\nCONFIG_A=y\n # CONFIG_B is not set\nCONFIG_C=\"a b\"\nCONFIG_64BIT=y")
	require.NoError(t, err)
	assert.Equal(t, []setting{{"CONFIG_A", "y"}, {"CONFIG_B", "n"}, {"CONFIG_C", `"a b"`}, {"CONFIG_64BIT", "y"}}, got)
	assert.Equal(t, "# CONFIG_B is not set", got[1].String())
	for _, text := range []string{"A=y", "CONFIG_A", "CONFIG_A=", "CONFIG_A y", "CONFIG_A-B=y"} {
		err := CheckConfig("f.config", "CONFIG_X=y\n"+text)
		var wrong *ConfigError
		require.ErrorAs(t, err, &wrong, text)
		assert.Equal(t, ConfigError{File: "f.config", Line: 2, Text: text}, *wrong)
	}
}

func FuzzConfigurations(f *testing.F) {
	f.Add("CONFIG_A=y\n# CONFIG_B is not set\n")
	f.Fuzz(func(t *testing.T, text string) {
		settings, err := parseConfig("f", text)
		if err != nil {
			return
		}
		var again strings.Builder
		for _, s := range settings {
			again.WriteString(s.String() + "\n")
		}
		second, err := parseConfig("f", again.String())
		require.NoError(t, err)
		assert.Equal(t, settings, second)
	})
}

func TestOptionsThatWereNotAccepted(t *testing.T) {
	t.Parallel()
	k := Kernel{Arch: ARM64, Release: "6.1", Start: Late}
	fragments := []fragment{
		{name: "a", text: "CONFIG_A=y\nCONFIG_B=y\n# CONFIG_C is not set\n"},
		{name: "b", text: "CONFIG_D=y\n", optional: true},
		{name: "c", text: "CONFIG_B=n\n"},
	}
	require.NoError(t, k.checkResult(fragments, "CONFIG_A=y\n"))
	err := k.checkResult(fragments, "CONFIG_B=y\nCONFIG_C=y\n")
	var refused *UnsetError
	require.ErrorAs(t, err, &refused)
	assert.Equal(t, []string{"CONFIG_A=y", "# CONFIG_B is not set", "# CONFIG_C is not set"}, refused.Wanted)
	assert.Contains(t, err.Error(), "arm64-6.1-late does not accept CONFIG_A=y, ")
}
