package faults

import (
	"fmt"
	"slices"
	"time"

	"github.com/swtpmd/swtpmd/emulator/wire"
	"github.com/swtpmd/swtpmd/faults/initcall"
	"github.com/swtpmd/swtpmd/transport"
)

// When says which commands a rule is for: those that every field admits. The zero value
// is every command in every boot.
type When struct {
	// From and Until bound the levels: the rule is in force from the moment
	// the boot has reached From until it reaches Until. An Until of
	// initcall.Firmware, the zero value, stands for no end.
	From, Until initcall.Level
	// Boots limits the rule to the first so many boots; 0 is all of them. FromBoot is
	// the first boot, from 1; 0 is the first too.
	Boots, FromBoot int
	// Since and Before bound the time since the device last got power, or since Wrap
	// if that was later. A Before of 0 stands for no end.
	Since, Before time.Duration

	// Commands lists command codes (TPM_CC, TPM 2.0 Library Part 2, section
	// "TPM_CC"); an empty list is every command. A command too short to have
	// a code is none of a list.
	Commands []uint32
	// Localities lists localities; an empty list is every locality.
	Localities []uint8
	// Handles lists handles of which the command's handle area has one; an empty list
	// is every command.
	Handles []uint32
	// PCRs lists PCRs of which the command reads, extends or resets one; an empty list
	// is every command.
	PCRs []int
	// Sessions limits the rule to commands with sessions (TPM_ST_SESSIONS), or without.
	Sessions Sessions
	// Client is the name that the transport has for the sender of the command
	// (transport.WithClient); empty is every sender.
	Client string
	// After is the name of a rule that must have fired before.
	After string

	// The fields below count the commands that those above admit.

	// First and Last are the numbers of the first and the last command, from 1; 0 is no
	// bound.
	First, Last int
	// Every takes every so manieth command, counted from First: 2 is First+1, First+3 and
	// so on; 0 and 1 are each.
	Every int
	// Chance is the probability that the rule fires, above 0 and below 1; 0 is always.
	Chance float64
	// Times is how often the rule fires at most; 0 is no bound.
	Times int
}

// Sessions is whether a command has sessions.
type Sessions uint8

// What a rule wants of sessions.
const (
	AnySessions     Sessions = iota
	WithSessions             // TPM_ST_SESSIONS
	WithoutSessions          // TPM_ST_NO_SESSIONS
)

// InForce reports whether a boot at now is where the rule applies.
func (w *When) InForce(now initcall.Event) bool { return w.inForce(place{now.Boot, now.Level}) }

// place is where a boot stands.
type place struct {
	boot  int
	level initcall.Level
}

func placeOf(c *initcall.Clock) (p place) {
	p.boot, p.level = c.Place()
	return p
}

func (w *When) inForce(now place) bool {
	if w.Boots > 0 && now.boot > w.Boots || now.boot < w.FromBoot {
		return false
	}
	return now.level >= w.From && (w.Until == initcall.Firmware || now.level < w.Until)
}

// fits reports whether all but the counting fields and After admit a command. The caller
// has looked at Commands.
func (w *When) fits(x *exchange, now place) bool {
	return w.inForce(now) &&
		(len(w.Localities) == 0 || slices.Contains(w.Localities, x.locality)) &&
		(w.Sessions == AnySessions || w.Sessions == sessionsOf(x.command)) &&
		(len(w.Handles) == 0 || slices.ContainsFunc(w.Handles, func(h uint32) bool { return hasHandle(x.command, h) })) &&
		(len(w.PCRs) == 0 || slices.ContainsFunc(w.PCRs, func(pcr int) bool { return hasPCR(x.command, pcr) })) &&
		(w.Client == "" || w.Client == transport.ClientOf(x.ctx)) &&
		(w.Since == 0 && w.Before == 0 || w.inTime(x.layer.sincePower()))
}

func (w *When) inTime(t time.Duration) bool { return t >= w.Since && (w.Before == 0 || t < w.Before) }

// counted reports whether the number of the command, from 1, among those that fit is
// one for the rule.
func (w *When) counted(n uint64) bool {
	if w.First > 0 && n < uint64(w.First) || w.Last > 0 && n > uint64(w.Last) {
		return false
	}
	if w.Every <= 1 {
		return true
	}
	first := uint64(max(w.First, 1))
	return (n-first+1)%uint64(w.Every) == 0
}

