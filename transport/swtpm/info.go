package swtpm

import "encoding/binary"

// infoChunk is the most bytes of text in one reply; a client asks for the rest
// with an offset.
const infoChunk = 3072

// getInfo describes the TPM as JSON, from what the program knows of it: no command is
// sent, so that it works before INIT and after STOP, while a command runs, and while
// a fault keeps the TPM away. The result is SIZE, as when swtpm cannot make the text,
// if the program does not know the TPM.
func (c *control) getInfo(req *request) Result {
	s := c.s
	flags := binary.BigEndian.Uint64(req.payload)
	offset := int64(binary.BigEndian.Uint32(req.payload[8:]))
	if s.opts.Description == nil && flags&releases[s.opts.Version].info != 0 {
		s.log.Warn("GET_INFO of a TPM that the server knows nothing of")
		return SizeError
	}
	var d Description
	if s.opts.Description != nil {
		d = *s.opts.Description
	}
	text, err := d.Text(s.opts.Version, flags, s.powered())
	if err != nil {
		return s.sizeError(err)
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

func (s *Server) sizeError(cause error) Result {
	s.log.Warn("GET_INFO failed", "cause", cause)
	return SizeError
}
