// What people rely on when they serve by TensorFlow Serving, on one in this process.

package tfserving

import (
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/reconciler/port/porttest"
)

func serving(s *stage) porttest.Serving {
	return porttest.Serving{
		Server: s.server, Client: &http.Client{Transport: gone{}},
		Good: s.release,
		Broken: func(name, version string) port.Release {
			r := s.release(name, "exit")
			r.Key = digest.Of([]byte(name + version + "exit"))
			return r
		},
		Hung: func(name, _ string) port.Release {
			r := s.release(name, "never")
			r.Timeout = time.Hour
			return r
		},
	}
}

func TestTFServingKeepsTheServersPromises(t *testing.T) {
	porttest.Server(t, func(t *testing.T) porttest.Serving { return serving(newStage(t)) })
}

// TestNobodyIsWithoutAnAnswer: a label leads to a version that answers, throughout a change and whatever comes of it.
func TestNobodyIsWithoutAnAnswer(t *testing.T) {
	s := newStage(t)
	l := s.apply(s.release("one", "1"))
	var failed, asked atomic.Int64
	done := make(chan struct{})
	over := make(chan struct{})
	go func() {
		defer close(over)
		for {
			select {
			case <-done:
				return
			default:
			}
			asked.Add(1)
			a, err := http.Post(l.URL+":predict", "application/json", strings.NewReader(`{}`))
			if err != nil || a.StatusCode != http.StatusOK {
				failed.Add(1)
			}
			if err == nil {
				a.Body.Close()
			}
		}
	}()
	s.apply(s.release("one", "2"))
	if _, err := s.server.Apply(t.Context(), serving(s).Broken("one", "3")); err == nil {
		t.Error("what cannot be loaded is served")
	}
	s.apply(s.release("one", "4"))
	close(done)
	<-over
	if failed.Load() > 0 || asked.Load() == 0 {
		t.Errorf("%d of %d requests had no answer", failed.Load(), asked.Load())
	}
	for _, said := range s.double.Said() {
		t.Errorf("the server refused a config: %s", said)
	}
	if got := s.ask(l); !strings.Contains(got, `"4"`) {
		t.Error(got)
	}
}

// TestWhatServedBeforeIsUnloadedAndRemoved, after the label has moved.
func TestWhatServedBeforeIsUnloadedAndRemoved(t *testing.T) {
	s := newStage(t)
	s.apply(s.release("one", "1"))
	s.apply(s.release("one", "2"))
	if got := s.double.Loaded("one"); !slices.Equal(got, []int64{2}) {
		t.Errorf("loaded are %v", got)
	}
	all, _ := filepath.Glob(filepath.Join(s.folder, "one", "[^.]*"))
	if len(all) != 1 || filepath.Base(all[0]) != "2" {
		t.Errorf("the folder has %q", all)
	}
	if got := s.read("one/2/saved_model.pb"); got != "2" || s.read("one/2/report.json") != "" {
		t.Errorf("version 2 has %q", got)
	}
	if st, err := os.Stat(filepath.Join(s.folder, "one", "2", "variables")); err != nil || st.Mode().Perm() != 0o755 {
		t.Errorf("the server's user cannot read it: %v %v", st, err)
	}
}

// No version comes after the last that a number can be: somebody has put it there.
func TestThereIsAVersionToRelease(t *testing.T) {
	s := newStage(t)
	s.put("one/9223372036854775807/saved_model.pb", "theirs")
	r := s.release("one", "1")
	r.TFServing.Adopt = true
	if _, err := s.server.Apply(t.Context(), r); fault.Of(err) != fault.Conflict || !strings.Contains(err.Error(), "none after it") {
		t.Errorf("%v", err)
	}
}

