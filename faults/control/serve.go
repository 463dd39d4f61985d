package control

import (
	"encoding/json"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/swtpmd/swtpmd/faults"
)

// Bounds of what clients of the panel may take.
const (
	// MaxConnections is how many clients a Server has at a time; further ones are
	// closed at once.
	MaxConnections = 16
	// requestTime is how long a request may take to come in, and idleTime how long
	// a connection may say nothing.
	requestTime = 10 * time.Second
	idleTime    = time.Minute
	// answerTime is how long a client may take to read a piece of an answer
	// (answerPiece decisions of the journal).
	answerTime  = 10 * time.Second
	answerPiece = 64
	maxHeader   = 16 << 10 // bytes
)

// NewServer returns a server of the panel's Handler with bounds on time and
// memory, which tells log what goes wrong; nil logs nothing. Serve it with Limit's
// listener.
func NewServer(p *Panel, log *slog.Logger) *http.Server { return Bounded(p.Handler(), log) }

// Bounded is NewServer of another handler.
func Bounded(handler http.Handler, log *slog.Logger) *http.Server {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	return &http.Server{
		Handler: handler, ReadTimeout: requestTime, IdleTimeout: idleTime, MaxHeaderBytes: maxHeader,
		// Without one it writes to stderr itself, and waits where nobody reads that.
		ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelWarn),
	}
}

// Limit returns a listener that has at most MaxConnections connections of l open.
// Further ones are closed at once; full is told of the first of them, and of the
// first after another one was taken.
func Limit(l net.Listener, full func(limit int)) net.Listener {
	return &limitListener{Listener: l, slots: make(chan struct{}, MaxConnections), full: full}
}

type limitListener struct {
	net.Listener
	slots chan struct{}
	full  func(limit int)
	told  bool // only Accept uses it, which has one caller at a time
}

// Accept waits for a connection for which there is room.
func (l *limitListener) Accept() (net.Conn, error) {
	for {
		conn, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		select {
		case l.slots <- struct{}{}:
			l.told = false
			return &limitedConn{Conn: conn, free: sync.OnceFunc(func() { <-l.slots })}, nil
		default:
			_ = conn.Close()
			if !l.told {
				l.told = true
				l.full(MaxConnections)
			}
		}
	}
}

type limitedConn struct {
	net.Conn
	free func()
}

// Close closes the connection and makes room for another one.
func (c *limitedConn) Close() error {
	defer c.free()
	return c.Conn.Close()
}

// Entry is an entry of the journal: a decision, or a gap.
type Entry struct {
	faults.Decision
	// Lost, if it is not 0, is how many decisions should stand here: a client read
	// so slowly that newer ones have taken their place. Decision is empty then, and
	// the JSON has no other field.
	Lost uint64 `json:"lost,omitempty"`
}

// MarshalJSON writes the decision, or the gap alone.
func (e Entry) MarshalJSON() ([]byte, error) {
	if e.Lost != 0 {
		return json.Marshal(struct {
			Lost uint64 `json:"lost"`
		}{e.Lost})
	}
	return json.Marshal(e.Decision)
}

// serveJournal writes the journal in pieces: a client that does not read costs one
// of them, and its connection after answerTime.
func (p *Panel) serveJournal(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	deadline := http.NewResponseController(w)
	out := journalWriter{w: w}
	p.mu.Lock()
	end := p.decided
	at := end - uint64(len(p.journal.entries))
	p.mu.Unlock()
	for at < end {
		var piece []Entry
		piece, at = p.piece(at, end)
		// Where there are no deadlines, as in tests, nobody fails to read.
		_ = deadline.SetWriteDeadline(time.Now().Add(answerTime))
		if out.write(piece) != nil || deadline.Flush() != nil {
			return
		}
	}
	_ = deadline.SetWriteDeadline(time.Now().Add(answerTime))
	_ = out.end()
}

// piece returns entries for decisions from number at on and before number end,
// counted from the first there ever was, and the number of the one after them.
func (p *Panel) piece(at, end uint64) (piece []Entry, next uint64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	first := p.decided - uint64(len(p.journal.entries))
	if at < first {
		next = min(first, end)
		piece = append(piece, Entry{Lost: next - at})
		at = next
	}
	n := min(end-at, answerPiece)
	if n > 0 {
		for _, d := range p.journal.slice(int(at-first), int(n)) {
			piece = append(piece, Entry{Decision: d})
		}
	}
	return piece, at + n
}

// journalWriter writes an array of JSON in pieces.
type journalWriter struct {
	w     http.ResponseWriter
	begun bool
}

func (j *journalWriter) write(piece []Entry) error {
	text, err := json.Marshal(piece)
	if err != nil {
		return err
	}
	if j.begun {
		text[0] = ','
	}
	j.begun = true
	_, err = j.w.Write(text[:len(text)-1]) // without its bracket
	return err
}

func (j *journalWriter) end() error {
	text := "]\n"
	if !j.begun {
		text = "[]\n"
	}
	_, err := j.w.Write([]byte(text))
	return err
}
