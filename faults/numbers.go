package faults

import (
	"strconv"
	"strings"
	"time"
)

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