// The same model under another key is loaded once.
func TestTheSameModelIsNotLoadedTwice(t *testing.T) {
	s := newStage(t)
	s.apply(s.release("one", "1"))
	r := s.release("one", "1")
	r.Key = digest.Of([]byte("another key"))
	l := s.apply(r)
	if got := s.double.Loaded("one"); !slices.Equal(got, []int64{1}) || l.Key != r.Key {
		t.Errorf("loaded are %v for %+v", got, l)
	}
	r.TFServing.Label = "live"
	r.Key = digest.Of([]byte("another label"))
	if l = s.apply(r); !strings.HasSuffix(l.URL, "/labels/live") || !slices.Equal(s.double.Loaded("one"), []int64{1}) {
		t.Errorf("%s", l.URL)
	}
	porttest.Until(t, 5*time.Second, "the former label leads nowhere", func() bool {
		_, err := gone{}.RoundTrip(httptest.NewRequest(http.MethodGet, s.url+"/v1/models/one/labels/stable", nil))
		return err != nil
	}, nil)
}

func TestDriftByHandIsFoundAndHealed(t *testing.T) {
	for name, c := range map[string]struct {
		drift func(s *stage)
		says  string
	}{
		"its config is taken out": {func(s *stage) { s.put("models.config", "model_config_list {}\n") }, "models.config has it no more"},
		"models.config is gone":   {func(s *stage) { _ = os.Remove(filepath.Join(s.folder, "models.config")) }, "models.config has it no more"},
		"its label is moved": {func(s *stage) {
			s.put("models.config", strings.ReplaceAll(s.read("models.config"), "value: 1", "value: 9"))
		}, "its config in models.config was changed"},
		"another path": {func(s *stage) {
			s.put("models.config", strings.ReplaceAll(s.read("models.config"), s.folder+"/one", "/tmp"))
		}, "its config in models.config was changed"},
		"a file is added":  {func(s *stage) { s.put("one/1/assets.extra/x", "x") }, "files of version 1 were changed or removed"},
		"a file is gone":   {func(s *stage) { _ = os.RemoveAll(filepath.Join(s.folder, "one", "1", "variables")) }, "files of version 1 were changed or removed"},
		"a model is other": {func(s *stage) { s.put("one/1/saved_model.pb", "the model of evil") }, "files of version 1 were changed or removed"},
		"all is gone":      {func(s *stage) { _ = os.RemoveAll(filepath.Join(s.folder, "one")) }, "is not there"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStage(t)
			s.apply(s.release("other", "1"))
			r := s.release("one", "1")
			first := s.apply(r)
			c.drift(s)
			l := s.observe("one")
			if l.Health != port.Failing || !strings.Contains(l.Message, c.says) || l.Key != r.Key {
				t.Fatalf("observed %+v", l)
			}
			healed := s.apply(r)
			if healed.Health != port.Ready || healed.URL != first.URL || !strings.Contains(s.ask(healed), `"1"`) {
				t.Fatalf("healed %+v", healed)
			}
		})
	}
}

// TestWhatWasReadWhileItWasChangedIsLoadedAnew: one byte of the same length, which the server may have read.
func TestWhatWasReadWhileItWasChangedIsLoadedAnew(t *testing.T) {
	s := newStage(t)
	r := s.release("one", "1")
	s.apply(r)
	s.put("one/1/saved_model.pb", "2")
	s.double.Crash()
	porttest.Until(t, 5*time.Second, "it is read", func() bool { return slices.Equal(s.double.Loaded("one"), []int64{1}) }, nil)
	l := s.apply(r)
	if got := s.ask(l); !strings.Contains(got, `"1"`) || !slices.Equal(s.double.Loaded("one"), []int64{2}) {
		t.Errorf("%s answers, of %v", got, s.double.Loaded("one"))
	}
}

