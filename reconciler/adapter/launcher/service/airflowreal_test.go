// The same on a real Airflow, which begins what its DAGs say: make test-airflow.

package service

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	assets "github.com/vishwaops/vishwa/reconciler/adapter/tracker/airflow"
	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/engine/trust"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/freeport"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/schemas"
	"github.com/vishwaops/vishwa/templates"
)

// theirs is a DAG that a team has: it writes where its conf says.
const theirs = `from datetime import datetime, timezone
from airflow.sdk import DAG, Asset, task
with DAG(dag_id="nightly", schedule=None, start_date=datetime(2026, 1, 1, tzinfo=timezone.utc), catchup=False):
    @task(outlets=[Asset("s3://acme/students")])
    def load(dag_run=None):
        if dag_run.conf.get("fail"): raise RuntimeError("no data today")
        open(dag_run.conf["to"], "w").write("made")
    load()
`

// realAirflow starts an Airflow of this test's own, and returns its address.
func realAirflow(t *testing.T) string {
	t.Helper()
	venv := os.Getenv("VISHWA_AIRFLOW")
	if venv == "" {
		t.Skip("a real Airflow takes minutes to start: make test-airflow runs this")
	}
	first, err := freeport.Find("127.0.0.1")
	if err != nil {
		t.Fatal(err)
	}
	home := t.TempDir()
	dag, err := templates.AirflowDAG("vishwa")
	if err == nil {
		err = os.Mkdir(filepath.Join(home, "dags"), 0o700)
	}
	for name, text := range map[string][]byte{"vishwa.py": dag, "nightly.py": []byte(theirs)} {
		if err == nil {
			err = os.WriteFile(filepath.Join(home, "dags", name), text, 0o600)
		}
	}
	if err != nil {
		t.Fatal(err)
	}
	url := "http://127.0.0.1:" + strconv.Itoa(first)
	cmd := exec.CommandContext(context.WithoutCancel(t.Context()), filepath.Join(venv, "bin", "airflow"), "standalone")
	cmd.Env = []string{"HOME=" + home, "AIRFLOW_HOME=" + home, "PATH=" + filepath.Join(venv, "bin") + ":/usr/bin:/bin", "NO_PROXY=127.0.0.1"}
	for name, v := range map[string]string{
		"CORE__LOAD_EXAMPLES": "False", "CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": "True", "CORE__DAGS_FOLDER": filepath.Join(home, "dags"), "CORE__PARALLELISM": "2",
		"CORE__DAGS_ARE_PAUSED_AT_CREATION": "False", "CORE__EXECUTION_API_SERVER_URL": url + "/execution/", "API__HOST": "127.0.0.1", "API__PORT": strconv.Itoa(first), "API__WORKERS": "1", "API__BASE_URL": url,
		"LOGGING__WORKER_LOG_SERVER_PORT": strconv.Itoa(first + 1), "LOGGING__TRIGGER_LOG_SERVER_PORT": strconv.Itoa(first + 2), "SCHEDULER__SCHEDULER_HEALTH_CHECK_SERVER_PORT": strconv.Itoa(first + 3),
		"WORKERS__EXECUTION_API_TIMEOUT": "60", "DAG_PROCESSOR__REFRESH_INTERVAL": "5", "SCHEDULER__ENABLE_HEALTH_CHECK": "False",
	} {
		cmd.Env = append(cmd.Env, "AIRFLOW__"+name+"="+v)
	}
	log, err := os.Create(filepath.Join(home, "log"))
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	cmd.Stdout, cmd.Stderr, cmd.SysProcAttr = log, log, &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM)
		late := time.AfterFunc(20*time.Second, func() { _ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) })
		defer late.Stop()
		_ = cmd.Wait()
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) // its children outlive it by seconds
		if raw, _ := os.ReadFile(log.Name()); t.Failed() {
			t.Logf("Airflow said:\n%s", raw[max(0, len(raw)-20_000):])
		}
	})
	for deadline := time.Now().Add(12 * time.Minute); ; time.Sleep(time.Second) { // until it answers, and has both DAGs
		if there(url+"/api/v2/monitor/health") && there(url+"/api/v2/dags/vishwa") && there(url+"/api/v2/dags/nightly") {
			return url
		}
		if time.Now().After(deadline) {
			t.Fatal("Airflow does not answer, or does not have its DAGs")
		}
	}
}

