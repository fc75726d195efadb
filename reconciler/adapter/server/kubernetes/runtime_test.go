// What a runtime is begun with reaches its pods as the code does, next to the model that was verified.

package kubernetes

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/templates"
)

// standIn is as much of MLServer as begins by a repository of one model: it reads the settings, loads what they name, and answers as the Open
// Inference Protocol says. The release brings it, as it does a class of the team's.
var standIn = map[string]string{
	"mlserver/cli/__init__.py": "",
	"mlserver/cli/serve.py": `import json, os, types

async def load_settings(folder):
    def read(name):
        with open(os.path.join(folder, name)) as f:
            return json.load(f)
    model = read("model-settings.json")
    parameters = types.SimpleNamespace(**model.pop("parameters"))
    return types.SimpleNamespace(**read("settings.json")), [types.SimpleNamespace(folder=folder, parameters=parameters, **model)]
`,
	"mlserver/__init__.py": `import asyncio, http.server, os

class MLServer:
    def __init__(self, settings):
        self.settings, self._grpc_server = settings, None

    async def start(self, models):
        (m,) = models
        with open(os.path.join(m.folder, m.parameters.uri)) as f:
            model = f.read()

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                found = {"/v2/models/%s/ready" % m.name: "{}", "/loaded": "%s by %s" % (model, m.implementation)}.get(self.path)
                self.send_response(200 if found else 404)
                self.end_headers()
                self.wfile.write((found or "").encode())

            def log_message(self, *_):
                pass

        server = http.server.ThreadingHTTPServer((self.settings.host, self.settings.http_port), Handler)
        await asyncio.get_running_loop().run_in_executor(None, server.serve_forever)
`,
}

// byMLServer has r served by MLServer, as a declaration with runtime has it.
func (s *stage) byMLServer(r port.Release) port.Release {
	s.t.Helper()
	files, err := templates.MLServerFiles(r.Name, "src.price.Price", "model.json")
	if err != nil {
		s.t.Fatal(err)
	}
	all := map[string]string{}
	for name, content := range files {
		all[templates.RuntimeDir+"/"+name] = string(content)
	}
	for name, content := range standIn {
		all[name] = content
	}
	run, code := r.Program()
	*run, *code = []string{"python3", templates.RuntimeDir + "/serve.py", "0.0.0.0"}, nil
	for name, content := range all {
		d, n := s.put(content)
		*code = append(*code, digest.File{Path: name, Digest: d, Size: n})
	}
	r.Ready = "/v2/models/" + r.Name + "/ready"
	return r
}

func TestARuntimesRepositoryReachesItsPodsBesideTheModel(t *testing.T) {
	t.Parallel()
	s := onDouble(t, withPackages(t, "2"))
	l := s.apply(s.byMLServer(s.release("price", "1")))
	if got := s.ask(l, "/loaded"); l.Bytes != port.BytesVerified || got != "weights of 1 by src.price.Price" {
		t.Errorf("it is %+v, and has loaded %q", l, got)
	}
	pods := strings.Join(slices.Collect(maps.Values(s.double.Objects("deployments"))), "\n")
	for _, part := range []string{`"mountPath":"/vishwa/release","name":"vishwa-release","readOnly":true`, `"path":"/v2/models/price/ready"`, `"workingDir":"/vishwa/release/code"`, `"python3","vishwa-runtime/serve.py","0.0.0.0"`} {
		if !strings.Contains(pods, part) {
			t.Errorf("the pods do not say %s: %s", part, pods)
		}
	}
	// A model that is mounted from a package is elsewhere, and found there.
	l = s.apply(s.byMLServer(mounting(s.release)("price", "2")))
	if got := s.ask(l, "/loaded"); l.Bytes != port.BytesByDigest || got != "packed of 2 by src.price.Price" {
		t.Errorf("it is %+v, and has loaded %q", l, got)
	}
	// One that never loads takes over from nobody.
	broken := s.byMLServer(s.release("price", "3"))
	_, code := broken.Program()
	for i, f := range *code {
		if f.Path == "mlserver/__init__.py" {
			(*code)[i].Digest, (*code)[i].Size = s.put("raise ImportError('no such wheel')")
		}
	}
	if _, err := s.server.Apply(t.Context(), broken); err == nil || !strings.Contains(err.Error(), "no such wheel") {
		t.Errorf("it was applied: %v", err)
	}
	if got := s.ask(l, "/loaded"); got != "packed of 2 by src.price.Price" {
		t.Errorf("now it has loaded %q", got)
	}
}
