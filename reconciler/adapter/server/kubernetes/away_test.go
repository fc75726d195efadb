// A cluster that is away, was made anew, or does not take away what it is told to.

package kubernetes

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/machine/kube/owned"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/schemas"
)

// A cluster that was made anew under the same name is not the one that we served on.
func TestAClusterMadeAnewIsAConflict(t *testing.T) {
	t.Parallel()
	s := onDouble(t)
	r := s.release("one", "1")
	s.apply(r)
	s.double.Anew()
	now := s.observe("one")
	if now.Health != port.Failing || !strings.Contains(now.Message, "is not the one that it was served on") || !strings.Contains(now.Message, "uid: ") {
		t.Fatalf("observed %+v", now)
	}
	s.refused(r, fault.Conflict, "is not the one", "set uid: ")
	if n := len(s.double.Objects("deployments")); n > 0 {
		t.Fatalf("%d Deployments were made on another cluster", n)
	}
	s.refused(port.Release{Name: "one"}, fault.Conflict, "is not the one", "will not come back")
	var ns struct {
		Metadata struct {
			UID string `json:"uid"`
		} `json:"metadata"`
	}
	if err := json.Unmarshal([]byte(s.double.Objects("namespaces")["kube-system"]), &ns); err != nil {
		t.Fatal(err)
	}
	at := s.at
	at.UID = ns.Metadata.UID
	s.o.Clusters = map[string]schemas.Cluster{"prod": at}
	s.server = New(s.o)
	if got := s.ask(s.apply(r), "/"); got != "1" {
		t.Errorf("%s answers", got)
	}
	s.apply(port.Release{Name: "one"})
	at.UID = "another"
	s.o.Clusters = map[string]schemas.Cluster{"prod": at}
	s.server = New(s.o)
	s.refused(r, fault.Conflict, "is another cluster than the declared one", "spec.clusters")
}

// An object whose label somebody took away is not ours any more, and not changed.
func TestWhatLostOurLabelIsNotOurs(t *testing.T) {
	t.Parallel()
	s := onDouble(t)
	r := s.release("one", "1")
	s.apply(r)
	unit := s.unit("one")
	s.double.Edit("deployments", unit, "kubectl", "", func(o map[string]any) {
		delete(o["metadata"].(map[string]any)["labels"].(map[string]any), owned.LabelOwner)
	})
	if now := s.observe("one"); !strings.Contains(now.Message, "is not ours any more") {
		t.Errorf("observed %+v", now)
	}
	s.refused(r, fault.Conflict, "already exists, and is not Vishwa's", "adopt")
}

// What serves is not told as taken away where nobody lets us see it, or where somebody made it another object's.
func TestWhatCannotBeTakenAwayIsNotToldAsTakenAway(t *testing.T) {
	t.Parallel()
	for name, by := range map[string]func(s *stage) port.Release{
		"inferenceservices": func(s *stage) port.Release { return s.infers("one", "1") },
		"models":            func(s *stage) port.Release { return s.loads("one", "1") },
		"seldondeployments": func(s *stage) port.Release { return s.predicts("one", "1") },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := onSeldon(t)
			r := by(s)
			s.apply(r)
			object := map[string]string{"inferenceservices": "one", "seldondeployments": "one", "models": s.unit("one")}[name]
			give := s.double.Withhold(name)
			s.refused(port.Release{Name: "one"}, fault.Denied, "does not let us", "templates/kubernetes/serving.yaml")
			if len(s.double.Objects(name)) != 1 {
				t.Fatal("it is not there")
			}
			moved := s.release("one", "2")
			if _, err := s.server.Apply(t.Context(), moved); err == nil || fault.Of(err) != fault.Denied {
				t.Errorf("moved to pods: %v", err)
			}
			if _, err := s.server.Apply(t.Context(), moved); err == nil || fault.Of(err) != fault.Denied {
				t.Errorf("and again: %v", err)
			}
			give()
			s.apply(r)
			var theirs struct {
				Metadata struct {
					UID string `json:"uid"`
				} `json:"metadata"`
			}
			if err := json.Unmarshal([]byte(s.double.Objects("namespaces")["kube-system"]), &theirs); err != nil {
				t.Fatal(err)
			}
			s.double.Edit(name, object, "kubectl-edit", "", func(o map[string]any) {
				o["metadata"].(map[string]any)["ownerReferences"] = []any{map[string]any{"apiVersion": "v1", "kind": "ConfigMap", "name": "theirs", "uid": theirs.Metadata.UID}}
			})
			if now := s.observe("one"); now.Health != port.Failing || !strings.Contains(now.Message, "somebody gave it an owner (metadata.ownerReferences)") {
				t.Errorf("observed %+v", now)
			}
			s.refused(r, fault.Conflict, "already exists, and is not ours any more: somebody gave it an owner", "remove its ownerReferences")
			s.refused(port.Release{Name: "one"}, fault.Conflict, "somebody gave it an owner", "remove its ownerReferences")
			s.double.Edit(name, object, "kubectl-edit", "", func(o map[string]any) { o["metadata"].(map[string]any)["ownerReferences"] = []any{} })
			s.apply(port.Release{Name: "one"})
			if n := len(s.double.Objects(name)); n != 0 {
				t.Errorf("%d are left", n)
			}
		})
	}
}

