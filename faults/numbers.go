package faults

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// maxCount bounds the numbers of commands and boots in a rule.
const maxCount = math.MaxInt32

// number reads a number from 1.
func number(text string) (n int, ok bool) {
	n, err := strconv.Atoi(text)
	return n, err == nil && n >= 1 && n <= maxCount && text[0] != '+'
}

// numbers reads N, N-M, N- or -M, with another separator where sep is one. What is left
// out is 0.
func numbers(text, sep string) (first, last int, ok bool) {
	a, b, isRange := strings.Cut(text, sep)
	if !isRange {
		first, ok = number(text)
		return first, first, ok
	}
	if a == "" && b == "" {
		return 0, 0, false
	}
	ok = true
	if a != "" {
		first, ok = number(a)
	}
	if b != "" && ok {
		last, ok = number(b)
	}
	return first, last, ok
}

// times reads A..B, A.. or ..B.
func times(text string) (since, before time.Duration, ok bool) {
	a, b, isRange := strings.Cut(text, "..")
	if !isRange || a == "" && b == "" {
		return 0, 0, false
	}
	for _, end := range []struct {
		text string
		time *time.Duration
	}{{a, &since}, {b, &before}} {
		if end.text == "" {
			continue
		}
		d, err := time.ParseDuration(end.text)
		if err != nil || d <= 0 {
			return 0, 0, false
		}
		*end.time = d
	}
	return since, before, true
}

// maxBytes bounds the numbers of bytes in a fault.
const maxBytes = 4096

// parseBytes reads a number of bytes.
func parseBytes(value string) (n int, err error) {
	n, ok := number(value)
	if !ok || n > maxBytes {
		return 0, errBytes
	}
	return n, nil
}

var errBytes = errors.New("that is not a number of bytes from 1 to " + strconv.Itoa(maxBytes))

// checkBytes returns why n is no number of bytes, empty if it is.
func checkBytes(n int) string {
	if n < 1 || n > maxBytes {
		return fmt.Sprintf("%d: %s", n, errBytes)
	}
	return ""
}

// parseBefore reads the word before, or nothing.
func parseBefore(value string) (before bool, err error) {
	if value != "" && value != "before" {
		return false, errors.New("the only word that may follow is before")
	}
	return value != "", nil
}
