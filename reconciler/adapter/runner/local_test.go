// The local runner against real processes: the test program takes the part of
// vishwa, as supervisor and as the apply that is killed.

package runner_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/vishwaops/vishwa/reconciler/adapter/runner"
	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/machine/artifact"
	"github.com/vishwaops/vishwa/reconciler/machine/wall"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/reconciler/port/porttest"
)

func TestLocalKeepsThePromises(t *testing.T) {
	for _, level := range []wall.Level{wall.None, wall.Namespaces, wall.Landlock} {
		t.Run(string(level), func(t *testing.T) {
			porttest.Runner(t, func(t *testing.T) porttest.RunnerBench {
				b := newBenchAt(t, level)
				return porttest.RunnerBench{Runner: b, Well: b.sh("echo hello"), Badly: b.sh("exit 7"), Forever: b.sh("sleep 600"), Begun: b.begun}
			})
			porttest.Work(t, func(t *testing.T) porttest.WorkBench {
				b := newBenchAt(t, level)
				return porttest.WorkBench{Runner: b, Store: b.Store, Shell: b.sh}
			})
		})
	}
}

// TestARunMakesWhatItDeclares: outputs, model and metrics come back by digest, as they were written.
func TestARunMakesWhatItDeclares(t *testing.T) {
	b := newBench(t)
	data := filepath.Join(b.state, "students.csv")
	if err := os.WriteFile(data, []byte("a,b\n1,2\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	in, err := artifact.PutFile(t.Context(), b.Store, data)
	if err != nil {
		t.Fatal(err)
	}
	job := b.job(`
		cat "$VISHWA_INPUT_RAW_STUDENTS" > "$VISHWA_OUTPUT_TRAIN"
		mkdir "$VISHWA_OUTPUT_PARTS"; echo p > "$VISHWA_OUTPUT_PARTS/one"
		cat "$VISHWA_PARAMS" > "$VISHWA_MODEL_DIR/params.json"
		echo '{"test": {"roc_auc": 0.91, "n": [1, 2]}, "model": "logistic"}' > "$VISHWA_METRICS"
		echo out; echo err >&2; pwd; basename "$VISHWA_INPUT_RAW_STUDENTS"`)
	job.Inputs = map[string]port.Artifact{"raw-students": in}
	job.Outputs = map[string]string{"train": "out/train.csv", "parts": "parts"}
	job.Params = map[string]any{"C": 1.5}
	job.Model = true
	r := b.run(t, job)
	if r.Cause != "" {
		t.Fatalf("%+v", r)
	}
	if got := r.Outputs["train"]; got.Digest != in.Digest || got.Name != "train.csv" {
		t.Errorf("train is %+v", got)
	}
	if got := r.Outputs["parts"]; len(got.Files) != 1 || got.Files[0].Path != "one" {
		t.Errorf("parts is %+v", got)
	}
	if r.Model == nil || len(r.Model.Files) != 1 {
		t.Errorf("model is %+v", r.Model)
	}
	if r.Metrics["test.roc_auc"] != 0.91 || r.Metrics["test.n.1"] != 2 || len(r.Metrics) != 3 {
		t.Errorf("metrics are %v", r.Metrics)
	}
	log, err := artifact.ReadAll(t.Context(), b.Store, r.Log)
	if err != nil || !strings.HasPrefix(string(log), "out\nerr\n") || !strings.HasSuffix(string(log), "students.csv\n") {
		t.Errorf("log %q, %v", log, err)
	}
	if left, _ := filepath.Glob(filepath.Join(b.Dir, "*", "*", "work")); len(left) > 0 {
		t.Errorf("left %v", left)
	}
}

// TestEachCauseHasItsOwnMessage: what went wrong is told apart, with what to do and the end of the log.
func TestEachCauseHasItsOwnMessage(t *testing.T) {
	model := `echo m > "$VISHWA_MODEL_DIR/m"; `
	metrics := `echo '{"auc": 0.9}' > "$VISHWA_METRICS"; `
	said := map[string]string{}
	for name, c := range map[string]struct {
		script string
		model  bool
		cause  port.Cause
		code   int
		says   string
	}{
		"exit 1":              {"echo it broke >&2; exit 1", false, port.Exit, 1, "Exit code 1"},
		"memory error":        {"echo 'MemoryError: Unable to allocate'; exit 1", false, port.Exit, 1, "MemoryError"},
		"no such file":        {"cat data/students.csv || { echo 'FileNotFoundError: data/students.csv'; exit 1; }", false, port.Exit, 1, "spec.code and spec.inputs"},
		"shell reports kill":  {"sh -c 'kill -9 $$'; exit $?", false, port.Exit, 137, "SIGKILL"},
		"killed":              {"kill -9 $$", false, port.Signal, -1, "SIGKILL"},
		"crashed":             {"kill -SEGV $$", false, port.Signal, -1, "SIGSEGV"},
		"hangs":               {"echo waiting; sleep 600", false, port.TimedOut, -1, "time-out of 1s"},
		"no metrics":          {model, true, port.MissingOutput, 0, "VISHWA_METRICS"},
		"no model":            {metrics, true, port.MissingOutput, 0, "model directory is empty"},
		"Git in model":        {metrics + `echo '*' > "$VISHWA_MODEL_DIR/.gitignore"`, true, port.MissingOutput, 0, "holds .gitignore, which no signature"},
		"signature in model":  {metrics + `echo x > "$VISHWA_MODEL_DIR/model.sig"`, true, port.MissingOutput, 0, "holds model.sig, which no signature"},
		"model is a link":     {metrics + `rmdir "$VISHWA_MODEL_DIR"; ln -s /etc "$VISHWA_MODEL_DIR"`, true, port.MissingOutput, 0, "symbolic link"},
		"link in model":       {metrics + `ln -s /etc/passwd "$VISHWA_MODEL_DIR/m"`, true, port.MissingOutput, 0, "symbolic link"},
		"NaN":                 {model + `echo '{"test": {"auc": NaN}}' > "$VISHWA_METRICS"`, true, port.BadMetrics, 0, "test.auc is NaN"},
		"no numbers":          {model + `echo 'hello' > "$VISHWA_METRICS"`, true, port.BadMetrics, 0, "not an object"},
		"metrics is a folder": {model + `mkdir "$VISHWA_METRICS"`, true, port.BadMetrics, 0, "not a file"},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t)
			job := b.job(c.script)
			job.Model = c.model
			job.Timeout = 30 * time.Second
			if c.cause == port.TimedOut {
				job.Timeout = time.Second
			}
			r := b.run(t, job)
			if r.Cause != c.cause || r.ExitCode != c.code || !strings.Contains(r.Message, c.says) {
				t.Errorf("got %s, code %d, %q; want %s, %d, %q", r.Cause, r.ExitCode, r.Message, c.cause, c.code, c.says)
			}
			said[r.Message] = name
			if r.Kept == "" || !exists(filepath.Join(b.state, r.Kept)) {
				t.Errorf("the directory is not kept as %q", r.Kept)
			}
			if c.cause == port.TimedOut && r.Tail != "waiting" {
				t.Errorf("tail %q", r.Tail)
			}
		})
	}
	if len(said) != 16 {
		t.Errorf("some messages are the same: %d of 16", len(said))
	}
}

