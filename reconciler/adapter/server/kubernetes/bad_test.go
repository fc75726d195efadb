// Each way in which a release does not come to serve has words of its own: what, where, and what to do. What
// was served goes on through all of them.

package kubernetes

import (
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/vishwaops/vishwa/reconciler/adapter/signer"
	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/engine/attest"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/machine/kube/kubetest"
	"github.com/vishwaops/vishwa/reconciler/machine/kube/owned"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/schemas"
)

// corrupt replaces an object of the store, in which pods read.
func (s *stage) corrupt(d digest.Digest, with string) {
	s.t.Helper()
	file := filepath.Join(s.dir, "store", s.o.Object(d))
	err := os.Remove(file)
	if err == nil && with != "" {
		err = os.WriteFile(file, []byte(with), 0o600)
	}
	if err != nil {
		s.t.Fatal(err)
	}
}

func TestWhatCannotServeSaysWhyAndTheOldGoesOn(t *testing.T) {
	t.Parallel()
	forbids := func(words string) func(s *stage, r *port.Release) {
		return func(s *stage, _ *port.Release) {
			s.double.Rule(func(resource string, _ map[string]any) string {
				if resource == "deployments" {
					return words
				}
				return ""
			})
		}
	}
	for name, c := range map[string]struct {
		how        func(s *stage, r *port.Release)
		kind       fault.Kind
		words, way string
	}{
		"an image that is not there": {func(_ *stage, r *port.Release) { r.Kubernetes.Image = noSuch }, fault.Invalid,
			"its image " + noSuch + " cannot be pulled", "pullSecrets"},
		"an image of the worker that is not there": {func(_ *stage, r *port.Release) { r.Kubernetes.Worker = noSuch }, fault.Invalid, "cannot be pulled", "pullSecrets"},
		"an image by tag": {func(_ *stage, r *port.Release) { r.Kubernetes.Image = "registry.example.com/serve:1" }, fault.Invalid,
			"is not named by digest", "vishwa image pin"},
		"a program that is not there": {func(_ *stage, r *port.Release) { r.Kubernetes.Run = []string{"/nowhere/serve"} }, fault.Invalid, "does not begin the command", "serving command"},
		"a program that ends":         {func(s *stage, r *port.Release) { r.Kubernetes.Run = s.words("2", "exit") }, fault.Invalid, "with exit code 3: cannot load the model: no such column", "serving command"},
		"one that never answers": {func(s *stage, r *port.Release) {
			r.Kubernetes.Run, r.Timeout = s.words("2", "never"), 2*time.Second
		}, fault.Invalid, "within 2s: ", ""},
		"readiness that flaps": {func(s *stage, r *port.Release) {
			r.Kubernetes.Run, r.Timeout = s.words("2", "flaps"), 4*time.Second
			s.o.Steady = 2 * time.Second
			s.server = New(s.o)
		}, fault.Invalid, "within 4s: ", ""},
		"a quota": {func(s *stage, r *port.Release) {
			s.t.Cleanup(s.double.UseUp("team"))
			r.Timeout = 5 * time.Second
		}, fault.Transient, "exceeded quota: team", "larger quota"},
		"a webhook": {forbids(`admission webhook "images.example.com" denied the request: no images of the internet`), fault.Invalid,
			"a rule of the cluster refuses it", ""},
		"a namespace on its way out": {forbids(kubetest.Terminating), fault.Transient, "namespace " + kubetest.Namespace + " is being deleted", "make the namespace again"},
		"more than any node has":     {func(_ *stage, r *port.Release) { r.Kubernetes.Resources.CPU = "1000" }, fault.Invalid, "no node has 1k cores", "add a node"},
		"a model that is gone from the store": {func(s *stage, r *port.Release) { s.corrupt(r.Model.Files[0].Digest, "") }, fault.Invalid,
			"it cannot bring the model: with exit code 3: bring model/model.json", "store"},
		"a model that somebody changed in the store": {func(s *stage, r *port.Release) { s.corrupt(r.Model.Files[0].Digest, "weights of another") }, fault.Invalid,
			"its bytes are not what they are named", "store"},
		"a model that was not signed":  {func(_ *stage, r *port.Release) { r.Signature = "" }, fault.Invalid, "has no signature", "release the model again"},
		"a signature of another model": {func(s *stage, r *port.Release) { r.Signature = s.release("two", "9").Signature }, fault.Denied, "is not what was signed", "do not serve it"},
		"a key that nobody trusts": {func(s *stage, r *port.Release) {
			dir := filepath.Join(s.t.TempDir(), "theirs")
			if err := signer.Generate(dir, []byte("theirs")); err != nil {
				s.t.Fatal(err)
			}
			said, _ := attest.StateModel("one", r.Model.Files)
			raw, err := signer.Open(dir, func() ([]byte, error) { return []byte("theirs"), nil }).Sign(s.t.Context(), port.Build, said)
			if err != nil {
				s.t.Fatal(err)
			}
			r.Signature, _ = s.put(string(raw))
		}, fault.Denied, "signed by a key that is not trusted", "do not serve it"},
		"a log of predictions": {func(_ *stage, r *port.Release) { r.Log = &port.PredictionLog{} }, fault.Invalid, "logged by the serving host", "spec.log"},
		"more isolation":       {func(_ *stage, r *port.Release) { r.Isolation = "a virtual machine" }, fault.Refused, "isolation", "ask for less"},
		"no such cluster":      {func(_ *stage, r *port.Release) { r.Kubernetes.Cluster = "staging" }, fault.Invalid, "no cluster staging", "spec.clusters"},
		"more files than a Secret can name": {func(s *stage, r *port.Release) {
			r.Inputs = map[string][]byte{"serving": []byte(noise(2 << 20))}
		}, fault.Invalid, "a Secret holds", "fewer"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := onDouble(t)
			old := s.release("one", "1")
			l := s.apply(old)
			r := s.release("one", "2")
			c.how(s, &r)
			s.refused(r, c.kind, c.words, c.way)
			s.double.Rule(func(string, map[string]any) string { return "" })
			if now := s.observe("one"); now.Key != old.Key || now.Health != port.Ready || now.Message != "" || now.Restarts != 0 {
				t.Errorf("observed %+v", now)
			}
			if got := s.ask(l, "/"); got != "1" {
				t.Errorf("%s answers", got)
			}
			s.until("nothing of it is left", func() bool { return len(s.double.Objects("deployments")) == 1 && len(s.double.Objects("secrets")) == 1 })
		})
	}
}

