//go:build linux

// A controller that is killed at any question to its tool: whoever goes on finds the run, or begins it, and the command has run once.

package service

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/machine/httpx"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/reconciler/port/porttest"
	"github.com/vishwaops/vishwa/schemas"
)

// dying kills this process: before its nth question, or once its nth question that changes something was answered.
type dying struct {
	next     http.RoundTripper
	at       int64
	changing bool
	asked    atomic.Int64
}

func (d *dying) RoundTrip(r *http.Request) (*http.Response, error) {
	die := func() { _ = syscall.Kill(os.Getpid(), syscall.SIGKILL); select {} }
	if !d.changing {
		if d.asked.Add(1) == d.at {
			die()
		}
		return d.next.RoundTrip(r)
	}
	resp, err := d.next.RoundTrip(r)
	if r.Method != http.MethodGet && d.asked.Add(1) == d.at {
		die()
	}
	return resp, err
}

// onTool is a launcher of a tool's double at url.
func onTool(tool, url string, o Options) (port.Launcher, string) {
	switch tool {
	case "airflow":
		return Airflow(schemas.AirflowRunner{URL: url, DAG: "vishwa"}, o), ""
	case "jenkins":
		return Jenkins(schemas.JenkinsRunner{URL: url + "/", Job: "team/vishwa"}, o), ""
	case "pipelines":
		return Pipelines(schemas.KubeflowPipelines{URL: url + "/"}, o), pipelineImage
	}
	return Ray(schemas.RayRunner{URL: url}, o), ""
}

// countedJob notes in dir each time that its command runs.
func countedJob(dir, image string) port.Job {
	job := port.Job{Key: digest.Of([]byte(dir)), Ref: schemas.Ref{Kind: "training", Name: "t"}, Outputs: map[string]string{"made": "made"}, Timeout: time.Minute,
		Command: []string{"sh", "-c", `echo ran >> '` + filepath.Join(dir, "ran") + `'; echo made > "$VISHWA_OUTPUT_MADE"`}}
	job.RunsOn.Image = image
	return job
}

// apply is the controller that is killed: it has the job done, as far as it comes.
func apply(tool, url, dir, at, changing string) int {
	o := testOptions(nil)
	n, err := strconv.ParseInt(at, 10, 64)
	if err != nil {
		return 2
	}
	o.Transport = &dying{next: httpx.Transport(httpx.Options{}), at: n, changing: changing == "true"}
	l, image := onTool(tool, url, o)
	b, err := runsIn(dir, l)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 2
	}
	job := countedJob(dir, image)
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	run, err := b.Start(ctx, job)
	for err == nil && run.State != port.Done {
		run, err = b.Wait(ctx, job.Key, run.State, 0)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

func TestAControllerThatIsKilledRunsNothingTwice(t *testing.T) {
	if testing.Short() {
		t.Skip("it has a run done for each question; run without -short")
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for tool, double := range map[string]func(t *testing.T) *double{
		"airflow":   func(t *testing.T) *double { return newAirflowDouble(t, 3).double },
		"jenkins":   func(t *testing.T) *double { return newJenkinsDouble(t).double },
		"pipelines": func(t *testing.T) *double { return newPipelinesDouble(t).double },
		"ray":       newRayDouble,
	} {
		t.Run(tool, func(t *testing.T) {
			t.Parallel()
			for _, changing := range []bool{false, true} {
				for n := 1; n <= 6; n++ {
					d, dir := double(t), t.TempDir()
					cmd := exec.Command(self, "apply", tool, d.URL, dir, strconv.Itoa(n), strconv.FormatBool(changing))
					out, err := cmd.CombinedOutput()
					killed := cmd.ProcessState.Sys().(syscall.WaitStatus).Signaled()
					if err != nil && !killed {
						t.Fatalf("question %d, changing %v: %v\n%s", n, changing, err, out)
					}
					if n == 1 && !killed {
						t.Fatalf("changing %v: it asks nothing", changing)
					}
					l, image := onTool(tool, d.URL, testOptions(nil))
					b, err := runsIn(dir, l)
					if err != nil {
						t.Fatal(err)
					}
					job := countedJob(dir, image)
					if _, err := b.Start(t.Context(), job); err != nil {
						t.Fatalf("killed at question %d, changing %v: %v", n, changing, err)
					}
					r := porttest.AwaitRun(t, b, job.Key, porttest.IsDone).Result
					ran, err := os.ReadFile(filepath.Join(dir, "ran"))
					if err != nil || r.Cause != "" || r.Outputs["made"].Digest != digest.Of([]byte("made\n")) || strings.Count(string(ran), "ran") != 1 {
						t.Errorf("killed at question %d, changing %v: %s %s, ran %q, %v", n, changing, r.Cause, r.Message, ran, err)
					}
					if !killed {
						break // it asks no more questions of the kind
					}
				}
			}
		})
	}
}
