//go:build !linux

// Where there is no Linux, there is no wall: a command of one's own runs without, and
// one that needs the wall is refused.

package wall

import (
	"context"
	"net"
	"os/exec"

	"github.com/vishwaops/vishwa/reconciler/fault"
)

// Inside is a command behind its wall; there is none here.
type Inside struct{ Report Report }

// Start refuses.
func Start(*exec.Cmd, Spec) (*Inside, error) {
	return nil, fault.WithHint(fault.New(fault.Denied, "isolate command: %w", ErrUnavailable), "run it on Linux")
}

// AheadVariable has no meaning here.
const AheadVariable = "VISHWA_SANDBOX_AHEAD"

// DropAhead has nothing to end.
func DropAhead() {}

// Ahead is none.
func Ahead(Policy, bool) string { return "" }

// PID is none.
func (in *Inside) PID() int { return 0 }

// Wait is never reached.
func (in *Inside) Wait() End { return End{} }

// Close is never reached.
func (in *Inside) Close() error { return nil }

// Refused is empty.
func (in *Inside) Refused() []string { return nil }

// OutOfMemory is not known.
func (in *Inside) OutOfMemory() (int64, bool) { return 0, false }

// Dial is never reached.
func (in *Inside) Dial(context.Context, int) (net.Conn, error) { return nil, net.ErrClosed }

// landlockVersion is none.
func landlockVersion() int { return 0 }

// machineMemory is not known.
func machineMemory() int64 { return 0 }
