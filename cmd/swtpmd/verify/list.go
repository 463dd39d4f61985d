package verify

import (
	"fmt"
	"io"
	"os"

	"github.com/swtpmd/swtpmd/cmd/swtpmd/cli"
	"github.com/swtpmd/swtpmd/ima"
	"github.com/swtpmd/swtpmd/ima/cel"
	"github.com/swtpmd/swtpmd/ima/evidence"
	"github.com/swtpmd/swtpmd/ima/verify"
)

// openList opens the measurement list, which verify reads as a stream: a list may
// be longer than memory. The function given back closes it.
func (w *verifyWords) openList(name string, stdin io.Reader) (ima.RecordReader, func() error, error) {
	format := ima.Format{Order: ima.NativeOrder(), OrderKnown: w.order != ""}
	switch w.order {
	case "":
	case "little":
		format.Order = ima.LittleEndian
	case "big":
		format.Order = ima.BigEndian
	default:
		return nil, nil, cli.Usage(fmt.Errorf("--order=%s: it is little or big", w.order), "")
	}
	source := io.NopCloser(stdin)
	if name != "-" {
		file, err := os.Open(name)
		if err != nil {
			return nil, nil, err
		}
		source = file
	}
	list, err := evidence.OpenList(source, format)
	if err != nil {
		source.Close()
		return nil, nil, err
	}
	return list, source.Close, nil
}

// takeEventLog takes the firmware's events that a list has brought along.
func (w *verifyWords) takeEventLog(e *verify.Evidence) error {
	list, ok := e.List.(*cel.List)
	if !ok || list.EventLog() == nil {
		return nil
	}
	if w.eventLog != "" {
		return cli.Usage(fmt.Errorf("--event-log=%s: the list is a Canonical Event Log with events of the firmware", w.eventLog), "give one of them")
	}
	e.EventLog = list.EventLog()
	return nil
}

// readStart reads the PCR values at the beginning of a list that is not that of a
// boot.
func (w *verifyWords) readStart(e *verify.Evidence) (err error) {
	if w.start == "" {
		return nil
	}
	e.Start, err = openPCRs("--start", w.start, w.selection)
	return err
}
