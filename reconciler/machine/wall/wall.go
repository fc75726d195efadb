// Package wall keeps a command apart from the machine that it runs on: it sees the
// folders that it was given, the system's programs and libraries, and nothing else;
// it reaches the hosts that were declared; it signals nothing outside; no process of
// it outlives it; and what it uses up is bounded. The program re-executes itself as
// `vishwa sandbox`, which builds the wall around itself and then begins the command.
//
// There are two rungs. The first needs user namespaces (or root): a root folder,
// process table, network and message queues of its own, with Landlock and seccomp on
// top. The second is for machines that allow no namespaces: Landlock and seccomp
// alone. docs/security.md says what each of them guarantees.
package wall

import (
	"fmt"
	"net"
	"slices"
	"strings"
	"syscall"
)

// Level is a rung, or none of them.
type Level string

// The levels, strongest first.
const (
	Namespaces Level = "namespaces"
	Landlock   Level = "landlock"
	None       Level = "none"
)

// Levels lists them all, strongest first.
var Levels = []Level{Namespaces, Landlock, None}

// Spec is what a command may see, reach and use. Paths are absolute; inside they are
// the same as outside. The zero value of a limit is no limit.
type Spec struct {
	Level   Level    // the strongest level that is tried; "" is Namespaces
	Strict  bool     // refuse to begin where one of the five guarantees would lack
	Least   Level    // refuse to begin at a weaker level; "" is any, and none at all
	Read    []string // folders and files that may be read, and executed
	Write   []string // folders that may be written, too; they become the command's own
	Give    []string // folders that may be read, and become the command's own
	Shared  []string // folders that may be written, and are others' as well
	Hidden  []string // folders that nothing of Read may be, or hold
	Tmp     string   // an empty folder that becomes /tmp; on the second rung TMPDIR
	Devices []string // device files that may be used, as patterns: /dev/nvidia*
	Network Network
	Port    int // TCP port on 127.0.0.1 that the command may listen on though it has no network
	Limits  Limits
	User    string // root begins commands of the same name as one user; "" goes by Write
}

// Network is what a command may reach. The zero value is nothing.
type Network struct {
	All   bool     // whatever the machine reaches
	Hosts []string // host:port, by a proxy; *.example.com:443 is every name below it
	// Proxy makes what connects to them: one a command.
	Proxy func() Proxy `json:"-"`
}

// Proxy is the way out to hosts; package egress has it.
type Proxy interface {
	Serve(net.Listener)
	Close() error
	Refused() []string
}

func (n Network) String() string {
	switch {
	case n.All:
		return "all"
	case len(n.Hosts) > 0:
		return strings.Join(n.Hosts, " ")
	default:
		return "none"
	}
}

// Limits bound what a command may use.
type Limits struct {
	Memory    int64   // bytes, of all its processes
	Processes int     // and threads
	OpenFiles int     // of each process
	FileSize  int64   // bytes, of each file
	Disk      int64   // bytes, of all that Write and Tmp hold
	CPUs      float64 // cores; by control groups alone
}

// Report is the wall that stands around a command. It has the fields of port.Isolation,
// and is not that type: the inner side is to start with as few packages as can be.
type Report struct {
	Level    string `json:"level"`              // namespaces, landlock or none
	Landlock int    `json:"landlock,omitempty"` // version of Landlock's interface in force
	Network  string `json:"network"`            // none, all, the hosts, or "not limited": what was declared could not be kept
	Limits   string `json:"limits,omitempty"`   // what holds the limits: cgroup v2, cgroup v1, watching
	User     string `json:"user,omitempty"`     // own: a user that nothing else has
}

// Enclosed tells whether all that a command began is gone with it, and whether it could hand nothing that it had open to a process
// outside, but through a folder that others use as well: by a socket of the machine's network it could, where Landlock does not keep it
// from sockets without a path.
func (r Report) Enclosed() bool {
	return Level(r.Level) == Namespaces && (r.Landlock >= scopedSignals || r.Network != "" && r.Network != unlimited && r.Network != (Network{All: true}).String())
}

// Guarantee is one of the five things that a pull request's run needs.
type Guarantee string

// The five.
const (
	Files     Guarantee = "files"     // sees and changes no file but those it was given
	Reach     Guarantee = "network"   // reaches no host that was not declared
	Signals   Guarantee = "signals"   // signals no process outside
	Processes Guarantee = "processes" // none of it outlives it, also where its supervisor is killed
	Bounds    Guarantee = "limits"    // what it uses up is bounded
)

// Guarantees lists the five.
var Guarantees = []Guarantee{Files, Reach, Signals, Processes, Bounds}

// Gives tells which guarantees a wall gives.
func Gives(r Report) []Guarantee {
	switch Level(r.Level) {
	case Namespaces:
		if r.Network == unlimited {
			return []Guarantee{Files, Signals, Processes, Bounds}
		}
		return slices.Clone(Guarantees)
	case Landlock:
		have := []Guarantee{Processes, Bounds}
		if r.Landlock >= filesTruncate { // before, whatever its user owns could be emptied
			have = append(have, Files)
		}
		if r.Network != unlimited {
			have = append(have, Reach)
		}
		if r.Landlock >= scopedSignals {
			have = append(have, Signals)
		}
		return have
	default:
		return nil
	}
}

// Lacks tells which of the five a wall does not give.
func Lacks(r Report) (missing []Guarantee) {
	have := Gives(r)
	for _, g := range Guarantees {
		if !slices.Contains(have, g) {
			missing = append(missing, g)
		}
	}
	return missing
}

// unlimited is the network of a wall that cannot keep the command to what was declared.
const unlimited = "not limited"

// Versions of Landlock's interface, by what they brought
// (https://docs.kernel.org/userspace-api/landlock.html#previous-limitations).
const (
	filesRefer     = 2
	filesTruncate  = 3
	tcpPorts       = 4
	deviceControls = 5
	scopedSignals  = 6
	namedSockets   = 9
)

// End is how a command ended.
type End struct {
	Code   int            `json:"code"`
	Signal syscall.Signal `json:"signal,omitempty"`
	NoExec string         `json:"noExec,omitempty"` // why it could not be begun
	Over   string         `json:"over,omitempty"`   // the limit that it went over and was ended for
}

// Success tells whether it ended by itself, with exit code 0.
func (e End) Success() bool { return e == End{} }

func (e End) String() string {
	switch {
	case e.NoExec != "":
		return e.NoExec
	case e.Over != "":
		return e.Over
	case e.Signal != 0:
		return "signal: " + e.Signal.String()
	default:
		return fmt.Sprintf("exit status %d", e.Code)
	}
}

// Verb is the hidden command by which the program builds the wall around itself.
const Verb = "sandbox"
