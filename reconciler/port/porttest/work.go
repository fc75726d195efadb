// The suite of what a Runner's runs see and leave behind: code, inputs and parameters come
// in, outputs, model and metrics come out by digest, and what fails says how.

package porttest

import (
	"bytes"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/port"
)

// WorkBench is what a Runner's runs are tested with.
type WorkBench struct {
	Runner port.Runner
	Store  port.Store
	// Shell is the command of a job that runs a POSIX shell script.
	Shell func(script string) []string
}

const metrics = `echo '{"test": {"auc": 0.5}}' > "$VISHWA_METRICS"; `

// Work insists on what every run is promised. open gives a bench that nothing has run on.
func Work(t *testing.T, open func(t *testing.T) WorkBench) {
	t.Helper()
	for name, law := range map[string]func(*testing.T, WorkBench){
		"CodeInputsAndParamsComeIn":  workIn,
		"OutputsComeOutByDigest":     workOut,
		"AnOutputOfNoBytesComesOut":  workEmpty,
		"ModelAndMetricsComeOut":     workModel,
		"AModelIsReadToBeScored":     workScores,
		"WhatFailsSaysHow":           workFails,
		"WhatIsNotDeclaredIsNotSeen": workUndeclared,
		"TheLogIsKeptWithTheResult":  workLog,
		"TheLogIsKeptWithoutAResult": workLogStopped,
		"WhatAToolLoggedComesOut":    workTracking,
		"WhatAToolLoggedIsFound":     workFound,
		"WhatNoToolLoggedIsSaid":     workUntracked,
		"AModelMayLieElsewhere":      workModelAt,
	} {
		t.Run(name, func(t *testing.T) { law(t, open(t)) })
	}
}

func (b WorkBench) job(name, script string) port.Job { return runnerJob("work "+name, b.Shell(script)) }

func (b WorkBench) run(t *testing.T, job port.Job) *port.Result {
	t.Helper()
	runnerStart(t, b.Runner, job)
	return AwaitRun(t, b.Runner, job.Key, IsDone).Result
}

func (b WorkBench) putText(t *testing.T, text string) (digest.Digest, int64) {
	t.Helper()
	d, n, err := b.Store.Put(t.Context(), strings.NewReader(text))
	if err != nil {
		t.Fatalf("put: %v", err)
	}
	return d, n
}

func (b WorkBench) get(t *testing.T, d digest.Digest) string {
	t.Helper()
	r, err := b.Store.Get(t.Context(), d)
	if err != nil {
		t.Fatalf("get %s: %v", d, err)
	}
	defer r.Close()
	text, err := io.ReadAll(r)
	if err != nil {
		t.Fatalf("get %s: %v", d, err)
	}
	return string(text)
}

func workIn(t *testing.T, b WorkBench) {
	code, codeSize := b.putText(t, "the code\n")
	in, inSize := b.putText(t, "the input\n")
	job := b.job("in", `cat src/code.txt "$VISHWA_INPUT_RAW_DATA" "$VISHWA_PARAMS" "$1" ; echo "$2"`)
	job.Command = append(job.Command, "script", "${inputs.raw-data}", "--c=${params.C}/${params.mode}")
	job.Code = digest.Manifest{{Path: "src/code.txt", Digest: code, Size: codeSize}}
	job.Inputs = map[string]port.Artifact{"raw-data": {Name: "raw.txt", Digest: in, Size: inSize}}
	job.Params = map[string]any{"C": 1.5, "mode": "a b"}
	r := b.run(t, job)
	if r.Cause != "" {
		t.Fatalf("%s: %s %s", r.Cause, r.Message, r.Tail)
	}
	if got := b.get(t, r.Log); got != "the code\nthe input\n{\n  \"C\": 1.5,\n  \"mode\": \"a b\"\n}\nthe input\n--c=1.5/a b\n" {
		t.Errorf("it saw %q", got)
	}
}

