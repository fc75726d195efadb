// What is asked by the way. A plan and a status look at places that declarations name, with this machine's credentials, and what is checked out may
// be a stranger's: how a place is reached is what the branch says that the remote calls its own.

package app

import (
	"context"
	"io"
	"iter"
	"reflect"
	"sync"

	"github.com/vishwaops/vishwa/reconciler/adapter/gitledger"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/machine/gitremote"
	"github.com/vishwaops/vishwa/reconciler/machine/registry"
	"github.com/vishwaops/vishwa/reconciler/pass"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/schemas"
)

// agreement tells which places are asked, and how.
type agreement struct {
	all   bool                  // as they are declared: somebody acts, or the clone is the user's own
	decls []schemas.Declaration // of the remote's own branch
}

// agreed is the agreement of a look. Who acts has read what is declared; a pull request has nothing asked at all; a clone without a remote is the
// user's, and names what it likes.
func (h *Repository) agreed(ctx context.Context, o Options) *agreement {
	if o.Act {
		return &agreement{all: true}
	}
	sha, one, err := h.Repo.Published(h.GitLedger.Keeping())
	if err != nil || one && sha == "" {
		return &agreement{}
	}
	if !one {
		return &agreement{all: true}
	}
	h.asking.Lock()
	defer h.asking.Unlock()
	if h.asks != nil && h.asksAt == sha {
		return h.asks
	}
	tree, err := h.Repo.Open(ctx, sha)
	if err != nil {
		return &agreement{}
	}
	decls, _ := schemas.Load(ctx, tree) // what has problems declares nothing
	if ctx.Err() != nil {
		return &agreement{}
	}
	h.asks, h.asksAt = &agreement{decls: decls}, sha
	return h.asks
}

// unasked is the error of a place that was not asked: look says where it is declared.
func unasked(what, look string) error {
	return fault.WithHint(port.Unasked{Why: "the branch that the remote calls its own does not name " + what + ", and this checkout may be anybody's"}, "%s", look)
}

// packing tells whether the registries of p are asked before it is packed.
func (a *agreement) packing(p port.Package) error {
	if a.packs(p.At) && (p.Image == nil || a.builds(p.Image.Base)) {
		return nil
	}
	return unasked("them", "look at them in spec.oci and spec.image of the package; vishwa plan asks them once that branch names them, and vishwa apply before it packs")
}

// registry tells whether what was packed is looked for at.
func (a *agreement) registry(at port.Registry) error {
	if a.packs(at) {
		return nil
	}
	return unasked(at.Repository+" so", "look at spec.oci of the package; the registry is asked once that branch names it so, and by vishwa apply")
}

func (a *agreement) packs(at port.Registry) bool {
	return a.all || a.any(func(d schemas.Declaration) bool {
		spec, packs := d.Spec.(schemas.Packs)
		return packs && spec.Packs().OCI.Repository == at.Repository && reflect.DeepEqual(spec.Packs().OCI.PlainHTTP, at.PlainHTTP)
	})
}

func (a *agreement) builds(base string) bool {
	return a.all || a.any(func(d schemas.Declaration) bool {
		spec, packs := d.Spec.(schemas.Packs)
		return packs && spec.Packs().Image != nil && registry.Place(spec.Packs().Image.Base) == registry.Place(base)
	})
}

// log tells whether the place of a log of predictions is read. A folder of this machine takes no credentials.
func (a *agreement) log(l *schemas.PredictionLog) error {
	if l == nil || l.S3 == nil && l.Kafka == nil || a.all || a.any(func(d schemas.Declaration) bool {
		spec, logs := d.Spec.(schemas.Logged)
		return logs && spec.Logs() != nil && reflect.DeepEqual(spec.Logs().S3, l.S3) && reflect.DeepEqual(spec.Logs().Kafka, l.Kafka)
	}) {
		return nil
	}
	return unasked("its place so", "look at spec.log of the deployment; it is read once that branch names it so, and by vishwa apply")
}

