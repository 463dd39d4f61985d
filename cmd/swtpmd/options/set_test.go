package options

import (
	"flag"
	"io"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/swtpmd/swtpmd/cmd/swtpmd/cli"
	"github.com/swtpmd/swtpmd/emulator"
	"github.com/swtpmd/swtpmd/faults"
	"github.com/swtpmd/swtpmd/faults/initcall"
)

func TestSwtpmsWordsForAProfile(t *testing.T) {
	set, err := parsed(t, "--profile", "name=tiny")
	require.NoError(t, err)
	assert.Equal(t, "tiny", set.Profile.Name())
	set, err = parsed(t)
	require.NoError(t, err)
	assert.Empty(t, set.Profile.Name())
	assert.Equal(t, emulator.Config{}, set.Profile.Config())
}

func parsed(t *testing.T, args ...string) (*Set, error) {
	t.Helper()
	f := flag.NewFlagSet("test", flag.ContinueOnError)
	f.SetOutput(io.Discard)
	var set Set
	set.Define(f, InDaemon)
	return &set, f.Parse(args)
}

func TestEndpoints(t *testing.T) {
	for text, want := range map[string]Endpoint{
		"type=unixio,path=/p":                       {Network: "unix", Address: "/p", mode: 0o770, FD: -1, uid: -1, gid: -1},
		"type=unixio,path=/p,mode=0600,terminate":   {Network: "unix", Address: "/p", mode: 0o600, FD: -1, uid: -1, gid: -1, Terminate: true},
		"type=unixio,path=/p,uid=7,gid=8":           {Network: "unix", Address: "/p", mode: 0o770, FD: -1, uid: 7, gid: 8},
		"type=unixio,clientfd=9":                    {FD: 9, Client: true, mode: 0o770, uid: -1, gid: -1},
		"type=tcp,port=2322":                        {Network: "tcp", Address: "127.0.0.1:2322", mode: 0o770, FD: -1, uid: -1, gid: -1},
		"type=tcp,port=1,bindaddr=fe80::1,ifname=e": {Network: "tcp", Address: "[fe80::1%e]:1", mode: 0o770, FD: -1, uid: -1, gid: -1},
		"type=tcp,fd=5":                             {FD: 5, mode: 0o770, uid: -1, gid: -1},
	} {
		e, err := parseEndpoint("ctrl", text, "", ctrlWords)
		require.NoError(t, err, text)
		assert.Equal(t, want, *e, text)
	}
	e, err := parseEndpoint("server", "port=2321,disconnect", "tcp", serverWords)
	require.NoError(t, err)
	assert.True(t, e.Disconnect)
}