func workOut(t *testing.T, b WorkBench) {
	job := b.job("out", `echo one > "$VISHWA_OUTPUT_TRAIN"; mkdir "$VISHWA_OUTPUT_PARTS"; echo a > "$VISHWA_OUTPUT_PARTS/a"; echo b > "$VISHWA_OUTPUT_PARTS/b"`)
	job.Outputs = map[string]string{"train": "out/train.csv", "parts": "parts"}
	r := b.run(t, job)
	if r.Cause != "" {
		t.Fatalf("%s: %s", r.Cause, r.Message)
	}
	one := r.Outputs["train"]
	if one.Digest != digest.Of([]byte("one\n")) || one.Size != 4 || b.get(t, one.Digest) != "one\n" {
		t.Errorf("a file came out as %+v", one)
	}
	parts := r.Outputs["parts"]
	if len(parts.Files) != 2 || parts.Files[0].Path != "a" || b.get(t, parts.Files[1].Digest) != "b\n" || parts.Digest != parts.Files.Digest() {
		t.Errorf("a folder came out as %+v", parts)
	}
}

// workEmpty: an empty file is an output as any other, alone and in a folder.
func workEmpty(t *testing.T, b WorkBench) {
	job := b.job("empty", `: > "$VISHWA_OUTPUT_NONE"; mkdir "$VISHWA_OUTPUT_PARTS"; : > "$VISHWA_OUTPUT_PARTS/a"`)
	job.Outputs = map[string]string{"none": "out/none.csv", "parts": "parts"}
	r := b.run(t, job)
	if r.Cause != "" {
		t.Fatalf("%s: %s", r.Cause, r.Message)
	}
	none, nothing := r.Outputs["none"], digest.Of(nil)
	if none.Digest != nothing || none.Size != 0 || none.Files != nil || b.get(t, none.Digest) != "" {
		t.Errorf("a file came out as %+v", none)
	}
	parts := r.Outputs["parts"]
	if len(parts.Files) != 1 || parts.Files[0].Digest != nothing || parts.Size != 0 || parts.Digest != parts.Files.Digest() {
		t.Errorf("a folder came out as %+v", parts)
	}
}

func workModel(t *testing.T, b WorkBench) {
	job := b.job("model", metrics+`echo weights > "$VISHWA_MODEL_DIR/model.bin"`)
	job.Model = true
	r := b.run(t, job)
	if r.Cause != "" {
		t.Fatalf("%s: %s", r.Cause, r.Message)
	}
	if r.Model == nil || len(r.Model.Files) != 1 || b.get(t, r.Model.Files[0].Digest) != "weights\n" || r.Metrics["test.auc"] != 0.5 {
		t.Errorf("model %+v, metrics %v", r.Model, r.Metrics)
	}
	if r.Finished.Before(r.Started) || r.Host == "" {
		t.Errorf("it ran from %s to %s on %q", r.Started, r.Finished, r.Host)
	}
}

// workScores holds that a model which is scored can be read and not written, and that metrics alone come out.
func workScores(t *testing.T, b WorkBench) {
	weights, size := b.putText(t, "weights\n")
	files := digest.Manifest{{Path: "sub/model.bin", Digest: weights, Size: size}}
	model := port.Artifact{Name: "model", Digest: files.Digest(), Size: size, Files: files}
	rows, rowsSize := b.putText(t, "rows\n")
	job := b.job("scores", `test "$(cat "$VISHWA_MODEL_DIR/sub/model.bin")" = weights && test "$(cat "$VISHWA_INPUT_ROWS")" = rows && ! echo x 2>/dev/null > "$VISHWA_MODEL_DIR/sub/model.bin"; `+metrics)
	job.Scores = &model
	job.Inputs = map[string]port.Artifact{"rows": {Name: "rows.csv", Digest: rows, Size: rowsSize}}
	r := b.run(t, job)
	if r.Cause != "" {
		t.Fatalf("%s: %s %s", r.Cause, r.Message, r.Tail)
	}
	if r.Metrics["test.auc"] != 0.5 || r.Model != nil || len(r.Outputs) != 0 {
		t.Errorf("metrics %v, model %v, outputs %v", r.Metrics, r.Model, r.Outputs)
	}
	job = b.job("scores nothing", "true")
	job.Scores = &model
	if r := b.run(t, job); r.Cause != port.MissingOutput {
		t.Errorf("without metrics it ends as %q", r.Cause)
	}
}

