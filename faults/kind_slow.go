package faults

import (
	"embed"
	"fmt"
	"math"
	"math/rand/v2"
	"path"
	"strings"
	"sync"
	"time"

	"github.com/swtpmd/swtpmd/emulator/wire"
	"github.com/swtpmd/swtpmd/transport"
)

// Slow makes each command take as long as a profile says.
type Slow struct {
	Profile string // a name of Profiles
}

var slowKind = Kind{
	Word: "slow", Value: "PROFILE", Group: Availability,
	Doc: "The command is executed as much later as the profile says for it; a profile has constant times, or distributions, for classes of commands, " +
		"and says where they come from (faults/profiles): discrete, firmware, linux-limits.",
	Example: "*: slow=discrete",
	parse: func(value string) (Fault, error) {
		if _, err := FindProfile(value); err != nil {
			return nil, err
		}
		return Slow{value}, nil
	},
}

func (Slow) kind() *Kind      { return &slowKind }
func (s Slow) String() string { return "slow=" + s.Profile }

func (s Slow) check(*Plan, *Rule) string {
	if _, err := FindProfile(s.Profile); err != nil {
		return err.Error()
	}
	return ""
}

func (s Slow) apply(x *exchange) ([]byte, error) {
	profile, err := FindProfile(s.Profile)
	if err != nil {
		return nil, err
	}
	code, _ := transport.CommandCode(x.command)
	t := profile.Time(code, x.random())
	x.decision.Detail = t.String()
	return x.wait(t, x.next)
}

// Profile is how long the commands of a kind of TPM take.
type Profile struct {
	Name string
	// Doc says what the times are and where they come from.
	Doc string

	times map[uint32]commandTime
	other commandTime
}

// Time draws how long a command with a code takes.
func (p *Profile) Time(code uint32, random *rand.Rand) time.Duration {
	d, ok := p.times[code]
	if !ok {
		d = p.other
	}
	return d.draw(random)
}

//go:embed profiles/*.profile
var profileFiles embed.FS

// Profiles returns the profiles of this package, by name.
func Profiles() []Profile { return profiles() }

// profiles reads the files once.
var profiles = sync.OnceValue(func() (list []Profile) {
	files, err := profileFiles.ReadDir("profiles")
	for _, file := range files {
		text, errRead := profileFiles.ReadFile(path.Join("profiles", file.Name()))
		p, errParse := parseProfile(strings.TrimSuffix(file.Name(), ".profile"), string(text))
		if err != nil || errRead != nil || errParse != nil {
			panic(fmt.Sprint("internal error: ", file.Name(), err, errRead, errParse))
		}
		list = append(list, p)
	}
	return list
})

// FindProfile returns the profile with a name.
func FindProfile(name string) (*Profile, error) {
	var names []string
	list := Profiles()
	for i := range list {
		if list[i].Name == name {
			return &list[i], nil
		}
		names = append(names, list[i].Name)
	}
	return nil, fmt.Errorf("there is no profile %q; the profiles are %s", name, strings.Join(names, ", "))
}

// parseProfile reads a profile: comments at its head, and then lines of command names with
// commas between them, or an asterisk for all others, and a time:
//
//	PCR_Extend,PCR_Read 4ms
//	CreatePrimary       2s..20s
//	Sign                200ms~600ms
func parseProfile(name, text string) (Profile, error) {
	p := Profile{Name: name, times: make(map[uint32]commandTime)}
	all := false
	for i, line := range strings.Split(strings.TrimSuffix(text, "\n"), "\n") {
		if comment, ok := strings.CutPrefix(line, "#"); ok {
			p.Doc += strings.TrimSpace(comment) + "\n"
			continue
		}
		words := strings.Fields(line)
		if len(words) != 2 {
			return p, fmt.Errorf("line %d: not commands and a time", i+1)
		}
		d, err := parseCommandTime(words[1])
		if err != nil {
			return p, fmt.Errorf("line %d: %w", i+1, err)
		}
		for command := range strings.SplitSeq(words[0], ",") {
			code, ok := wire.CommandByName(command)
			_, twice := p.times[uint32(code)]
			switch {
			case command == "*" && !all:
				p.other, all = d, true
			case !ok || twice:
				return p, fmt.Errorf("line %d: there is no command %s, or it stands there twice", i+1, command)
			default:
				p.times[uint32(code)] = d
			}
		}
	}
	if !all {
		return p, fmt.Errorf("no line is for all other commands")
	}
	return p, nil
}

// commandTime is a distribution of times: a constant, uniform from least to most, or a
// log-normal one with its median and its 95th percentile.
type commandTime struct {
	least, most  time.Duration
	median, high time.Duration
}

func parseCommandTime(text string) (d commandTime, err error) {
	if median, high, ok := strings.Cut(text, "~"); ok {
		d.median, err = time.ParseDuration(median)
		if err == nil {
			d.high, err = time.ParseDuration(high)
		}
		if err == nil && (d.median <= 0 || d.high <= d.median) {
			err = fmt.Errorf("%s: the 95th percentile is not above the median", text)
		}
		return d, err
	}
	least, most, isRange := strings.Cut(text, "..")
	if d.least, err = time.ParseDuration(least); err != nil {
		return d, err
	}
	d.most = d.least
	if isRange {
		d.most, err = time.ParseDuration(most)
	}
	if err == nil && (d.least < 0 || d.most < d.least) {
		err = fmt.Errorf("%s: the longest time is not the last", text)
	}
	return d, err
}

// draw draws a time. One of a log-normal distribution is no more than ten times its 95th
// percentile.
func (d commandTime) draw(random *rand.Rand) time.Duration {
	if d.median == 0 {
		return d.least + time.Duration(random.Int64N(int64(d.most-d.least)+1))
	}
	const z95 = 1.6449 // the 95th percentile of the normal distribution
	sigma := math.Log(float64(d.high)/float64(d.median)) / z95
	t := float64(d.median) * math.Exp(sigma*random.NormFloat64())
	return time.Duration(min(t, 10*float64(d.high)))
}
