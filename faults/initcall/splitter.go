package initcall

import "time"

const (
	// maxText bounds what is kept of one piece of console text. The kernel
	// itself cuts a record at 1024 bytes (kernel/printk/printk.c,
	// LOG_LINE_MAX), and nothing that moves a Clock is longer than 700
	// (KSYM_NAME_LEN is 512).
	maxText = 1024
	// maxStamp bounds a printk time stamp: "[", blanks, 9 digits of seconds,
	// a point, 6 digits, "]".
	maxStamp = 32
	// maxHead is how much of a piece is kept from its beginning. The room
	// after it slides and always has the last maxStamp bytes, so that a
	// time stamp is found however far into an endless line.
	maxHead = maxText - 2*maxStamp
)

// piece is console text in which at most one message starts: from the beginning
// of a line, or from a time stamp or an escape sequence within it, up to the
// next of those.
type piece struct {
	text    []byte
	stamped bool          // it starts with a time stamp
	body    int           // where the text after the stamp starts, 0 without
	at      time.Duration // of the stamp, 0 without
}

// splitter cuts a stream of console bytes into pieces. Lines are not enough:
// firmware leaves escape sequences and half a line before the kernel's first
// message, and what processes write mixes with what the kernel prints.
//
// What it keeps is bounded by maxText, and where the stream was cut into writes
// makes no difference.
type splitter struct {
	buf  [maxText]byte
	now  piece // without its text, which is buf[:n]
	n    int
	long bool // text beyond maxHead was dropped
	skip bool // the piece belongs to the past
}

// ends has the bytes at which a piece may end.
var ends = [256]bool{'\n': true, '\r': true, 0x1b: true, ']': true}

// write hands every piece that ends within p to take. The piece's text is valid
// during the call only.
func (s *splitter) write(p []byte, take func(piece)) {
	for start := 0; start < len(p); {
		i := start
		for i < len(p) && !ends[p[i]] {
			i++
		}
		s.add(p[start:i])
		if i == len(p) {
			return
		}
		switch p[i] {
		case ']':
			s.add(p[i : i+1])
			s.splitAtStamp(take)
		case 0x1b:
			s.end(take)
			s.add(p[i : i+1])
		default:
			s.end(take)
		}
		start = i + 1
	}
}

// add appends p, of which only the beginning and the last bytes are kept if the
// piece is too long.
func (s *splitter) add(p []byte) {
	n := copy(s.buf[s.n:], p)
	s.n += n
	for p = p[n:]; len(p) > 0; p = p[n:] {
		s.long = true
		s.n = maxHead + copy(s.buf[maxHead:], s.buf[maxText-maxStamp:])
		n = copy(s.buf[s.n:], p)
		s.n += n
	}
}

// end closes the piece and starts an empty one without a stamp.
func (s *splitter) end(take func(piece)) {
	s.close(s.n, take)
	s.n, s.now = 0, piece{}
}

// close hands out the piece up to byte n.
func (s *splitter) close(n int, take func(piece)) {
	if s.long {
		n = min(n, maxHead)
	}
	if n > 0 && !s.skip {
		p := s.now
		p.text = s.buf[:n]
		take(p)
	}
	s.skip, s.long = false, false
}

// splitAtStamp starts a new piece if what was read last is a time stamp.
func (s *splitter) splitAtStamp(take func(piece)) {
	size, at := stampAtEnd(s.buf[max(0, s.n-maxStamp):s.n])
	if size == 0 {
		return
	}
	stamp := s.n - size
	s.close(stamp, take)
	s.n = copy(s.buf[:], s.buf[stamp:s.n])
	s.now = piece{stamped: true, body: s.n, at: at}
}

// drop forgets the piece that is under way: its rest is not handed out.
func (s *splitter) drop() {
	s.skip = s.n > 0
}

// stampAtEnd looks for a printk time stamp, "[%5lu.%06lu]" in
// kernel/printk/printk.c (print_time), at the end of text. It answers its size
// in bytes, 0 if there is none, and the time.
func stampAtEnd(text []byte) (size int, at time.Duration) {
	const micros = 6
	i := len(text) - 2 // before the "]"
	unit := time.Microsecond
	digits := func(most int) (n int) {
		for ; n < most && i >= 0 && text[i] >= '0' && text[i] <= '9'; n, i = n+1, i-1 {
			at += time.Duration(text[i]-'0') * unit
			unit *= 10
		}
		return n
	}
	if digits(micros) != micros || i < 0 || text[i] != '.' {
		return 0, 0
	}
	i--
	if digits(9) == 0 {
		return 0, 0
	}
	for i >= 0 && text[i] == ' ' {
		i--
	}
	if i < 0 || text[i] != '[' {
		return 0, 0
	}
	return len(text) - i, at
}
