// What the owner of a machine says of walls, and how a command's own wants become a
// wall under it.

package wall

import (
	"errors"
	"os"
	"slices"

	"github.com/vishwaops/vishwa/reconciler/fault"
)

// Policy is what the owner of a machine says: in the controller's file, or for one's own
// commands in the environment. Nothing of a repository can change it.
type Policy struct {
	Level    Level    `json:"level,omitempty"`    // the strongest level that is tried; "" is the best there is
	Strict   bool     `json:"strict,omitempty"`   // refuse what the machine cannot keep apart: code that nobody reviewed
	Reviewed bool     `json:"reviewed,omitempty"` // and yet it was reviewed: what it installs is not treated as code that was not
	Read     []string `json:"read,omitempty"`     // folders and files that every command may read
	Write    []string `json:"write,omitempty"`    // folders that every command may write, such as scratch disks; not those of pull requests
	Devices  []string `json:"devices,omitempty"`  // device files that every command may use, as patterns
	Index    []string `json:"index,omitempty"`    // hosts that installers may reach besides those that they are configured with, host:port
	Hidden   []string `json:"hidden,omitempty"`   // folders that no command may see
	Limits   Limits   `json:"limits,omitzero"`
}

// Of limits, what holds where the owner says nothing.
const (
	defaultProcesses = 4096
	defaultOpenFiles = 65536
)

// Filled is p with its defaults. memory is the machine's, bytes.
func (p Policy) Filled(memory int64) Policy {
	if p.Limits.Processes == 0 {
		p.Limits.Processes = defaultProcesses
	}
	if p.Limits.OpenFiles == 0 {
		p.Limits.OpenFiles = defaultOpenFiles
	}
	if p.Limits.Memory == 0 {
		p.Limits.Memory = memory / 10 * 9
	}
	if p.Limits.Disk == 0 {
		p.Limits.Disk = 256 << 30
	}
	return p
}

// Unreviewed tells whether what is installed behind the wall may be anybody's code.
func (p Policy) Unreviewed() bool { return p.Strict && !p.Reviewed }

// Spec is a command's wall under the policy; the caller adds what the command itself
// reads and writes. Nil is no wall.
func (p Policy) Spec() *Spec {
	if p.Level == None {
		return nil
	}
	p = p.Filled(machineMemory())
	s := &Spec{
		Level: p.Level, Strict: p.Strict, Read: existing(p.Read), Devices: slices.Clone(p.Devices), Hidden: slices.Clone(p.Hidden), Limits: p.Limits,
	}
	if !p.Strict {
		s.Shared = existing(p.Write)
	}
	return s
}

// existing are those of paths that are there.
func existing(paths []string) (found []string) {
	for _, p := range paths {
		if _, err := os.Stat(p); err == nil {
			found = append(found, p)
		}
	}
	return found
}

// ErrUnavailable says that the machine allows none of the levels that were tried.
var ErrUnavailable = errors.New("this machine offers no isolation")

// ParseLevel reads a level as the owner writes it; best is "".
func ParseLevel(s string) (Level, error) {
	if s == "" || s == "best" {
		return "", nil
	}
	if l := Level(s); slices.Contains(Levels, l) {
		return l, nil
	}
	return "", fault.WithHint(fault.New(fault.Invalid, "%q is not a level of isolation", s), "write best, namespaces, landlock or none")
}
