// What an error tells of the machine is for its user.

package pass

import (
	"context"
	"encoding/json"
	"io/fs"
	"strings"
	"syscall"
	"testing"

	"github.com/vishwaops/vishwa/reconciler/engine/ledger"
	"github.com/vishwaops/vishwa/reconciler/engine/plan"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/port"
)

// ailing gives an error, by whatever is asked.
type ailing struct {
	packer
	port.Provisioner
	err error
}

func (a ailing) Inspect(context.Context, port.Registry, port.Packed, []string) (port.PackageState, error) {
	return port.PackageState{}, a.err
}

func (a ailing) Diff(context.Context, port.Infrastructure) (port.Change, error) {
	return port.Change{}, a.err
}

// whole is a project with one of all that is asked how it stands, applied.
func whole(t *testing.T) *Reconciler {
	t.Helper()
	h, _ := newHouse(tree(infra(""), with("vishwa/package.yaml", "apiVersion: vishwa.dev/v1alpha1\nkind: Package\nmetadata: {name: m}\nspec: {model: model/m, oci: {repository: registry.example.com/team/m}}\n")))
	h.Packager, h.Signer.Statement, h.Provisioner = packer{}, notary{}.Sign, &ground{}
	apply(t, h)
	return h
}

// planned is what h plans for the work tree, and what others read of it.
func planned(t *testing.T, h *Reconciler) (p plan.Plan, open string) {
	t.Helper()
	seen, err := h.Preview(t.Context())
	if err == nil {
		p, err = h.Plan(t.Context(), seen, ApplyOptions{})
	}
	if err != nil {
		t.Fatal(err)
	}
	raw, err := json.Marshal(p)
	if err != nil {
		t.Fatal(err)
	}
	return p, string(raw)
}

// TestWhereThingsAreOnAMachineIsNotToldToOthers: neither of registries nor of infrastructure that could not be looked at.
func TestWhereThingsAreOnAMachineIsNotToldToOthers(t *testing.T) {
	const folder = "/srv/controller"
	h := whole(t)
	h.Packager = ailing{err: fault.WithHint(fault.New(fault.Denied, folder+"/config.json has no credentials for 10.0.0.7:5000"), "try docker login 10.0.0.7:5000")}
	h.Provisioner = ailing{err: fault.New(fault.Internal, "stack db: %w", &fs.PathError{Op: "mkdir", Path: folder + "/stacks/db", Err: syscall.EACCES})}
	p, open := planned(t, h)
	for name, c := range map[string]struct{ why, aside string }{
		"package/m":         {plan.NotKnown + ": it could not be asked", folder + "/config.json has no credentials for 10.0.0.7:5000 (try docker login 10.0.0.7:5000)"},
		"infrastructure/db": {"stack db: mkdir db: permission denied", "stack db: mkdir " + folder + "/stacks/db: permission denied"},
	} {
		if s := step(t, p, name); s.Why != c.why || s.Aside != c.aside {
			t.Errorf("%s: %q, aside %q", name, s.Why, s.Aside)
		}
	}
	for _, ours := range []string{folder, "10.0.0.7"} {
		if strings.Contains(open, ours) {
			t.Errorf("others read of %s: %s", ours, open)
		}
	}
}

// TestWhereThingsAreOnAMachineIsNotRecorded: who runs a command reads where a folder cannot be written, and the ledger has its name.
func TestWhereThingsAreOnAMachineIsNotRecorded(t *testing.T) {
	h, w := newHouse(tree())
	defer h.failing(w, fault.New(fault.Internal, "lay s out: %w", &fs.PathError{Op: "mkdir", Path: "/srv/controller/serving/s", Err: syscall.EACCES}))()
	r, err := h.Apply(t.Context(), ApplyOptions{})
	if err != nil || !strings.Contains(r.Err().Error(), "mkdir /srv/controller/serving/s: permission denied") {
		t.Fatalf("%v, %v", err, r.Err())
	}
	last := w.list[len(w.list)-1]
	if last.Action != ledger.Fail || !strings.Contains(last.Failure.Message, "lay s out: mkdir s: permission denied") {
		t.Errorf("it is recorded as %s: %+v", last.Action, last.Failure)
	}
}
