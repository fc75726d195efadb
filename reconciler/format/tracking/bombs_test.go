// A run is a stranger, and nothing but a count ends what is read when it has ended: little that it leaves
// must not take long, or much memory.

package tracking_test

import (
	"fmt"
	"io/fs"
	"runtime"
	"strings"
	"testing"

	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/format/tracking"
)

// allocated is how many bytes do allocated: it tells what was done, on any machine.
func allocated(do func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	do()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

func TestWhatLiesVeryDeepIsNotReached(t *testing.T) {
	deep := strings.Repeat("d/", 70)
	deepest := 0
	d, err := tracking.Read(depth{tree(map[string]string{deep + "m/1/a1/meta.yaml": run1, deep + "m/1/a1/metrics/loss": "1 1 1\n"}), &deepest}, tracking.Options{})
	if err != nil || !d.Empty() || deepest > 66 {
		t.Errorf("%v, %v, %d folders deep", d, err, deepest)
	}
}

// depth notes how deep a folder was opened.
type depth struct {
	fs.FS
	most *int
}

func (d depth) Open(name string) (fs.File, error) {
	*d.most = max(*d.most, strings.Count(name, "/"))
	return d.FS.Open(name)
}

func TestNamesForWhatWasSaidBeforeAreCounted(t *testing.T) {
	bomb := "a: &a [1, 1, 1, 1, 1, 1, 1, 1, 1, 1]\n"
	for c := 'b'; c <= 'h'; c++ {
		bomb += fmt.Sprintf("%c: &%c [%s]\n", c, c, strings.TrimSuffix(strings.Repeat("*"+string(c-1)+", ", 10), ", "))
	}
	var d tracking.Document
	var err error
	got := allocated(func() {
		d, err = tracking.Read(tree(map[string]string{"dvclive/params.yaml": bomb, "dvclive/metrics.json": `{"auc": 0.9}`}), tracking.Options{})
	})
	if err != nil || d.Metrics()["auc"] != 0.9 || len(d.Params) > 0 || len(d.Notes) != 1 || got > 64<<20 {
		t.Errorf("%v, %q, %v; %d MiB", d.Metrics(), d.Notes, err, got>>20)
	}
	if _, err := tracking.Models(tree(map[string]string{"m/MLmodel": "flavors: {x: 1}\n" + bomb}), nil); fault.Of(err) != fault.Invalid {
		t.Errorf("%v", err)
	}
}

func TestALongNameIsNotMadeForEachThatIsBelowIt(t *testing.T) {
	var many strings.Builder
	for i := range 40_000 {
		fmt.Fprintf(&many, `,"%d":1`, i)
	}
	var err error
	got := allocated(func() {
		_, err = tracking.Read(tree(map[string]string{"dvclive/metrics.json": `{"` + strings.Repeat("k", 500<<10) + `":{` + many.String()[1:] + `}}`}), tracking.Options{})
	})
	if err != nil || got > 1<<29 {
		t.Errorf("%v; %d MiB", err, got>>20)
	}
}

func TestAQuoteThatIsNeverClosedIsNoRow(t *testing.T) {
	files := tree(map[string]string{"code/training.csv": "epoch,a\n1,\"" + strings.Repeat("long lines\n", 4<<20)})
	var err error
	got := allocated(func() { _, err = tracking.Read(files, tracking.Options{}) })
	if fault.Of(err) != fault.Invalid || !strings.Contains(err.Error(), "a row is too long") || got > 32<<20 {
		t.Errorf("%v; %d MiB", err, got>>20)
	}
}

func TestManyRunsTogetherAreHeldWithinBounds(t *testing.T) {
	long := strings.Repeat("1 1 1\n", 250_000)
	all := map[string]string{}
	for i := range 20 { // each would be kept whole
		all[fmt.Sprintf("m/1/r%d/meta.yaml", i)] = fmt.Sprintf("run_id: r%d\nstart_time: %d\n", i, i)
		all[fmt.Sprintf("m/1/r%d/metrics/loss", i)] = long + fmt.Sprintf("1 %d 2\n", i)
	}
	d, err := tracking.Read(tree(all), tracking.Options{From: []string{tracking.MLflow}})
	if err != nil || d.Metrics()["loss"] != 19 {
		t.Errorf("%v, %v", d.Metrics(), err)
	}
	many := map[string]string{}
	for i := range 1_200 {
		many[fmt.Sprintf("m/1/r%d/meta.yaml", i)] = fmt.Sprintf("run_id: r%d\nstart_time: %d\n", i, i)
		for j := range 10 {
			many[fmt.Sprintf("m/1/r%d/params/p%d", i, j)] = strings.Repeat("x", 7_000)
		}
	}
	if _, err := tracking.Read(tree(many), tracking.Options{From: []string{tracking.MLflow}}); fault.Of(err) != fault.Invalid || !strings.Contains(err.Error(), "MiB of parameters") {
		t.Errorf("%v", err)
	}
}

func TestTheRestOfALongLineIsNoLine(t *testing.T) {
	o := tracking.Options{Output: strings.NewReader(strings.Repeat("x", 64<<10) + `{"auc": 0.99}` + "\n" + `{"auc": 0.5}` + "\n")}
	if d, err := tracking.Read(tree(nil), o); err != nil || d.Metrics()["auc"] != 0.5 || d.Series[0].Logged != 1 {
		t.Errorf("%+v, %v", d, err)
	}
}
