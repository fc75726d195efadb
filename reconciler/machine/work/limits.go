// What of a run's resources is not held, said in its log.

package work

import (
	"fmt"
	"strings"

	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/schemas"
)

// unheld tells what of its resources a job of this machine may go beyond, where by is what
// holds limits around it; "" is nothing. Elsewhere, the tool that begins it holds them.
func unheld(job port.Job, by string) string {
	r := job.RunsOn.Resources
	var all []string
	if r.CPU != "" && !strings.HasPrefix(by, "cgroup") {
		all = append(all, r.CPU+" CPU")
	}
	if by == "" && r.Memory != "" {
		all = append(all, r.Memory+" of memory")
	}
	if by == "" && r.EphemeralStorage != "" {
		all = append(all, r.EphemeralStorage+" of disk")
	}
	if len(all) == 0 || job.RunsOn.Runner != "" && job.RunsOn.Runner != schemas.LocalRunner {
		return ""
	}
	return fmt.Sprintf("this machine cannot hold it to %s: it has no control groups that may be used", strings.Join(all, ", "))
}