// TestAFileThatARunDoesNotSeeIsToldSo: by whatever program missed it.
func TestAFileThatARunDoesNotSeeIsToldSo(t *testing.T) {
	for _, script := range []string{"exec python3 src/absent.py", "cat data/absent.csv", "exec sh -c '. ./absent.sh'"} {
		b := newBench(t)
		if r := b.run(t, b.job(script)); r.Cause != port.Exit || !strings.Contains(r.Message, "spec.code and spec.inputs") {
			t.Errorf("%s: %s, %q", script, r.Cause, r.Message)
		}
	}
}

func exists(path string) bool { _, err := os.Stat(path); return err == nil }

// TestWhatIsNotDeclaredIsNotThere: an output that is not written, cannot be taken
// or lies elsewhere fails by its name.
func TestWhatIsNotDeclaredIsNotThere(t *testing.T) {
	for name, c := range map[string]struct{ script, says string }{
		"unwritten":      {"true", "output train was not written"},
		"elsewhere":      {"echo x > ../elsewhere; echo x > train.csv", "output train was not written"},
		"link":           {`ln -s /etc/passwd "$VISHWA_OUTPUT_TRAIN"`, "symbolic link"},
		"folder is link": {`d=$(dirname "$VISHWA_OUTPUT_TRAIN"); rmdir "$d"; mkdir ../evil; echo x > ../evil/train.csv; ln -s ../evil "$d"`, "symbolic link"},
		"pipe":           {`mkfifo "$VISHWA_OUTPUT_TRAIN"`, "neither a file nor a folder"},
		"empty folder":   {`mkdir "$VISHWA_OUTPUT_TRAIN"`, "train"},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t)
			job := b.job(c.script)
			job.Outputs = map[string]string{"train": "sub/train.csv"}
			if r := b.run(t, job); r.Cause != port.MissingOutput || !strings.Contains(r.Message, c.says) {
				t.Errorf("got %+v", r)
			}
		})
	}
}

