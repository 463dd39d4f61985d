package campaign

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"time"

	"github.com/swtpmd/swtpmd/cmd/swtpmd/cli"
	"github.com/swtpmd/swtpmd/faults/campaign"
)

// resultsFile is the file that keeps the results of a campaign.
type resultsFile struct {
	file *os.File
	// synced is when the file was last brought to the disk.
	synced time.Time
	line   []byte
}

// syncTime is how much of a campaign a power cut may cost.
const syncTime = time.Second

// readResults reads a file of results that may not be there, and how many bytes its whole
// lines have.
func readResults(name string) (*campaign.Campaign, int64, error) {
	file, err := os.Open(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, 0, nil
	}
	if err != nil {
		return nil, 0, err
	}
	defer file.Close()
	return campaign.Read(name, file)
}

// openResults opens the file that is to keep results, and returns the campaign that it has,
// nil if there is none. What a kill has left of a last line is cut off. Without resume a
// file with results is refused.
func openResults(name string, resume bool) (*resultsFile, *campaign.Campaign, error) {
	c, whole, err := readResults(name)
	switch {
	case err != nil:
		return nil, nil, err
	case c != nil && !resume:
		return nil, nil, cli.Usage(fmt.Errorf("--results: %s has results of a campaign", name), "go on with it by --resume, or name another file")
	}
	file, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return nil, nil, err
	}
	if err := cutTo(file, whole); err != nil {
		file.Close()
		return nil, nil, err
	}
	return &resultsFile{file: file}, c, nil
}

// cutTo cuts off what follows the whole lines of a file, and goes there. A file that has
// something, and no whole line, is somebody else's.
func cutTo(file *os.File, whole int64) error {
	info, err := file.Stat()
	if err != nil {
		return err
	}
	if whole == 0 && info.Size() > 0 {
		return cli.Usage(fmt.Errorf("--results: %s has no results of a campaign", file.Name()), "name another file")
	}
	if err := file.Truncate(whole); err != nil {
		return err
	}
	_, err = file.Seek(whole, io.SeekStart)
	return err
}

// write appends a header or a result, in one write.
func (r *resultsFile) write(headerOrResult any) (err error) {
	if r == nil {
		return nil
	}
	if r.line, err = campaign.AppendLine(r.line[:0], headerOrResult); err != nil {
		return err
	}
	if _, err := r.file.Write(r.line); err != nil {
		return err
	}
	if time.Since(r.synced) < syncTime {
		return nil
	}
	r.synced = time.Now()
	return r.file.Sync()
}

// close brings the results to the disk.
func (r *resultsFile) close() error {
	if r == nil {
		return nil
	}
	return errors.Join(r.file.Sync(), r.file.Close())
}