func TestWhatNobodyCanServeIsRefused(t *testing.T) {
	for name, c := range map[string]struct {
		change func(s *stage, r *port.Release)
		kind   fault.Kind
		says   string
	}{
		"no SavedModel":    {func(_ *stage, r *port.Release) { r.Model.Files = r.Model.Files[1:2] }, fault.Invalid, "0 files saved_model.pb"},
		"no such server":   {func(_ *stage, r *port.Release) { r.TFServing.Server = "none" }, fault.Invalid, "no model server none"},
		"kept apart":       {func(_ *stage, r *port.Release) { r.Isolation = "namespaces" }, fault.Refused, "isolation namespaces is asked for"},
		"a path out of it": {func(_ *stage, r *port.Release) { r.Model.Files[2].Path = "m/../../x" }, fault.Denied, "leads out of the model"},
		"a config by hand": {func(s *stage, _ *port.Release) { s.put("models.config", "model_config_list {") }, fault.Invalid, "read models.config: line 1"},
		"lost bytes":       {func(_ *stage, r *port.Release) { r.Model.Files[1].Digest = digest.Of([]byte("lost")) }, fault.Missing, ""},
		"a lock by a link": {func(s *stage, _ *port.Release) {
			_ = os.Symlink("/etc/passwd", filepath.Join(s.folder, ".vishwa.lock"))
		}, fault.Denied, "no regular file"},
		"a folder by a link": {func(s *stage, _ *port.Release) { _ = os.Symlink(s.state, filepath.Join(s.folder, "one")) }, fault.Conflict, "folder one already"},
		"no folder":          {func(s *stage, _ *port.Release) { _ = os.RemoveAll(s.folder) }, fault.Missing, "is not there"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStage(t)
			r := s.release("one", "1")
			c.change(s, &r)
			_, err := s.server.Apply(t.Context(), r)
			if err == nil || fault.Of(err) != c.kind || fault.HintOf(err) == "" || !strings.Contains(err.Error(), c.says) {
				t.Fatalf("%v, %s, hint %q", err, fault.Of(err), fault.HintOf(err))
			}
			if s.observe("one") != (port.Live{}) || len(s.double.Loaded("one")) > 0 {
				t.Error("something of it is left")
			}
			if left, _ := filepath.Glob(filepath.Join(s.state, "*")); len(left) > 2 {
				t.Errorf("left are %q", left)
			}
		})
	}
}

// A link that is put in our folder leads nobody out of it.
func TestALinkLeadsNobodyOut(t *testing.T) {
	s := newStage(t)
	r := s.release("one", "1")
	s.apply(r)
	outside := t.TempDir()
	if err := os.WriteFile(filepath.Join(outside, "saved_model.pb"), []byte("kept"), 0o600); err != nil {
		t.Fatal(err)
	}
	_ = os.RemoveAll(filepath.Join(s.folder, "one", "1"))
	if err := os.Symlink(outside, filepath.Join(s.folder, "one", "1")); err != nil {
		t.Fatal(err)
	}
	if l := s.observe("one"); l.Health != port.Failing {
		t.Errorf("observed %+v", l)
	}
	s.apply(r)
	s.apply(port.Release{Name: "one"})
	if raw, err := os.ReadFile(filepath.Join(outside, "saved_model.pb")); err != nil || string(raw) != "kept" {
		t.Errorf("%q %v", raw, err)
	}
}

func TestReviveMakesItAsItWas(t *testing.T) {
	s := newStage(t)
	r := s.release("one", "1")
	s.apply(r)
	s.put("models.config", "model_config_list {}\n")
	l, err := s.server.(port.Reviver).Revive(t.Context(), "one", r.Key)
	if err != nil || l.Health != port.Ready {
		t.Fatalf("%+v %v", l, err)
	}
	if _, err := s.server.(port.Reviver).Revive(t.Context(), "one", digest.Of(nil)); fault.Of(err) != fault.Missing {
		t.Errorf("another release: %v", err)
	}
	if _, err := s.server.(port.Reviver).Revive(t.Context(), "two", r.Key); fault.Of(err) != fault.Missing {
		t.Errorf("another name: %v", err)
	}
}