func TestWrongWordsAreNamed(t *testing.T) {
	for _, args := range [][]string{
		{"--ctrl", ""},
		{"--ctrl", "type=unixio"},
		{"--ctrl", "type=vsock,path=/p"},
		{"--ctrl", "type=unixio,path=/p,colour=red"},
		{"--ctrl", "type=unixio,path=/p,path=/q"},
		{"--ctrl", "type=unixio,path=/p,mode=rw"},
		{"--ctrl", "type=unixio,path=/p,mode=07777"},
		{"--ctrl", "type=unixio,path=/p,terminate=perhaps"},
		{"--ctrl", "type=unixio,fd=5,clientfd=6"},
		{"--ctrl", "type=unixio,path=/p,uid=nobody-has-this-name"},
		{"--ctrl", "type=tcp,port=1,bindaddr=nonsense"},
		{"--server", "port=1,bindaddr=localhost"},
		{"--ctrl", "type=tcp"},
		{"--ctrl", "type=tcp,port=70000"},
		{"--ctrl", "type=tcp,port=-1"},
		{"--server", "port=x"},
		{"--server", "port=1,terminate"},
		{"--port", "http"},
		{"--fd", "-1"},
		{"--flags", "startup-clear,startup-state"},
		{"--flags", "startup-deactivated"},
		{"--flags", "fast"},
		{"--locality", "reject-locality-3"},
		{"--log", "level=high"},
		{"--log", "file=a,fd=3"},
		{"--log", "secrets"},
		{"--log", "level=1,secrets"},
		{"--pid", "level=1"},
		{"--pid", "truncate"},
		{"--tpmstate", "mode=0600"},
		{"--tpmstate", "backend-uri=s3://bucket"},
		{"--tpmstate", "backend-uri=file://"},
		{"--tpmstate", "backend-uri=file:///tmp/"},
		{"--tpmstate", "backend-uri=file:///tmp/t,backup"},
		{"--tpmstate", "backend-uri=file:///tmp/t,fsync"},
		{"--tpmstate", "backend-uri=dir://"},
		{"--tpmstate", "backend-uri=dir:///a,dir=/b"},
		{"--tpmstate", "dir="},
		{"--tpmstate", "dir=/a,backup=perhaps"},
		{"--tpmstate", "dir=/a,mode=0400"},
		{"--tpmstate", "dir=/a,mode=rw"},
		{"--tpmstate", "dir=/a,lock=perhaps"},
		{"--tpmstate", "dir=/a,fsync=perhaps"},
		{"--tpmstate", "dir=/a", "--tpmstate", "dir=/a"},
		{"--state", ""},
		{"--state", "/a", "--tpmstate", "dir=/b"},
		{"--seccomp", "mode=1"},
		{"--seccomp", "action=foo"},
		{"--seccomp", ""},
		{"--key", "file=k,mode=aes-512"},
		{"--key", "mode=aes-cbc"},
		{"--key", "file=k", "--key", "file=l"},
		{"--migration-key", "pwdfile=k,format=hex"},
		{"--migration", "outgoing"},
		{"--migration", "incoming=perhaps"},
		{"--migration", "release-lock-outgoing=x"},
		{"--flags", "auto-shutdown,disable-auto-shutdown"},
		{"--profile", "name=default-v9"},
		{"--profile", `profile={"Name":"custom","Algorithms":"camellia"}`},
		{"--profile", "name=null,remove-disabled=fips-host"},
		{"--profile", "fd=x"},
		{"--profile", "fd=999"},
		{"--defer-until", "latest"},
		{"--defer-from", "Late"},
		{"--while-deferred", "sulk"},
		{"--hold-max", "10"},
		{"--defer-boots", "-"},
	} {
		_, err := parsed(t, args...)
		require.Error(t, err, "%v", args)
		assert.Contains(t, err.Error(), args[len(args)-2][1:], "the option is named")
	}
}

func TestErrorsListWhatIsValid(t *testing.T) {
	_, err := parsed(t, "--defer-until", "latest")
	assert.ErrorContains(t, err, "late_sync, userspace")
	_, err = parsed(t, "--while-deferred", "sulk")
	assert.ErrorContains(t, err, "fail, initialize, retry, testing, hold")
	_, err = parsed(t, "--locality", "reject-locality-3")
	assert.ErrorContains(t, err, "reject-locality-4, allow-set-locality")
}

func TestDeferralRules(t *testing.T) {
	set, err := parsed(t, "--defer-until=late_sync", "--while-deferred=hold", "--hold-max=2s", "--defer-boots=1")
	require.NoError(t, err)
	require.NoError(t, set.Check())
	rules := set.Deferral.Rules()
	require.Len(t, rules, 1)
	assert.Equal(t, faults.When{From: initcall.Kernel, Until: initcall.LateSync, Boots: 1}, rules[0].When)
	assert.Equal(t, faults.HoldBack{Max: 2 * time.Second}, rules[0].Do)

	hold := []string{"--defer-until=late_sync", "--while-deferred=hold"}
	dir := "--tpmstate=dir=" + t.TempDir()
	for _, tc := range []struct {
		longest time.Duration
		more    []string
	}{
		{faults.DefaultHoldMax, nil},
		{2 * time.Second, []string{"--migration=release-lock-outgoing", dir}},
		{2 * time.Second, []string{"--migration=incoming", dir}},
		{2 * time.Second, []string{"--migration-key=pwdfile=k"}},
		{faults.DefaultHoldMax, []string{"--migration=incoming", dir, "--hold-max=1m"}},
	} {
		set, err := parsed(t, slices.Concat(hold, tc.more)...)
		require.NoError(t, err)
		require.NoError(t, set.Check())
		assert.Equal(t, faults.HoldBack{Max: tc.longest}, set.Deferral.Rules()[0].Do, "%v", tc.more)
	}

	set, err = parsed(t, "--defer-until=device", "--defer-from=firmware")
	require.NoError(t, err)
	assert.Equal(t, initcall.Firmware, set.Deferral.Rules()[0].When.From)

	for _, args := range [][]string{nil, {"--defer-until=firmware", "--while-deferred=hold"}} {
		set, err = parsed(t, args...)
		require.NoError(t, err)
		require.NoError(t, set.Check())
		assert.Empty(t, set.Deferral.Rules())
	}
}