// noise is text that does not become small.
func noise(n int) string {
	var b strings.Builder
	for i := 0; b.Len() < n; i++ {
		b.WriteString(digest.Of([]byte{byte(i), byte(i >> 8), byte(i >> 16)}).Hex())
	}
	return b.String()
}

// Whoever can change the Secret of a pod changes nothing of what it serves.
func TestASecretThatWasChangedServesNothing(t *testing.T) {
	t.Parallel()
	s := onDouble(t)
	s.apply(s.release("one", "1"))
	s.apply(s.release("two", "2"))
	theirs := ""
	for name, raw := range s.double.Objects("secrets") {
		if strings.HasPrefix(name, "two-") {
			_, theirs, _ = strings.Cut(raw, `"release":"`)
			theirs, _, _ = strings.Cut(theirs, `"`)
		}
	}
	for name := range s.double.Objects("secrets") {
		if strings.HasPrefix(name, "one-") {
			s.double.Edit("secrets", name, "kubectl-edit", "", func(o map[string]any) { o["data"].(map[string]any)["release"] = theirs })
		}
	}
	for _, pod := range s.double.Pods(labelUnit, s.unit("one")) {
		s.double.Delete("pods", pod)
	}
	s.until("it is told", func() bool {
		return strings.Contains(s.observe("one").Message, "somebody changed the Secret of this pod")
	})
	s.apply(port.Release{Name: "two"})
}

// Nor what brings it: the pod itself names the worker's program, which its Secret says the place of.
func TestAPodNamesTheWorkerThatItFetches(t *testing.T) {
	t.Parallel()
	s := onDouble(t)
	r := s.release("one", "1")
	r.Kubernetes.Worker = ""
	made := func(text string) *work {
		file := filepath.Join(t.TempDir(), "worker")
		if err := os.WriteFile(file, []byte(text), 0o700); err != nil {
			t.Fatal(err)
		}
		s.o.Worker = func(string) (string, error) { return file, nil }
		server := New(s.o).(*server)
		p, _ := server.shape(standing{}).part(r)
		w, err := server.plan(t.Context(), r, p)
		if err != nil {
			t.Fatal(err)
		}
		return w
	}
	one, two := made("of today"), made("of tomorrow")
	if one.Unit != two.Unit {
		t.Errorf("%s and %s: a newer worker makes another unit of the same release", one.Unit, two.Unit)
	}
	for text, w := range map[string]*work{"of today": one, "of tomorrow": two} {
		raw, err := json.Marshal(w.unit.Body)
		if err != nil {
			t.Fatal(err)
		}
		for _, arch := range []string{"AMD64", "ARM64"} {
			if pin := `{"name":"VISHWA_WORKER_` + arch + `","value":"` + string(digest.Of([]byte(text))) + `"}`; !strings.Contains(string(raw), pin) {
				t.Errorf("the pod does not say %s: %s", pin, raw)
			}
		}
	}
	// What is lent later, by whatever version, is what the pods were made with.
	w := work{standing: one.standing, server: two.server, name: "one"}
	data, err := w.secret(port.Grant{Read: map[string]string{}}, w.Bring.Workers)
	if err != nil || !strings.Contains(string(data[workerKey]), digest.Of([]byte("of today")).Hex()) {
		t.Errorf("%s, %v", data[workerKey], err)
	}
}

// Words of a command are given on as they are: none is the name of a variable to the cluster.
func TestWordsAreWhatTheyAre(t *testing.T) {
	t.Parallel()
	words := []string{"$(VISHWA_PORT)", "$$(VISHWA_PORT)", "$$$(VISHWA_PORT)", "$$", "a$b", "$(", "5$"}
	for i, word := range escaped(words) {
		if got := kubetest.Expanded(word, []string{"VISHWA_PORT=8080"}); got != words[i] {
			t.Errorf("%q comes as %q", words[i], got)
		}
	}
}