func workFails(t *testing.T, b WorkBench) {
	for name, c := range map[string]struct {
		script string
		model  bool
		cause  port.Cause
		code   int
	}{
		"an exit code":       {"echo it broke; exit 3", false, port.Exit, 3},
		"a missing output":   {"true", false, port.MissingOutput, 0},
		"a missing model":    {metrics, true, port.MissingOutput, 0},
		"missing metrics":    {`echo w > "$VISHWA_MODEL_DIR/w"`, true, port.MissingOutput, 0},
		"metrics of no use":  {`echo w > "$VISHWA_MODEL_DIR/w"; echo '{"auc": NaN}' > "$VISHWA_METRICS"`, true, port.BadMetrics, 0},
		"a link in a model":  {metrics + `ln -s /etc/passwd "$VISHWA_MODEL_DIR/w"`, true, port.MissingOutput, 0},
		"more than its time": {"sleep 600", false, port.TimedOut, -1},
	} {
		job := b.job(name, c.script)
		if job.Model = c.model; !c.model {
			job.Outputs = map[string]string{"train": "train.csv"}
		}
		if job.Timeout = time.Minute; c.cause == port.TimedOut {
			job.Timeout = time.Second
		}
		r := b.run(t, job)
		if r.Cause != c.cause || r.ExitCode != c.code || r.Message == "" {
			t.Errorf("%s: %s, code %d, %q; want %s, code %d", name, r.Cause, r.ExitCode, r.Message, c.cause, c.code)
		}
		if len(r.Outputs) > 0 || r.Model != nil {
			t.Errorf("%s: something came out: %+v", name, r)
		}
	}
}

// workUndeclared: what was not given is not there, and variables of the caller are not seen.
func workUndeclared(t *testing.T, b WorkBench) {
	t.Setenv("WORK_SECRET", "hush-hush")
	job := b.job("undeclared", `env; test -z "$VISHWA_MODEL_DIR" || echo a model is expected`)
	r := b.run(t, job)
	if log := b.get(t, r.Log); r.Cause != "" || strings.Contains(log, "hush-hush") || strings.Contains(log, "a model is expected") {
		t.Errorf("%s: %s", r.Cause, log)
	}
}

func workLog(t *testing.T, b WorkBench) {
	job := b.job("log", "echo out; echo err >&2; echo last; exit 1")
	r := b.run(t, job)
	live, err := b.Runner.Logs(t.Context(), job.Key, 0)
	if kept := b.get(t, r.Log); err != nil || !bytes.Equal(live, []byte(kept)) || !strings.HasSuffix(kept, "last\n") || !strings.Contains(kept, "err\n") {
		t.Errorf("the log is %q, and was %q, %v", kept, live, err)
	}
	if !strings.HasSuffix(strings.TrimSpace(r.Tail), "last") {
		t.Errorf("its tail is %q", r.Tail)
	}
}

// workLogStopped: a worker that is ended from outside tells nothing at its end, and what it printed
// is what says how far it came. It is in the store, where nobody but us can take it away.
func workLogStopped(t *testing.T, b WorkBench) {
	job := b.job("log of what is stopped", "echo epoch 12; while :; do sleep 1; done")
	runnerStart(t, b.Runner, job)
	AwaitRun(t, b.Runner, job.Key, func(port.Run) bool {
		said, err := b.Runner.Logs(t.Context(), job.Key, 0)
		if err != nil {
			t.Fatalf("logs: %v", err)
		}
		return strings.Contains(string(said), "epoch 12\n")
	})
	for range 2 {
		if err := b.Runner.Stop(t.Context(), job.Key); err != nil {
			t.Fatalf("stop: %v", err)
		}
		r := AwaitRun(t, b.Runner, job.Key, IsDone).Result
		if r.Cause != port.Stopped || r.Log == "" || !strings.HasSuffix(strings.TrimSpace(r.Tail), "epoch 12") {
			t.Fatalf("a stopped run ended as %+v: its log is not with it", r)
		}
		said, err := b.Runner.Logs(t.Context(), job.Key, 0)
		if kept := b.get(t, r.Log); err != nil || string(said) != kept || !strings.Contains(kept, "epoch 12\n") {
			t.Errorf("the log is %q, and was %q, %v", kept, said, err)
		}
	}
}