func TestOptionsThatDoNotGoTogether(t *testing.T) {
	for _, args := range [][]string{
		{"--console=-"},
		{"--timeline=builtin"},
		{"--defer-until=late", "--console=-", "--timeline=builtin"},
		{"--levels=gdb"},
		{"--defer-until=late", "--levels=gdb"},
		{"--defer-until=late", "--system-map=m"},
		{"--defer-until=late", "--levels=gdb", "--system-map=m", "--console=-"},
		{"--defer-until=late", "--levels=gdb", "--system-map=m", "--console-log=c"},
		{"--defer-until=late", "--levels=gdb", "--system-map=m", "--timeline=builtin"},
		{"--defer-until=late", "--levels=gdb", "--system-map=m", "--trust-console"},
		{"--defer-until=late", "--levels=gdb", "--system-map=m", "--marker=late=a"},
		{"--defer-until=early", "--defer-from=late"},
		{"--defer-until=kernel"},
		{"--defer-until=late", "--hold-max=0s"},
		{"--defer-until=late", "--defer-boots=-1"},
	} {
		set, err := parsed(t, args...)
		require.NoError(t, err, "%v", args)
		var usage *cli.UsageError
		assert.ErrorAs(t, set.Check(), &usage, "%v", args)
	}
}

func TestStartupWords(t *testing.T) {
	for words, want := range map[string]startup{
		"not-need-init":                       startupPower,
		"startup-none":                        startupPower,
		"not-need-init,startup-clear":         StartupClear,
		"startup-state,disable-auto-shutdown": startupState,
		"disable-auto-shutdown":               StartupByClient,
		"startup-clear,disable-auto-shutdown": StartupClear,
	} {
		set, err := parsed(t, "--flags", words)
		require.NoError(t, err, words)
		assert.Equal(t, want, set.Startup, words)
	}
}

func TestStateWords(t *testing.T) {
	for _, c := range []struct {
		args []string
		want StateWords
	}{
		{nil, StateWords{}},
		{[]string{"--state", "dir=a,b"}, StateWords{Dir: "dir=a,b", Mode: 0o600}},
		{[]string{"--tpmstate", "dir=/a"}, StateWords{Dir: "/a", Mode: 0o600}},
		{[]string{"--tpmstate", "backend-uri=dir:///a,mode=0640"}, StateWords{Dir: "/a", Mode: 0o640}},
		{[]string{"--tpmstate", "dir=a,lock,fsync=true,backup=false"}, StateWords{Dir: "a", Mode: 0o600}},
		{[]string{"--tpmstate", "dir=a,backup"}, StateWords{Dir: "a", Mode: 0o600, Backup: true}},
		{[]string{"--tpmstate", "backend-uri=file:///a/b"}, StateWords{Dir: "/a", Name: "b", Mode: 0o600, NoLock: true}},
		{[]string{"--tpmstate", "backend-uri=file://b,lock,mode=0640"}, StateWords{Dir: ".", Name: "b", Mode: 0o640}},
		{[]string{"--tpmstate", "dir=a,lock=false"}, StateWords{Dir: "a", Mode: 0o600, NoLock: true}},
		{[]string{"--tpmstate", "dir=a,fsync=0"}, StateWords{Dir: "a", Mode: 0o600, NoSync: true}},
	} {
		set, err := parsed(t, c.args...)
		require.NoError(t, err, "%v", c.args)
		assert.Equal(t, c.want, set.State, "%v", c.args)
	}
}
