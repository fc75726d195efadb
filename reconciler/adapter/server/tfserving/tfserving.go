// Package tfserving serves by TensorFlow Serving: a version of the deployment's model a release, in a folder that the
// server reads, and a label that leads to one of them. The label moves to a version that is available, as the server
// moves it to no other, and the one before is unloaded after that.
package tfserving

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/lazyregexp"
	"github.com/vishwaops/vishwa/reconciler/machine/artifact"
	"github.com/vishwaops/vishwa/reconciler/machine/dial"
	"github.com/vishwaops/vishwa/reconciler/machine/holder"
	"github.com/vishwaops/vishwa/reconciler/machine/httpx"
	"github.com/vishwaops/vishwa/reconciler/machine/sandbox"
	"github.com/vishwaops/vishwa/reconciler/machine/seal"
	"github.com/vishwaops/vishwa/reconciler/machine/served"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/schemas"
)

// Options are what a server is made of. All but May, Pace and Unload are needed.
type Options struct {
	Env     port.Env
	Store   port.Store
	Servers map[string]schemas.ModelServer // by the names that deployments have for them
	Dir     string                         // where it is kept what stands where
	Seal    seal.Key                       // seals that, and what is kept beside the models
	Keys    []string                       // that sign models, in PEM
	// Shelf is the store as a bucket, and At its address, as servers that read it have it; for those alone.
	Shelf func() (port.Bucket, error)
	At    string
	// May refuses a server before its folder is looked at; nil refuses none.
	May func(schemas.ModelServer) error

	Pace   time.Duration // of asking how a version is; zero is a quarter of a second
	Unload time.Duration // that the version before may take to end; zero is a minute
}

type server struct {
	o      Options
	client *http.Client
	silent *sync.Map // in a look at many: hosts that did not answer in time, and the errors
}

var (
	_ port.Server   = (*server)(nil)
	_ port.Reviver  = (*server)(nil)
	_ port.Surveyor = (*server)(nil)
)

// Survey looks at many names, and waits once for a server that hangs.
func (s *server) Survey() port.Observer { return &server{s.o, s.client, &sync.Map{}} }

// answers is how long a server may take to say how a model is.
const answers = 10 * time.Second

