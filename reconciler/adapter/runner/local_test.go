// The local runner against real processes: the test program takes the part of
// vishwa, as supervisor and as the apply that is killed.

package runner_test

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/vishwaops/vishwa/reconciler/adapter/runner"
	"github.com/vishwaops/vishwa/reconciler/adapter/store"
	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/machine/artifact"
	"github.com/vishwaops/vishwa/reconciler/machine/gpu"
	"github.com/vishwaops/vishwa/reconciler/machine/sandbox"
	"github.com/vishwaops/vishwa/reconciler/machine/seal"
	"github.com/vishwaops/vishwa/reconciler/machine/wall"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/reconciler/port/porttest"
	"github.com/vishwaops/vishwa/schemas"
)

var sealed, _ = seal.KeyOf([]byte(strings.Repeat("k", 32)))

func TestMain(m *testing.M) {
	if len(os.Args) > 3 && os.Args[1] == "supervise" {
		cfg, err := config(os.Args[3])
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(runner.Supervise(context.Background(), os.Args[2], cfg))
	}
	if len(os.Args) > 2 && os.Args[1] == "work" { // DIR
		os.Exit(workerMain())
	}
	if len(os.Args) > 3 && os.Args[1] == "apply" { // STATE JOB
		os.Exit(apply(os.Args[2], os.Args[3]))
	}
	os.Exit(m.Run())
}

// apply starts a job and then hangs, to be killed.
func apply(state, file string) int {
	cfg, err := config(state)
	var job port.Job
	raw, _ := os.ReadFile(file)
	if err == nil {
		err = json.Unmarshal(raw, &job)
	}
	if err == nil {
		_, err = runner.Local(cfg).Start(context.Background(), job)
	}
	if err != nil {
		fmt.Println(err)
		return 1
	}
	fmt.Println("started")
	time.Sleep(time.Minute)
	return 0
}

// levelVariable says at which level of isolation an apply of these tests begins its runs.
const levelVariable = "VISHWA_TEST_LEVEL"

func config(state string) (runner.Config, error) {
	s, err := store.Dir(filepath.Join(state, "store"))
	env := port.Env{Now: time.Now, Log: slog.New(slog.DiscardHandler), Lookup: os.LookupEnv, Self: os.Args[0]}
	return runner.Config{
		Env: env, Store: s, Dir: filepath.Join(state, "runs"), Args: []string{state}, Grace: 300 * time.Millisecond, Log: 64 << 10,
		Envs: sandbox.Environments{Dir: filepath.Join(state, "envs"), Env: env, Seal: sealed},
		GPUs: gpu.Machine{All: func() []gpu.GPU { return gpu.Read(os.DirFS(filepath.Join(state, "driver"))) }, Locks: filepath.Join(state, "gpus")},
		Seal: sealed, Wall: wall.Policy{Level: wall.Level(cmp.Or(os.Getenv(levelVariable), string(wall.None))), Write: []string{filepath.Join(state, "seen")}},
	}, err
}

// bench is a runner with its state and a count of what began.
type bench struct {
	runner.Config
	port.Runner
	state, count string
}

func newBench(t testing.TB) *bench { return newBenchAt(t, wall.None) }

// newBenchAt is a bench whose runs stand behind a wall of this level.
func newBenchAt(t testing.TB, level wall.Level) *bench {
	t.Helper()
	state := t.TempDir()
	cfg, err := config(state)
	if err != nil {
		t.Fatal(err)
	}
	cfg.Wall.Level = level
	cfg.Env.Self, err = os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	b := &bench{Config: cfg, Runner: runner.Local(cfg), state: state, count: filepath.Join(state, "seen", "count")}
	if err := os.Mkdir(filepath.Dir(b.count), 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(filepath.Dir(b.count), 0o777); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { // nothing may write below state while it is removed
		held, _ := filepath.Glob(filepath.Join(state, "runs", "*", "*", "alive"))
		for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
			busy := false
			for _, f := range held {
				h, _ := sandbox.Held(f)
				busy = busy || h
			}
			if !busy {
				return
			}
		}
		t.Error("a supervisor is left")
	})
	return b
}

func (b *bench) sh(script string) []string {
	return []string{"sh", "-c", "umask 0; echo begun >> '" + b.count + "'\n" + script}
}

func (b *bench) begun() int {
	raw, _ := os.ReadFile(b.count)
	return strings.Count(string(raw), "\n")
}

func (b *bench) job(script string) port.Job {
	return port.Job{Key: digest.Of([]byte(script)), Ref: schemas.Ref{Kind: "training", Name: "t"}, Command: b.sh(script)}
}

