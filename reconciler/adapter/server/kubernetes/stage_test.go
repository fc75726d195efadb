// A stage is a server whose releases are pods of a cluster: of the double, or of a real one where a test asks
// for it. The test binary is also what the double's pods run.

package kubernetes

import (
	"context"
	"flag"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/vishwaops/vishwa/reconciler/adapter/signer"
	"github.com/vishwaops/vishwa/reconciler/adapter/store"
	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/engine/attest"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/machine/bucket"
	"github.com/vishwaops/vishwa/reconciler/machine/kube/kubetest"
	"github.com/vishwaops/vishwa/reconciler/machine/kube/status"
	"github.com/vishwaops/vishwa/reconciler/machine/seal"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/reconciler/port/porttest"
	"github.com/vishwaops/vishwa/reconciler/port/porttest/built"
	"github.com/vishwaops/vishwa/reconciler/port/porttest/enginetest"
	"github.com/vishwaops/vishwa/schemas"
)

func TestMain(m *testing.M) {
	flag.Parse()
	if err := flag.Set("test.parallel", "6"); err != nil { // most of what they do is wait
		panic(err)
	}
	code := enginetest.Main(m)
	built.Forget()
	os.Exit(code)
}

const (
	image  = "registry.example.com/serve@sha256:0000000000000000000000000000000000000000000000000000000000000001"
	worker = "registry.example.com/worker@sha256:0000000000000000000000000000000000000000000000000000000000000002"
	noSuch = "registry.example.com/none@sha256:0000000000000000000000000000000000000000000000000000000000000003"
)

// keys are a controller's, made once.
var keys = sync.OnceValues(func() (*signer.Keys, string) {
	dir, err := os.MkdirTemp("", "keys")
	if err == nil {
		dir = filepath.Join(dir, "keys")
		err = signer.Generate(dir, []byte("password"))
	}
	if err != nil {
		panic(err)
	}
	pub, err := os.ReadFile(filepath.Join(dir, "build.pub"))
	if err != nil {
		panic(err)
	}
	return signer.Open(dir, func() ([]byte, error) { return []byte("password"), nil }), string(pub)
})

type stage struct {
	t      *testing.T
	dir    string
	o      Options
	server port.Server
	client *http.Client
	double *kubetest.Cluster
	at     schemas.Cluster
	image  string
	worker string
	words  func(version, how string) []string
	route  schemas.Route // of what is routed
	asked  atomic.Int64  // by who divides requests
}

func newStage(t *testing.T, kubeconfig string, at schemas.Cluster) *stage {
	t.Helper()
	s := &stage{t: t, dir: t.TempDir(), at: at, route: schemas.Route{Gateway: "public", Host: "one.example.com"}}
	kept, err := store.Dir(filepath.Join(s.dir, "store"))
	if err != nil {
		t.Fatal(err)
	}
	shelf, err := bucket.Dir(filepath.Join(s.dir, "store"))
	if err != nil {
		t.Fatal(err)
	}
	sealed, err := seal.KeyOf([]byte("a secret of the tests, long enough to be one"))
	if err != nil {
		t.Fatal(err)
	}
	_, pub := keys()
	vars := map[string]string{"KUBECONFIG": kubeconfig, "DECLARED": "yes", "UNDECLARED": "no"}
	s.o = Options{
		Env:   port.Env{Now: time.Now, Log: slog.New(slog.DiscardHandler), Lookup: func(name string) (string, bool) { v, ok := vars[name]; return v, ok }},
		Store: kept, Clusters: map[string]schemas.Cluster{"prod": at}, Dir: filepath.Join(s.dir, "state"), Seal: sealed, Keys: []string{pub},
		Shelf: func() (port.Bucket, error) {
			return porttest.LendingDir{Bucket: shelf, Dir: filepath.Join(s.dir, "store")}, nil
		},
		At:     "s3://tests/vishwa",
		Object: func(d digest.Digest) string { h := d.Hex(); return "sha256/" + h[:2] + "/" + h[2:] },
		Worker: func(string) (string, error) { return "", fault.New(fault.Missing, "no worker here") },
	}
	s.server = New(s.o)
	return s
}

