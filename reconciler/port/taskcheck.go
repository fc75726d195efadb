// What a task must be before anything of it is begun, the same for every tool.

package port

import (
	"path"
	"strings"

	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/lazyregexp"
	"github.com/vishwaops/vishwa/schemas"
)

var (
	dnsLabel   = lazyregexp.New(`^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$`)
	labelValue = lazyregexp.New(`^[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$`)
)

// Check refuses a task that no launcher may begin.
func (t Task) Check() error {
	wrong := func(format string, args ...any) error {
		return fault.New(fault.Invalid, "check task %q: "+format, append([]any{t.Name}, args...)...)
	}
	switch {
	case !dnsLabel.MatchString(t.Name):
		return wrong("its name cannot be a DNS label of at most 63 characters")
	case !labelValue.MatchString(t.Owner):
		return wrong("its owner %q cannot be the value of a label", t.Owner)
	case !labelValue.MatchString(t.Launch):
		return wrong("its launch %q cannot be the value of a label", t.Launch)
	case t.External == nil && (len(t.Command) == 0 || t.Command[0] == ""):
		return wrong("it has no command")
	case t.Deadline <= 0:
		return wrong("it has no deadline")
	case t.Nodes < 0:
		return wrong("it has %d nodes", t.Nodes)
	case t.Resources.GPU < 0:
		return wrong("it has %d GPUs", t.Resources.GPU)
	}
	if d, err := digest.Parse(string(t.Job)); err != nil || d != t.Job {
		return wrong("its job %q cannot be a digest", t.Job)
	}
	if n, ok := schemas.Millicores(t.Resources.CPU); !ok || n < 1 && t.Resources.CPU != "" {
		return wrong("%q cannot be a number of cores", t.Resources.CPU)
	}
	for _, amount := range []string{t.Resources.Memory, t.Resources.EphemeralStorage} {
		if n, ok := schemas.Bytes(amount); !ok || n < 1 && amount != "" {
			return wrong("%q cannot be an amount of bytes", amount)
		}
	}
	for _, m := range t.Mounts {
		if !path.IsAbs(m.From) || path.Clean(m.From) != m.From || path.Clean(m.To) != m.To || !strings.HasPrefix(m.To, WorkerDir+"/") {
			return wrong("a mount goes from an absolute path to one below %s, and not from %q to %q", WorkerDir, m.From, m.To)
		}
		if dir := path.Dir(TicketFile); m.To == dir || strings.HasPrefix(m.To, dir+"/") {
			return wrong("its mount %s hides its ticket", m.To)
		}
	}
	return nil
}