func (b *bench) run(t *testing.T, job port.Job) *port.Result {
	t.Helper()
	if _, err := b.Start(t.Context(), job); err != nil {
		t.Fatalf("start: %v", err)
	}
	return porttest.AwaitRun(t, b, job.Key, porttest.IsDone).Result
}

func await(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("waited in vain until %s", what)
		}
	}
}

func gone(pid int) bool {
	raw, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	return err != nil || strings.Contains(string(raw), ") Z ")
}

// pids reads process numbers that a run has written to a file, one a line.
func pids(t *testing.T, file string, n int) (list []int) {
	t.Helper()
	await(t, "the run tells its processes", func() bool {
		raw, _ := os.ReadFile(file)
		list = nil
		for _, s := range strings.Fields(string(raw)) {
			if p, err := strconv.Atoi(s); err == nil {
				list = append(list, p)
			}
		}
		return len(list) >= n
	})
	return list
}

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

// family begins processes in every way by which they might outlive a run.
const family = `
trap '' TERM
sh -c 'trap "" TERM; echo $$ >> "$0"; sleep 601 & echo $! >> "$0"; wait; sleep 602' "%[1]s" &
setsid sh -c 'trap "" TERM; echo $$ >> "$0"; while :; do sleep 1; done' "%[1]s" &
( setsid env -i PATH="$PATH" sh -c 'trap "" TERM; echo $$ >> "$0"; while :; do sleep 1; done' "%[1]s" & )
echo $$ >> "%[1]s"
`

// TestStopEndsEveryProcess: grandchildren that ignore SIGTERM, those that leave
// the session, and those that clear their environment too.
func TestStopEndsEveryProcess(t *testing.T) {
	for name, c := range map[string]struct {
		then string
		stop bool
		want port.Cause
	}{
		"stopped":            {"wait; while :; do sleep 1; done", true, port.Stopped},
		"time-out":           {"wait; while :; do sleep 1; done", false, port.TimedOut},
		"ended by itself":    {"sleep 0.2; exit 0", false, ""},
		"ended with failure": {"sleep 0.2; exit 3", false, port.Exit},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t)
			file := filepath.Join(b.state, "pids")
			job := b.job(fmt.Sprintf(family, file) + c.then)
			job.Timeout = 2 * time.Second
			if c.stop {
				job.Timeout = time.Minute
			}
			if _, err := b.Start(t.Context(), job); err != nil {
				t.Fatal(err)
			}
			list := pids(t, file, 5)
			if c.stop {
				if err := b.Stop(t.Context(), job.Key); err != nil {
					t.Fatal(err)
				}
			}
			if r := porttest.AwaitRun(t, b, job.Key, porttest.IsDone).Result; r.Cause != c.want {
				t.Errorf("got %+v", r)
			}
			for _, p := range list {
				if !gone(p) {
					t.Errorf("process %d of %v is left", p, list)
					_ = syscall.Kill(p, syscall.SIGKILL)
				}
			}
		})
	}
}

func (b *bench) apply(t *testing.T, job port.Job) *exec.Cmd {
	t.Helper()
	raw, err := json.Marshal(job)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "job.json")
	if err := os.WriteFile(file, raw, 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(b.Env.Self, "apply", b.state, file)
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	buf := make([]byte, 200)
	if n, _ := out.Read(buf); string(buf[:n]) != "started\n" {
		t.Fatalf("apply said %q", buf[:n])
	}
	return cmd
}

