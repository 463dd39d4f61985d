package lab

import (
	"cmp"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// deviceRate is a line of devicespeed.sh.
type deviceRate struct {
	perSecond, micros float64
}

// BenchmarkDevices measures /dev/tpm0 of swtpmd and of the distribution's swtpm, in turn
// in one guest with Debian's kernel. It boots once, whatever -benchtime is, and needs
// what TestDevices needs.
//
// SWTPMD_DEVICES_ROUNDS and SWTPMD_DEVICES_COMMANDS are how often each of them is
// started (5), and how many short commands of each kind it answers then (100); of others
// there are fewer.
func BenchmarkDevices(b *testing.B) {
	rounds, commands := number(b, "SWTPMD_DEVICES_ROUNDS", "5"), number(b, "SWTPMD_DEVICES_COMMANDS", "100")
	required := bootsRequired()
	lab, modules := equipDevices(b, required)
	swtpm, err := FindSwtpm(b.Context(), &Apt{Cache: lab.cache, Progress: b.Output()}, required)
	if err != nil && !required {
		b.Skip("no swtpm: ", err)
	}
	require.NoError(b, err)

	g := lab.deviceGuest("devicespeed.sh", modules)
	// The guest's time is its instructions, a nanosecond each: other work of the host
	// changes nothing.
	g.clock = "shift=0,sleep=off"
	g.limit = 2 * time.Hour
	require.NoError(b, g.withLibraries(b.Context(), map[string]string{"bin/swtpm": swtpm}))
	var list strings.Builder
	for _, c := range deviceCommands {
		fmt.Fprintln(&list, c.name, c.times(commands), strings.Join(c.steps, " "))
	}
	g.files["commands"] = []byte(list.String())
	g.files["settings"] = fmt.Appendf(nil, "rounds=%d\n", rounds)
	log := g.run(b, lab)
	rates := readRates(log)
	for _, c := range deviceCommands {
		ours, theirs := rates["swtpmd "+c.name], rates["swtpm "+c.name]
		require.Len(b, ours, rounds, "%s\n%s", c.name, log)
		require.Len(b, theirs, rounds, "%s\n%s", c.name, log)
		b.Run(c.name, func(b *testing.B) { reportRates(b, ours, theirs) })
	}
}

// number returns the number that a variable of the environment has.
func number(b *testing.B, name, without string) int {
	b.Helper()
	n, err := strconv.Atoi(cmp.Or(os.Getenv(name), without))
	if err != nil || n < 1 {
		b.Fatalf("%s=%q is no number of at least 1", name, os.Getenv(name))
	}
	return n
}

// rateLine is what devicespeed.sh prints for each measurement.
var rateLine = regexp.MustCompile(`(?m)^rate (\S+ \S+) ([0-9.]+) ([0-9.]+)\r?$`)

// readRates returns the measurements by the names of server and command.
func readRates(log string) map[string][]deviceRate {
	rates := map[string][]deviceRate{}
	for _, m := range rateLine.FindAllStringSubmatch(log, -1) {
		perSecond, _ := strconv.ParseFloat(m[2], 64)
		micros, _ := strconv.ParseFloat(m[3], 64)
		rates[m[1]] = append(rates[m[1]], deviceRate{perSecond, micros})
	}
	return rates
}

// reportRates reports medians of the rounds, and of the rounds' ratios.
func reportRates(b *testing.B, ours, theirs []deviceRate) {
	b.ReportMetric(0, "ns/op") // of this function, which says nothing
	b.ReportMetric(median(ours, func(r deviceRate) float64 { return r.perSecond }), "swtpmd/s")
	b.ReportMetric(median(theirs, func(r deviceRate) float64 { return r.perSecond }), "swtpm/s")
	ratios := make([]float64, len(ours))
	for i := range ratios {
		ratios[i] = ours[i].perSecond / theirs[i].perSecond
	}
	b.ReportMetric(median(ratios, func(r float64) float64 { return r }), "ratio")
	reportTimes(b, ours, theirs)
}

// reportTimes reports medians of the servers' processor time.
func reportTimes(b *testing.B, ours, theirs []deviceRate) {
	b.ReportMetric(median(ours, func(r deviceRate) float64 { return r.micros }), "swtpmd-µs")
	b.ReportMetric(median(theirs, func(r deviceRate) float64 { return r.micros }), "swtpm-µs")
}

// median returns the median of a value of each element.
func median[T any](of []T, value func(T) float64) float64 {
	list := make([]float64, len(of))
	for i, v := range of {
		list[i] = value(v)
	}
	slices.Sort(list)
	return (list[(len(list)-1)/2] + list[len(list)/2]) / 2
}

// TestReadRates reads what a guest prints.
func TestReadRates(t *testing.T) {
	t.Parallel()
	rates := readRates("boot\r\nrate swtpmd GetRandom 640.5 31.0\r\nrate swtpmd GetRandom error: gone\r\nrate swtpm GetRandom 600.0 40.5\r\nrate swtpmd GetRandom 641.0 30.0\r\nend\r\n")
	require.Equal(t, map[string][]deviceRate{
		"swtpmd GetRandom": {{640.5, 31}, {641, 30}},
		"swtpm GetRandom":  {{600, 40.5}},
	}, rates)
}
