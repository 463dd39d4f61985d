package draw

// legendTexts say what the shapes mean.
var legendTexts = [shapes]string{
	callBar: "initcall", imaBar: "init_ima", boundBar: "probe, bound", deferredBar: "probe, deferred",
	failedBar: "probe, failed", openBar: "not finished", asyncBar: "asynchronous work", helperBar: "program that the kernel runs",
	awayBar: "TPM away", hereBar: "TPM answers", waiting: "waits for a retry",
	answered: "answered", slow: "answered late", later: "not now", refused: "refused, or no answer",
	disc: "in list and PCR", ring: "in the list only", cross: "not measured", barred: "denied", diamond: "queued",
	bolt: "attacker, or kernel panic", flagTPM: "TPM registered", flagIMA: "IMA starts", resetMark: "TPM reset without the kernel",
	retry: "retried", relaxed: "supplier given up", userBar: "userspace",
}

// legendEntry is a shape with its meaning, in its place.
type legendEntry struct {
	shape shape
	x, y  int
	text  string
}

const (
	legendMark = 19 * px // the place of a shape
	legendGap  = 14 * px
	legendRow  = 19 * px
)

// legend lays out the meanings of the shapes that a picture has, in rows from y
// on, and gives their height.
func (p *picture) legend(y int) (height int) {
	var used [shapes]bool
	for _, s := range p.list {
		for i := range s.marks {
			used[s.marks[i].shape] = true
		}
	}
	x, top := margin, y
	for shape := range shapes {
		text := legendTexts[shape]
		if !used[shape] || text == "" {
			continue
		}
		w := legendMark + textWidth(text, smallSize)
		if x > margin && x+w > p.width-margin {
			x, y = margin, y+legendRow
		}
		p.entries = append(p.entries, legendEntry{shape: shape, x: x, y: y, text: text})
		x += w + legendGap
	}
	if len(p.entries) == 0 {
		return 0
	}
	return y + legendRow - top
}

func (e *legendEntry) write(c *canvas) {
	m := mark{shape: e.shape, x0: e.x + 6*px, x1: e.x + 6*px}
	if e.shape.bar() {
		m.x0, m.x1 = e.x, e.x+11*px
	}
	m.draw(c, e.y)
	c.say("b-small", e.x+legendMark, e.y+markHeight/2+4*px, e.text)
}
