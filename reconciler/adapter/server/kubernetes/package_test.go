// What people rely on where pods mount a package by its digest, in place of fetching the model.

package kubernetes

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	rbacv1 "k8s.io/api/rbac/v1"

	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/machine/kube/kubetest"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/reconciler/port/porttest"
)

func packageOf(version string) string {
	return "registry.example.com/team/one@" + string(digest.Of([]byte("package of "+version)))
}

// withPackages has the registry hold packages of versions; each says that it is of one.
func withPackages(t *testing.T, versions ...string) func(*kubetest.Options) {
	t.Helper()
	dir, all := t.TempDir(), map[string]string{}
	for _, version := range versions {
		folder := filepath.Join(dir, version, "models")
		if err := os.MkdirAll(folder, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(folder, "model.json"), []byte("packed of "+version), 0o644); err != nil {
			t.Fatal(err)
		}
		all[packageOf(version)] = filepath.Dir(folder)
	}
	return func(o *kubetest.Options) { o.Packages = all }
}

// mounting has releases mount the package of their version.
func mounting(by func(name, version string, how ...string) port.Release) func(name, version string, how ...string) port.Release {
	return func(name, version string, how ...string) port.Release {
		r := by(name, version, how...)
		r.Package = packageOf(version)
		if r.KServe != nil {
			r.KServe.Worker = ""
		}
		return r
	}
}

func TestPodsMountAPackageByItsDigest(t *testing.T) {
	t.Parallel()
	s := onDouble(t, withPackages(t, "1"))
	r := mounting(s.release)("one", "1")
	l := s.apply(r)
	if l.Bytes != port.BytesByDigest || !strings.Contains(s.ask(l, "/inside"), "model packed of 1\n") {
		t.Errorf("applied %+v, and it has %s", l, s.ask(l, "/inside"))
	}
	for _, raw := range s.double.Objects("deployments") {
		if !strings.Contains(raw, `"reference":"`+r.Package+`"`) || !strings.Contains(raw, `"subPath":"models"`) {
			t.Errorf("its pods are of %s", raw)
		}
	}
	if l := s.observe("one"); l.Bytes != port.BytesByDigest || l.Health != port.Ready {
		t.Errorf("observed %+v", l)
	}
	s.refused(mounting(s.release)("one", "2"), fault.Invalid, "cannot be pulled", "registry")
	if s.ask(l, "/") != "1" {
		t.Error("the old one does not answer")
	}
	// What it was signed as is checked before it is begun, whoever mounts it.
	unsigned := mounting(s.release)("two", "1")
	unsigned.Signature = ""
	s.refused(unsigned, fault.Invalid, "has no signature", "")
	// And back: the next release is fetched and verified.
	if l := s.apply(s.release("one", "3")); l.Bytes != port.BytesVerified || !strings.Contains(s.ask(l, "/inside"), "model weights of 3\n") {
		t.Errorf("fetched again it is %+v", l)
	}
}

func TestKServeMountsAPackageAndHasNoSecret(t *testing.T) {
	t.Parallel()
	s := onDouble(t, withPackages(t, "1", "2"))
	release := mounting(s.infers)
	l := s.apply(release("one", "1"))
	if l.Bytes != port.BytesByDigest || s.ask(l, "/") != "1" || len(s.double.Objects("secrets")) > 0 {
		t.Errorf("applied %+v with %v", l, s.double.Objects("secrets"))
	}
	if raw := s.double.Objects("inferenceservices")["one"]; strings.Contains(raw, "initContainers") || strings.Contains(raw, "vishwa-ticket") {
		t.Errorf("it is %s", raw)
	}
	s.apply(s.infers("one", "3"))
	if n := len(s.double.Objects("secrets")); n != 1 {
		t.Errorf("fetched, it has %d Secrets", n)
	}
	s.apply(release("one", "2"))
	if n := len(s.double.Objects("secrets")); n != 0 || s.ask(l, "/") != "2" {
		t.Errorf("mounted again, it has %d Secrets", n)
	}
}

// TestAMountedPackageThatIsDeliveredNeedsNoRightToWrite: neither objects nor Secrets.
func TestAMountedPackageThatIsDeliveredNeedsNoRightToWrite(t *testing.T) {
	t.Parallel()
	reads := slices.DeleteFunc(rightsOf(t, Watching), func(r rbacv1.PolicyRule) bool { return slices.Contains(r.Resources, "secrets") })
	s, b := onBranch(t, withPackages(t, "1", "2"), func(o *kubetest.Options) { o.Rules = reads })
	release := delivered(mounting(s.infers))
	l := s.apply(release("one", "1"))
	s.apply(release("one", "2"))
	if s.ask(l, "/") != "2" {
		t.Error("it does not answer")
	}
	s.apply(port.Release{Name: "one"})
	if b.at(deliveredTo) != "" {
		t.Errorf("the branch has %s", b.at(deliveredTo))
	}
}

// TestPodsOfThePackagesOwnImageAreBroughtNothing: neither from the store nor from a Secret, unless the declaration passes something on.
func TestPodsOfThePackagesOwnImageAreBroughtNothing(t *testing.T) {
	t.Parallel()
	s := onDouble(t)
	r := s.release("one", "1")
	r.Package, r.Contained, r.Kubernetes.Code = packageOf("1"), true, nil
	rendered := func() string {
		t.Helper()
		of, _ := pods().part(r)
		w, err := s.server.(*server).plan(t.Context(), r, of)
		if err != nil {
			t.Fatal(err)
		}
		if w.Bytes != port.BytesByDigest {
			t.Errorf("its class is %q", w.Bytes)
		}
		raw, err := json.Marshal(w.Objects)
		if err != nil {
			t.Fatal(err)
		}
		return string(raw)
	}
	text := rendered()
	for _, unwanted := range []string{"initContainers", "vishwa-ticket", "vishwa-release", "vishwa-package", "VISHWA_MODEL_DIR", "VISHWA_PARAMS", "secretName"} {
		if strings.Contains(text, unwanted) {
			t.Errorf("they have %s: %s", unwanted, text)
		}
	}
	for _, want := range []string{`"workingDir":"/vishwa/code"`, `"vishwa-tmp"`, `"readOnlyRootFilesystem":true`, `"image":"` + r.Kubernetes.Image + `"`} {
		if !strings.Contains(text, want) {
			t.Errorf("they lack %s: %s", want, text)
		}
	}
	r.Inputs = map[string][]byte{"serving": []byte("{}")}
	if text = rendered(); !strings.Contains(text, "initContainers") || !strings.Contains(text, "VISHWA_INPUT_SERVING") || strings.Contains(text, "VISHWA_MODEL_DIR") {
		t.Errorf("with an input they are %s", text)
	}
}

func TestMountedPackagesKeepTheServersPromises(t *testing.T) {
	porttest.Server(t, func(t *testing.T) porttest.Serving {
		t.Parallel()
		s := onDouble(t, withPackages(t, "1", "2", "3", "4"))
		return s.serving(mounting(s.release))
	})
}

// TestWhatPodsAreBroughtByOutlivesAMoveFromSeldon: the release before had no Secret of its own.
func TestWhatPodsAreBroughtByOutlivesAMoveFromSeldon(t *testing.T) {
	t.Parallel()
	s := onDouble(t)
	s.apply(s.loads("one", "1"))
	s.apply(s.infers("one", "2"))
	if n := len(s.double.Objects("secrets")); n != 1 {
		t.Errorf("%d Secrets are there: a pod that is begun next finds no model", n)
	}
}
