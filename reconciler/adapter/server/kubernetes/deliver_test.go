// What people rely on where Argo CD or Flux applies what Vishwa writes to a branch: the same as elsewhere, and that
// Vishwa writes nothing to the cluster but what pods read their model by.

package kubernetes

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/machine/kube/kubetest"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/reconciler/port/porttest"
	"github.com/vishwaops/vishwa/schemas"
)

// branch is one that is kept as a map.
type branch struct {
	mu    sync.Mutex
	files map[string][]byte
	log   []string
	away  func(context.Context) error
	// before and after are called about a write, once each.
	before func()
	each   func(content []byte) // about every write
	after  func(subject string)

	refuses error // what a push is answered with
}

func (b *branch) Read(ctx context.Context, path string) ([]byte, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.away != nil {
		return nil, b.away(ctx)
	}
	return b.files[path], nil
}

func (b *branch) Write(_ context.Context, path string, was, content []byte, message string) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if f := b.before; f != nil {
		b.before = nil
		f()
	}
	has := b.files[path]
	if b.refuses != nil {
		return b.refuses
	}
	if bytes.Equal(has, content) && (has == nil) == (content == nil) {
		return nil
	}
	if !bytes.Equal(has, was) || (has == nil) != (was == nil) {
		return fault.New(fault.Conflict, "it has changed")
	}
	if b.each != nil {
		b.each(content)
	}
	subject, _, _ := strings.Cut(message, "\n")
	b.files[path], b.log = content, append(b.log, subject)
	if content == nil {
		delete(b.files, path)
	}
	if f := b.after; f != nil {
		b.after = nil
		f(subject)
	}
	return nil
}

// is has the remote answer questions by f; nil: as usual.
func (b *branch) is(f func(context.Context) error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.away = f
}

// set is what somebody commits by hand.
func (b *branch) set(path, content string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.files[path] = []byte(content)
	if content == "" {
		delete(b.files, path)
	}
}

func (b *branch) at(path string) string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return string(b.files[path])
}

func (b *branch) commits() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.log)
}

const deliveredTo = "models/prod/one.yaml"

// onBranch is a stage whose cluster follows a branch, and whose account may write nothing but Secrets.
func onBranch(t *testing.T, options ...func(*kubetest.Options)) (*stage, *branch) {
	t.Helper()
	watches := func(o *kubetest.Options) { o.Rules = rightsOf(t, Watching) }
	s := onDouble(t, append([]func(*kubetest.Options){watches}, options...)...)
	b := &branch{files: map[string][]byte{}}
	s.o.Branch = func(name string) (port.Branch, error) {
		if name != "environments/prod" {
			return nil, fault.New(fault.Denied, "deliver on branch %s", name)
		}
		return b, nil
	}
	s.server = New(s.o)
	s.double.Follow(func() []byte {
		b.mu.Lock()
		defer b.mu.Unlock()
		var all []byte
		for _, path := range slices.Sorted(maps.Keys(b.files)) {
			all = append(append(all, b.files[path]...), "\n---\n"...)
		}
		return all
	})
	return s, b
}

// delivered has releases be delivered.
func delivered(by func(name, version string, how ...string) port.Release) func(name, version string, how ...string) port.Release {
	return func(name, version string, how ...string) port.Release {
		r := by(name, version, how...)
		r.Git = &schemas.GitDelivery{Branch: "environments/prod", Path: "models/prod"}
		return r
	}
}

// byTarget runs a test for each target whose way of a change differs.
func byTarget(t *testing.T, f func(t *testing.T, target string, by func(*stage) func(name, version string, how ...string) port.Release)) {
	for target, by := range map[string]func(*stage) func(name, version string, how ...string) port.Release{
		"kubernetes": func(s *stage) func(string, string, ...string) port.Release { return s.release },
		"kserve":     func(s *stage) func(string, string, ...string) port.Release { return s.infers },
	} {
		t.Run(target, func(t *testing.T) {
			t.Parallel()
			f(t, target, by)
		})
	}
}

