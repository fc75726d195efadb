// An image that serves, on a real engine.

package packager

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/port/porttest/enginetest"
)

func TestMain(m *testing.M) { os.Exit(enginetest.Main(m)) }

// answers is a server of the standard library, and of a package that the lock names.
const answers = `
import http.server, importlib.metadata, json, os, probe, subprocess, sys
class Answer(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        said = {"model": open(os.environ["VISHWA_MODEL_DIR"] + "/model.json").read(), "params": json.load(open(os.environ["VISHWA_PARAMS"])),
            "prefix": sys.prefix, "probe": probe.__file__, "program": subprocess.run(["probe"], capture_output=True, text=True).stdout,
            "other": subprocess.run(["other"], capture_output=True, text=True).stdout, "user": os.getuid(), "of": importlib.metadata.packages_distributions().get("probe"), "folder": os.getcwd()}
        self.send_response(200); self.end_headers(); self.wfile.write(json.dumps(said).encode())
http.server.HTTPServer(("0.0.0.0", int(os.environ["VISHWA_PORT"])), Answer).serve_forever()
`

// TestDockerRunsAnImageThatServes: with what is in it alone, as nobody and read-only, by the interpreter of its base.
func TestDockerRunsAnImageThatServes(t *testing.T) {
	engine, over := enginetest.Docker(t), enginetest.Python(t)
	wheels := t.TempDir()
	lock := wheel(t, wheels, "probe", "py3-none-any")
	t.Setenv("PIP_FIND_LINKS", wheels)
	t.Setenv("PIP_NO_INDEX", "1")
	b := newBuilder(t, nil)
	order := b.order(enginetest.Registry(t)+"/team/price", over, lock)
	order.Image.Code = b.files(map[string]string{"src/serve.py": answers, "requirements.lock": lock})
	packed, err := b.packager.Push(t.Context(), order)
	if err != nil {
		t.Fatal(err, fault.HintOf(err))
	}
	c := engine.Client()
	ask := func(method, path string, body any) []byte {
		t.Helper()
		raw, err := json.Marshal(body)
		if err != nil {
			t.Fatal(err)
		}
		req, err := http.NewRequestWithContext(t.Context(), method, "http://docker"+path, strings.NewReader(string(raw)))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Content-Type", "application/json")
		resp, err := c.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		out, err := io.ReadAll(resp.Body)
		if err != nil || resp.StatusCode >= 300 || strings.Contains(string(out), `"error"`) {
			t.Fatalf("%s %s: %s %v\n%s", method, path, resp.Status, err, out)
		}
		return out
	}
	image := packed.Repository + "@" + string(packed.Serving.Digest)
	ask(http.MethodPost, "/images/create?fromImage="+image, nil)
	var made struct{ ID string }
	if err := json.Unmarshal(ask(http.MethodPost, "/containers/create", map[string]any{"Image": image, "HostConfig": map[string]any{
		"ReadonlyRootfs": true, "CapDrop": []string{"ALL"}, "SecurityOpt": []string{"no-new-privileges"}, "Tmpfs": map[string]string{"/tmp": ""},
		"PortBindings": map[string]any{"8080/tcp": []map[string]string{{"HostIp": "127.0.0.1"}}},
	}}), &made); err != nil {
		t.Fatal(err)
	}
	ask(http.MethodPost, "/containers/"+made.ID+"/start", nil)
	var is struct {
		NetworkSettings struct {
			Ports map[string][]struct{ HostPort string }
		}
	}
	if err := json.Unmarshal(ask(http.MethodGet, "/containers/"+made.ID+"/json", nil), &is); err != nil || len(is.NetworkSettings.Ports["8080/tcp"]) == 0 {
		t.Fatalf("its port is not published: %+v, %v\n%s", is, err, ask(http.MethodGet, "/containers/"+made.ID+"/logs?stdout=1&stderr=1", nil))
	}
	var said map[string]any
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		resp, err := http.Get("http://127.0.0.1:" + is.NetworkSettings.Ports["8080/tcp"][0].HostPort)
		if err == nil {
			err = json.NewDecoder(resp.Body).Decode(&said)
			resp.Body.Close()
		}
		if err == nil {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("%v\n%s", err, ask(http.MethodGet, "/containers/"+made.ID+"/logs?stdout=1&stderr=1", nil))
		}
	}
	for name, want := range map[string]any{
		"model": "{}", "params": map[string]any{"k": 1.0}, "prefix": "/vishwa/env", "program": "probe\n", "other": "probe\n", "user": 65532.0, "of": []any{"probe"}, "folder": "/vishwa/code",
	} {
		if fmt.Sprint(said[name]) != fmt.Sprint(want) {
			t.Errorf("%s is %v, want %v", name, said[name], want)
		}
	}
	if at := fmt.Sprint(said["probe"]); !strings.HasPrefix(at, "/vishwa/env/lib/python") {
		t.Errorf("the package is at %s", at)
	}
	ask(http.MethodDelete, "/containers/"+made.ID+"?force=1", nil)
}