// In an outage what serves is told as failing, with why, and nothing is forgotten.
func TestAClusterThatIsAwayHidesNothing(t *testing.T) {
	t.Parallel()
	s := onDouble(t)
	r := s.release("one", "1")
	s.apply(r)
	end := s.double.Outage()
	if now := s.observe("one"); now.Key != r.Key || now.Health != port.Failing || !strings.Contains(now.Message, "does not answer") {
		t.Errorf("observed %+v", now)
	}
	s.refused(s.release("one", "2"), fault.Transient, "does not answer", "kubectl version")
	end()
	s.until("it is seen again", func() bool { return s.observe("one").Health == port.Ready })
}

// What pods may read is lent anew long before it ends, and told where nobody did.
func TestWhatPodsMayReadIsLentAnew(t *testing.T) {
	t.Parallel()
	s := onDouble(t)
	at := time.Now()
	s.o.Env.Now = func() time.Time { return at }
	s.server = New(s.o)
	r := s.release("one", "1")
	s.apply(r)
	secrets := func() string {
		for _, raw := range s.double.Objects("secrets") {
			return raw
		}
		return ""
	}
	first := secrets()
	renew := func() {
		t.Helper()
		if err := s.server.(port.Renewer).Renew(t.Context(), "one"); err != nil {
			t.Fatal(err)
		}
	}
	at = at.Add(lentFor / 4)
	if renew(); secrets() != first {
		t.Error("it was lent anew too soon")
	}
	at = at.Add(lentFor / 4)
	if renew(); secrets() == first {
		t.Error("it was not lent anew")
	}
	if l := s.observe("one"); l.Health != port.Ready {
		t.Errorf("observed %+v", l)
	}
	at = at.Add(lentFor * 9 / 10)
	if l := s.observe("one"); l.Health != port.Failing || !strings.Contains(l.Message, "may read of the store ends at") {
		t.Errorf("observed %+v", l)
	}
	if _, err := s.server.(port.Reviver).Revive(t.Context(), "one", r.Key); err != nil {
		t.Fatal(err)
	}
	if l := s.observe("one"); l.Health != port.Ready {
		t.Errorf("observed %+v", l)
	}
	if len(s.double.Pods(labelUnit, s.unit("one"))) != 1 || s.observe("one").Restarts != 0 {
		t.Error("pods were begun anew")
	}
}

// The account uses no right that the file does not give it, and needs no other.
func TestTheRightsOfTheFileAreUsed(t *testing.T) {
	t.Parallel()
	s := onDouble(t, withServers)
	s.apply(s.everything("1"))
	s.double.Edit("services", "one", "kubectl-edit", "", func(o map[string]any) { spec(o)["sessionAffinity"] = "ClientIP" })
	s.apply(s.everything("2"))
	s.apply(port.Release{Name: "one"})
	s.apply(s.infers("two", "1"))
	s.apply(s.infers("two", "2"))
	s.apply(port.Release{Name: "two"})
	s.apply(s.hosts("three", "1"))
	s.apply(s.another("three", "2"))
	s.apply(port.Release{Name: "three"})
	s.apply(s.predicts("four", "1"))
	s.apply(s.predicts("four", "2"))
	s.apply(port.Release{Name: "four"})
	used := s.double.Used()
	for _, rule := range rights(t) {
		for _, resource := range rule.Resources {
			name := resource
			if g := rule.APIGroups[0]; g != "" {
				name += "." + g
			}
			for _, verb := range rule.Verbs {
				if !used[verb+" "+name] && verb != "create" && verb != "update" { // those of server-side apply, and of what somebody else set
					t.Errorf("%s %s is given and not used", verb, name)
				}
			}
		}
	}
}
