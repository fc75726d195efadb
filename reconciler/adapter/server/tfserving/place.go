// A server's folder: what is ours in it, and how it is written. Whoever may write there may put links there, so that all
// is done through a root that nothing leads out of.

package tfserving

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/format/tfconfig"
	"github.com/vishwaops/vishwa/reconciler/machine/artifact"
	"github.com/vishwaops/vishwa/reconciler/machine/conditional"
	"github.com/vishwaops/vishwa/reconciler/machine/sandbox"
	"github.com/vishwaops/vishwa/reconciler/plural"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/schemas"
)

const (
	configFile = "models.config"
	lockFile   = ".vishwa.lock"
	recordFile = ".vishwa" // in the folder of a model: what of it is ours
)

// place is a server where something of a name may stand.
type place struct {
	Name string              `json:"name"`
	At   schemas.ModelServer `json:"at"`
}

// same tells whether the same server reads there.
func (p place) same(o place) bool {
	return p.At.Folder == o.At.Folder && (p.At.Folder != "" || p.Name == o.Name)
}

// base is the folder of a model, as its server sees it.
func (p place) base(name string) string {
	return path.Join(cmp.Or(p.At.SeenAs, p.At.Folder), name)
}

// record is what of a model's folder is ours. It lies there, sealed, so that every replica knows it.
type record struct {
	Versions map[int64]laid `json:"versions,omitempty"` // that we wrote, or began to
	Last     int64          `json:"last,omitempty"`     // the largest number that was ever given
	Served   *standing      `json:"served,omitempty"`
	Tried    *standing      `json:"tried,omitempty"`  // what is tried next to it; whether it has the requests says models.config
	Former   string         `json:"former,omitempty"` // the config of somebody else's that makes way
}

// laid is a version that we wrote.
type laid struct {
	Model  digest.Digest   `json:"model"`
	Files  digest.Manifest `json:"files"`
	Stored bool            `json:"stored,omitempty"` // it lies in the store
}

// savedFiles are those of the one SavedModel in a model, by their paths in its folder.
func savedFiles(m port.Artifact) (out digest.Manifest, err error) {
	const way = "have the training write one SavedModel: tf.saved_model.save, or model.export of Keras, to a folder below VISHWA_MODEL_DIR"
	at, n := "", 0
	for _, f := range m.Files {
		if path.Base(f.Path) == "saved_model.pb" {
			at, n = path.Dir(f.Path), n+1
		}
	}
	if n != 1 {
		return nil, fault.WithHint(fault.New(fault.Invalid, "the model has %s saved_model.pb, and TensorFlow Serving loads one", plural.Of(n, "file")), way)
	}
	for _, f := range m.Files {
		if rest, below := strings.CutPrefix(f.Path, at+"/"); at == "." || below {
			if at != "." {
				f.Path = rest
			}
			if !fs.ValidPath(f.Path) || f.Path == "." {
				return nil, fault.WithHint(fault.New(fault.Denied, "the path of a file leads out of the model"), "do not serve this model: train it again, and let it write only below its own folder")
			}
			out = append(out, f)
		}
	}
	return out, nil
}

// enter opens where a server's models.config lies.
func (s *server) enter(p place) (*desk, error) {
	if s.o.May != nil {
		if err := s.o.May(p.At); err != nil {
			return nil, err
		}
	}
	if p.At.Folder == "" {
		return s.deskInStore(p)
	}
	root, err := opened(p)
	if err != nil {
		return nil, err
	}
	return &desk{Root: root}, nil
}

// Ready tells whether the folder of a model server is on this machine. The server is not asked.
func Ready(name string, at schemas.ModelServer) error {
	if at.Folder == "" {
		return nil // in the store
	}
	root, err := opened(place{name, at})
	if err == nil {
		root.Close()
	}
	return err
}

