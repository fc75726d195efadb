// Laws of deployments that serve a package: it is packed first, and it is the one of the model that serves.

package pass

import (
	"context"
	"strings"
	"testing"

	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/engine/ledger"
	"github.com/vishwaops/vishwa/reconciler/port"
)

// packer keeps nothing: a package is named after its model.
type packer struct{}

func (packer) Inspect(context.Context, port.Registry, port.Packed, []string) (port.PackageState, error) {
	return port.PackageState{}, nil
}

func (packer) Push(_ context.Context, p port.Package) (port.Packed, error) {
	out := port.Packed{Repository: p.At.Repository, Digest: packedOf(p.Model.Digest), ModelPack: p.Model.Digest}
	if p.Image != nil {
		out.Serving = &port.PackedImage{Platform: p.Image.Platform, Digest: digest.Of([]byte(p.Image.Code.Digest() + p.Model.Digest)), Base: p.Image.Base}
	}
	return out, nil
}

func (packer) Publish(_ context.Context, _ port.Registry, p port.Packed, _ [][]byte, _ port.PackageTags) (port.Packed, error) {
	return p, nil
}

func packedOf(model digest.Digest) digest.Digest { return digest.Of([]byte("package of " + model)) }

func TestADeploymentServesThePackageOfItsModelAlsoAfterARollback(t *testing.T) {
	serving := replaced("target: {local: {run: [python, s.py], code: [s.py]}}", "target: {kserve: {cluster: prod, modelFormat: json, package: package/m}}")
	cluster := replaced("spec: {environments:", "spec: {clusters: {prod: {namespace: served}}, environments:")
	packs := with("vishwa/package.yaml", "apiVersion: vishwa.dev/v1alpha1\nkind: Package\nmetadata: {name: m}\nspec: {model: model/m, oci: {repository: registry.example.com/team/m}}\n")
	h, w := newHouse(tree(serving, cluster, packs))
	h.Packager, h.Signer.Statement = packer{}, notary{}.Sign
	at := ref("deployment/s")
	serves := func(what string) *ledger.Entry {
		t.Helper()
		facts, err := w.Facts(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		e, r := facts.Latest[at], w.served["s"]
		if want := "registry.example.com/team/m@" + string(packedOf(e.Model.Artifact.Digest)); r.Package != want || r.Model.Digest != e.Model.Artifact.Digest || r.KServe == nil {
			t.Fatalf("%s: it serves %s, want %s", what, r.Package, want)
		}
		return e
	}
	apply(t, h)
	first := serves("at first")
	h.commit(w, two, tree(serving, cluster, packs, replaced("auc: 0.9", "auc: 0.95")))
	apply(t, h)
	if second := serves("another model"); second.Model.Artifact.Digest == first.Model.Artifact.Digest {
		t.Fatal("the second model is the first")
	}
	if out, err := h.Rollback(t.Context(), Rollback{To: first, Reason: "too dear"}); err != nil || out.Err() != nil {
		t.Fatal(err, out.Err())
	}
	if e := serves("rolled back"); e.Model.Artifact.Digest != first.Model.Artifact.Digest {
		t.Errorf("it serves the model %s", e.Model.Artifact.Digest)
	}
}

// TestARollbackGoesToTheImageThatServedThen: of one model there may be several, with other code.
func TestARollbackGoesToTheImageThatServedThen(t *testing.T) {
	serving := replaced("target: {local: {run: [python, s.py], code: [s.py]}}", "target: {docker: {package: package/m}}")
	packs := with("vishwa/package.yaml", "apiVersion: vishwa.dev/v1alpha1\nkind: Package\nmetadata: {name: m}\nspec:\n  model: model/m\n  oci: {repository: registry.example.com/team/m}\n"+
		"  image: {base: 'registry.example.com/python@sha256:0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a', run: [python3, s.py], code: [s.py], params: {k: 1}}\n")
	h, w := newHouse(tree(serving, packs))
	h.Packager, h.Signer.Statement = packer{}, notary{}.Sign
	apply(t, h)
	first := w.served["s"]
	if d := first.Docker; d == nil || !first.Contained || !strings.HasPrefix(d.Image, "registry.example.com/team/m@sha256:") || strings.Join(d.Command, " ") != "python3 s.py" || first.Params["k"] == nil || len(d.Code) > 0 {
		t.Fatalf("it serves %+v of %+v", first, first.Docker)
	}
	facts, err := w.Facts(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	to := facts.Latest[ref("deployment/s")]
	h.commit(w, two, tree(serving, packs, with("s.py", "# other\n")))
	apply(t, h)
	if now := w.served["s"]; now.Docker.Image == first.Docker.Image || now.Model.Digest != first.Model.Digest {
		t.Fatal("other code is the same image")
	}
	if out, err := h.Rollback(t.Context(), Rollback{To: to, Reason: "wrong"}); err != nil || out.Err() != nil {
		t.Fatal(err, out.Err())
	}
	if back := w.served["s"]; back.Docker.Image != first.Docker.Image {
		t.Errorf("it serves %s again, and served %s", back.Docker.Image, first.Docker.Image)
	}
}