// gauge tells whether a gauge is asked.
func (a *agreement) gauge(g schemas.Gauge) error {
	p := g.Prometheus
	if p == nil || a.all || a.any(func(d schemas.Declaration) bool {
		spec, rolls := d.Spec.(schemas.RolledOut)
		if !rolls || spec.Rolls() == nil {
			return false
		}
		for _, of := range spec.Rolls().Analyses {
			if of.Gauge != nil && of.Gauge.Prometheus != nil && of.Gauge.Prometheus.URL == p.URL && of.Gauge.Prometheus.Token == p.Token {
				return true
			}
		}
		return false
	}) {
		return nil
	}
	return unasked("it so", "look at url and token of the gauge; it is asked once that branch names them so, and by vishwa apply")
}

func (a *agreement) any(is func(schemas.Declaration) bool) bool {
	for _, d := range a.decls {
		if is(d) {
			return true
		}
	}
	return false
}

// asksStore tells why the store that all machines reach is not asked; nil: it is. A clone that has not seen the remote's own branch, such as a
// CI job's of one stranger's commit, asks none: what its checkout names may be anybody's.
func (h *Repository) asksStore(o Options, place StoreRef) func(context.Context) error {
	if !o.Look || o.Act || place.Away == nil {
		return nil
	}
	return h.namedStore(place)
}

// namedStore tells why a place that is declared is one that this checkout alone may name; nil: the remote's own branch names it so, or the clone has
// no remote and is the user's.
func (h *Repository) namedStore(place StoreRef) func(context.Context) error {
	agrees := func(sha string) error {
		there := StoreRef{}
		tree, err := h.Repo.Open(context.Background(), sha) // reads this clone
		if err == nil {
			if project, _, settled := pass.Settings(tree); settled == nil {
				there, err = h.place(project, tree)
			}
		}
		if err == nil && there.String() == place.String() {
			return nil
		}
		return unasked("the store so", "look at spec.store of vishwa.yaml; it is asked once that branch names it so, and by commands that name what they read")
	}
	var mu sync.Mutex
	var at string // the commit that was looked at
	var said error
	return func(context.Context) error {
		kept := gitremote.Keeping{Remote: h.Repo.Place().Remote, Branch: gitledger.UsualBranch}
		if h.GitLedger != nil { // which hears of the branch
			kept = h.GitLedger.Keeping()
		}
		sha, one, err := h.Repo.Published(kept)
		switch {
		case err != nil || !one:
			return err
		case sha == "":
			return fault.WithHint(port.Unasked{Why: "this clone has not seen the branch that the remote calls its own, which says what store is asked"},
				"fetch that branch: git fetch origin, and git remote set-head origin --auto; in a CI job, check out with the whole history (fetch-depth: 0)")
		}
		mu.Lock()
		defer mu.Unlock()
		if sha != at {
			at, said = sha, agrees(sha)
		}
		return said
	}
}

// askedBucket asks the place of a bucket where may lets it.
type askedBucket struct {
	next port.Bucket
	may  func(context.Context) error
}

func (b askedBucket) let(ctx context.Context) error {
	if err := b.may(ctx); err != nil {
		return fault.WithHint(fault.New(fault.Transient, "the store was not asked: %w", err), "%s", fault.HintOf(err))
	}
	return nil
}

func (b askedBucket) Stat(ctx context.Context, key string) (port.Object, error) {
	if err := b.let(ctx); err != nil {
		return port.Object{}, err
	}
	return b.next.Stat(ctx, key)
}

func (b askedBucket) List(ctx context.Context, prefix string) iter.Seq2[port.Object, error] {
	if err := b.let(ctx); err != nil {
		return func(yield func(port.Object, error) bool) { yield(port.Object{}, err) }
	}
	return b.next.List(ctx, prefix)
}

func (b askedBucket) Get(ctx context.Context, key string, r port.Range) (io.ReadCloser, port.Object, error) {
	if err := b.let(ctx); err != nil {
		return nil, port.Object{}, err
	}
	return b.next.Get(ctx, key, r)
}

func (b askedBucket) Put(ctx context.Context, key string, r io.ReaderAt, size int64) (port.Object, error) {
	if err := b.let(ctx); err != nil {
		return port.Object{}, err
	}
	return b.next.Put(ctx, key, r, size)
}

func (b askedBucket) Delete(ctx context.Context, keys ...string) error {
	if err := b.let(ctx); err != nil {
		return err
	}
	return b.next.Delete(ctx, keys...)
}
