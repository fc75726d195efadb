// What lasts on a real cluster: a run while its API server is away for minutes, and an environment
// that was packed once.

package app

import (
	"archive/zip"
	"bytes"
	"crypto/sha256"
	"fmt"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/machine/dispatch"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/reconciler/port/porttest"
	"github.com/vishwaops/vishwa/reconciler/port/porttest/enginetest"
	"github.com/vishwaops/vishwa/schemas"
)

// outage is as long as an API server may be away, and no run is lost.
const outage = 2 * time.Minute

// TestKubernetesIsAwayForTwoMinutes: a run goes on, ends meanwhile, is awaited by who waited
// before, and its result is kept; it was begun once. What is begun meanwhile says that it may pass.
func TestKubernetesIsAwayForTwoMinutes(t *testing.T) {
	k := enginetest.Cluster(t)
	b := clusterBench(t, workerImage(t))
	job := port.Job{Key: digest.Of([]byte("outage")), Ref: schemas.Ref{Kind: schemas.KindTransform, Name: "outage"}, Timeout: 10 * time.Minute,
		Command: b.sh(`sleep 45; echo made > "$VISHWA_OUTPUT_MADE"`), Outputs: map[string]string{"made": "made"}}
	if _, err := b.runner.Start(t.Context(), job); err != nil {
		t.Fatal(err)
	}
	porttest.AwaitRun(t, b.runner, job.Key, func(r port.Run) bool { return r.State == port.Running })
	k.Crash(t, "kube-apiserver")
	begun := time.Now()
	other := job
	other.Key = digest.Of([]byte("begun meanwhile"))
	if _, err := (placed{b.open(), b.on}).Start(t.Context(), other); fault.Of(err) != fault.Transient || fault.HintOf(err) == "" {
		t.Errorf("begun while it is away: %v (%s)", err, fault.HintOf(err))
	}
	back := make(chan struct{})
	time.AfterFunc(outage, func() {
		defer close(back)
		k.Restart(t, "kube-apiserver")
	})
	run := port.Run{State: port.Running}
	for err := error(nil); run.State != port.Done; {
		if run, err = b.runner.Wait(t.Context(), job.Key, run.State, 0); err != nil {
			t.Fatalf("after %s: %v", time.Since(begun), err)
		}
	}
	<-back
	if r := run.Result; r.Cause != "" || r.Outputs["made"].Digest != digest.Of([]byte("made\n")) || time.Since(begun) < outage {
		t.Errorf("after %s: %s %s", time.Since(begun), r.Cause, r.Message)
	}
	if n := b.begun.Load(); n != 1 {
		t.Errorf("it was begun %d times", n)
	}
}

// before is an address of this test alone, as a loopback is, by which it reaches what is at another.
func before(t testing.TB, at string) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			near, err := l.Accept()
			if err != nil {
				return
			}
			far, err := net.Dial("tcp", at)
			if err != nil {
				near.Close()
				continue
			}
			go func() { _, _ = io.Copy(far, near); far.Close() }()
			go func() { _, _ = io.Copy(near, far); near.Close() }()
		}
	}()
	return l.Addr().String()
}

// TestKubernetesSaysWhatAPodCannotReach: the store is reached from here and not from the pod, which says so itself, whoever brought its worker.
func TestKubernetesSaysWhatAPodCannotReach(t *testing.T) {
	enginetest.Cluster(t)
	for name, c := range map[string]struct{ worker, says string }{
		"brought": {workerImage(t), "the worker cannot reach the store at "}, "fetched": {"", "the worker cannot be fetched from the store at "},
	} {
		t.Run(name, func(t *testing.T) {
			at := before(t, strings.TrimPrefix(enginetest.MinIO(t), "http://"))
			b := clusterBenchBy(t, "unreached-"+name, "http://"+at, schemas.Runner{Kubernetes: &schemas.KubernetesRunner{Cluster: "one", Worker: c.worker}}, enginetest.Python(t))
			job := port.Job{Key: digest.Of([]byte(name)), Ref: schemas.Ref{Kind: schemas.KindTransform, Name: "unreached"}, Command: []string{"true"}}
			run, err := b.runner.Start(t.Context(), job)
			for err == nil && run.State != port.Done {
				run, err = b.runner.Wait(t.Context(), job.Key, run.State, 0)
			}
			if err != nil {
				t.Fatal(err)
			}
			if r := run.Result; r.Cause != port.Lost || !strings.Contains(r.Message, c.says+at+": ") || strings.Contains(r.Message, "X-Amz") {
				t.Errorf("it ended as %s: %s", r.Cause, r.Message)
			}
		})
	}
}

// packedBench is a cluster whose runs have an environment from an index of this test's, and which
// notes when it is asked for a path.
type packedBench struct {
	*elsewhereBench
	url  string
	lock digest.File

	mu    sync.Mutex
	heard map[string]time.Time
}

const wheelName = "vishwa_probe-1.0-py3-none-any.whl"

