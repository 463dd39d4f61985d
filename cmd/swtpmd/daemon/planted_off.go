//go:build !swtpmd_planted

package daemon

import (
	"log/slog"
)

// attemptPlanted does nothing: see planted_on.go.
func attemptPlanted(*slog.Logger) {}
