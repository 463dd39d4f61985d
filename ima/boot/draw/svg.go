package draw

import (
	"errors"
	"io"
	"sort"
	"strconv"
	"unicode/utf8"

	"github.com/swtpmd/swtpmd/faults"
	"github.com/swtpmd/swtpmd/ima/boot"
)

// Options say how a boot is drawn. The zero value is good.
type Options struct {
	// Title replaces the first line of the picture, which names the platform
	// and the strategy.
	Title string
	// Width is the least width in pixels, from MinWidth to MaxWidth;
	// DefaultWidth if 0. Many levels in which much happens make a picture
	// wider.
	Width int
	// Rules are the fault rules that the boot's TPM was under: the picture
	// shows when they kept it from answering.
	Rules []faults.Rule
}

// The widths that Options take.
const (
	DefaultWidth = 1280
	MinWidth     = 900
	MaxWidth     = 4000
)

// ErrNoResult is the answer to a boot that is nil.
var ErrNoResult = errors.New("draw: no boot to draw; boot.Run gives one")

// WidthError reports that a width is not between MinWidth and MaxWidth.
type WidthError struct {
	Width int
}

func (e *WidthError) Error() string {
	return "draw: width " + strconv.Itoa(e.Width) + " is not between " + strconv.Itoa(MinWidth) + " and " + strconv.Itoa(MaxWidth)
}

// SVG draws a boot on one time axis, as an SVG file that needs nothing else: no
// script, no font, no style sheet. The picture has a bounded size whatever the
// boot has: what lies upon each other is drawn once, and labels that find no
// place are counted. The same Result gives the same bytes.
//
// Names come from measurement lists and console logs that anybody may have
// written. They are shortened and escaped.
//
// The error is ErrNoResult, a WidthError, or that of w.
func SVG(w io.Writer, r *boot.Result, o Options) error {
	if r == nil {
		return ErrNoResult
	}
	width := o.Width
	if width == 0 {
		width = DefaultWidth
	}
	if width < MinWidth || width > MaxWidth {
		return &WidthError{Width: width}
	}
	c := &canvas{}
	c.text("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n")
	newPicture(r, o.Title, width, o.Rules).write(c, true)
	_, err := w.Write(c.b)
	return err
}

// picture is a boot that has been laid out.
type picture struct {
	result *boot.Result
	title  string
	story  string
	counts string
	axis   *axis
	ticks  []tick
	list   []*strip
	lines  []keyLine
	left   int // where the axis begins
	width  int
	height int
	grid   int // where the lines down the picture begin
	bottom int // and end
	note   string
	// entries are the legend.
	entries []legendEntry
}

// keyLine goes down the whole picture.
type keyLine struct {
	x     int
	shape shape
}

// Where things are.
const (
	margin    = 14 * px
	nameWidth = 178 * px
	headTop   = 92 * px // of the levels' names
	headline  = 40 * px // their height
	axisHigh  = 34 * px // the height of times
)

// newPicture lays out a boot. An empty title is the boot's own.
func newPicture(r *boot.Result, title string, width int, rules []faults.Rule) *picture {
	t := newTimeline(r)
	p := &picture{result: r, title: clean(title), story: t.story(r), counts: counts(r), left: margin + nameWidth}
	if p.title == "" {
		p.title = heading(r)
	}
	p.axis = newAxis(t, p.left, width*px-p.left-margin)
	p.width = p.axis.right + margin
	p.title = fit(p.title, (p.width-2*margin)*8/9, headSize) // bold
	p.story = fit(p.story, p.width-2*margin, headSize)
	p.counts = fit(p.counts, p.width-2*margin, labelSize)
	p.ticks = p.axis.ticks()
	p.strips(t, rules)
	p.stack()
	return p
}

// fit shortens a text to a width.
func fit(s string, width, size int) string {
	if textWidth(s, size) <= width {
		return s
	}
	// The least number of runes that is too wide.
	n := sort.Search(utf8.RuneCountInString(s), func(n int) bool { return textWidth(shorten(s, n+2), size) > width })
	return shorten(s, max(2, n+1))
}

// stack lays out the strips and puts them under each other.
func (p *picture) stack() {
	p.grid = headTop
	y := headTop + headline + axisHigh + stripGap
	dropped := 0
	for _, s := range p.list {
		s.layout(p.left, p.axis.right)
		s.y = y
		y += s.height() + stripGap
		dropped += s.dropped
	}
	p.bottom = y
	p.note = "Time runs to the right, since power-on. Each level has its own scale: its length stands below its name. Between waves, time is left out."
	if dropped > 0 {
		p.note += " " + plural(dropped, "label", "labels") + " left out."
	}
	y += 22 * px
	p.height = y + p.legend(y) + 10*px
}

// canvas collects bytes.
type canvas struct {
	b []byte
}

func (c *canvas) text(parts ...string) {
	for _, s := range parts {
		c.b = append(c.b, s...)
	}
}

// num writes tenths of a pixel.
func (c *canvas) num(v int) {
	if v < 0 {
		c.b = append(c.b, '-')
		v = -v
	}
	c.b = strconv.AppendInt(c.b, int64(v/px), 10)
	if v%px != 0 {
		c.b = append(c.b, '.', byte('0'+v%px))
	}
}

// path writes letters and numbers, such as M x y H x.
func (c *canvas) path(class string, parts ...any) {
	c.text(`<path class="`, class, `" d="`)
	last := false
	for _, part := range parts {
		switch v := part.(type) {
		case string:
			c.text(v)
			last = false
		case int:
			if last {
				c.text(" ")
			}
			c.num(v)
			last = true
		}
	}
	c.text(`"/>`)
}

// escaped writes text that may be anything but controls.
func (c *canvas) escaped(s string) {
	for _, r := range s {
		switch r {
		case '<':
			c.text("&lt;")
		case '>':
			c.text("&gt;")
		case '&':
			c.text("&amp;")
		case '"':
			c.text("&quot;")
		case '\'':
			c.text("&#39;")
		default:
			c.text(string(r))
		}
	}
}

func (c *canvas) rect(class string, x, y, w, h int) {
	c.text(`<rect class="`, class, `" x="`)
	c.num(x)
	c.text(`" y="`)
	c.num(y)
	c.text(`" width="`)
	c.num(max(w, 1))
	c.text(`" height="`)
	c.num(h)
	c.text(`"/>`)
}

// say writes a text with its left end at x, its line at y.
func (c *canvas) say(class string, x, y int, s string) {
	c.text(`<text class="`, class, `" x="`)
	c.num(x)
	c.text(`" y="`)
	c.num(y)
	c.text(`">`)
	c.escaped(s)
	c.text("</text>\n")
}
