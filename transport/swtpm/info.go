package swtpm

import (
	"context"
	"encoding/binary"
	"errors"
	"time"
)

// infoChunk is the most bytes of text in one reply; a client asks for the rest
// with an offset.
const infoChunk = 3072

// infoTime bounds how long another server may take for a text.
const infoTime = 5 * time.Second

// getInfo describes the TPM as JSON, from what the program knows of it: no command is
// sent, so that it works before INIT and after STOP, while a command runs, and while
// a fault keeps the TPM away. The result is SIZE, as when swtpm cannot make the text,
// if the program does not know the TPM.
func (c *control) getInfo(req *request) Result {
	flags := binary.BigEndian.Uint64(req.payload)
	offset := int64(binary.BigEndian.Uint32(req.payload[8:]))
	text, err := c.s.info(flags)
	if err != nil {
		c.s.log.Warn("GET_INFO failed", "cause", err)
		return SizeError
	}
	if offset >= int64(len(text)) {
		return BadParameter
	}
	text = append(text, 0) // the text ends as in C
	total := int64(len(text))
	piece := text[offset:min(total, offset+infoChunk)]
	req.reply = binary.BigEndian.AppendUint32(req.reply, uint32(total))
	req.reply = binary.BigEndian.AppendUint32(req.reply, uint32(len(piece)))
	req.reply = append(req.reply, piece...)
	return Success
}

var errUnknownTPM = errors.New("the server knows nothing of the TPM")

// info makes the text of GET_INFO, or has another server make it.
func (s *Server) info(flags uint64) ([]byte, error) {
	switch {
	case s.opts.Description != nil:
		return s.opts.Description.Text(s.opts.Version, flags, s.powered())
	case s.opts.Info != nil:
		ctx, cancel := context.WithTimeout(context.Background(), infoTime)
		defer cancel()
		return s.opts.Info(ctx, flags)
	case flags&releases[s.opts.Version].info != 0:
		return nil, errUnknownTPM
	}
	return new(Description).Text(s.opts.Version, flags, s.powered())
}
