// A look at many deployments finds what a look at each finds, for a few questions.

package kubernetes

import (
	"context"
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/machine/kube/owned"
	"github.com/vishwaops/vishwa/reconciler/port"
)

// counted counts what the double is asked from now on: questions, and of them those what it would make of something.
func (s *stage) counted() (asked, dry *atomic.Int64) {
	asked, dry = &atomic.Int64{}, &atomic.Int64{}
	s.double.After(func(r *http.Request) {
		asked.Add(1)
		if r.URL.Query().Get("dryRun") != "" {
			dry.Add(1)
		}
	})
	return asked, dry
}

func (s *stage) survey(names []string) map[string]port.Live {
	s.t.Helper()
	all := map[string]port.Live{}
	look := s.server.(port.Surveyor).Survey()
	for _, name := range names {
		l, err := look.Observe(s.t.Context(), name)
		if err != nil {
			s.t.Fatalf("look at %s: %v", name, err)
		}
		all[name] = l
	}
	return all
}

func TestALookAtManyFindsWhatALookAtEachDoes(t *testing.T) {
	t.Parallel()
	s := onDouble(t)
	names := []string{"fine", "scaled", "deleted", "strange", "given", "led", "noted", "well"}
	for _, name := range names {
		s.apply(s.release(name, "1"))
		s.settled(name)
	}
	// Another process, which was told nothing, asks once for a kind beyond the first few, and no cluster what it would make of anything.
	s.server = New(s.o)
	asked, dry := s.counted()
	for name, l := range s.survey(names) {
		if l.Health != port.Ready || l.Message != "" {
			t.Errorf("%s: observed %+v", name, l)
		}
	}
	few := asked.Load() // of which the double gives three objects an answer
	if dry.Load() > 0 || few >= int64(5*len(names)) {
		t.Errorf("it asked %d questions of %d deployments, and %d times what the cluster would make of an object", few, len(names), dry.Load())
	}
	// How an object stands changes its version, and nothing that is declared of it.
	for _, name := range names {
		s.double.Edit("deployments", s.unit(name), "kube-controller-manager", "status", func(o map[string]any) {
			o["status"].(map[string]any)["observedGeneration"] = 7
		})
	}
	s.survey(names)
	s.server = New(s.o)
	s.survey(names)
	if n := dry.Load(); n > 0 {
		t.Errorf("after changes of how they stand it asked %d times what the cluster would make of an object", n)
	}
	var system struct {
		Metadata struct {
			UID string `json:"uid"`
		} `json:"metadata"`
	}
	if err := json.Unmarshal([]byte(s.double.Objects("namespaces")["kube-system"]), &system); err != nil { // what belongs to nothing is collected
		t.Fatal(err)
	}
	meta := func(o map[string]any) map[string]any { return o["metadata"].(map[string]any) }
	s.double.Edit("deployments", s.unit("scaled"), "kubectl", "scale", func(o map[string]any) { spec(o)["replicas"] = 3 })
	s.double.Delete("services", "deleted")
	s.double.Edit("services", "strange", "kubectl", "", func(o map[string]any) { delete(meta(o)["labels"].(map[string]any), owned.LabelOwner) })
	s.double.Edit("services", "given", "kubectl", "", func(o map[string]any) {
		meta(o)["ownerReferences"] = []any{map[string]any{"apiVersion": "v1", "kind": "ConfigMap", "name": "theirs", "uid": system.Metadata.UID}}
	})
	s.double.Edit("services", "led", "kubectl-edit", "", func(o map[string]any) { spec(o)["selector"] = map[string]any{"app": "theirs"} })
	s.double.Edit("services", "noted", "kubectl-annotate", "", func(o map[string]any) { meta(o)["annotations"].(map[string]any)[noteKey] = "sha256:0" })
	for name, says := range map[string]string{
		"fine": "", "well": "", "scaled": "spec.replicas is 3, and not 1", "deleted": "somebody deleted Service deleted", "strange": "is not ours any more",
		"given": "somebody gave it an owner", "led": "Service led: spec.selector", "noted": "vishwa.dev/key is another",
	} {
		if l := s.observe(name); !strings.Contains(l.Message, says) || (l.Message == "") != (says == "") {
			t.Errorf("%s: observed %q, want %q", name, l.Message, says)
		}
	}
	for range 2 {
		for name, l := range s.survey(names) {
			if alone := s.observe(name); l.Key != alone.Key || l.Health != alone.Health || l.Message != alone.Message {
				t.Errorf("%s: observed %s %q among others, and %s %q alone", name, l.Health, l.Message, alone.Health, alone.Message)
			}
		}
		slices.Reverse(names)
	}
	// What lists are refused is looked at all the same.
	give := s.double.Withhold("services")
	if l := s.survey(names)["scaled"]; !strings.Contains(l.Message, "spec.replicas is 3") {
		t.Errorf("without lists: %+v", l)
	}
	give()
	end := s.double.Outage()
	for name, l := range s.survey(names) {
		if l.Health != port.Failing || !strings.Contains(l.Message, "does not answer") {
			t.Errorf("%s: in an outage %+v", name, l)
		}
	}
	end()
	s.apply(port.Release{Name: "fine"})
	if left, err := filepath.Glob(filepath.Join(s.o.Dir, "fine.*")); err != nil || len(left) != 1 { // its lock
		t.Errorf("%v are left: %v", left, err)
	}
}