// TestARunOutlivesWhoBeganIt: kill -9 of apply, and apply again, is one run.
func TestARunOutlivesWhoBeganIt(t *testing.T) {
	b := newBench(t)
	gate := filepath.Join(b.state, "gate")
	job := b.job("while [ ! -e '" + gate + "' ]; do sleep 0.02; done; echo made > \"$VISHWA_OUTPUT_O\"")
	job.Outputs = map[string]string{"o": "o.txt"}
	cmd := b.apply(t, job)
	porttest.AwaitRun(t, b, job.Key, porttest.IsRunning)
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
	if run, err := b.Start(t.Context(), job); err != nil || run.State == port.Done {
		t.Fatalf("start again: %+v, %v", run, err)
	}
	if err := os.WriteFile(gate, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	r := porttest.AwaitRun(t, b, job.Key, porttest.IsDone).Result
	if r.Cause != "" || r.Outputs["o"].Size != 5 || b.begun() != 1 {
		t.Errorf("begun %d times, ended %+v", b.begun(), r)
	}
}

// TestTwoProcessesStartOneRun: a key is begun once, whichever process is first.
func TestTwoProcessesStartOneRun(t *testing.T) {
	b := newBench(t)
	job := b.job("sleep 0.3")
	started := make(chan *exec.Cmd, 2)
	t.Run("start", func(t *testing.T) {
		for range 2 {
			t.Run("process", func(t *testing.T) { t.Parallel(); started <- b.apply(t, job) })
		}
	})
	if r := porttest.AwaitRun(t, b, job.Key, porttest.IsDone).Result; r.Cause != "" || b.begun() != 1 {
		t.Errorf("begun %d times, ended %+v", b.begun(), r)
	}
}

// TestALostRunIsBegunAnew: a supervisor that is killed leaves a run that is lost,
// whose processes are ended before the key is begun anew, once.
func TestALostRunIsBegunAnew(t *testing.T) {
	b := newBench(t)
	file, second := filepath.Join(b.state, "pids"), filepath.Join(b.state, "second")
	job := b.job("[ -e '" + second + "' ] && exit 0; echo epoch 12; " + fmt.Sprintf(family, file) + "echo $PPID >> '" + file + "'; while :; do sleep 1; done")
	if _, err := b.Start(t.Context(), job); err != nil {
		t.Fatal(err)
	}
	list := pids(t, file, 6)
	raw, err := filepath.Glob(filepath.Join(b.Dir, "*", "*", "status.json"))
	if err != nil || len(raw) != 1 {
		t.Fatal(raw, err)
	}
	var s struct{ PID int }
	text, _ := os.ReadFile(raw[0])
	_, text, _ = bytes.Cut(text, []byte("\n")) // its seal
	if err := json.Unmarshal(text, &s); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(s.PID, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	lost := porttest.AwaitRun(t, b, job.Key, porttest.IsDone)
	if lost.Result.Cause != port.Lost || !strings.Contains(lost.Result.Message, "the next pass") {
		t.Errorf("got %+v", lost.Result)
	}
	if log, err := artifact.ReadAll(t.Context(), b.Store, lost.Result.Log); err != nil || !strings.HasPrefix(string(log), "epoch 12\n") {
		t.Errorf("its log is %q, %v", log, err)
	}
	if err := os.WriteFile(second, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if r := b.run(t, job); r.Cause != "" || b.begun() != 2 {
		t.Errorf("begun %d times, ended %+v", b.begun(), r)
	}
	left := 0
	for _, p := range list {
		if !gone(p) {
			left++
			_ = syscall.Kill(p, syscall.SIGKILL)
		}
	}
	// The one that has left the session, lost its parent and cleared its
	// environment cannot be told from any other process once its supervisor is gone.
	if left > 1 {
		t.Errorf("%d of %v are left", left, list)
	}
}

// TestASignalFromOutsideIsNoStop: the end of the machine's session is not taken for a request.
func TestASignalFromOutsideIsNoStop(t *testing.T) {
	b := newBench(t)
	job := b.job("kill -TERM $PPID; sleep 600")
	if r := b.run(t, job); r.Cause != port.Lost || !strings.Contains(r.Message, "signal") {
		t.Errorf("got %+v", r)
	}
}

// TestARunThatStoodTooWeakIsNone: where a level of isolation is asked for, what ended well
// at a weaker one is run again, and what reached it is found.
func TestARunThatStoodTooWeakIsNone(t *testing.T) {
	b := newBench(t)
	job := b.job("true")
	b.run(t, job)
	job.Isolation = string(wall.Landlock)
	b.Config.Wall.Level = wall.Landlock
	stronger := &bench{Config: b.Config, Runner: runner.Local(b.Config), state: b.state, count: b.count}
	for range 2 {
		if r := stronger.run(t, job); r.Cause != "" || r.Isolation == nil || r.Isolation.Level != string(wall.Landlock) {
			t.Fatalf("%+v", r)
		}
	}
	if n := b.begun(); n != 2 {
		t.Errorf("begun %d times, want 2", n)
	}
}

// TestARunThatCannotBeKeptApartSaysWhatLacks: which guarantee, and what to change. Nothing
// of it is begun.
func TestARunThatCannotBeKeptApartSaysWhatLacks(t *testing.T) {
	b := newBench(t)
	b.Config.Wall = wall.Policy{Level: wall.Landlock, Strict: true} // where declared hosts cannot be held to
	strict := &bench{Config: b.Config, Runner: runner.Local(b.Config), state: b.state, count: b.count}
	job := b.job("true")
	job.Network = schemas.Network{"mirror.example.com:443"}
	r := strict.run(t, job)
	for _, want := range []string{"it could not be begun", "cannot guarantee network", "it gives landlock", "sysctl kernel.apparmor_restrict_unprivileged_userns=0", "vishwa doctor", "spec.isolation.level: none"} {
		if !strings.Contains(r.Message, want) {
			t.Errorf("%q is not said in: %s", want, r.Message)
		}
	}
	if r.Cause != port.BadEnv || strings.Contains(r.Message, "\n") || b.begun() != 0 {
		t.Errorf("%s, begun %d times: %q", r.Cause, b.begun(), r.Message)
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
