package faults_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/swtpmd/swtpmd/faults"
)

func TestFlap(t *testing.T) {
	t.Parallel()
	for rule, want := range map[string]string{
		"*: flap=3/2":             "+++--+++--+++--",
		"*: flap=1/1":             "+-+-+-+-+-+-+-+",
		"*: flap=4s/3s":           "++++---++++---+",
		"GetRandom#6-: flap=1/3":  "++++++---+---+-", // it counts from the first command that the rule is for
		"GetRandom#-4: flap=2/10": "++--+++++++++++",
	} {
		got, journal := answers(t, rule, 15)
		assert.Equal(t, want, got, rule)
		assert.NotEmpty(t, journal)
	}
	refused(t, "flap", []string{"3", "3/", "/3", "0/1", "1/0", "3/2s", "2s/3", "0s/1s", "1s/0s", "x/y", "1/2/3"},
		faults.Flap{}, faults.Flap{On: 1}, faults.Flap{On: 1, Off: 1, OnTime: time.Second}, faults.Flap{OnTime: 1 << 62, OffTime: 1 << 62})
}
