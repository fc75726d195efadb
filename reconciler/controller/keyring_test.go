// The laws of keys that do not open: no pass, a controller that is not ready and says
// why, one line in the log, and everything as soon as they do.

package controller

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/vishwaops/vishwa/reconciler/fault"
)

func TestWithoutItsKeysAControllerIsNotReadyAndPassesNothing(t *testing.T) {
	f := newFake("a")
	var open atomic.Bool
	var tries atomic.Int32
	c := start(t, Options{Config: fast(), Sites: []Repository{f}, Keys: func(context.Context) error {
		tries.Add(1)
		if !open.Load() {
			return fault.WithHint(fault.New(fault.Denied, "open key: the password does not open build.key"), "give the right one")
		}
		return nil
	}})
	until(t, "the repository is looked at", func() bool { return f.looked() > 3 && tries.Load() > 3 })
	status, text := readiness(t, c)
	var told struct {
		Ready bool
		Keys  Problem
	}
	if err := json.Unmarshal([]byte(text), &told); err != nil {
		t.Fatal(err)
	}
	if status != http.StatusServiceUnavailable || told.Ready || told.Keys != (Problem{"open key: the password does not open build.key", "denied", "give the right one"}) {
		t.Errorf("%d %s", status, text)
	}
	if n := f.count("branch main"); n != 0 {
		t.Errorf("%d passes began", n)
	}
	if n := strings.Count(c.log.String(), "keys cannot be opened"); n != 1 || !strings.Contains(c.log.String(), `"level":"ERROR"`) {
		t.Errorf("told %d times:\n%s", n, c.log.String())
	}
	if text := metrics(t, c); !strings.Contains(text, "\nvishwa_keys_open 0\n") {
		t.Error("the metric says that they are open")
	}
	open.Store(true)
	until(t, "the branch is passed", func() bool { return f.count("branch main") == 1 })
	if status, text := readiness(t, c); status != http.StatusOK || strings.Contains(text, "keys") {
		t.Errorf("%d %s", status, text)
	}
	if text := metrics(t, c); !strings.Contains(text, "\nvishwa_keys_open 1\n") {
		t.Error("the metric says that they are not open")
	}
}

func readiness(t *testing.T, c *running) (int, string) { return fetched(t, c, "/readyz") }
func metrics(t *testing.T, c *running) string {
	_, text := fetched(t, c, "/metrics")
	return text
}

func fetched(t *testing.T, c *running, path string) (int, string) {
	t.Helper()
	resp, err := http.Get("http://" + c.address + path)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(text)
}
