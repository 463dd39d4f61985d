package draw

import (
	"bytes"
	"encoding/xml"
	"io"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// rectangle is a place in a finished picture, in pixels.
type rectangle struct {
	x0, y0, x1, y1 float64
	text           string
}

func (r rectangle) overlaps(o rectangle) bool {
	return r.x0 < o.x1 && o.x0 < r.x1 && r.y0 < o.y1 && o.y0 < r.y1
}

// seen is what a finished picture has, read from its bytes.
type seen struct {
	width, height float64
	texts, marks  []rectangle
	lines         []rectangle // those that go down: edges, waves, IMA, TPM, leaders
	titles        []string
}

// look reads a picture as XML and finds out where its texts and marks are.
func look(t testing.TB, svg []byte) seen {
	t.Helper()
	var s seen
	decoder := xml.NewDecoder(bytes.NewReader(svg))
	var text *xml.StartElement
	var content strings.Builder
	for {
		token, err := decoder.Token()
		if err == io.EOF {
			return s
		}
		require.NoError(t, err)
		switch e := token.(type) {
		case xml.StartElement:
			switch e.Name.Local {
			case "svg":
				box := strings.Fields(attribute(e, "viewBox"))
				require.Len(t, box, 4)
				s.width, s.height = float(t, box[2]), float(t, box[3])
			case "text", "title", "desc", "style":
				text = &e
				content.Reset()
			case "rect", "circle":
				s.mark(t, e)
			case "path":
				s.line(t, e)
			case "g":
			default:
				require.Fail(t, "element "+e.Name.Local)
			}
		case xml.CharData:
			content.Write(e)
		case xml.EndElement:
			if text == nil || e.Name.Local != text.Name.Local {
				continue
			}
			switch e.Name.Local {
			case "text":
				s.texts = append(s.texts, place(t, *text, content.String()))
			case "title":
				s.titles = append(s.titles, content.String())
			}
			text = nil
		}
	}
}

// mark takes rectangles and circles that stand for something.
func (s *seen) mark(t testing.TB, e xml.StartElement) {
	n := func(name string) float64 { return float(t, attribute(e, name)) }
	class := attribute(e, "class")
	switch {
	case class == "b-light" || class == "b-shade":
	case e.Name.Local == "circle":
		s.marks = append(s.marks, rectangle{n("cx") - n("r"), n("cy") - n("r"), n("cx") + n("r"), n("cy") + n("r"), class})
	default:
		s.marks = append(s.marks, rectangle{n("x"), n("y"), n("x") + n("width"), n("y") + n("height"), class})
	}
}

// line takes the parts of a path that go down, by its class.
func (s *seen) line(t testing.TB, e xml.StartElement) {
	class := attribute(e, "class")
	switch class {
	case "b-edge", "b-vima", "b-vtpm", "b-lead", "b-wave":
	default:
		return
	}
	for _, part := range strings.Split(attribute(e, "d"), "M")[1:] {
		at := strings.FieldsFunc(part, func(r rune) bool { return strings.ContainsRune(" VHqt", r) })
		x, y := float(t, at[0]), float(t, at[1])
		to := rectangle{x, y, x, y, class}
		switch {
		case class == "b-wave":
			to.x0, to.x1 = x-3, x+3
			to.y1 = y + 10*float64(1+strings.Count(part, "t"))
		case strings.Contains(part, "V"):
			to.y1 = float(t, at[2])
		default:
			continue // goes to the side
		}
		s.lines = append(s.lines, to)
	}
}

// place says where a text is, going by its class.
func place(t testing.TB, e xml.StartElement, text string) rectangle {
	class := " " + attribute(e, "class") + " "
	size, wide := labelSize, 1.0
	switch {
	case strings.Contains(class, " b-head "):
		size, wide = headSize, 9.0/8
	case strings.Contains(class, " b-story "):
		size = headSize
	case strings.Contains(class, " b-small ") || strings.Contains(class, " b-right "):
		size = smallSize
	case strings.Contains(class, " b-level "):
		wide = 9.0 / 8
	}
	x, y := float(t, attribute(e, "x")), float(t, attribute(e, "y"))
	w := wide * (float64(textWidth(text, size)) - px) / px
	switch {
	case strings.Contains(class, " b-mid "):
		x -= w / 2
	case strings.Contains(class, " b-right "):
		x -= w
	}
	return rectangle{x, y - 0.8*float64(size), x + w, y + 0.2*float64(size), text}
}

func attribute(e xml.StartElement, name string) string {
	for _, a := range e.Attr {
		if a.Name.Local == name {
			return a.Value
		}
	}
	return ""
}

func float(t testing.TB, s string) float64 {
	t.Helper()
	f, err := strconv.ParseFloat(s, 64)
	require.NoError(t, err)
	return f
}

// readable fails if texts overlap each other or marks, are crossed by lines, or
// lie outside.
//
// Most of the time of this package's tests is spent here, so it calls require for
// what is wrong alone.
func (s *seen) readable(t testing.TB) {
	t.Helper()
	for i, a := range s.texts {
		require.True(t, a.x0 >= 0 && a.y0 >= 0 && a.x1 <= s.width && a.y1 <= s.height, "%+v is outside", a)
		for _, b := range s.texts[:i] {
			if a.overlaps(b) {
				require.FailNow(t, "overlap", "%+v overlaps %+v", a, b)
			}
		}
		for _, l := range s.lines {
			if a.x0+1 < l.x1 && l.x0 < a.x1-1 && a.y0+1 < l.y1 && l.y0 < a.y1-1 {
				require.FailNow(t, "crossed", "%+v is crossed by %+v", a, l)
			}
		}
		for _, m := range s.marks {
			if a.overlaps(m) {
				require.FailNow(t, "overlap", "%+v overlaps %+v", a, m)
			}
		}
	}
}