// impossible returns why no command is ever admitted, empty if one may be.
func (w *When) impossible() string {
	const last = initcall.Userspace
	switch {
	case w.From > last || w.Until > last:
		return "there is no such level"
	case w.Until != initcall.Firmware && w.From >= w.Until:
		return fmt.Sprintf("it ends at %s, which is not after its beginning at %s", w.Until, w.From)
	case w.Boots < 0 || w.FromBoot < 0:
		return "the number of boots is negative"
	case w.Boots > 0 && w.FromBoot > w.Boots:
		return fmt.Sprintf("its last boot, %d, comes before its first, %d", w.Boots, w.FromBoot)
	case w.Since < 0 || w.Before < 0:
		return "a time since power-on is negative"
	case w.Before > 0 && w.Since >= w.Before:
		return fmt.Sprintf("its end at %s is not after its beginning at %s", w.Before, w.Since)
	case slices.ContainsFunc(w.PCRs, func(pcr int) bool { return pcr < 0 || pcr >= wire.PCRCount }):
		return fmt.Sprintf("a PCR is not one of 0 to %d", wire.PCRCount-1)
	case w.Sessions > WithoutSessions:
		return "there is no such wish about sessions"
	case len(w.PCRs) > 0 && w.none(canHavePCR):
		return "none of its commands has a PCR that a rule can be for: those are " + pcrCommandNames()
	case len(w.Handles) > 0 && w.none(hasHandles):
		return "none of its commands has handles"
	}
	if reason := w.unsaid(); reason != "" {
		return reason
	}
	return w.countless()
}

// none reports whether the rule is for certain commands, and can holds for none of them.
func (w *When) none(can func(wire.CC) bool) bool {
	return len(w.Commands) > 0 && !w.atInit() && !slices.ContainsFunc(w.Commands, func(code uint32) bool { return can(wire.CC(code)) })
}

// countless returns why the counting fields admit no command, empty if they do.
func (w *When) countless() string {
	switch {
	case w.First < 0 || w.Last < 0 || w.Every < 0 || w.Times < 0:
		return "a number of commands is negative"
	case max(w.First, w.Last, w.Every, w.Times) > maxCount:
		return fmt.Sprintf("a number of commands is above %d", maxCount)
	case w.Last > 0 && w.Last < w.First:
		return fmt.Sprintf("its last command, %d, comes before its first, %d", w.Last, w.First)
	case w.Last > 0 && w.Every > 1 && w.Last-max(w.First, 1)+1 < w.Every:
		return fmt.Sprintf("there is no %d. command between its first and its last", w.Every)
	case !(w.Chance >= 0 && w.Chance < 1):
		return "its chance is not between 0 and 1"
	}
	return ""
}

// covers reports whether a rule with w takes every command of one with other. It may
// miss that it does.
func (w *When) covers(other *When) bool {
	if w.First > 1 || w.Last > 0 || w.Every > 1 || w.Chance != 0 || w.Times > 0 || w.After != "" {
		return false
	}
	until := func(w *When) initcall.Level {
		if w.Until == initcall.Firmware {
			return initcall.Userspace + 1
		}
		return w.Until
	}
	return w.From <= other.From && until(w) >= until(other) &&
		w.FromBoot <= max(other.FromBoot, 1) && (w.Boots == 0 || other.Boots > 0 && w.Boots >= other.Boots) &&
		w.Since <= other.Since && (w.Before == 0 || other.Before > 0 && w.Before >= other.Before) &&
		within(other.Commands, w.Commands) && within(other.Localities, w.Localities) &&
		within(other.Handles, w.Handles) && within(other.PCRs, w.PCRs) &&
		(w.Sessions == AnySessions || w.Sessions == other.Sessions) &&
		(w.Client == "" || w.Client == other.Client)
}

// within reports whether each of some is among all; an empty list is everything.
func within[T comparable](some, all []T) bool {
	if len(all) == 0 {
		return true
	}
	if len(some) == 0 {
		return false
	}
	for _, one := range some {
		if !slices.Contains(all, one) {
			return false
		}
	}
	return true
}
