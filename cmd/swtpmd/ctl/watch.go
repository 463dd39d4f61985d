package ctl

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/swtpmd/swtpmd/cmd/swtpmd/cli"
	"github.com/swtpmd/swtpmd/emulator/wire"
	"github.com/swtpmd/swtpmd/faults/control"
)

// events writes what happens, a line each.
func (c *ctl) events(ctx context.Context, _ []string) error { return c.stream(ctx, false) }

// watch is a view of the daemon in a terminal, and the stream of events elsewhere.
func (c *ctl) watch(ctx context.Context, _ []string) error {
	if file, ok := c.out.(*os.File); ok && !c.json {
		if info, err := file.Stat(); err == nil && info.Mode()&os.ModeCharDevice != 0 {
			return c.live(ctx)
		}
	}
	return c.stream(ctx, true)
}

func (c *ctl) stream(ctx context.Context, commands bool) error {
	encoder := json.NewEncoder(c.out)
	return orderly(c.client.Events(ctx, commands, nil, func(e control.Event) error {
		if c.json {
			return encoder.Encode(e)
		}
		_, err := fmt.Fprintln(c.out, line(&e))
		return err
	}))
}

// orderly is the result of a stream that ends when it is interrupted.
func orderly(err error) error {
	if errors.Is(err, context.Canceled) {
		return nil
	}
	return err
}

// line is an event in words.
func line(e *control.Event) string {
	switch {
	case e.Decision != nil:
		d := e.Decision
		return fmt.Sprintf("decision %d\t%s\t%s\t%s", d.Number, cli.CommandName(d.Command), describe(d), d.Rule)
	case e.Level != nil:
		return fmt.Sprintf("level\tboot %d\t%s\t%s", e.Level.Boot, e.Level.Level, e.Level.Cause)
	case e.Rules != nil:
		return fmt.Sprintf("rules\t%s\t%s", e.Rules.Change, strings.Join(e.Rules.Rules, "; "))
	case e.Command != nil:
		return "command\t" + answered(e.Command)
	case e.Kind == control.PowerEvent:
		return "power\t" + string(e.Power)
	case e.Kind == control.LostEvent:
		return fmt.Sprintf("lost\t%d events were not read in time", e.Lost)
	}
	return string(e.Kind)
}

// answered is a command and its answer in words.
func answered(c *control.Command) string {
	result := wire.RC(c.Code).String()
	if c.Error != "" {
		result = c.Error
	}
	client := c.Client
	if client == "" {
		client = "-"
	}
	return fmt.Sprintf("%-24s %-22s %10s  locality %d  %s", cli.CommandName(c.Command), result, c.Took.Round(time.Microsecond), c.Locality, client)
}

// The size of the view, in characters: that of the smallest terminal.
const (
	viewWidth, viewHeight = 80, 24
	viewRules             = 8
	viewHeld              = 3
	viewCommands          = 7
)

// view is what the terminal shows.
type view struct {
	status   control.Status
	commands []control.Command // the last ones, oldest first
	lost     uint64
}

// see takes an event in.
func (v *view) see(e *control.Event) {
	v.lost += e.Lost
	if e.Command == nil {
		return
	}
	v.commands = append(v.commands, *e.Command)
	v.commands = v.commands[max(len(v.commands)-viewCommands, 0):]
}

// lines returns the view, viewHeight lines at most, each viewWidth wide at most.
func (v *view) lines() []string {
	s := &v.status
	power := "off"
	if s.Powered {
		power = "on"
	}
	list := []string{
		fmt.Sprintf("boot %d   level %s   power %s   seed %d", s.Now.Boot, s.Now.Level, power, s.Seed),
		s.Now.Cause, "",
		fmt.Sprintf("%-44s %-13s %9s %9s", "RULE", "", "FITTED", "FIRED"),
	}
	for i := range s.Rules[:min(len(s.Rules), viewRules)] {
		r := &s.Rules[i]
		list = append(list, fmt.Sprintf("%-44s %-13s %9d %9d", cut(r.Name, 44), state(r), r.Fitted, r.Fired))
	}
	list = more(list, len(s.Rules)-viewRules, "rules")
	list = append(list, fmt.Sprintf("HELD %d", len(s.Held)))
	for _, d := range s.Held[:min(len(s.Held), viewHeld)] {
		list = append(list, fmt.Sprintf("%d %s by %s", d.Number, cli.CommandName(d.Command), d.Rule))
	}
	list = append(list, "LAST COMMANDS")
	for i := range v.commands {
		list = append(list, answered(&v.commands[i]))
	}
	if v.lost > 0 {
		list = append(list, fmt.Sprintf("%d events were not read in time", v.lost))
	}
	for i := range list {
		list[i] = cut(list[i], viewWidth)
	}
	return list[:min(len(list), viewHeight-1)]
}

// more tells how many more there are than are shown.
func more(list []string, n int, what string) []string {
	if n <= 0 {
		return list
	}
	return append(list, fmt.Sprintf("and %d more %s", n, what))
}

// cut returns the beginning of a text, as far as it has room, without characters that a
// terminal would obey.
func cut(text string, room int) string {
	text = strings.Map(func(r rune) rune {
		if r < ' ' || r >= 0x7f && r < 0xa0 {
			return ' '
		}
		return r
	}, text)
	for utf8.RuneCountInString(text) > room {
		_, last := utf8.DecodeLastRuneInString(text)
		text = text[:len(text)-last]
	}
	return text
}

// draw writes the view over the last one.
func (v *view) draw(out io.Writer) error {
	const home, endOfLine, below = "\x1b[H", "\x1b[K\r\n", "\x1b[J"
	_, err := io.WriteString(out, home+strings.Join(v.lines(), endOfLine)+endOfLine+below)
	return err
}

// redrawing is how often the view is drawn anew, at most.
const redrawing = 200 * time.Millisecond

// live draws the view until the daemon or ctx ends.
func (c *ctl) live(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	events := make(chan control.Event)
	ended := make(chan error, 1)
	go func() {
		ended <- c.client.Events(ctx, true, nil, func(e control.Event) error {
			select {
			case events <- e:
				return nil
			case <-ctx.Done():
				return ctx.Err()
			}
		})
	}()
	var v view
	dirty := true
	tick := time.NewTicker(redrawing)
	defer tick.Stop()
	if _, err := io.WriteString(c.out, "\x1b[2J"); err != nil {
		return err
	}
	for {
		select {
		case e := <-events:
			v.see(&e)
			dirty = true
		case err := <-ended:
			return orderly(err)
		case <-tick.C:
			if !dirty {
				continue
			}
			dirty = false
			var err error
			if v.status, err = c.client.Status(ctx); err != nil {
				return orderly(err)
			}
			if err := v.draw(c.out); err != nil {
				return err
			}
		}
	}
}
