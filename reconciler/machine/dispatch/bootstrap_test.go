// The program by which an image's Python becomes the worker takes the one that its pod names, and no other.

package dispatch_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/machine/dispatch"
)

func TestTheWorkerIsTheOneThatThePodNames(t *testing.T) {
	python, err := exec.LookPath("python3")
	if err != nil {
		t.Fatal("python3 is not there, by which a worker is fetched")
	}
	const program = "#!/bin/sh\necho it runs\n"
	var asked atomic.Int32
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { asked.Add(1); _, _ = w.Write([]byte(program)) }))
	defer srv.Close()
	ticket, err := json.Marshal(dispatch.Ticket{Version: dispatch.Version, Worker: map[string]dispatch.Located{runtime.GOARCH: {URL: srv.URL, SHA256: digest.Of([]byte(program))}}})
	if err != nil {
		t.Fatal(err)
	}
	this := dispatch.PinPrefix + strings.ToUpper(runtime.GOARCH) + "="
	for pin, want := range map[string]string{
		"": "it runs",
		this + string(digest.Of([]byte(program))):                      "it runs",
		this + string(digest.Of([]byte("other"))):                      "another worker than this pod",
		dispatch.PinPrefix + "S390X=" + string(digest.Of([]byte("s"))): "another worker than this pod",
	} {
		asked.Store(0)
		cmd := exec.Command(python, "-I", "-c", dispatch.Bootstrap, "fetch")
		cmd.Env = []string{"VISHWA_TICKET=" + string(ticket), "TMPDIR=" + t.TempDir()}
		if pin != "" {
			cmd.Env = append(cmd.Env, pin)
		}
		out, err := cmd.CombinedOutput()
		if !strings.Contains(string(out), want) || (err == nil) != (want == "it runs") || err != nil && asked.Load() > 0 {
			t.Errorf("pinned to %q: %s, %v; asked %d times", pin, out, err, asked.Load())
		}
	}
}
