package main

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestHoldAndASynchronousProbe(t *testing.T) {
	t.Parallel()
	const hold = "--while-deferred=hold --defer-until="
	for line, warned := range map[string]bool{
		"":                                   false,
		"--defer-until=late_sync":            false,
		hold + "late_sync":                   true,
		hold + "device_sync":                 true,
		hold + "device":                      false, // released before the drivers start
		hold + "late_sync --async-probe":     false,
		hold + "late_sync --defer-from=late": false, // the probe has ended by then
		hold + "late_sync --append=driver_async_probe=tpm_tis":                  false,
		hold + "late_sync --append=driver_async_probe=*":                        false,
		hold + "late_sync --append=driver_async_probe=*,tpm_tis":                true,
		hold + "late_sync --append=driver_async_probe=tpm_crb":                  true,
		hold + "late_sync --device=tpm-crb --append=driver_async_probe=tpm_crb": false,
		hold + "late --board=virt --kernel=x":                                   true,
		hold + "late --board=virt --kernel=x --tree=leds":                       false, // probed in late
		hold + "late_sync --board=virt --kernel=x --tree=leds":                  true,
	} {
		o, err := parse(strings.Fields(line))
		require.NoError(t, err, line)
		assert.Equal(t, warned, o.holdWarning() != "", line)
	}
	o, err := parse(strings.Fields(hold + "late_sync --board=pseries --hold-max=5s"))
	require.NoError(t, err)
	for _, says := range []string{"tpm_ibmvtpm until late_sync", "for 5s", "driver_async_probe=tpm_ibmvtpm"} {
		assert.Contains(t, o.holdWarning(), says)
	}
}
