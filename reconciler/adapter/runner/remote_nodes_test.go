// A run of several machines is one run: the first writes what comes out, and all have to end well.

package runner_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/machine/artifact"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/reconciler/port/porttest"
)

// severalJob carries script out on three nodes; each writes of itself where its output lies.
func (b *remoteBench) severalJob(script string) port.Job {
	job := b.job(`echo "node $VISHWA_NODE_RANK of $VISHWA_NODES"; echo "$VISHWA_NODE_RANK" > "$VISHWA_OUTPUT_MADE"; ` + script)
	job.RunsOn.Nodes = 3
	job.Outputs = map[string]string{"made": "made"}
	return job
}

// TestTheFirstNodeAloneWritesWhatComesOut: what the others write at the same place counts for nothing.
func TestTheFirstNodeAloneWritesWhatComesOut(t *testing.T) {
	b := newRemoteBench(t)
	seen := "'" + b.state + "/seen/'"
	job := b.severalJob(`touch ` + seen + `"$VISHWA_NODE_RANK.done"; if [ "$VISHWA_NODE_RANK" = 0 ]; then while [ ! -e ` + seen + `1.done ] || [ ! -e ` + seen + `2.done ]; do sleep 0.02; done; fi`)
	r := b.run(t, job)
	if r.Cause != "" || len(r.Outputs) != 1 || r.Outputs["made"].Digest != digest.Of([]byte("0\n")) || b.begun() != 3 {
		t.Errorf("%s: %s %+v, begun %d times", r.Cause, r.Message, r.Outputs, b.begun())
	}
	if log, err := artifact.ReadAll(t.Context(), b.Store, r.Log); err != nil || string(log) != "node 0 of 3\n" {
		t.Errorf("its log is %q, %v", log, err)
	}
	for _, other := range []string{"1\n", "2\n"} {
		if has, err := b.Store.Has(t.Context(), digest.Of([]byte(other))); err != nil || has {
			t.Errorf("what another node wrote is kept: %v", err)
		}
	}
}

// TestANodeThatFailsFailsTheRun: while the first runs, and after it has written its result.
func TestANodeThatFailsFailsTheRun(t *testing.T) {
	for name, c := range map[string]struct {
		script string
		first  bool // has ended well by then
		want   string
	}{
		"while the first runs":        {script: `if [ "$VISHWA_NODE_RANK" = 1 ]; then while [ ! -e SEEN/0 ]; do sleep 0.02; done; echo "ValueError: shards differ" >&2; exit 7; fi; touch "SEEN/$VISHWA_NODE_RANK"; sleep 600`, want: "One of its 3 nodes failed, and so it did. node 1: Exit code 7. Its log ends with: ValueError: shards differ"},
		"when the first has its part": {script: `if [ "$VISHWA_NODE_RANK" = 1 ]; then while [ ! -e SEEN/go ]; do sleep 0.02; done; exit 7; fi`, first: true, want: "One of its 3 nodes failed, and so it did. node 1: Exit code 7. Its log ends with: node 1 of 3"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newRemoteBench(t)
			job := b.severalJob(strings.ReplaceAll(c.script, "SEEN", b.state+"/seen"))
			if _, err := b.Start(t.Context(), job); err != nil {
				t.Fatal(err)
			}
			if c.first {
				await(t, "the first has written its result", func() bool {
					for _, file := range b.left(t) {
						if strings.HasSuffix(file, "/result.json") {
							return true
						}
					}
					return false
				})
				b.touch(t, "go")
			}
			r := porttest.AwaitRun(t, b, job.Key, porttest.IsDone).Result
			if r.Cause != port.Exit || strings.TrimSpace(r.Message) != c.want || len(r.Outputs) != 0 {
				t.Errorf("%s: %q %+v, want %q", r.Cause, r.Message, r.Outputs, c.want)
			}
			if log, err := artifact.ReadAll(t.Context(), b.Store, r.Log); err != nil || string(log) != "node 0 of 3\n" {
				t.Errorf("its log is %q, %v", log, err)
			}
		})
	}
}

// touch makes a file that runs of the bench look for.
func (b *remoteBench) touch(t *testing.T, name string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(b.state, "seen", name), nil, 0o600); err != nil {
		t.Fatal(err)
	}
}
