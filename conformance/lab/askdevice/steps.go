//go:build linux

package main

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// step is a command of rate, in the form
//
//	WHEN:HEX[:NAME=PART]
//
// WHEN is once (before the first repetition), time (in each repetition, and measured),
// each (in each repetition, and not measured) or end (after the last repetition). In HEX,
// {n} is the number of the repetition, 1 and up, in four bytes, and {NAME} the part of an
// earlier response that NAME was given to. The command's size field is written over.
//
// PART is handle (the handle of the response), first (its first parameter, a sized
// buffer) or pair (its first two parameters, sized buffers).
type step struct {
	when, text, name, part string
}

func parseStep(text string) (step, error) {
	when, rest, _ := strings.Cut(text, ":")
	command, keep, kept := strings.Cut(rest, ":")
	name, part, _ := strings.Cut(keep, "=")
	s := step{when, command, name, part}
	switch when {
	case "once", "time", "each", "end":
	default:
		return s, fmt.Errorf("step %q does not begin with once:, time:, each: or end: as it has to", text)
	}
	switch part {
	case "handle", "first", "pair":
	default:
		if kept {
			return s, fmt.Errorf("step %q keeps none of handle, first, pair", text)
		}
	}
	return s, nil
}

// conversation is a TPM and what was kept of its responses.
type conversation struct {
	fd   int
	room []byte
	kept map[string]string // hexadecimal digits by names
}

// command returns the bytes of a step in a repetition.
func (c *conversation) command(s step, repetition int) ([]byte, error) {
	pairs := []string{"{n}", fmt.Sprintf("%08x", repetition)}
	for name, digits := range c.kept {
		pairs = append(pairs, "{"+name+"}", digits)
	}
	command, err := hex.DecodeString(strings.NewReplacer(pairs...).Replace(s.text))
	if err != nil || len(command) < 10 {
		return nil, fmt.Errorf("step %q is no command: %w", s.text, err)
	}
	binary.BigEndian.PutUint32(command[2:], uint32(len(command)))
	return command, nil
}

// send sends a command that must succeed. It returns the response, which is valid until
// the next call.
func (c *conversation) send(command []byte) ([]byte, error) {
	response, err := exchange(c.fd, command, c.room, false)
	if err != nil {
		return nil, err
	}
	if code := binary.BigEndian.Uint32(response[6:]); code != 0 {
		return nil, fmt.Errorf("the TPM answers 0x%X to %x", code, command)
	}
	return response, nil
}

// keep keeps a part of a response.
func (c *conversation) keep(s step, response []byte) error {
	if s.part == "" {
		return nil
	}
	parameters := 10
	if binary.BigEndian.Uint16(response) == 0x8002 {
		parameters += 4
	}
	begin, end := parameters, parameters
	switch s.part {
	case "handle":
		begin, end = 10, 14
	case "pair":
		end = afterBuffer(response, afterBuffer(response, begin))
	case "first":
		end = afterBuffer(response, begin)
	}
	if end > len(response) {
		return fmt.Errorf("the response %x has no %s", response, s.part)
	}
	c.kept[s.name] = hex.EncodeToString(response[begin:end])
	return nil
}

// afterBuffer returns where the sized buffer at an offset of a response ends, which may be
// beyond the response.
func afterBuffer(response []byte, at int) int {
	if at+2 > len(response) {
		return len(response) + 1
	}
	return at + 2 + int(binary.BigEndian.Uint16(response[at:]))
}

// rate has a TPM answer steps again and again, each of which must succeed.
func rate(fd int, times, pid string, texts []string) (string, error) {
	n, err := strconv.Atoi(times)
	if err != nil || n <= 0 {
		return "", fmt.Errorf("%q is no number of repetitions", times)
	}
	var steps []step
	for _, text := range texts {
		s, err := parseStep(text)
		if err != nil {
			return "", err
		}
		steps = append(steps, s)
	}
	c := &conversation{fd, make([]byte, 4096), map[string]string{}}
	if err := c.untimed(steps, "once"); err != nil {
		return "", err
	}
	took, ran, err := c.repeat(steps, n, pid)
	if err != nil {
		return "", err
	}
	if err := c.untimed(steps, "end"); err != nil {
		return "", err
	}
	return fmt.Sprintf("%.3f %.1f", float64(n)/took.Seconds(), float64(ran)/1000/float64(n)), nil
}

// untimed sends the commands of the steps of one kind.
func (c *conversation) untimed(steps []step, when string) error {
	for _, s := range steps {
		if s.when == when {
			if _, err := c.exchange(s, 0); err != nil {
				return err
			}
		}
	}
	return nil
}

// repeat returns how long the timed steps took, and nanoseconds of a process's processor
// time from each of them to the next step: what the process does after its response counts.
func (c *conversation) repeat(steps []step, n int, pid string) (took time.Duration, ran int64, err error) {
	last, err := processorTime(pid)
	timed := false // whether the step before was
	settle := func() error {
		now, err := processorTime(pid)
		if timed {
			ran += now - last
		}
		last = now
		return err
	}
	for i := range n {
		for _, s := range steps {
			if err == nil && (s.when == "time" || s.when == "each") {
				var lasted time.Duration
				if err = settle(); err == nil {
					lasted, err = c.exchange(s, i+1)
				}
				if timed = s.when == "time"; timed {
					took += lasted
				}
			}
		}
	}
	if err != nil {
		return 0, 0, err
	}
	err = settle()
	return took, ran, err
}

// exchange sends the command of a step, and returns how long the TPM took.
func (c *conversation) exchange(s step, repetition int) (lasted time.Duration, err error) {
	command, err := c.command(s, repetition)
	if err != nil {
		return 0, err
	}
	begun := time.Now()
	response, err := c.send(command)
	lasted = time.Since(begun)
	if err != nil {
		return 0, err
	}
	return lasted, c.keep(s, response)
}
