// A project serves from its cluster, wired as a controller wires it: out of a store in S3, by requests that
// were signed ahead, with the keys of trust.yaml.

package app

import (
	"bytes"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/vishwaops/vishwa/reconciler/adapter/gitledger"
	"github.com/vishwaops/vishwa/reconciler/adapter/repo"
	"github.com/vishwaops/vishwa/reconciler/adapter/server"
	"github.com/vishwaops/vishwa/reconciler/adapter/signer"
	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/engine/attest"
	"github.com/vishwaops/vishwa/reconciler/engine/trust"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/machine/gitstore/gittest"
	"github.com/vishwaops/vishwa/reconciler/machine/kube/kubetest"
	"github.com/vishwaops/vishwa/reconciler/machine/seal"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/reconciler/port/porttest/built"
	"github.com/vishwaops/vishwa/reconciler/port/porttest/peers"
	"github.com/vishwaops/vishwa/schemas"
)

// clusterProject is a project with a cluster, and a release of its model.
type clusterProject struct {
	cluster *kubetest.Cluster
	h       *Repository
	place   StoreRef
	release port.Release
	open    func(place StoreRef) port.Server
}

func newClusterProject(t *testing.T) clusterProject {
	t.Helper()
	const image = "registry.example.com/serve@sha256:0000000000000000000000000000000000000000000000000000000000000001"
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	tiny := built.Once(t, "internal/tinyserver")
	c := kubetest.New(t, kubetest.Options{Images: []string{image}, Programs: map[string][]string{"/vishwa-worker": {tiny}, "serve": {tiny, "files"}}})
	web := httptest.NewServer(peers.S3())
	t.Cleanup(web.Close)
	state := t.TempDir()
	vars := map[string]string{"KUBECONFIG": c.Kubeconfig(), "AWS_ACCESS_KEY_ID": "us", "AWS_SECRET_ACCESS_KEY": "ours", "HOME": state}
	env := port.Env{Now: time.Now, Log: slog.New(slog.DiscardHandler), Self: self, Lookup: func(name string) (string, bool) { v, ok := vars[name]; return v, ok }}
	place := StoreRef{Dir: filepath.Join(state, "store"), Away: &schemas.Store{S3: &schemas.S3{URL: "s3://artifacts/vishwa", Endpoint: web.URL}}}
	kept, err := OpenStore(place, env)
	if err != nil {
		t.Fatal(err)
	}
	keys, password := filepath.Join(state, "keys"), func() ([]byte, error) { return []byte("password"), nil }
	if err := signer.Generate(keys, []byte("password")); err != nil {
		t.Fatal(err)
	}
	public, err := os.ReadFile(filepath.Join(keys, "build.pub"))
	if err != nil {
		t.Fatal(err)
	}
	sealed, err := seal.KeyOf(bytes.Repeat([]byte("k"), 32))
	if err != nil {
		t.Fatal(err)
	}
	put := func(text string) digest.Digest {
		d, _, err := kept.Put(t.Context(), strings.NewReader(text))
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
	files := digest.Manifest{{Path: "model.json", Digest: put("weights"), Size: 7}}
	said, err := attest.StateModel("churn", files)
	if err != nil {
		t.Fatal(err)
	}
	bundle, err := signer.Open(keys, password).Sign(t.Context(), port.Build, said)
	if err != nil {
		t.Fatal(err)
	}
	r := port.Release{Name: "churn", Key: digest.Of([]byte("churn")), Model: port.Artifact{Digest: files.Digest(), Size: 7, Files: files}, Signature: put(string(bundle)),
		Ready: "/model.json", Timeout: time.Minute, Kubernetes: &port.KubernetesRelease{}}
	r.Kubernetes.Cluster, r.Kubernetes.Image, r.Kubernetes.Worker, r.Kubernetes.Run = "prod", image, image, []string{"serve"}

	h := &Repository{Paths: Paths{State: state}, Trust: &trust.Trust{Controllers: map[string]trust.Controller{"main": {Keys: map[port.Role][]byte{port.Build: public}}}}}
	project := &schemas.Project{Clusters: map[string]schemas.Cluster{"prod": {Namespace: kubetest.Namespace}}}
	open := func(place StoreRef) port.Server {
		return h.serving(Options{Env: env}, project, place, sealed, server.Config{Env: env, Store: kept, Dir: filepath.Join(state, "serving"), Seal: filepath.Join(state, "seal", "key")})
	}
	return clusterProject{c, h, place, r, open}
}

func TestAProjectServesFromItsCluster(t *testing.T) {
	p := newClusterProject(t)
	c, place, r, open := p.cluster, p.place, p.release, p.open
	if _, err := open(StoreRef{Dir: place.Dir}).Apply(t.Context(), r); fault.Of(err) != fault.Invalid || !strings.Contains(fault.HintOf(err), "spec.store.s3") {
		t.Errorf("a store that is a folder: %v (%s)", err, fault.HintOf(err))
	}
	s := open(place)
	l, err := s.Apply(t.Context(), r)
	if err != nil || l.Bytes != port.BytesVerified || l.URL != "http://churn.team-a.svc" {
		t.Fatalf("%+v, %v (%s)", l, err, fault.HintOf(err))
	}
	at, ok := c.Endpoint("churn")
	if !ok {
		t.Fatal("the Service has no pod")
	}
	a, err := http.Get("http://" + at + "/model.json")
	if err != nil {
		t.Fatal(err)
	}
	defer a.Body.Close()
	if raw, _ := io.ReadAll(a.Body); string(raw) != "weights" {
		t.Errorf("it serves %q", raw)
	}
	if seen, err := open(place).Observe(t.Context(), "churn"); err != nil || seen.Key != r.Key || seen.Health != port.Ready {
		t.Errorf("observed %+v, %v", seen, err)
	}
	for _, raw := range c.Objects("deployments") {
		if strings.Contains(raw, "Signature=") || strings.Contains(raw, "ours") {
			t.Error("a Deployment holds what only its Secret may")
		}
	}
	if _, err := s.Apply(t.Context(), port.Release{Name: "churn"}); err != nil {
		t.Error(err)
	}
}

// TestAProjectDeliversOnABranchOfItsRemote: with the keys of its controller, and not where its declarations are.
func TestAProjectDeliversOnABranchOfItsRemote(t *testing.T) {
	p := newClusterProject(t)
	remote, clones := gittest.NewClones(t, 1)
	checkout, err := repo.Open(clones[0], repo.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = checkout.Close() })
	n := &gittest.Notary{}
	book, err := gitledger.Open(checkout.Place(), gitledger.Options{Signer: n, Verifier: n, Now: time.Now, SSH: func() (ssh.Signer, error) { return gittest.SSHKey(t), nil }})
	if err != nil {
		t.Fatal(err)
	}
	p.h.Repo, p.h.GitLedger = checkout, book
	p.cluster.Follow(func() []byte {
		text, _ := exec.Command("git", "-C", remote, "show", "environments/prod:models/churn.yaml").Output() // none where it is not there
		return text
	})
	s, r := p.open(p.place), p.release
	r.Git = &schemas.GitDelivery{Branch: "environments/prod", Path: "models"}
	if l, err := s.Apply(t.Context(), r); err != nil || l.Health != port.Ready || l.Key != r.Key {
		t.Fatalf("%+v, %v (%s)", l, err, fault.HintOf(err))
	}
	if n := gittest.Git(t, remote, "rev-list", "--count", "environments/prod"); n != "2" {
		t.Errorf("the branch has %s commits", n)
	}
	if l, err := p.open(p.place).Observe(t.Context(), "churn"); err != nil || l.Health != port.Ready {
		t.Errorf("observed %+v, %v", l, err)
	}
	refs := gittest.Git(t, remote, "for-each-ref")
	for _, branch := range []string{gittest.Git(t, remote, "symbolic-ref", "--short", "HEAD"), "vishwa/ledger"} {
		other := r
		other.Name, other.Git = "other", &schemas.GitDelivery{Branch: branch, Path: "models"}
		if _, err := s.Apply(t.Context(), other); fault.Of(err) != fault.Denied {
			t.Errorf("on branch %s: %v", branch, err)
		}
	}
	if now := gittest.Git(t, remote, "for-each-ref"); now != refs {
		t.Errorf("refs have moved:\n%s\nwere\n%s", now, refs)
	}
	if _, err := s.Apply(t.Context(), port.Release{Name: "churn"}); err != nil {
		t.Error(err)
	}
	if left := gittest.Git(t, remote, "ls-tree", "-r", "--name-only", "environments/prod"); left != "" || len(p.cluster.Objects("deployments")) > 0 {
		t.Errorf("the branch has %s, and the cluster %v", left, p.cluster.Objects("deployments"))
	}
}