func opened(p place) (*os.Root, error) {
	if !filepath.IsAbs(p.At.Folder) {
		return nil, fault.WithHint(fault.New(fault.Invalid, "the folder of model server %s is no whole path", p.Name), "give folder of spec.modelServers an absolute path")
	}
	root, err := os.OpenRoot(p.At.Folder)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fault.WithHint(fault.New(fault.Missing, "the folder of model server %s is not there", p.Name), "make or mount %s on the machine that reconciles, writable for its user", p.At.Folder)
	}
	if err != nil {
		return nil, fault.WithHint(fault.New(fault.Denied, "open the folder of model server %s: %w", p.Name, err), "let the user that reconciles read and write %s", p.At.Folder)
	}
	return root, nil
}

// alone has the folder's models.config for this process alone, on a file system that knows locks. In the store, who writes second reads
// again.
func (w *work) alone(ctx context.Context) (end func(), err error) {
	if w.root.stored != nil {
		return func() {}, nil
	}
	odd := fault.WithHint(fault.New(fault.Denied, "%s in the folder of model server %s is no regular file", lockFile, w.place.Name), "remove it, and see who may write there")
	if st, err := w.root.Lstat(lockFile); err == nil && !st.Mode().IsRegular() {
		return nil, odd
	}
	f, err := w.root.OpenFile(lockFile, os.O_RDWR|os.O_CREATE|unix.O_NONBLOCK, 0o600)
	if err != nil {
		return nil, artifact.Disk(err, w.place.At.Folder)
	}
	if st, err := f.Stat(); err != nil || !st.Mode().IsRegular() { // it has become one meanwhile
		f.Close()
		return nil, odd
	}
	held, err := sandbox.LockFile(ctx, f)
	if err != nil {
		return nil, err
	}
	return func() { held.Close() }, nil
}

// readConfig reads models.config; one that is not there has no models.
func readConfig(ctx context.Context, root *desk) (*tfconfig.File, error) {
	raw, err := root.readSmall(ctx, configFile, tfconfig.Max+1)
	if err != nil && root.stored != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fault.WithHint(fault.New(fault.Of(err), "read %s: %w", configFile, err), "%s", fault.HintOf(err))
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fault.WithHint(fault.New(fault.Invalid, "read %s: %w", configFile, err), "let this user read models.config in the folder of the model server")
	}
	f, err := tfconfig.Parse(raw)
	if err != nil {
		return nil, fault.WithHint(fault.New(fault.Of(err), "read %s: %w", configFile, err), "%s", fault.HintOf(err))
	}
	return f, nil
}

// configure has text as the config of w's model, with those of others as they are; empty takes it out.
func (w *work) configure(ctx context.Context, text string) error {
	end, err := w.alone(ctx)
	if err != nil {
		return err
	}
	defer end()
	for try := 1; ; try++ {
		was, err := readConfig(ctx, w.root)
		if err != nil {
			return err
		}
		now, err := was.With(w.name, text)
		if err != nil || string(now.Bytes()) == string(was.Bytes()) {
			return err
		}
		if err := w.write(ctx, configFile, now.Bytes(), 0o644); err == nil || !errors.Is(err, conditional.ErrOvertaken) || try == mostTries {
			return err
		}
	}
}

// mostTries is how often models.config is read anew where others write it as well.
const mostTries = 50

func purpose(name string) string { return "model server record " + name }

// readRecord tells what of a model's folder is ours, and whether anything is.
func (s *server) readRecord(ctx context.Context, root *desk, name string) (rec record, ours bool, err error) {
	rec.Versions = map[int64]laid{}
	if root.stored == nil {
		if st, err := root.Lstat(name); err == nil && !st.IsDir() {
			return rec, false, nil // somebody's link, or file
		}
	}
	raw, err := root.readSmall(ctx, name+"/"+recordFile, 64<<20)
	if errors.Is(err, fs.ErrNotExist) {
		return rec, false, nil
	}
	if err != nil {
		kind := fault.Invalid
		if root.stored != nil {
			kind = fault.Of(err)
		}
		return rec, false, fault.WithHint(fault.New(kind, "read what is ours of model %s: %w", name, err), "%s", fault.HintOf(err))
	}
	if raw, err = s.o.Seal.Open(purpose(name), raw); err != nil {
		return rec, false, nil // another installation's, or somebody's else
	}
	if err := json.Unmarshal(raw, &rec); err != nil {
		return rec, false, fault.New(fault.Corrupt, "read what is ours of model %s: %w", name, err)
	}
	if rec.Versions == nil {
		rec.Versions = map[int64]laid{}
	}
	return rec, true, nil
}