func there(url string) bool {
	token := ""
	if resp, err := http.Post(url[:strings.Index(url, "/api/")]+"/auth/token", "application/json", strings.NewReader(`{"username": "admin", "password": "any"}`)); err == nil {
		raw := make([]byte, 4096)
		n, _ := resp.Body.Read(raw)
		resp.Body.Close()
		if _, rest, ok := strings.Cut(string(raw[:n]), `"access_token":"`); ok {
			token, _, _ = strings.Cut(rest, `"`)
		}
	}
	q, err := http.NewRequest(http.MethodGet, url, nil)
	if err != nil {
		return false
	}
	q.Header.Set("Authorization", "Bearer "+token)
	resp, err := http.DefaultClient.Do(q)
	if err != nil {
		return false
	}
	resp.Body.Close()
	return resp.StatusCode == http.StatusOK
}

// endsReally awaits the end of a task on a tool that takes its time.
func endsReally(t *testing.T, l port.Launcher, id port.TaskID) port.TaskStatus {
	t.Helper()
	ctx, stop := context.WithTimeout(t.Context(), 6*time.Minute)
	defer stop()
	s, err := l.Observe(ctx, id)
	for err == nil && !hasEnded(s) {
		s, err = l.Await(ctx, id, s)
	}
	if err != nil {
		t.Fatalf("%v; last %+v", err, s)
	}
	return s
}

// controller signs as one whose key trust.yaml names, and knows what it signed.
func controller(t *testing.T) (sign func(text string) (string, error), signed func(text, proof string) bool) {
	t.Helper()
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	with, err := ssh.NewSignerFromKey(key)
	if err != nil {
		t.Fatal(err)
	}
	trusted, problems := trust.Load(fmt.Appendf(nil, "apiVersion: vishwa.dev/v1alpha1\nkind: Trust\ncontrollers: {ci: {ssh: %q}}\n", strings.TrimSpace(string(ssh.MarshalAuthorizedKey(with.PublicKey())))), "trust.yaml")
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	return func(text string) (string, error) { return trusted.SignMade(text, with, rand.Reader) }, trusted.Made
}

