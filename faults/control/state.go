package control

import (
	"maps"

	"github.com/swtpmd/swtpmd/faults"
	"github.com/swtpmd/swtpmd/faults/initcall"
)

// PanelState has what a panel has recorded, for a panel in another process.
type PanelState struct {
	Levels   []initcall.Event          `json:"levels,omitempty"`
	Journal  []faults.Decision         `json:"journal,omitempty"`
	Decided  uint64                    `json:"decided,omitempty"`
	Outcomes map[faults.Outcome]uint64 `json:"outcomes,omitempty"`
}

// State returns what the panel has taken down.
func (p *Panel) State() PanelState {
	p.mu.Lock()
	defer p.mu.Unlock()
	return PanelState{p.levels.all(), p.journal.all(), p.decided, maps.Clone(p.outcomes)}
}

// SetState has a panel that has taken down nothing yet go on with a state.
func (p *Panel) SetState(s PanelState) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, e := range s.Levels {
		p.levels.add(e, LevelsLength)
	}
	for i := range s.Journal {
		p.journal.add(s.Journal[i], JournalLength)
	}
	p.decided, p.outcomes = s.Decided, maps.Clone(s.Outcomes)
}
