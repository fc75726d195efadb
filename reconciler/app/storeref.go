// Where the store of artifacts is: told on the command line to processes that outlive
// this one.

package app

import (
	"context"
	"encoding/json"
	"io/fs"
	"path/filepath"
	"strings"

	"github.com/vishwaops/vishwa/reconciler/adapter/store"
	"github.com/vishwaops/vishwa/reconciler/data"
	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/machine/bucket"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/schemas"
)

// StoreRef is a folder of this machine, before a place that all machines reach where
// there is one.
type StoreRef struct {
	Dir string `json:"dir"`
	// Shared is set where a declaration names the folder: others may use it, too.
	Shared bool           `json:"shared,omitempty"`
	Away   *schemas.Store `json:"away,omitempty"` // one of those in the table below
	DVC    *data.Place    `json:"dvc,omitempty"`  // the remote, where Away is one
	// may tells why a place that all machines reach is not asked; nil: it is.
	may func(ctx context.Context) error
}

// away is a place of a store that all machines reach.
type away struct {
	at        string // its address, for people
	variables []string
	open      func(env port.Env) (port.Bucket, error)
}

// aways is the table of such places, one row each; a row is nil where p is another's.
var aways = []func(p StoreRef) *away{
	inS3,
	inRegistry,
	inDVC,
}

// String is what ParseStoreRef reads. It holds no secret.
func (p StoreRef) String() string {
	b, _ := json.Marshal(p) // of strings: never fails
	return string(b)
}

// ParseStoreRef reads a place.
func ParseStoreRef(text string) (p StoreRef, err error) {
	if err := json.Unmarshal([]byte(text), &p); err != nil || p.Dir == "" {
		return p, fault.New(fault.Invalid, "%q is not a place of a store", text)
	}
	return p, nil
}

// place is where project keeps artifacts, as tree has it: with no store, in this machine's
// state alone.
func (h *Repository) place(project *schemas.Project, tree fs.FS) (StoreRef, error) {
	p := StoreRef{Dir: filepath.Join(h.Paths.State, "store")}
	s := project.Store
	switch {
	case s == nil:
	case s.Dir != "":
		p.Dir, p.Shared = s.Dir, true
	default:
		p.Away = s
	}
	if s == nil || s.DVC == nil {
		return p, nil
	}
	at, err := data.PlaceOf(tree, s.DVC.Remote, h.checkout())
	p.DVC = &at
	return p, err
}

// hidden are the folders of the store that no run may be shown.
func (p StoreRef) hidden(env port.Env) []string {
	out := []string{filepath.Clean(p.Dir)}
	if p.DVC != nil {
		if at := p.DVC.Folder(env); at != "" {
			out = append(out, filepath.Join(at, besideDVC))
		}
	}
	return out
}

// away is the row of p; nil where the store is a folder alone.
func (p StoreRef) away() (*away, error) {
	if p.Away == nil {
		return nil, nil
	}
	for _, row := range aways {
		if a := row(p); a != nil {
			open := a.open
			a.open = func(env port.Env) (port.Bucket, error) {
				b, err := open(env)
				switch {
				case port.WasUnasked(err):
					return askedBucket{may: func(context.Context) error { return err }}, nil
				case err == nil && p.may != nil:
					return askedBucket{b, p.may}, nil
				}
				return b, err
			}
			return a, nil
		}
	}
	return nil, fault.WithHint(fault.New(fault.Invalid, "spec.store of vishwa.yaml does not say where the store is"), "give it dir, s3, oci or dvc")
}

// variables are those that hold the credentials of the place.
func (p StoreRef) variables() []string {
	a, err := p.away()
	if a == nil || err != nil {
		return nil
	}
	return a.variables
}

// shelf is where objects with names of their own are kept beside the store's content,
// and what to call it; nil where the store is this machine's alone.
func (p StoreRef) shelf(env port.Env) (b port.Bucket, name string, err error) {
	a, err := p.away()
	switch {
	case err != nil:
		return nil, "", err
	case a != nil:
		b, err := a.open(env)
		return b, "the store at " + a.at, err
	case p.Shared:
		b, err := bucket.Dir(p.Dir)
		return b, "the store at " + p.Dir, err
	}
	return nil, "", nil
}

// OpenStore opens the store at p.
func OpenStore(p StoreRef, env port.Env) (port.Store, error) {
	open := store.Dir
	if p.Shared {
		open = store.Shared
	}
	a, err := p.away()
	if err != nil {
		return nil, err
	}
	near, err := open(p.Dir)
	if err != nil || a == nil {
		return near, err
	}
	b, err := a.open(env)
	if err != nil {
		return nil, err
	}
	return store.On(b, near), nil
}

// Shared is the address of content in the store of S3 that a project declares, as others reach
// it; nil where it declares none.
func Shared(project *schemas.Project) func(digest.Digest) string {
	if project == nil || project.Store == nil || project.Store.S3 == nil {
		return nil
	}
	at := strings.TrimRight(project.Store.S3.URL, "/") + "/"
	return func(d digest.Digest) string { return at + store.Key(d) }
}