// A cluster that hangs is waited for once in a look, and shortly in the next ones. Nothing of it is told as failing, and a cluster that answers
// again is asked as before.
func TestAClusterThatHangsIsWaitedForOnce(t *testing.T) {
	t.Parallel()
	s := onDouble(t)
	names := []string{"a", "b", "c", "d", "e", "f"}
	for _, name := range names {
		s.apply(s.release(name, "1"))
		s.settled(name)
	}
	at := time.Now().Add(2 * lentFor / 3) // it is time to lend them anew what they read
	s.o.Env.Now = func() time.Time { return at }
	s.server = New(s.o)
	ends := make(chan struct{})
	var asked atomic.Int64
	s.double.After(func(*http.Request) {
		asked.Add(1)
		<-ends
	})
	look := func(within time.Duration) {
		t.Helper()
		asked.Store(0)
		view := s.server.(port.Surveyor).Survey()
		for i, name := range names {
			ctx, cancel := context.WithTimeout(t.Context(), within)
			renewed := view.(port.Renewer).Renew(ctx, name)
			l, err := view.Observe(ctx, name)
			if i > 0 && ctx.Err() != nil {
				t.Errorf("%s was waited for", name)
			}
			cancel()
			if renewed == nil || err == nil || !strings.Contains(err.Error(), "cluster prod did not answer in time") || fault.Of(err) != fault.Transient || !strings.Contains(fault.HintOf(err), name+".json") {
				t.Errorf("%s: observed %+v, %v; lent anew: %v", name, l, err, renewed)
			}
		}
		if n := asked.Load(); n != 1 {
			t.Errorf("it was asked %d times", n)
		}
	}
	look(300 * time.Millisecond)
	for _, who := range []string{"the same process", "another process"} {
		began := time.Now()
		look(time.Minute)
		if took := time.Since(began); took > 10*brief {
			t.Errorf("the next look of %s took %s", who, took)
		}
		s.server = New(s.o)
	}
	close(ends)
	s.double.After(func(*http.Request) {})
	view := s.server.(port.Surveyor).Survey()
	for _, name := range names {
		if l, err := view.Observe(t.Context(), name); err != nil || l.Health != port.Ready {
			t.Errorf("%s: once it answers again: observed %+v, %v", name, l, err)
		}
	}
}

// A cluster that hangs is waited for once, whatever of it hangs and wherever deployments stand on it.
func TestAClusterThatHangsIsWaitedForOnceByAllThatStandsThere(t *testing.T) {
	t.Parallel()
	for what, c := range map[string]struct {
		answers func(*http.Request) bool
		waited  int
	}{
		"of several namespaces":                  {func(*http.Request) bool { return false }, 1},
		"that says no more than which one it is": {func(r *http.Request) bool { return strings.HasSuffix(r.URL.Path, "/kube-system") }, mostLate},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			s := onDouble(t)
			names := []string{"a", "b", "c", "d", "e", "f"}
			for _, name := range names {
				s.apply(s.release(name, "1"))
			}
			for i, name := range names {
				rec, err := s.server.(*server).readRecord(name)
				if err != nil {
					t.Fatal(err)
				}
				if c.waited == 1 {
					rec.Served.Place.At.Namespace = "team-" + names[i/2]
				}
				if err := s.server.(*server).writeRecord(name, rec); err != nil {
					t.Fatal(err)
				}
				s.settled(name)
			}
			ends := make(chan struct{})
			defer close(ends)
			s.double.After(func(r *http.Request) {
				if !c.answers(r) {
					<-ends
				}
			})
			view := s.server.(port.Surveyor).Survey()
			for i, name := range names {
				ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
				_, err := view.Observe(ctx, name)
				if (ctx.Err() != nil) != (i < c.waited) {
					t.Errorf("%s, the deployment %d, was waited for: %v", name, i+1, ctx.Err() != nil)
				}
				cancel()
				if err == nil || !strings.Contains(err.Error(), "cluster prod did not answer in time") || fault.Of(err) != fault.Transient || !strings.Contains(fault.HintOf(err), name+".json") {
					t.Errorf("%s: %v", name, err)
				}
			}
		})
	}
}