// New serves by the servers of a project. Nothing is asked of any yet.
func New(o Options) port.Server {
	o.Pace, o.Unload = cmp.Or(o.Pace, 250*time.Millisecond), cmp.Or(o.Unload, time.Minute)
	if o.Env.Log == nil {
		o.Env.Log = slog.New(slog.DiscardHandler)
	}
	return &server{o: o, client: &http.Client{
		Transport:     dial.Paced(httpx.Transport(httpx.Options{}), dial.Pace{Window: answers, Least: 1, Whole: 2 * answers}),
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

var nameForm = lazyregexp.New(`^[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?$`)

// turn lets one at a time change what is served under name, in whatever processes of this machine.
func (s *server) turn(ctx context.Context, name string) (end func(), err error) {
	if err := ctx.Err(); err != nil {
		return nil, fault.New(fault.Cancelled, "serve %s: %w", name, err)
	}
	if !nameForm.MatchString(name) {
		return nil, fault.New(fault.Invalid, "release %q cannot be the name of a model", name)
	}
	held, err := holder.Told(s.o.Env.Log).Lock(ctx, filepath.Join(s.o.Dir, name+".lock"))
	if err != nil {
		return nil, artifact.Disk(err, s.o.Dir)
	}
	return func() { sandbox.Unlock(held) }, nil
}

// Apply serves r, or takes away what is served under its name.
func (s *server) Apply(ctx context.Context, r port.Release) (port.Live, error) {
	if !r.Serves() && len(s.o.Servers) == 0 && s.unknown(r.Name) {
		return port.Live{}, nil
	}
	end, err := s.turn(ctx, r.Name)
	if err != nil {
		return port.Live{}, err
	}
	defer end()
	was, err := s.readKnown(r.Name)
	if err != nil {
		return port.Live{}, err
	}
	if !r.Serves() {
		if s.unknown(r.Name) {
			was.Places = s.found(ctx, r.Name)
		}
		return port.Live{}, s.retire(ctx, r.Name, was)
	}
	if r.TFServing == nil {
		return port.Live{}, fault.New(fault.Internal, "release %s is of target %q, and not of TensorFlow Serving", r.Name, r.Target())
	}
	live, err := s.serve(ctx, r, was)
	if err != nil {
		return live, fault.WithHint(fault.New(fault.Of(err), "serve %s on %s: %w", r.Name, r.TFServing.Server, err), "%s",
			cmp.Or(fault.HintOf(err), "correct what the message names, then run vishwa apply; the release before is still served"))
	}
	return live, nil
}

// serve has r served where it is declared to be, and by no other server.
func (s *server) serve(ctx context.Context, r port.Release, was known) (port.Live, error) {
	w, err := s.plan(ctx, r, was)
	if err != nil {
		return port.Live{}, err
	}
	defer w.root.Close()
	if !slices.Contains(was.Places, w.place) { // before anything is made there
		if w.root.stored != nil {
			if err := w.root.stored.Holds(ctx); err != nil {
				return port.Live{}, err
			}
		}
		was.Places = append(was.Places, w.place)
		if err := s.writeKnown(r.Name, was); err != nil {
			return port.Live{}, err
		}
	}
	if err := w.change(ctx); err != nil {
		if len(w.rec.Versions) == 0 && w.rec.Served == nil { // nothing of ours is left there
			was.Places = slices.DeleteFunc(was.Places, func(p place) bool { return p == w.place })
			if more := s.writeKnown(r.Name, was); more != nil {
				s.o.Env.Log.Warn("where it was tried stays recorded", "name", r.Name, "error", more)
			}
		}
		return port.Live{}, err
	}
	now := known{Places: []place{w.place}, Served: w.rec.Served}
	if err := s.writeKnown(r.Name, known{Places: append(now.Places, was.Places...), Served: now.Served}); err != nil {
		return port.Live{}, err
	}
	for _, p := range was.Places {
		if p.same(w.place) {
			continue
		}
		if err := s.leave(ctx, r.Name, p); err != nil {
			return port.Live{}, fault.WithHint(fault.New(fault.Of(err), "it is served there, and what it was on %s stays: %w", p.Name, err), "%s", fault.HintOf(err))
		}
	}
	if err := s.writeKnown(r.Name, now); err != nil {
		return port.Live{}, err
	}
	return s.observe(ctx, r.Name, now)
}

// plan works out what r is on its server, and refuses what stands in its way there: nothing is changed.
func (s *server) plan(ctx context.Context, r port.Release, was known) (*work, error) {
	t := r.TFServing
	at, ok := s.o.Servers[t.Server]
	if !ok {
		return nil, fault.WithHint(fault.New(fault.Invalid, "the project has no model server %s", t.Server), "declare it below spec.modelServers")
	}
	if r.Isolation != "" {
		return nil, fault.WithHint(fault.New(fault.Refused, "isolation %s is asked for, and it is not known what a model server is kept apart by", r.Isolation), "ask for less, or serve elsewhere")
	}
	files, err := savedFiles(r.Model)
	if err != nil {
		return nil, err
	}
	w := &work{server: s, name: r.Name, place: place{t.Server, at}, label: cmp.Or(t.Label, "stable"), files: files, model: r.Model.Digest, key: r.Key, adopt: t.Adopt, within: r.Timeout}
	if w.within <= 0 {
		w.within = 5 * time.Minute
	}
	if w.root, err = s.enter(w.place); err != nil {
		return nil, err
	}
	if _, err = served.Signed(ctx, s.o.Store, r, s.o.Keys); err == nil {
		err = w.readThere(ctx, slices.Contains(was.Places, w.place))
	}
	if err != nil {
		w.root.Close()
		return nil, err
	}
	return w, nil
}

// retire takes away whatever is ours under the name, wherever something may stand.
func (s *server) retire(ctx context.Context, name string, was known) error {
	for len(was.Places) > 0 {
		p := was.Places[0]
		if err := s.leave(ctx, name, p); err != nil {
			return fault.WithHint(fault.New(fault.Of(err), "take %s away from %s: %w", name, p.Name, err), "%s",
				cmp.Or(fault.HintOf(err), "where that server will not come back, remove "+s.file(name)+"; then run vishwa apply"))
		}
		was.Places = was.Places[1:]
		if err := s.writeKnown(name, was); err != nil {
			return err
		}
	}
	return nil
}

// found are the places where something of ours stands under a name that is not recorded here: another replica, or one
// that lost its disk, may have made it. What cannot be looked at has none.
func (s *server) found(ctx context.Context, name string) (out []place) {
	for _, server := range slices.Sorted(maps.Keys(s.o.Servers)) {
		p := place{server, s.o.Servers[server]}
		root, err := s.enter(p)
		if err != nil {
			continue
		}
		if _, ours, err := s.readRecord(ctx, root, name); err == nil && ours {
			out = append(out, p)
		}
		root.Close()
	}
	return out
}

// leave has nothing of ours left under the name at p; it returns when the server has unloaded it.
func (s *server) leave(ctx context.Context, name string, p place) error {
	root, err := s.enter(p)
	if err != nil {
		return err
	}
	defer root.Close()
	rec, ours, err := s.readRecord(ctx, root, name)
	if err != nil || !ours {
		return err
	}
	w := &work{server: s, name: name, place: p, root: root, rec: rec}
	if err := w.configure(ctx, ""); err != nil {
		return err
	}
	if err := w.until(ctx, s.o.Unload, "the server unloads it", func(seen []version) (bool, error) {
		return !slices.ContainsFunc(seen, func(v version) bool { return v.loaded() && rec.Versions[v.Number].Model != "" }), nil
	}); err != nil {
		return err
	}
	return w.clear(ctx)
}

// version is one of a model, as the server has it.
type version struct {
	Number int64  `json:"version,string"`
	State  string `json:"state"`
	Status struct {
		Code    string `json:"error_code"`
		Message string `json:"error_message"`
	} `json:"status"`
}

func (v version) loaded() bool { return v.State != "END" && v.State != "UNKNOWN" && v.State != "" }

func (v version) available() bool { return v.State == "AVAILABLE" }

// failed tells why it could not be loaded.
func (v version) failed() string {
	if v.State == "END" && v.Status.Code != "" && v.Status.Code != "OK" {
		return fmt.Sprintf("%s: %s", v.Status.Code, v.Status.Message)
	}
	return ""
}

// standing is what is served.
type standing struct {
	Key     digest.Digest `json:"key"`
	Model   digest.Digest `json:"model"`
	Version int64         `json:"version"`
	Label   string        `json:"label"`
	Since   time.Time     `json:"since"`
}
