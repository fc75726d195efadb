// A task's name, labels and mounts reach other tools: what those could misread is refused here.

package port

import (
	"strings"
	"testing"
	"time"

	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/fault"
)

func TestATaskIsCheckedBeforeAnythingOfItIsBegun(t *testing.T) {
	mount := func(from, to string) func(*Task) {
		return func(t *Task) { t.Mounts = []Mount{{From: from, To: to}} }
	}
	for name, c := range map[string]struct {
		change func(*Task)
		want   bool
	}{
		"a plain one":             {func(*Task) {}, true},
		"the longest name":        {func(t *Task) { t.Name = strings.Repeat("n", 63) }, true},
		"a name that is longer":   {func(t *Task) { t.Name = strings.Repeat("n", 64) }, false},
		"a name of two lines":     {func(t *Task) { t.Name = "a\nb" }, false},
		"a name that ends in one": {func(t *Task) { t.Name = "a\n" }, false},
		"a name with a dot":       {func(t *Task) { t.Name = "a.b" }, false},
		"an owner with a comma":   {func(t *Task) { t.Owner = "a,b" }, false},
		"an owner with an equals": {func(t *Task) { t.Owner = "a=b" }, false},
		"a launch with a slash":   {func(t *Task) { t.Launch = "a/b" }, false},
		"a job without a prefix":  {func(t *Task) { t.Job = digest.Digest(t.Job.Hex()) }, false},
		"an empty program":        {func(t *Task) { t.Command = []string{""} }, false},
		"nodes below none":        {func(t *Task) { t.Nodes = -1 }, false},
		"storage of words":        {func(t *Task) { t.Resources.EphemeralStorage = "much" }, false},
		"no memory":               {func(t *Task) { t.Resources.Memory = "0" }, false},
		"less than a millicore":   {func(t *Task) { t.Resources.CPU = "0.0001" }, false},
		"a mount":                 {mount("/srv/store", WorkerDir+"/store"), true},
		"a mount over the worker": {mount("/srv/store", WorkerDir), false},
		"a mount elsewhere":       {mount("/srv/store", "/usr"), false},
		"a mount that leads out":  {mount("/srv/store", WorkerDir+"/../usr"), false},
		"a mount from here":       {mount("store", WorkerDir+"/store"), false},
		"a mount from there":      {mount("/srv/../etc", WorkerDir+"/store"), false},
		"a mount on the ticket":   {mount("/srv/store", TicketFile), false},
		"a mount over the ticket": {mount("/srv/store", WorkerDir+"/ticket"), false},
	} {
		task := Task{
			Name: "vishwa-a", Owner: "o", Launch: "l", Job: digest.Of([]byte("job")),
			Command: []string{"vishwa", "work"}, Deadline: time.Hour,
		}
		c.change(&task)
		if err := task.Check(); (err == nil) != c.want || err != nil && fault.Of(err) != fault.Invalid {
			t.Errorf("%s: %v", name, err)
		}
	}
}