func newPackedBench(t testing.TB) *packedBench {
	enginetest.Cluster(t)
	var wheel bytes.Buffer
	z := zip.NewWriter(&wheel)
	for _, f := range [][2]string{
		{"vishwa_probe.py", "answer = 42\n"},
		{"vishwa_probe-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: vishwa-probe\nVersion: 1.0\n"},
		{"vishwa_probe-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"},
		{"vishwa_probe-1.0.dist-info/RECORD", "vishwa_probe.py,,\nvishwa_probe-1.0.dist-info/METADATA,,\nvishwa_probe-1.0.dist-info/WHEEL,,\nvishwa_probe-1.0.dist-info/RECORD,,\n"},
	} {
		w, err := z.Create(f[0])
		if err == nil {
			_, err = w.Write([]byte(f[1]))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	p := &packedBench{heard: map[string]time.Time{}}
	l, err := net.Listen("tcp", enginetest.Address+":0")
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/index/":
			w.Header().Set("Content-Type", "text/html")
			fmt.Fprintf(w, "<a href=%q>%s</a>", wheelName, wheelName)
		case "/index/" + wheelName:
			_, _ = w.Write(wheel.Bytes())
		default:
			p.mu.Lock()
			defer p.mu.Unlock()
			p.heard[r.URL.Path] = time.Now()
		}
	})}
	go func() { _ = server.Serve(l) }()
	t.Cleanup(func() { server.Close() })
	p.url = "http://" + l.Addr().String()
	image := enginetest.PythonWithPip(t, "PIP_NO_INDEX=1", "PIP_FIND_LINKS="+p.url+"/index/", "PIP_TRUSTED_HOST="+enginetest.Address)
	p.elsewhereBench = clusterBenchIn(t, workerImage(t), image)
	p.cfg.Packs = dispatch.Packs{Dir: filepath.Join(t.TempDir(), "packs"), Seal: p.cfg.Seal.Derive("packs"), Make: true}
	p.runner = placed{p.open(), p.on}
	p.lock = p.file(t, "requirements.lock", fmt.Sprintf("vishwa-probe==1.0 --hash=sha256:%x\n", sha256.Sum256(wheel.Bytes())))
	return p
}

func (p *packedBench) file(t testing.TB, path, text string) digest.File {
	t.Helper()
	d, n, err := p.store.Put(t.Context(), strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	return digest.File{Path: path, Digest: d, Size: n}
}

// changed runs a code that differs in one line from every other, and tells how long it took from its start until that
// line ran, and its log.
func (p *packedBench) changed(t testing.TB, line string) (time.Duration, string) {
	t.Helper()
	code := p.file(t, "main.py", "import urllib.request, vishwa_probe\nassert vishwa_probe.answer == 42\nurllib.request.urlopen('"+p.url+"/"+line+"')\n")
	job := port.Job{Key: digest.Of([]byte(t.Name() + line)), Ref: schemas.Ref{Kind: schemas.KindTransform, Name: "changed"}, Command: []string{"python", "main.py"},
		Code: digest.Manifest{code, p.lock}, Lock: p.lock.Path}
	begun := time.Now()
	run, err := p.runner.Start(t.Context(), job)
	for err == nil && run.State != port.Done {
		run, err = p.runner.Wait(t.Context(), job.Key, run.State, 0)
	}
	if err != nil || run.Result.Cause != "" {
		t.Fatalf("%s: %v, %s %s\n%s", line, err, run.Result.Cause, run.Result.Message, run.Result.Tail)
	}
	log := kept(t, p.store, run.Result.Log)
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.heard["/"+line].Sub(begun), log
}

const unpackedWords = "the environment was unpacked"

// packed runs changed code until the environment of its lock is unpacked and no longer installed.
func (p *packedBench) packed(t testing.TB) {
	t.Helper()
	if _, log := p.changed(t, "first"); strings.Contains(log, unpackedWords) || !strings.Contains(log, "pip") {
		t.Fatalf("the first run installs nothing:\n%s", log)
	}
	for i := range 20 {
		if _, log := p.changed(t, fmt.Sprint("until-", i)); strings.Contains(log, unpackedWords) {
			return
		}
	}
	t.Fatal("twenty runs later the environment is still installed")
}

// TestKubernetesUnpacksWhatWasPackedOnce: by a task of its own, in the cluster.
func TestKubernetesUnpacksWhatWasPackedOnce(t *testing.T) { newPackedBench(t).packed(t) }

// BenchmarkKubernetesChange has one line of code changed at a time, whose image and packed environment are there: from the start of
// its run until the line runs. The goal is 5 s from when its pod is scheduled, which comes later than the start.
func BenchmarkKubernetesChange(b *testing.B) {
	p := newPackedBench(b)
	p.packed(b)
	const rounds = 5
	for b.Loop() {
		var all, most time.Duration
		for i := range rounds {
			took, log := p.changed(b, fmt.Sprint("change-", i))
			if !strings.Contains(log, unpackedWords) {
				b.Fatalf("it was installed:\n%s", log)
			}
			b.Log(took)
			all, most = all+took, max(most, took)
		}
		b.ReportMetric((all / rounds).Seconds(), "s/change")
		b.ReportMetric(most.Seconds(), "s/slowest")
		if all/rounds > 5*time.Second {
			b.Errorf("a changed line runs after %s", all/rounds)
		}
	}
}