// TestARunCannotChangeWhatOthersRead: code and inputs are copies, so writing to them is lost.
func TestARunCannotChangeWhatOthersRead(t *testing.T) {
	b := newBench(t)
	file := filepath.Join(b.state, "main.sh")
	if err := os.WriteFile(file, []byte("echo original\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	art, err := artifact.PutFile(t.Context(), b.Store, file)
	if err != nil {
		t.Fatal(err)
	}
	job := b.job(`sh src/main.sh; chmod u+w src/main.sh "$VISHWA_INPUT_IN"; echo evil > src/main.sh; echo evil > "$VISHWA_INPUT_IN"; exit 1`)
	job.Code = digest.Manifest{{Path: "src/main.sh", Digest: art.Digest, Size: art.Size}}
	job.Inputs = map[string]port.Artifact{"in": art}
	for range 2 {
		if r := b.run(t, job); r.Tail != "original" {
			t.Errorf("tail %q, %s", r.Tail, r.Message)
		}
	}
	if _, err := artifact.ReadAll(t.Context(), b.Store, art.Digest); err != nil {
		t.Errorf("the store is changed: %v", err)
	}
	if tries, _ := filepath.Glob(filepath.Join(b.Dir, "*", "*", "work")); len(tries) != 1 {
		t.Errorf("want the newest directory alone, got %v", tries)
	}
}

// TestOnlyDeclaredVariablesAreSeen: neither in the run's environment nor in that
// of the process above it.
func TestOnlyDeclaredVariablesAreSeen(t *testing.T) {
	for name, v := range map[string]string{"AWS_SECRET_ACCESS_KEY": "s3cret-1", "VISHWA_KEY_PASSWORD": "s3cret-2", "PIP_INDEX_URL": "s3cret-3",
		"MY_TOKEN": "declared", "LANG": "C.UTF-8", "https_proxy": "http://127.0.0.1:9"} {
		t.Setenv(name, v)
	}
	b := newBench(t)
	script := `env; echo "home is $HOME"; ls -A "$HOME"; tr '\0' '\n' < /proc/$PPID/environ 2>&1`
	if os.Getuid() == 0 { // from root the supervisor's installer variables cannot be hidden
		script += " | grep -v PIP_INDEX_URL"
	}
	job := b.job(script)
	job.Pass = []string{"MY_TOKEN", "NOT_SET"}
	b.run(t, job)
	raw, err := b.Logs(t.Context(), job.Key, 0)
	if err != nil {
		t.Fatal(err)
	}
	for _, secret := range []string{"s3cret-1", "s3cret-2", "s3cret-3", "home is " + os.Getenv("HOME") + "\n"} {
		if strings.Contains(string(raw), secret) {
			t.Errorf("the run saw %s:\n%s", secret, raw)
		}
	}
	for _, want := range []string{"MY_TOKEN=declared", "LANG=C.UTF-8", "https_proxy=http://127.0.0.1:9", "VISHWA_NODES=1", "VISHWA_NODE_RANK=0"} {
		if !strings.Contains(string(raw), want) {
			t.Errorf("the run did not see %s:\n%s", want, raw)
		}
	}
	job = b.job("true")
	job.Pass = []string{"VISHWA_KEY_PASSWORD"}
	if _, err := b.Start(t.Context(), job); fault.Of(err) != fault.Invalid || fault.HintOf(err) == "" {
		t.Errorf("a declaration passes Vishwa's password on: %v", err)
	}
}

// TestWhatIsGoneIsMadeAgain: a run that ended well counts only while what it made is in the store.
func TestWhatIsGoneIsMadeAgain(t *testing.T) {
	b := newBench(t)
	job := b.job(`echo made > "$VISHWA_OUTPUT_O"`)
	job.Outputs = map[string]string{"o": "o.txt"}
	d := b.run(t, job).Outputs["o"].Digest
	h := d.Hex()
	if err := os.Remove(filepath.Join(b.state, "store", "sha256", h[:2], h[2:])); err != nil {
		t.Fatal(err)
	}
	if r := b.run(t, job); r.Cause != "" || r.Outputs["o"].Digest != d || b.begun() != 2 {
		t.Errorf("begun %d times, ended %+v", b.begun(), r)
	}
	if has, err := b.Store.Has(t.Context(), d); err != nil || !has {
		t.Errorf("it is not in the store again: %v", err)
	}
}

// TestALogHasABound: a run that prints without end fills no disk, and its end is kept.
func TestALogHasABound(t *testing.T) {
	b := newBench(t)
	job := b.job(`head -c 1000000 /dev/zero | tr '\0' 'x'; echo; echo the end; exit 1`)
	r := b.run(t, job)
	if !strings.HasSuffix(r.Tail, "the end") {
		t.Errorf("tail %q", r.Tail)
	}
	log, err := artifact.ReadAll(t.Context(), b.Store, r.Log)
	if err != nil || len(log) > int(b.Config.Log)+10<<10 || !strings.Contains(string(log), "the log is full at 65536 bytes") || !strings.HasSuffix(string(log), "the end\n") {
		t.Errorf("log of %d bytes, %v", len(log), err)
	}
}

// TestAJobThatCannotWorkIsRefused: at once, with the way out, and nothing is begun.
func TestAJobThatCannotWorkIsRefused(t *testing.T) {
	b := newBench(t)
	for name, change := range map[string]func(*port.Job){
		"no command":         func(j *port.Job) { j.Command = nil },
		"output leads out":   func(j *port.Job) { j.Outputs = map[string]string{"o": "../o"} },
		"absolute output":    func(j *port.Job) { j.Outputs = map[string]string{"o": "/etc/o"} },
		"outputs in one":     func(j *port.Job) { j.Outputs = map[string]string{"a": "x", "b": "x/y"} },
		"one variable":       func(j *port.Job) { j.Outputs = map[string]string{"a-b": "x", "a_b": "y"} },
		"inputs one name":    func(j *port.Job) { j.Inputs = map[string]port.Artifact{"a-b": {}, "A_B": {}} },
		"lock not declared":  func(j *port.Job) { j.Lock = "requirements.lock" },
		"code leads outside": func(j *port.Job) { j.Code = digest.Manifest{{Path: "../x", Digest: digest.Of(nil)}} },
	} {
		job := b.job(name)
		change(&job)
		if _, err := b.Start(t.Context(), job); fault.Of(err) != fault.Invalid || fault.HintOf(err) == "" {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, change := range map[string]func(*port.Job){
		"no such program": func(j *port.Job) { j.Command = []string{"no-such-program-here"} },
		"input is gone":   func(j *port.Job) { j.Inputs = map[string]port.Artifact{"i": {Digest: digest.Of([]byte("gone"))}} },
	} {
		job := b.job(name)
		change(&job)
		if r := b.run(t, job); r.Cause != port.Exit && r.Cause != port.BadEnv || r.Message == "" {
			t.Errorf("%s: %+v", name, r)
		}
	}
	if b.begun() != 0 {
		t.Error("something was begun")
	}
}

// TestWhatTheStoreTookIsNotLeftInTheFolder: the folder of a run that ended badly after one of its outputs was kept is for people, who may
// change what is there.
func TestWhatTheStoreTookIsNotLeftInTheFolder(t *testing.T) {
	b := newBenchAt(t, wall.Namespaces)
	b.Wall.Write = nil
	b.Runner = runner.Local(b.Config)
	const script = `head -c 2097152 /dev/zero > "$VISHWA_OUTPUT_A"; mkdir "$VISHWA_OUTPUT_B"; echo b > "$VISHWA_OUTPUT_B/b"; ln -s /etc "$VISHWA_OUTPUT_B/link"`
	job := b.job(script)
	job.Command = []string{"sh", "-c", script}
	job.Outputs = map[string]string{"a": "out/a.bin", "b": "out/b"}
	r := b.run(t, job)
	if r.Cause != port.MissingOutput || r.Kept == "" {
		t.Fatalf("%+v", r)
	}
	work := filepath.Join(b.Dir, strings.TrimPrefix(r.Kept, "runs/"))
	if _, err := os.Stat(filepath.Join(work, "outputs", "out", "b", "b")); err != nil {
		if found, _ := filepath.Glob(filepath.Join(work, "*", "*", "*")); len(found) == 0 {
			t.Errorf("nothing is left of its folder: %v", err)
		}
	}
	err := filepath.WalkDir(work, func(p string, e os.DirEntry, err error) error {
		if err == nil && e.Type().IsRegular() {
			if st, err := e.Info(); err != nil || st.Sys().(*syscall.Stat_t).Nlink > 1 {
				t.Errorf("%s is the store's as well (%v)", p, err)
			}
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}

// TestALargeOutputIsTakenAndNotCopied: what a run wrote is in the store as the very file that it wrote, where nobody can have kept it open.
func TestALargeOutputIsTakenAndNotCopied(t *testing.T) {
	const script = `exec 3>"$VISHWA_OUTPUT_TRAIN"; head -c 2097152 /dev/zero >&3
		stat -c %i "$VISHWA_OUTPUT_TRAIN"
		mkdir -p "$VISHWA_MODEL_DIR"; head -c 1048576 /dev/zero > "$VISHWA_MODEL_DIR/w.bin"; echo small > "$VISHWA_MODEL_DIR/card"
		stat -c %i "$VISHWA_MODEL_DIR/w.bin"
		echo "{\"a\": 1}" > "$VISHWA_METRICS"
		(sleep 600 >/dev/null 2>&1) &` // has the output open
	for name, c := range map[string]struct {
		level wall.Level
		share bool
		taken bool
	}{
		"behind a wall":                 {wall.Namespaces, false, true},
		"with a folder that is shared":  {wall.Namespaces, true, false},
		"among the machine's processes": {wall.None, false, false},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBenchAt(t, c.level)
			if !c.share {
				b.Wall.Write = nil
			}
			b.Runner = runner.Local(b.Config)
			job := b.job(script)
			job.Command = []string{"sh", "-c", script}
			job.Outputs = map[string]string{"train": "out/train.bin"}
			job.Model = true
			r := b.run(t, job)
			if r.Cause != "" || len(r.Model.Files) != 2 || r.Outputs["train"].Size != 2<<20 {
				t.Fatalf("%+v", r)
			}
			log, err := artifact.ReadAll(t.Context(), b.Store, r.Log)
			if err != nil {
				t.Fatal(err)
			}
			wrote := strings.Fields(string(log))
			for i, d := range []digest.Digest{r.Outputs["train"].Digest, r.Model.Files[1].Digest} {
				st, err := os.Stat(filepath.Join(b.state, "store", "sha256", d.Hex()[:2], d.Hex()[2:]))
				if err != nil {
					t.Fatal(err)
				}
				sys := st.Sys().(*syscall.Stat_t)
				if taken := fmt.Sprint(sys.Ino) == wrote[i]; taken != c.taken {
					t.Errorf("%s: taken as it is: %v", d.Short(), taken)
				}
				if st.Mode().Perm() != 0o400 || int(sys.Uid) != os.Geteuid() || sys.Nlink != 1 {
					t.Errorf("%s is kept with %v, of user %d, with %d names", d.Short(), st.Mode(), sys.Uid, sys.Nlink)
				}
			}
		})
	}
}
