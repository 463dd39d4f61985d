package campaign

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/swtpmd/swtpmd/faults"
)

// Campaign is a Header and results, in the order of their seeds.
type Campaign struct {
	Header  Header
	Results []Result
}

// maxLine bounds a line of results, in bytes.
const maxLine = 4 << 20

// FileError says which line is no line of results.
type FileError struct {
	// Name is the file's, Line counts from 1.
	Name   string
	Line   int
	Reason string
}

func (e *FileError) Error() string { return fmt.Sprintf("%s:%d: %s", e.Name, e.Line, e.Reason) }

// AppendLine appends a header or a result as a line of results: JSON and a newline.
func AppendLine(dst []byte, headerOrResult any) ([]byte, error) {
	line, err := json.Marshal(headerOrResult)
	if err != nil {
		return dst, err
	}
	return append(append(dst, line...), '\n'), nil
}

// Read reads results: a line with the header, and a line for each result. Whole is how many
// bytes the whole lines have: whoever wrote a line may have been killed before its end, and
// what follows Whole is to be cut off before more is written. Of two results of one seed
// the first counts. Without a header, because the file is empty or torn in its first line,
// Whole is 0.
//
// Name is the file's, for errors: a *FileError, or that of in.
func Read(name string, in io.Reader) (c *Campaign, whole int64, err error) {
	lines := bufio.NewReaderSize(in, 1<<16)
	seen := make(map[uint64]bool)
	for number := 1; ; number++ {
		line, err := readLine(lines)
		switch {
		case errors.Is(err, io.EOF):
			if c != nil {
				c.Sort()
			}
			return c, whole, nil
		case errors.Is(err, bufio.ErrTooLong):
			return nil, 0, &FileError{name, number, fmt.Sprintf("the line has more than %d bytes", maxLine)}
		case err != nil:
			return nil, 0, err
		}
		if c == nil {
			c = new(Campaign)
			if err = strict(line, &c.Header); err == nil {
				err = c.Header.Validate()
			}
		} else {
			err = c.take(line, seen)
		}
		if err != nil {
			return nil, 0, &FileError{name, number, err.Error()}
		}
		whole += int64(len(line))
	}
}

// readLine reads a line with its end. A last line without one is io.EOF.
func readLine(in *bufio.Reader) (line []byte, err error) {
	for {
		part, err := in.ReadSlice('\n')
		line = append(line, part...)
		switch {
		case len(line) > maxLine:
			return nil, bufio.ErrTooLong
		case !errors.Is(err, bufio.ErrBufferFull):
			return line, err
		}
	}
}

// strict decodes one JSON value without unknown keys.
func strict(line []byte, into any) error {
	d := json.NewDecoder(bytes.NewReader(line))
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		return err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return errors.New("more follows the JSON value")
	}
	return nil
}

// take adds the result of a line.
func (c *Campaign) take(line []byte, seen map[uint64]bool) error {
	var r Result
	if err := strict(line, &r); err != nil {
		return err
	}
	switch {
	case r.Outcome == "":
		return errors.New("the result has no outcome")
	case !c.Header.has(r.Seed):
		return fmt.Errorf("seed %d is none of this part of the campaign", r.Seed)
	case seen[r.Seed]:
		return nil
	}
	seen[r.Seed] = true
	c.Results = append(c.Results, r)
	return nil
}

// Sort puts the results into the order of their seeds.
func (c *Campaign) Sort() {
	slices.SortFunc(c.Results, func(a, b Result) int {
		if a.Seed < b.Seed {
			return -1
		}
		return 1
	})
}

// Result returns the result of a seed, nil if there is none.
func (c *Campaign) Result(seed uint64) *Result {
	for i := range c.Results {
		if c.Results[i].Seed == seed {
			return &c.Results[i]
		}
	}
	return nil
}

// PlanOf returns the plan of a result: given with the seed and the rules of its text.
func PlanOf(r *Result, given faults.Plan) (faults.Plan, error) {
	given.Rules, given.Seed = nil, 0
	return faults.ParsePlan(fmt.Sprintf("plan of seed %d", r.Seed), []byte(r.Plan), given)
}

// missing returns how many seeds have no result.
func (c *Campaign) missing() int {
	n := c.Header.seeds()
	if s := c.Header.Shard; !s.Whole() {
		n = (n - s.Index + s.Count) / s.Count
	}
	return n - len(c.Results)
}

// MergeError says why parts are not those of one campaign.
type MergeError struct {
	// Name is the file at fault.
	Name   string
	Reason string
}

func (e *MergeError) Error() string { return e.Name + ": " + e.Reason }

// Part is the campaign that a file has.
type Part struct {
	Name string
	*Campaign
}

// Merge puts the parts of a campaign together. Its report is the one of the campaign in one
// piece. Seeds that no part has are missing in the report; two parts may have the same seed
// if they have the same outcome for it. The error is a *MergeError.
func Merge(parts ...Part) (*Campaign, error) {
	all := new(Campaign)
	from := make(map[uint64]*Result)
	for i, p := range parts {
		if i == 0 {
			all.Header = p.Header
			all.Header.Shard = Shard{}
		} else if err := p.Header.Same(&all.Header); err != nil {
			return nil, &MergeError{p.Name, strings.TrimPrefix(err.Error(), "the campaigns differ in ") + ": it is no part of the same campaign as " + parts[0].Name}
		}
		for j := range p.Results {
			r := &p.Results[j]
			if before := from[r.Seed]; before != nil {
				if before.Outcome != r.Outcome || before.Plan != r.Plan {
					return nil, &MergeError{p.Name, fmt.Sprintf("seed %d is %s here, and %s in a file before", r.Seed, r.Outcome, before.Outcome)}
				}
				continue
			}
			from[r.Seed] = r
			all.Results = append(all.Results, *r)
		}
	}
	all.Sort()
	return all, nil
}
