package faults

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/swtpmd/swtpmd/transport"
)

// Split has the TPM execute the command, and its response written in pieces. It needs a
// sender with a connection (transport.WithDelivery); to others the response comes whole.
type Split struct {
	Piece int           // bytes of each write, from 1
	Pause time.Duration // between two writes; 0 is none
}

var splitKind = Kind{
	Word: "split", Value: "N[/PAUSE]", Group: Bytes,
	Doc: "The TPM executes the command, and its response is written in pieces of N bytes, with a PAUSE (of " + maxPauses.String() +
		" at most in all) after each. A vTPM proxy, CUSE and Go have it whole.",
	Example: "*/10: split=4/20ms",
	parse:   parseSplit,
}

// maxPauses bounds the pauses in one response, all together: nothing ends them but the
// end of the connection.
const maxPauses = 10 * time.Second

func parseSplit(value string) (Fault, error) {
	size, pause, has := strings.Cut(value, "/")
	piece, err := parseBytes(size)
	if err != nil {
		return nil, err
	}
	s := Split{Piece: piece}
	if has {
		if s.Pause, err = time.ParseDuration(pause); err != nil || s.Pause <= 0 || s.Pause > maxPauses {
			return nil, errPause
		}
	}
	return s, nil
}

var errPause = errors.New("the pause is not a time up to " + maxPauses.String() + ", such as 20ms")

func (Split) kind() *Kind { return &splitKind }

func (s Split) String() string {
	text := "split=" + strconv.Itoa(s.Piece)
	if s.Pause > 0 {
		text += "/" + s.Pause.String()
	}
	return text
}

func (s Split) check(*Plan, *Rule) string {
	if s.Pause < 0 || s.Pause > maxPauses {
		return errPause.Error()
	}
	return checkBytes(s.Piece)
}

func (s Split) apply(x *exchange) ([]byte, error) {
	response, err := x.next()
	if x.gone(err) || len(response) <= s.Piece {
		return response, err
	}
	delivery := transport.DeliveryOf(x.ctx)
	if delivery == nil {
		x.decision.Detail = "whole: the sender has no connection"
		return response, nil
	}
	const framing = 16 // bytes that a protocol writes with a response, at most
	pieces := (len(response) + framing) / s.Piece
	delivery.Piece = s.Piece
	delivery.Pause = min(s.Pause, maxPauses/time.Duration(pieces))
	x.decision.Outcome, x.decision.Detail = Changed, fmt.Sprintf("in pieces of %d bytes", s.Piece)
	return response, nil
}
