package options

import (
	"time"

	"github.com/swtpmd/swtpmd/cmd/swtpmd/words"
)

const (
	// defaultBusyPoll is more than two threads need to wake each other, and less than a
	// person's or a kernel's pause between two commands.
	defaultBusyPoll = 200 * time.Microsecond
	// mostBusyPoll bounds what one look in vain costs.
	mostBusyPoll = 10 * time.Millisecond
)

// setBusyPoll reads the value of --busy-poll.
func (s *Set) setBusyPoll(text string) error {
	if text == "off" {
		s.BusyPoll = 0
		return nil
	}
	d, err := time.ParseDuration(text)
	if err != nil || d < 0 || d > mostBusyPoll {
		return words.Wrong("busy-poll", text, "it is off, or a time of at most "+mostBusyPoll.String()+", such as 200us")
	}
	s.BusyPoll = d
	return nil
}