func TestDeliveryByABranchKeepsTheServersPromises(t *testing.T) {
	for target, by := range map[string]func(*stage) func(name, version string, how ...string) port.Release{
		"kubernetes": func(s *stage) func(string, string, ...string) port.Release { return s.release },
		"kserve":     func(s *stage) func(string, string, ...string) port.Release { return s.infers },
		"seldon":     func(s *stage) func(string, string, ...string) port.Release { return s.another },
	} {
		t.Run(target, func(t *testing.T) {
			porttest.Server(t, func(t *testing.T) porttest.Serving {
				t.Parallel()
				s, _ := onBranch(t, withServers)
				if target == "seldon" {
					s.client = &http.Client{Transport: mesh{s}}
				}
				return s.serving(delivered(by(s)))
			})
		})
	}
}

func TestWhatIsDeliveredBeginsNextToWhatServesAndIsWrittenOnce(t *testing.T) {
	t.Parallel()
	s, b := onBranch(t)
	release := delivered(s.release)
	one := release("one", "v1")
	one.Kubernetes.Autoscale, one.Kubernetes.Resources.CPU = &schemas.Autoscale{Max: 3}, "0.5"
	l := s.apply(one)
	if s.ask(l, "/") != "v1" {
		t.Error("it does not answer")
	}
	if b.commits() != 2 { // it begins, and has the requests
		t.Errorf("the branch has %q", b.log)
	}
	s.apply(one)
	if b.commits() != 2 {
		t.Errorf("applied twice, the branch has %q", b.log)
	}
	file := b.at(deliveredTo)
	for _, word := range []string{"kind: Secret\n", "X-Amz", s.dir, "DECLARED"} {
		if strings.Contains(file, word) {
			t.Errorf("the file has %q:\n%s", word, file)
		}
	}
	s.apply(release("one", "v2"))
	if want := []string{"Begin one-", "Send the requests for one to one-", "End what one was before one-"}; b.commits() != 5 ||
		!strings.HasPrefix(b.log[2], want[0]) || !strings.HasPrefix(b.log[3], want[1]) || !strings.HasPrefix(b.log[4], want[2]) {
		t.Errorf("the branch has %q", b.log)
	}
	if n := len(s.double.Objects("secrets")); n != 1 {
		t.Errorf("%d Secrets are left", n)
	}
	s.apply(port.Release{Name: "one"})
	if b.at(deliveredTo) != "" || len(s.double.Objects("deployments"))+len(s.double.Objects("services"))+len(s.double.Objects("secrets")) > 0 {
		t.Errorf("of what was retired the branch has %q, and the cluster %v", b.at(deliveredTo), s.double.Objects("secrets"))
	}
}

func TestADeliveryThatNobodyAppliesIsNoFailureAndGoesOn(t *testing.T) {
	t.Parallel()
	for target, by := range map[string]func(*stage) func(name, version string, how ...string) port.Release{
		"kubernetes": func(s *stage) func(string, string, ...string) port.Release { return s.release },
		"kserve":     func(s *stage) func(string, string, ...string) port.Release { return s.infers },
	} {
		t.Run(target, func(t *testing.T) {
			t.Parallel()
			s, b := onBranch(t)
			release := delivered(by(s))
			old := release("one", "v1")
			l := s.apply(old)
			resume := s.double.Halt("gitops")
			next := release("one", "v2")
			next.Timeout = time.Second
			s.refused(next, fault.Transient, "is written to models/prod/one.yaml of branch environments/prod", "see that Argo CD or Flux applies that branch to namespace "+kubetest.Namespace)
			written := b.commits()
			if now := s.observe("one"); now.Key != old.Key || now.Health != port.Ready || s.ask(l, "/") != "v1" {
				t.Errorf("what served is %+v", now)
			}
			s.refused(next, fault.Transient, "is written to", "")
			if b.commits() != written {
				t.Errorf("waiting writes %q", b.log[written:])
			}
			resume()
			next.Timeout = time.Minute
			if s.apply(next); s.ask(l, "/") != "v2" {
				t.Error("the new one does not answer")
			}
		})
	}
}

