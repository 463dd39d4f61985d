package main

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"regexp"
	"runtime"
	"runtime/debug"
	"sync"

	"github.com/swtpmd/swtpmd/cmd/swtpmd/cli"
)

// release is the version of this program.
const release = cli.Release

// noRevision stands for a revision that the toolchain has not recorded: that of
// go run, of go build -buildvcs=false, and of a source archive.
const noRevision = "unknown"

// build is what --version tells.
type build struct {
	Version  string `json:"version"`
	Revision string `json:"revision"`
	Time     string `json:"time,omitempty"` // of the revision, RFC 3339
	Modified bool   `json:"modified"`       // the files were not those of the revision
	Go       string `json:"go"`
	Platform string `json:"platform"`
}

// pseudoVersion matches a version that the go command makes of a revision without a
// tag; its last part begins that revision (Go Modules Reference, "Pseudo-versions").
var pseudoVersion = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`[-.][0-9]{14}-([0-9a-f]{12})(?:\+dirty)?$`) })

// buildOf returns what the toolchain recorded; info is nil where it recorded nothing.
func buildOf(info *debug.BuildInfo) build {
	b := build{Version: release, Go: runtime.Version(), Platform: runtime.GOOS + "/" + runtime.GOARCH}
	if info != nil {
		if m := pseudoVersion().FindStringSubmatch(info.Main.Version); m != nil {
			b.Revision = m[1]
		}
		for _, s := range info.Settings {
			switch s.Key {
			case "vcs.revision":
				b.Revision = s.Value
			case "vcs.time":
				b.Time = s.Value
			case "vcs.modified":
				b.Modified = s.Value == "true"
			}
		}
	}
	b.Revision = cmp.Or(b.Revision, noRevision)
	return b
}

// printVersion writes which swtpmd this is: a line, or an object.
func printVersion(out io.Writer, asJSON bool) error {
	info, _ := debug.ReadBuildInfo()
	b := buildOf(info)
	if asJSON {
		return json.NewEncoder(out).Encode(b)
	}
	revision := b.Revision
	if b.Modified {
		revision += ", modified"
	}
	_, err := fmt.Fprintf(out, "swtpmd %s (revision %s) %s %s\n", b.Version, revision, b.Go, b.Platform)
	return err
}