// A pod that dies is another's to replace, and counted.
func TestAContainerThatDiesIsBegunAgain(t *testing.T) {
	t.Parallel()
	s := onDouble(t)
	l := s.apply(s.release("one", "1"))
	s.double.Strike(s.double.Pods(labelUnit, s.unit("one"))[0])
	s.until("it is begun again", func() bool { return s.observe("one").Restarts == 1 })
	s.until("it serves again", func() bool { _, serves := s.double.Endpoint("one"); return serves })
	if got := s.ask(l, "/"); got != "1" {
		t.Errorf("%s answers", got)
	}
}

// A record that was not written here is not believed, and nothing is done by it.
func TestARecordOfSomebodyElseIsNotBelieved(t *testing.T) {
	t.Parallel()
	s := onDouble(t)
	r := s.release("one", "1")
	s.apply(r)
	file := filepath.Join(s.o.Dir, "one.json")
	raw, err := os.ReadFile(file)
	if err == nil {
		err = os.WriteFile(file, []byte(strings.Replace(string(raw), "prod", "else", 1)), 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.server.Observe(t.Context(), "one"); fault.Of(err) != fault.Corrupt || !strings.Contains(fault.HintOf(err), "remove "+file) {
		t.Errorf("observed %v (%s)", err, fault.HintOf(err))
	}
	if err := os.Remove(file); err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	pods := s.double.Pods(labelUnit, "")
	if l := s.apply(r); l.Restarts != 0 || l.Key != r.Key { // found by its labels
		t.Errorf("applied %+v after %v", l, pods)
	}
	if n := len(s.double.Objects("deployments")); n != 1 {
		t.Errorf("%d Deployments", n)
	}
}

// What another replica made is found by its labels, and taken away.
func TestWhatIsNotRecordedHereIsFoundAndRetired(t *testing.T) {
	t.Parallel()
	s := onDouble(t)
	s.apply(s.release("one", "1"))
	s.apply(s.release("two", "1"))
	s.o.Dir = filepath.Join(s.dir, "another replica")
	s.server = New(s.o)
	if l := s.observe("one"); l != (port.Live{}) {
		t.Errorf("observed %+v", l)
	}
	end := s.double.Outage()
	s.refused(port.Release{Name: "one"}, fault.Transient, "look on cluster prod for what is served as one", "")
	end()
	s.until("the server answers", func() bool {
		_, err := s.server.Apply(t.Context(), port.Release{Name: "one"})
		return err == nil
	})
	if n := len(s.double.Objects("deployments")); n != 1 || len(s.double.Objects("services")) != 1 {
		t.Errorf("%d Deployments are left", n)
	}
}

// The longest name that a Service may have is served: the names of its pods are cut, and are known all the same.
func TestTheLongestNameIsServed(t *testing.T) {
	t.Parallel()
	s := onDouble(t)
	name := strings.Repeat("n", 63)
	s.apply(s.release(name, "1"))
	if l := s.apply(s.release(name, "2")); l.Health != port.Ready || s.ask(l, "/v2/health/ready") == "" {
		t.Errorf("it stands as %+v", l)
	}
}

// The pods of a node that is lost never end. That is said, and holds nobody up for good.
func TestWhatDoesNotEndIsSaid(t *testing.T) {
	t.Parallel()
	s := onDouble(t)
	s.apply(s.release("one", "1"))
	now := time.Now()
	s.o.Env.Now = func() time.Time { now = now.Add(owned.EndWithin); return now } // the second time that it is asked is too late
	s.server = New(s.o)
	s.double.Edit("deployments", s.unit("one"), "someone", "", func(o map[string]any) {
		o["metadata"].(map[string]any)["finalizers"] = []any{"example.com/hold"}
	})
	s.refused(port.Release{Name: "one"}, fault.Transient, "is still there", "get pods -l vishwa.dev/serves=one")
	s.until("only what is held is left", func() bool { return len(s.double.Objects("pods")) == 0 })
	s.double.Edit("deployments", s.unit("one"), "someone", "", func(o map[string]any) {
		delete(o["metadata"].(map[string]any), "finalizers")
	})
	s.o.Env.Now = time.Now
	s.server = New(s.o)
	s.until("it is gone", func() bool {
		_, err := s.server.Apply(t.Context(), port.Release{Name: "one"})
		return err == nil && len(s.double.Objects("deployments")) == 0
	})
}

// A cluster without the Gateway API says so before anything is made.
func TestAKindThatTheClusterDoesNotHaveIsSaid(t *testing.T) {
	t.Parallel()
	s := onDouble(t, func(o *kubetest.Options) { o.Lacks = []string{"httproutes"} })
	r := s.release("one", "1")
	s.apply(r)
	r = s.release("one", "2")
	r.Kubernetes.Route = &schemas.Route{Gateway: "public", Host: "one.example.com"}
	s.refused(r, fault.Invalid, "has no httproutes.gateway.networking.k8s.io", "install what brings")
	s.apply(port.Release{Name: "one"})
}
