//go:build linux

package main

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// tick is the unit of the times in /proc (proc(5): USER_HZ, which is always 100).
const tick = time.Second / 100

// groupCPU returns the processor time of the processes of a group, with that of their
// children that have ended.
func groupCPU(group int) time.Duration {
	var used time.Duration
	stats, _ := filepath.Glob("/proc/[0-9]*/stat")
	for _, path := range stats {
		text, err := os.ReadFile(path)
		if err != nil {
			continue // it has ended meanwhile
		}
		if g, cpu := parseStat(string(text)); g == group {
			used += cpu
		}
	}
	return used
}

// parseStat returns the process group and the times of /proc/PID/stat: fields 5
// and 14 to 17, of which the second is a name in brackets with anything in it.
func parseStat(text string) (group int, cpu time.Duration) {
	fields := strings.Fields(text[strings.LastIndexByte(text, ')')+1:])
	if len(fields) < 15 {
		return 0, 0
	}
	group, _ = strconv.Atoi(fields[2])
	for _, field := range fields[11:15] {
		ticks, _ := strconv.ParseInt(field, 10, 64)
		cpu += time.Duration(ticks) * tick
	}
	return group, cpu
}
