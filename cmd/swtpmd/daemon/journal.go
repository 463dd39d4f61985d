package daemon

import (
	"encoding/json"

	"github.com/swtpmd/swtpmd/cmd/swtpmd/cli"
	"github.com/swtpmd/swtpmd/cmd/swtpmd/logs"
	"github.com/swtpmd/swtpmd/cmd/swtpmd/options"
	"github.com/swtpmd/swtpmd/faults/journal"
)

// openJournal opens the file of --journal and writes its first line.
func (d *daemon) openJournal() error {
	w := &d.set.Journal
	plan := d.set.Faults.Plan()
	head := journal.HeaderOf(cli.Release, &plan)
	head.TPMSeed, head.Profile, head.Commands = w.TPMSeed, string(d.set.Profile.Text()), w.Commands
	file, err := d.openOutput("journal", &options.Output{File: w.File, FD: -1}, options.DefaultPcapMode, true, head.Head())
	if err != nil {
		return err
	}
	queue := &logs.Queue{
		Out: &untilError{out: file, name: w.File, log: d.log}, Room: pcapRoom, Gather: gatherTime,
		Note: func(lost uint64) []byte {
			text, _ := json.Marshal(journal.Line{Lost: lost}) // it is a number
			return append(text, '\n')
		},
	}
	d.journal = journal.NewWriter(queue, head)
	d.undo = append(d.undo, func() { d.finish("journal", queue, file) })
	return nil
}