func (w *work) writeRecord(ctx context.Context) error {
	body, err := json.Marshal(w.rec)
	if err != nil {
		return fault.New(fault.Internal, "record what is served: %w", err)
	}
	body = w.server.o.Seal.Wrap(purpose(w.name), body)
	if w.root.stored != nil {
		return w.write(ctx, w.name+"/"+recordFile, body, 0o600)
	}
	if err := w.root.MkdirAll(w.name, 0o755); err != nil {
		return w.disk(err)
	}
	if err := w.root.Chmod(w.name, 0o755); err != nil { // whatever the umask is
		return w.disk(err)
	}
	if there, err := w.root.readSmall(ctx, w.name+"/"+recordFile, int64(len(body))+1); err == nil && string(there) == string(body) {
		return nil
	}
	return w.write(ctx, w.name+"/"+recordFile, body, 0o600)
}

// write replaces a file as a whole.
func (w *work) write(ctx context.Context, name string, content []byte, mode fs.FileMode) error {
	if w.root.stored != nil {
		return w.root.stored.Write(ctx, name, content)
	}
	tmp := name + ".new"
	if err := w.root.RemoveAll(tmp); err != nil {
		return w.disk(err)
	}
	f, err := w.root.OpenFile(tmp, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if err != nil {
		return w.disk(err)
	}
	_, err = f.Write(content)
	if err == nil {
		err = f.Chmod(mode) // whatever the umask is: the server's user reads it
	}
	if err == nil {
		err = f.Sync()
	}
	if more := f.Close(); err == nil {
		err = more
	}
	if err == nil {
		err = w.root.Rename(tmp, name)
	}
	return w.disk(err)
}

// disk says of an error what it was about.
func (w *work) disk(err error) error {
	if err == nil {
		return nil
	}
	return artifact.Disk(fault.WithHint(fault.New(fault.Denied, "write to the folder of model server %s: %w", w.place.Name, err), "let the user that reconciles write to %s", w.place.At.Folder), w.place.At.Folder)
}

// Where something of a name may stand is kept on this machine.

func (s *server) file(name string) string { return filepath.Join(s.o.Dir, name+".json") }

func (s *server) unknown(name string) bool {
	_, err := os.Lstat(s.file(filepath.Base(name)))
	return err != nil
}

// known is what this machine knows of a name.
type known struct {
	Places []place   `json:"places"`
	Served *standing `json:"served,omitempty"` // at the first of them
}

func (s *server) readKnown(name string) (all known, err error) {
	raw, err := os.ReadFile(s.file(name))
	if errors.Is(err, fs.ErrNotExist) {
		return known{}, nil
	}
	if err == nil {
		raw, err = s.o.Seal.Open("model servers of "+name, raw)
	}
	if err == nil {
		err = json.Unmarshal(raw, &all)
	}
	if err != nil {
		return known{}, fault.WithHint(fault.New(fault.Corrupt, "what is recorded of %s on a model server cannot be read: %w", name, err), "remove %s, then run vishwa apply: it finds what is its own in the servers' folders", s.file(name))
	}
	return all, nil
}

// writeKnown replaces what is kept of name; nowhere is nothing.
func (s *server) writeKnown(name string, all known) error {
	if len(all.Places) == 0 {
		if err := os.Remove(s.file(name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return artifact.Disk(err, s.o.Dir)
		}
		return nil
	}
	body, err := json.Marshal(all)
	if err != nil {
		return fault.New(fault.Internal, "record what is served: %w", err)
	}
	return artifact.Disk(sandbox.WriteFile(s.file(name), s.o.Seal.Wrap("model servers of "+name, body)), s.o.Dir)
}
