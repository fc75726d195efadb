// The suite with SavedModels that TensorFlow itself loads (make test-tensorflow), and on a real server, by its address and
// the folder that it reads.

package tfserving

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/vishwaops/vishwa/reconciler/adapter/server/tfserving/tfservingtest"
	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/reconciler/port/porttest"
)

// serves loads SavedModels and answers as a server's REST interface does, one line of JSON a question.
const serves = `
import json, sys
import tensorflow as tf
print("there", flush=True)
loaded = {}
for line in sys.stdin:
    q = json.loads(line)
    try:
        if q["do"] == "load":
            loaded[q["dir"]] = tf.saved_model.load(q["dir"], tags=["serve"])
            a = {"signatures": sorted(loaded[q["dir"]].signatures)}
        elif q["do"] == "end":
            a = {"ended": loaded.pop(q["dir"], None) is not None}
        else:
            f = loaded[q["dir"]].signatures["serving_default"]
            (name, spec), = f.structured_input_signature[1].items()
            (_, out), = f(**{name: tf.constant(q["body"]["instances"], spec.dtype)}).items()
            a = {"answer": {"predictions": out.numpy().tolist()}}
    except Exception as e:
        a = {"error": str(e)[:500]}
    print(json.dumps(a), flush=True)
`

// python is a process of it.
type python struct {
	mu  sync.Mutex
	in  io.Writer
	out *bufio.Reader
}

func (p *python) ask(q map[string]any) (map[string]json.RawMessage, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	raw, err := json.Marshal(q)
	if err == nil {
		_, err = p.in.Write(append(raw, '\n'))
	}
	if err != nil {
		return nil, err
	}
	line, err := p.out.ReadBytes('\n')
	if err != nil {
		return nil, err
	}
	var a map[string]json.RawMessage
	if err := json.Unmarshal(line, &a); err != nil {
		return nil, err
	}
	if a["error"] != nil {
		return nil, errors.New(string(a["error"]))
	}
	return a, nil
}

// load is a tfservingtest.Loader by TensorFlow.
func (p *python) load(dir string, _ <-chan struct{}) (func([]byte) ([]byte, error), func(), error) {
	if _, err := p.ask(map[string]any{"do": "load", "dir": dir}); err != nil {
		return nil, nil, err
	}
	answer := func(body []byte) ([]byte, error) {
		a, err := p.ask(map[string]any{"do": "answer", "dir": dir, "body": json.RawMessage(body)})
		return a["answer"], err
	}
	return answer, func() { _, _ = p.ask(map[string]any{"do": "end", "dir": dir}) }, nil
}

func startPython(t *testing.T) *python {
	t.Helper()
	program := os.Getenv("VISHWA_TENSORFLOW")
	if program == "" {
		t.Skip("run make test-tensorflow")
	}
	cmd := exec.Command(program, "-c", serves)
	cmd.Env = append(os.Environ(), "TF_CPP_MIN_LOG_LEVEL=3")
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		in.Close()
		_ = cmd.Wait()
	})
	p := &python{in: in, out: bufio.NewReader(out)}
	if said, err := p.out.ReadString('\n'); err != nil || said != "there\n" { // a release is not to wait for TensorFlow to be imported, which takes as long
		t.Fatalf("TensorFlow is not there: %q, %v", said, err)
	}
	return p
}

// savedRelease is one of the SavedModel that TensorFlow wrote for the tests of its format; each version has a file of its own.
func (s *stage) savedRelease(name, version string) port.Release {
	s.t.Helper()
	top := filepath.Join("..", "..", "..", "format", "model", "testdata", "saved")
	var files digest.Manifest
	for _, p := range []string{"assets.extra/version", "fingerprint.pb", "saved_model.pb", "variables/variables.data-00000-of-00001", "variables/variables.index"} {
		raw := []byte(version)
		if p != "assets.extra/version" {
			var err error
			if raw, err = os.ReadFile(filepath.Join(top, p)); err != nil {
				s.t.Fatal(err)
			}
		}
		if p == "saved_model.pb" && strings.HasSuffix(version, "exit") {
			raw = bytes.ReplaceAll(raw, []byte("MatMul"), []byte("MatEvl"))
		}
		f := s.file(string(raw))
		f.Path = p
		files = append(files, f)
	}
	return s.of(name, version, files)
}

func (s *stage) savedServing() porttest.Serving {
	stopped := s.file("what never comes")
	s.store = stuck{s.store, stopped.Digest}
	s.server = s.open("state", s.key)
	return porttest.Serving{
		Server: s.server, Client: &http.Client{Transport: gone{}}, Good: s.savedRelease,
		Broken: func(name, version string) port.Release { return s.savedRelease(name, version+"-exit") },
		Hung: func(name, version string) port.Release {
			r := s.savedRelease(name, version)
			r.Model.Files[0].Digest, r.Model.Files[0].Size, r.Timeout = stopped.Digest, stopped.Size, time.Hour
			r.Model.Digest = r.Model.Files.Digest()
			return r
		},
	}
}

func TestTensorFlowServesWhatIsDeployed(t *testing.T) {
	p := startPython(t)
	fresh := func(t *testing.T) *stage {
		s := &stage{t: t, folder: t.TempDir(), state: t.TempDir()}
		s.put("models.config", "model_config_list {}\n")
		s.double = tfservingtest.New(t, s.folder, p.load)
		s.url = s.double.URL
		s.begin()
		return s
	}
	porttest.Server(t, func(t *testing.T) porttest.Serving { return fresh(t).savedServing() })
	s := fresh(t)
	l := s.apply(s.savedRelease("one", "1"))
	if got := s.ask(l); strings.Join(strings.Fields(got), "") != `{"predictions":[[9.0]]}` { // 1*2 + 2*3 + 1
		t.Errorf("it answers %s", got)
	}
}

// TestRealTFServing runs on a server of VISHWA_TFSERVING, its address, and VISHWA_TFSERVING_FOLDER, the folder with its
// models.config, which it sees as VISHWA_TFSERVING_SEEN where that is another path, and polls each second.
func TestRealTFServing(t *testing.T) {
	url, folder := os.Getenv("VISHWA_TFSERVING"), os.Getenv("VISHWA_TFSERVING_FOLDER")
	if url == "" || folder == "" {
		t.Skip("set VISHWA_TFSERVING and VISHWA_TFSERVING_FOLDER to a real server's")
	}
	n := 0
	porttest.Server(t, func(t *testing.T) porttest.Serving {
		s := &stage{t: t, folder: folder, url: url, seenAs: os.Getenv("VISHWA_TFSERVING_SEEN"), state: t.TempDir()}
		s.begin()
		all := s.savedServing()
		n++
		unique := func(make func(name, version string) port.Release) func(name, version string) port.Release { // it remembers versions that ended
			run := fmt.Sprintf("-%d-%d", os.Getpid(), n)
			return func(name, version string) port.Release { return make(name, version+run) }
		}
		all.Good, all.Broken, all.Hung = unique(all.Good), unique(all.Broken), unique(all.Hung)
		t.Cleanup(func() {
			for _, name := range []string{"one", "two"} {
				if _, err := s.server.Apply(t.Context(), port.Release{Name: name}); err != nil {
					t.Log(err)
				}
			}
		})
		return all
	})
}
