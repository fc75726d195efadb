// A whole run through a tool's double: the tool's own Python fetches the worker from the store,
// the worker does the job, and what it made is kept.

package service

import (
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/vishwaops/vishwa/reconciler/adapter/runner"
	"github.com/vishwaops/vishwa/reconciler/adapter/store"
	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/machine/bucket"
	"github.com/vishwaops/vishwa/reconciler/machine/seal"
	"github.com/vishwaops/vishwa/reconciler/machine/wall"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/reconciler/port/porttest"
	"github.com/vishwaops/vishwa/schemas"
)

// runsOn are runs on a launcher, with a store in a folder.
func runsOn(t *testing.T, l port.Launcher) port.Runner {
	t.Helper()
	r, err := runsIn(t.TempDir(), l)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// runsIn are runs on a launcher, of which all lies in a folder: another process goes on with it.
func runsIn(at string, l port.Launcher) (port.Runner, error) {
	dir := filepath.Join(at, "store")
	kept, err := store.Dir(dir)
	if err != nil {
		return nil, err
	}
	shelf, err := bucket.Dir(dir)
	if err != nil {
		return nil, err
	}
	key, err := seal.KeyOf([]byte(strings.Repeat("k", 32)))
	if err != nil {
		return nil, err
	}
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	return runner.Remote(runner.RemoteConfig{
		Name: "there", Launcher: l, Env: port.Env{Now: time.Now, Log: slog.New(slog.DiscardHandler), Lookup: func(string) (string, bool) { return "", false }},
		Store: kept, Dir: filepath.Join(at, "runs"), Seal: key, Owner: "suite", Program: "test", Wall: wall.Policy{Level: wall.None},
		Shelf: porttest.LendingDir{Bucket: shelf, Dir: dir}, Object: func(d digest.Digest) string { h := d.Hex(); return "sha256/" + h[:2] + "/" + h[2:] },
		Worker: func(string) (string, error) { return self, nil }, Interpreter: "python3",
	}), nil
}

// wholeRun has one job done, and its task gone afterwards.
func wholeRun(t *testing.T, d *double, l port.Launcher) {
	t.Helper()
	wholeRunIn(t, d, l, "")
}

// wholeRunIn is wholeRun in an image.
func wholeRunIn(t *testing.T, d *double, l port.Launcher, image string) {
	t.Helper()
	b := runsOn(t, l)
	job := port.Job{Key: digest.Of([]byte(t.Name())), Ref: schemas.Ref{Kind: "training", Name: "t"}, Command: []string{"sh", "-c", `echo said; echo made > "$VISHWA_OUTPUT_MADE"; env | grep -c TICKET`}, Outputs: map[string]string{"made": "made"}, Timeout: time.Minute}
	job.Command[2] += " || true"
	job.RunsOn.Image = image
	if _, err := b.Start(t.Context(), job); err != nil {
		t.Fatal(err)
	}
	r := porttest.AwaitRun(t, b, job.Key, porttest.IsDone).Result
	log, err := b.Logs(t.Context(), job.Key, 0)
	if err != nil || string(log) != "said\n0\n" {
		t.Errorf("its log is %q, %v", log, err)
	}
	if r.Cause != "" || r.Outputs["made"].Digest != digest.Of([]byte("made\n")) {
		t.Errorf("%s: %s %+v", r.Cause, r.Message, r.Outputs)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if left, err := os.ReadDir(d.tmp); err != nil || len(left) > 0 {
		t.Errorf("on the machine is left %v, %v", left, err)
	}
	if len(d.tasks) > 0 {
		t.Errorf("tasks are left: %v", d.tasks)
	}
}

func TestAWholeRunOnRay(t *testing.T) {
	d := newRayDouble(t)
	wholeRun(t, d, Ray(schemas.RayRunner{URL: d.URL}, testOptions(nil)))
}