// onDouble is a stage on a cluster in this process.
func onDouble(t *testing.T, options ...func(*kubetest.Options)) *stage {
	t.Helper()
	tiny := built.Once(t, "internal/tinyserver")
	o := kubetest.Options{Images: []string{image, worker}, Rules: rights(t), Programs: map[string][]string{"/vishwa-worker": {tiny}, "serve": {tiny, "serve"}, "runtime": {tiny, "runtime"}},
		Runtimes: map[string]kubetest.Runtime{"tests": {Formats: []string{"json"}, Image: image, Command: []string{"runtime"}}}}
	for _, f := range options {
		f(&o)
	}
	var s *stage
	if o.Seldon == nil {
		o.Seldon = func(uri string, requirements []string) (string, string) { return s.load(uri, requirements) }
	}
	c := kubetest.New(t, o)
	s = newStage(t, c.Kubeconfig(), schemas.Cluster{Namespace: kubetest.Namespace})
	s.double, s.image, s.worker = c, image, worker
	s.o.Patience = status.Patience{Image: time.Second, Room: time.Second, Start: time.Second}
	s.o.Pace, s.o.Steady, s.o.Drain = 30*time.Millisecond, -1, 150*time.Millisecond
	s.server = New(s.o)
	s.words = func(version, how string) []string { return append([]string{"serve", version}, strings.Fields(how)...) }
	s.client = &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
		host, _, _ := strings.Cut(addr, ":")
		name, _, _ := strings.Cut(host, ".")
		at, ok := c.Endpoint(name)
		if !ok {
			return nil, fmt.Errorf("service %s has no pod", name)
		}
		return (&net.Dialer{}).DialContext(ctx, network, at)
	}}}
	return s
}

func (s *stage) put(text string) (digest.Digest, int64) {
	s.t.Helper()
	d, n, err := s.o.Store.Put(s.t.Context(), strings.NewReader(text))
	if err != nil {
		s.t.Fatal(err)
	}
	return d, n
}

// release serves version, behaving as how says.
func (s *stage) release(name, version string, how ...string) port.Release {
	s.t.Helper()
	d, n := s.put(strings.TrimSpace("weights of " + version + " " + strings.Join(how, " ")))
	files := digest.Manifest{{Path: "model.json", Digest: d, Size: n}}
	model := port.Artifact{Digest: files.Digest(), Size: n, Files: files}
	said, err := attest.StateModel(name, files)
	if err != nil {
		s.t.Fatal(err)
	}
	k, _ := keys()
	bundle, err := k.Sign(s.t.Context(), port.Build, said)
	if err != nil {
		s.t.Fatal(err)
	}
	signature, _ := s.put(string(bundle))
	code, size := s.put(serveCode)
	r := port.Release{
		Name: name, Key: digest.Of([]byte(name + version + strings.Join(how, " "))), Model: model, Signature: signature,
		Ready: "/v2/health/ready", Timeout: 60 * time.Second,
		Kubernetes: &port.KubernetesRelease{Code: digest.Manifest{{Path: "src/serve.py", Digest: code, Size: size}}},
	}
	r.Kubernetes.Cluster, r.Kubernetes.Image, r.Kubernetes.Worker = "prod", s.image, s.worker
	r.Kubernetes.Run = s.words(version, strings.Join(how, " "))
	return r
}

// serving is what the suite tries, of releases that by makes.
func (s *stage) serving(by func(name, version string, how ...string) port.Release) porttest.Serving {
	return porttest.Serving{
		Server: s.server, Client: s.client,
		Good:   func(name, version string) port.Release { return by(name, version) },
		Broken: func(name, version string) port.Release { return by(name, version, "exit") },
		Hung: func(name, version string) port.Release {
			r := by(name, version, "never")
			r.Timeout = time.Hour
			return r
		},
	}
}