func TestADeliveredReleaseThatDoesNotBecomeReadyIsTakenBack(t *testing.T) {
	t.Parallel()
	for target, by := range map[string]func(*stage) func(name, version string, how ...string) port.Release{
		"kubernetes": func(s *stage) func(string, string, ...string) port.Release { return s.release },
		"kserve":     func(s *stage) func(string, string, ...string) port.Release { return s.infers },
	} {
		t.Run(target, func(t *testing.T) {
			t.Parallel()
			s, b := onBranch(t)
			release := delivered(by(s))
			s.refused(release("one", "v0", "exit"), fault.Invalid, "no such column", "")
			if b.at(deliveredTo) != "" || len(s.double.Objects("secrets")) > 0 {
				t.Errorf("of the first the branch has\n%s\nand the cluster %v", b.at(deliveredTo), s.double.Objects("secrets"))
			}
			l := s.apply(release("one", "v1"))
			was := b.at(deliveredTo)
			s.refused(release("one", "v2", "exit"), fault.Invalid, "no such column", "")
			if b.at(deliveredTo) != was || !strings.HasPrefix(b.log[len(b.log)-1], "Take back one-") {
				t.Errorf("the branch has\n%s\nby %q", b.at(deliveredTo), b.log)
			}
			s.until("the old one is told as it was", func() bool { now := s.observe("one"); return now.Health == port.Ready && now.Message == "" })
			if s.ask(l, "/") != "v1" || len(s.double.Objects("secrets")) != 1 {
				t.Errorf("the old one does not answer, or of Secrets there are %v", s.double.Objects("secrets"))
			}
		})
	}
}

func TestHowItIsDeliveredDoesNotChangeUnderWhatServes(t *testing.T) {
	t.Parallel()
	for _, lost := range []bool{false, true} { // a new replica has no record
		t.Run(fmt.Sprintf("lost %v", lost), func(t *testing.T) {
			t.Parallel()
			howItIsDelivered(t, lost)
		})
	}
}

func howItIsDelivered(t *testing.T, lost bool) {
	s, b := onBranch(t)
	release := delivered(s.release)
	s.apply(release("one", "v1"))
	if lost {
		s.loses()
		copied := s.double.Objects("deployments")
		for _, raw := range copied { // and somebody made another with its labels
			var o map[string]any
			if err := json.Unmarshal([]byte(raw), &o); err != nil {
				t.Fatal(err)
			}
			meta := o["metadata"].(map[string]any)
			o["metadata"] = map[string]any{"name": "a-copy", "labels": meta["labels"]}
			s.double.Put("deployments", o)
		}
	}
	for what, change := range map[string]func(r *port.Release){
		"applied":        func(r *port.Release) { r.Git = nil },
		"another folder": func(r *port.Release) { r.Git.Path = "models/other" },
	} {
		r := release("one", "v2")
		change(&r)
		if _, err := s.server.Apply(t.Context(), r); fault.Of(err) != fault.Conflict || !strings.Contains(fault.HintOf(err), "under another name") {
			t.Errorf("%s: %v (%s)", what, err, fault.HintOf(err))
		}
	}
	if len(b.files) != 1 {
		t.Errorf("the branch has %v", b.files)
	}
}

// TestARetiredDeliveryIsFoundByWhoLostWhatWasRecorded: its objects say where they are written.
func TestARetiredDeliveryIsFoundByWhoLostWhatWasRecorded(t *testing.T) {
	t.Parallel()
	for target, by := range map[string]func(*stage) func(name, version string, how ...string) port.Release{
		"kubernetes": func(s *stage) func(string, string, ...string) port.Release { return s.release },
		"kserve":     func(s *stage) func(string, string, ...string) port.Release { return s.infers },
	} {
		t.Run(target, func(t *testing.T) {
			t.Parallel()
			s, b := onBranch(t)
			release := delivered(by(s))
			s.apply(release("one", "v1"))
			lost := s.o
			lost.Dir = t.TempDir()
			s.server = New(lost)
			s.apply(release("one", "v2")) // and what stood there goes on until then
			lost.Dir = t.TempDir()
			s.server = New(lost)
			s.apply(port.Release{Name: "one"})
			if b.at(deliveredTo) != "" || len(s.double.Objects("secrets"))+len(s.double.Objects("deployments")) > 0 {
				t.Errorf("the branch has %q, and the cluster %v", b.at(deliveredTo), s.double.Objects("secrets"))
			}
		})
	}
}