func TestAirflowItselfKeepsThePromises(t *testing.T) {
	url := realAirflow(t)
	options := testOptions(map[string]string{AirflowTokenVariable: "admin:any"})
	options.pace = 0 // as outside of tests
	declared := schemas.AirflowRunner{URL: url, DAG: "vishwa"}
	l := Airflow(declared, options)
	out := filepath.Join(t.TempDir(), "out")

	well := rayTask("well", "sh", "-c", `env > "$0"`, out)
	id, err := l.Launch(t.Context(), well)
	if err != nil {
		t.Fatal(err)
	}
	if again, err := Airflow(declared, options).Launch(t.Context(), well); err != nil || again != id {
		t.Errorf("launched again by another process it is %v, %v; was %v", again, err, id)
	}
	other := well
	other.Owner = "another"
	if _, err := l.Launch(t.Context(), other); fault.Of(err) != fault.Conflict {
		t.Errorf("one of another owner: %v", err)
	}
	if s := endsReally(t, l, id); s.Cause != "" {
		t.Errorf("well: %+v", s)
	}
	if raw, err := os.ReadFile(out); err != nil || !strings.Contains(string(raw), `VISHWA_TICKET={"secret":"hunter2"}`) || strings.Contains(string(raw), "AIRFLOW") {
		t.Errorf("it saw %s, %v", raw, err)
	}
	if err := l.Remove(t.Context(), id); err != nil {
		t.Error(err)
	}
	if _, err := l.Observe(t.Context(), id); fault.Of(err) != fault.Missing {
		t.Errorf("removed it is %v", err)
	}

	if id, err = l.Launch(t.Context(), rayTask("badly", "sh", "-c", "exit 7")); err != nil {
		t.Fatal(err)
	}
	if s := endsReally(t, l, id); s.Cause != port.Exit || s.ExitCode != 7 {
		t.Errorf("badly: %+v", s)
	}

	pid := filepath.Join(t.TempDir(), "pid")
	if id, err = l.Launch(t.Context(), rayTask("forever", "sh", "-c", `echo $$ > "$0.new"; mv "$0.new" "$0"; exec sleep 1000`, pid)); err != nil {
		t.Fatal(err)
	}
	var process int
	for deadline := time.Now().Add(5 * time.Minute); process == 0 && time.Now().Before(deadline); time.Sleep(100 * time.Millisecond) {
		if raw, err := os.ReadFile(pid); err == nil {
			_, _ = fmt.Sscan(string(raw), &process)
		}
	}
	if s, err := l.Observe(t.Context(), id); process == 0 || err != nil || s.Phase != port.TaskRunning {
		t.Fatalf("process %d, %+v, %v", process, s, err)
	}
	if err := l.Remove(t.Context(), id); err != nil {
		t.Error(err)
	}
	for deadline := time.Now().Add(3 * time.Minute); syscall.Kill(process, 0) == nil; time.Sleep(100 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("the process of a task that was removed is still there")
		}
	}

	told := assets.Options{Env: testOptions(map[string]string{assets.TokenVariable: "admin:any"}).Env}
	told.Sign, told.Signed = controller(t)
	tracks := schemas.AirflowTracker{URL: url, Assets: []schemas.AirflowAsset{{Of: schemas.Ref{Kind: schemas.KindDataset, Name: "students"}, Asset: "s3://acme/students"}}}
	pinned := port.Projection{Ledger: "l", Data: []port.TrackerData{{Name: "students", Entry: 3, Digest: digest.Of([]byte("rows")), Tags: map[string]string{port.TagRevision: "r"}}}}
	forged := told
	forged.Sign, _ = controller(t)
	for _, by := range []struct {
		name   string
		o      assets.Options
		writes int
	}{{"another's", forged, 1}, {"ours", told, 1}, {"ours again", told, 0}} {
		if r, err := assets.New(tracks, by.o).Record(t.Context(), pinned, false); err != nil || r.Writes != by.writes || len(r.Notes) != 0 {
			t.Errorf("an event of an asset, %s: %+v, %v (%s); want %d", by.name, r, err, fault.HintOf(err), by.writes)
		}
	}

	of := AirflowExternal(declared, options)
	made := filepath.Join(t.TempDir(), "made")
	is := schemas.External{Airflow: &schemas.ExternalDAG{DAG: "nightly", Conf: map[string]any{"to": "${VISHWA_OUTPUTS}"}}}
	if id, err = of(is).Launch(t.Context(), delegated("theirs", is, made)); err != nil {
		t.Fatal(err)
	}
	if s := endsReally(t, of(is), id); s.Cause != "" {
		t.Errorf("the team's: %+v", s)
	}
	if raw, err := os.ReadFile(made); err != nil || string(raw) != "made" {
		t.Errorf("it wrote %q, %v", raw, err)
	}
	is.Airflow.Conf = map[string]any{"fail": true}
	if id, err = of(is).Launch(t.Context(), delegated("theirs-bad", is, made)); err != nil {
		t.Fatal(err)
	}
	if s := endsReally(t, of(is), id); s.Cause != port.Exit {
		t.Errorf("the team's that fails: %+v", s)
	}
}