// splitting is what the suite tries of releases that by makes; left counts what stands of them, and answers is who answers n requests.
func (s *stage) splitting(by func(name, version string, how ...string) port.Release, answers func(n int) map[string]int, left func() int) porttest.Splitting {
	return porttest.Splitting{
		Server: s.server, Answers: answers, Releases: left,
		Good:    func(version string) port.Release { return by("one", version) },
		Broken:  func(version string) port.Release { return by("one", version, "exit") },
		Another: func() port.Server { return New(s.o) },
		Changes: func(each func()) (end func()) {
			s.double.After(func(r *http.Request) {
				if r.Method != http.MethodGet {
					each()
				}
			})
			return func() { s.double.After(func(*http.Request) {}) }
		},
	}
}

func (s *stage) apply(r port.Release) port.Live {
	s.t.Helper()
	return porttest.Serve(s.t, s.server, r)
}

func (s *stage) observe(name string) port.Live {
	s.t.Helper()
	return porttest.Look(s.t, s.server, name)
}

// ask has what is served answer 200.
func (s *stage) ask(l port.Live, path string) string {
	s.t.Helper()
	return porttest.Answer(s.t, s.client, l.URL+path)
}

func (s *stage) until(what string, is func() bool) {
	s.t.Helper()
	porttest.Until(s.t, time.Minute, what, is, func() any { return s.observe("one") })
}

// refused has r refused with words of why and of the way out.
func (s *stage) refused(r port.Release, kind fault.Kind, words, way string) {
	s.t.Helper()
	_, err := s.server.Apply(context.Background(), r)
	if err == nil || fault.Of(err) != kind || !strings.Contains(err.Error(), words) || !strings.Contains(fault.HintOf(err), way) {
		s.t.Errorf("%v (%v; %s): want %v with %q and %q", err, fault.Of(err), fault.HintOf(err), kind, words, way)
	}
}

// serveCode is a server for a pod that has Python.
const serveCode = `
import http.server, os, signal, sys
signal.signal(signal.SIGTERM, lambda *a: os._exit(0))
version, how = sys.argv[1], sys.argv[2:]
if "exit" in how:
    print("cannot load the model: no such column", flush=True)
    sys.exit(3)

def can(do):
    try:
        do()
        return "can"
    except OSError as e:
        return "cannot"

class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        if self.path == "/crash":
            os._exit(7)
        text = version
        if self.path == "/inside":
            model = os.environ["VISHWA_MODEL_DIR"]
            text = "\n".join([
                "model " + open(model + "/model.json").read(),
                "input " + open(os.environ.get("VISHWA_INPUT_SERVING", "/dev/null")).read(),
                "params " + open(os.environ["VISHWA_PARAMS"]).read(),
                "write model " + can(lambda: open(model + "/x", "w")),
                "change model " + can(lambda: open(model + "/model.json", "w")),
                "chmod model " + can(lambda: os.chmod(model + "/model.json", 0o666)),
                "write root " + can(lambda: open("/x", "w")),
                "write tmp " + can(lambda: open("/tmp/x", "w")),
                "ticket " + str(os.path.exists("/vishwa/ticket")),
                "token " + str(os.path.exists("/var/run/secrets/kubernetes.io")),
                "user " + str(os.getuid()),
                "passed " + os.environ.get("DECLARED", "-") + os.environ.get("UNDECLARED", "-"),
                [l for l in open("/proc/self/status") if l.startswith("CapBnd")][0].strip(),
                [l for l in open("/proc/self/status") if l.startswith("NoNewPrivs")][0].strip(),
            ])
        self.send_response(503 if "never" in how else 200)
        self.end_headers()
        self.wfile.write(text.encode())
    def log_message(self, *a): pass

print("serving", version, flush=True)
http.server.ThreadingHTTPServer(("0.0.0.0", int(os.environ["VISHWA_PORT"])), Handler).serve_forever()
`
