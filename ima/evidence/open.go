package evidence

import (
	"bufio"
	"io"

	"github.com/swtpmd/swtpmd/ima"
	"github.com/swtpmd/swtpmd/ima/cel"
)

// OpenList reads a list in whatever form it is: a file of the kernel's, or a
// Canonical Event Log. It finds the form out from the content. The records are read
// as a stream.
func OpenList(source io.Reader, format ima.Format) (ima.RecordReader, error) {
	buffered := bufio.NewReaderSize(source, 64<<10)
	head, err := buffered.Peek(cel.HeadSize)
	if err != nil && err != io.EOF {
		return nil, err
	}
	if !cel.Starts(head) {
		return ima.NewReader(buffered, format)
	}
	return cel.Open(buffered, format)
}
