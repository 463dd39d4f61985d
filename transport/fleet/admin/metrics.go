package admin

import (
	"bufio"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/swtpmd/swtpmd/transport/fleet"
)

// contentType is that of Prometheus's text format.
const contentType = "text/plain; version=0.0.4; charset=utf-8"

// metric is a family of metrics with the TPM's name as a label.
type metric struct {
	name, kind, help string
	label            string // a second label with its value, "" for none
	of               func(*fleet.Status) float64
}

// totals are the metrics of the whole fleet.
var totals = []struct {
	name, help string
	counts     func(*fleet.Status) bool
}{
	{"swtpmd_fleet_tpms", "TPMs that are served.", func(s *fleet.Status) bool { return s.Refused == "" }},
	{"swtpmd_fleet_tpms_refused", "TPMs that are left out, because their file is wrong or they cannot be made.", func(s *fleet.Status) bool { return s.Refused != "" }},
	{"swtpmd_fleet_tpms_powered", "TPMs that have power.", func(s *fleet.Status) bool { return s.Powered }},
	{"swtpmd_fleet_tpms_failed", "TPMs in failure mode.", func(s *fleet.Status) bool { return s.Failure != "" }},
	{"swtpmd_fleet_engines", "TPMs whose engine is in memory.", func(s *fleet.Status) bool { return s.InMemory }},
}

// each are the metrics of each TPM. Metrics of one name follow each other.
var each = []metric{
	{"swtpmd_tpm_connections", "gauge", "Connections of clients.", `channel="control"`, func(s *fleet.Status) float64 { return float64(s.ControlClients) }},
	{"swtpmd_tpm_connections", "gauge", "", `channel="data"`, func(s *fleet.Status) float64 { return float64(s.DataClients) }},
	{"swtpmd_tpm_commands_total", "counter", "TPM commands that have come.", "", func(s *fleet.Status) float64 { return float64(s.Commands) }},
	{"swtpmd_tpm_errors_total", "counter", "TPM commands that were answered with another response code than TPM_RC_SUCCESS.", "", func(s *fleet.Status) float64 { return float64(s.Errors) }},
	{"swtpmd_tpm_powered", "gauge", "Whether the TPM has power.", "", func(s *fleet.Status) float64 { return truth(s.Powered) }},
	{"swtpmd_tpm_failed", "gauge", "Whether the TPM is in failure mode.", "", func(s *fleet.Status) float64 { return truth(s.Failure != "") }},
	{"swtpmd_tpm_engine", "gauge", "Whether the TPM's engine is in memory.", "", func(s *fleet.Status) float64 { return truth(s.InMemory) }},
	{"swtpmd_tpm_boots_total", "counter", "Boots of the guest.", "", func(s *fleet.Status) float64 { return float64(s.Boot) }},
	{"swtpmd_tpm_state_bytes", "gauge", "Size of the state file; 0 for state in memory.", "", func(s *fleet.Status) float64 { return stateSize(s.State) }},
}

func truth(is bool) float64 {
	if is {
		return 1
	}
	return 0
}

// stateFile is the name that a state.Directory gives its file.
const stateFile = "tpm2.state"

// stateSize returns the size of the state file in a directory, 0 if there is none.
func stateSize(dir string) float64 {
	if dir == "" {
		return 0
	}
	info, err := os.Stat(filepath.Join(dir, stateFile))
	if err != nil {
		return 0
	}
	return float64(info.Size())
}

// metrics writes the text format: families one after the other, each with its help and
// its kind.
func (a *admin) metrics(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", contentType)
	out := bufio.NewWriter(w)
	defer out.Flush() // to a client that may be gone
	list := a.fleet.List()
	for _, total := range totals {
		family(out, total.name, "gauge", total.help)
		n := 0
		for i := range list {
			if total.counts(&list[i]) {
				n++
			}
		}
		line(out, total.name, "", float64(n))
	}
	for i, m := range each {
		if i == 0 || each[i-1].name != m.name {
			family(out, m.name, m.kind, m.help)
		}
		for j := range list {
			if list[j].Refused != "" {
				continue
			}
			labels := `tpm="` + list[j].Name + `"` // a name has nothing to be escaped
			if m.label != "" {
				labels += "," + m.label
			}
			line(out, m.name, labels, m.of(&list[j]))
		}
	}
}

func family(out *bufio.Writer, name, kind, help string) {
	_, _ = out.WriteString("# HELP " + name + " " + help + "\n# TYPE " + name + " " + kind + "\n")
}

func line(out *bufio.Writer, name, labels string, value float64) {
	var text strings.Builder
	text.WriteString(name)
	if labels != "" {
		text.WriteString("{" + labels + "}")
	}
	text.WriteString(" " + strconv.FormatFloat(value, 'g', -1, 64) + "\n")
	_, _ = out.WriteString(text.String())
}