// A cluster that answers some looks and lets one run out of time is asked about all others.
func TestAClusterThatIsSlowOnceIsAskedAboutTheRest(t *testing.T) {
	t.Parallel()
	s := onDouble(t)
	names := []string{"a", "b", "c", "d"}
	for _, name := range names {
		s.apply(s.release(name, "1"))
		s.settled(name)
	}
	ends := make(chan struct{})
	defer close(ends)
	s.double.After(func(r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/b") {
			<-ends
		}
	})
	view := s.server.(port.Surveyor).Survey()
	for _, name := range names {
		within := time.Minute
		if name == "b" {
			within = 300 * time.Millisecond
		}
		ctx, cancel := context.WithTimeout(t.Context(), within)
		l, err := view.Observe(ctx, name)
		cancel()
		if (err != nil) != (name == "b") || err == nil && l.Health != port.Ready {
			t.Errorf("%s: observed %+v, %v", name, l, err)
		}
	}
}

// A release that comes during a look is not held against what was there before.
func TestAReleaseDuringALookIsNoDrift(t *testing.T) {
	t.Parallel()
	s := onDouble(t)
	names := []string{"a", "b", "c", "d", "e", "f", "g", "h"}
	for _, name := range names {
		s.apply(s.release(name, "1"))
		s.settled(name)
	}
	look := s.server.(port.Surveyor).Survey()
	for _, name := range names[:6] {
		if l, err := look.Observe(t.Context(), name); err != nil || l.Health != port.Ready {
			t.Fatalf("%s: observed %+v, %v", name, l, err)
		}
	}
	r := s.release("g", "2")
	s.apply(r)
	for _, name := range names[6:] {
		if l, err := look.Observe(t.Context(), name); err != nil || l.Health != port.Ready || l.Message != "" || name == "g" && l.Key != r.Key {
			t.Errorf("%s: observed %+v, %v", name, l, err)
		}
	}
}

// settled has a name's record be of some time ago.
func (s *stage) settled(name string) {
	s.t.Helper()
	before := time.Now().Add(-time.Minute)
	if err := os.Chtimes(filepath.Join(s.o.Dir, name+".json"), before, before); err != nil {
		s.t.Fatal(err)
	}
}

// What is remembered counts for its deployment alone, and as long as nobody else wrote it.
func TestWhatIsRememberedIsOurs(t *testing.T) {
	t.Parallel()
	s := onDouble(t)
	s.apply(s.release("one", "1"))
	s.apply(s.release("two", "1"))
	file := func(name string) string { return filepath.Join(s.o.Dir, name+".seen") }
	two, err := os.ReadFile(file("two"))
	if err != nil {
		t.Fatal(err)
	}
	for name, kept := range map[string][]byte{"of another": two, "no seal": []byte(`{"":{"form":""}}`), "none": nil} {
		if err := os.WriteFile(file("one"), kept, 0o600); err != nil {
			t.Fatal(err)
		}
		s.server = New(s.o)
		_, dry := s.counted()
		if l := s.observe("one"); l.Health != port.Ready || l.Message != "" || dry.Load() != 2 {
			t.Errorf("%s: observed %+v after %d questions what the cluster would make of it", name, l, dry.Load())
		}
	}
}

// A cluster's defaults and webhooks change, and nobody is told: what it would make of objects is asked again after an upgrade, and after a day.
func TestWhatIsRememberedIsAskedAgain(t *testing.T) {
	t.Parallel()
	s := onDouble(t)
	s.double.Upgrade("v1.33.0")
	s.apply(s.release("one", "1"))
	file := filepath.Join(s.o.Dir, "one.seen")
	older := func(by int64) {
		raw, err := os.ReadFile(file)
		if err == nil {
			raw, err = s.o.Seal.Open(seenOf("one"), raw)
		}
		var all map[string]map[string]any
		if err == nil {
			err = json.Unmarshal(raw, &all)
		}
		for _, o := range all {
			o["at"] = int64(o["at"].(float64)) - by
		}
		if err == nil {
			raw, err = json.Marshal(all)
		}
		if err == nil {
			err = os.WriteFile(file, s.o.Seal.Wrap(seenOf("one"), raw), 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct {
		what string
		do   func()
		dry  int64
	}{
		{"nothing", func() {}, 0},
		{"an upgrade", func() { s.double.Upgrade("v1.34.1") }, 2},
		{"nothing since the upgrade", func() {}, 0},
		{"some hours", func() { older(12 * 3600) }, 0},
		{"a day", func() { older(12 * 3600) }, 2},
		{"nothing since that day", func() {}, 0},
		{"a clock that was turned back", func() { older(-2 * 3600) }, 2},
	} {
		c.do()
		s.server = New(s.o)
		_, dry := s.counted()
		if l := s.observe("one"); l.Health != port.Ready || l.Message != "" || dry.Load() != c.dry {
			t.Errorf("after %s: observed %+v after %d questions what the cluster would make of it", c.what, l, dry.Load())
		}
	}
}
