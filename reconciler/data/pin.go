// Pins: data of elsewhere, taken in under a .dvc file that remembers what the place
// called it.

package data

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/format/dvc"
	"github.com/vishwaops/vishwa/reconciler/machine/artifact"
	"github.com/vishwaops/vishwa/reconciler/machine/dvccache"
)

// Names below meta.vishwa of a pin.
const (
	Token   = "token"   // what the place calls the data
	From    = "from"    // the place, without secrets
	Rows    = "rows"    // of tables
	Columns = "columns" // likewise
	Schemas = "schemas" // of a registry, that messages were read by, as id=digest
	Profile = "profile" // digest of the profile in the store of artifacts
)

// Pinning is what a pin says of its data.
type Pinning struct {
	Size int64             // bytes; -1: not stated
	Said map[string]string // by the names above
}

// Pinned reads the pin at rel; nil where there is none.
func Pinned(tree fs.FS, rel string) (*Pinning, error) {
	b, err := fs.ReadFile(tree, rel)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fault.New(fault.Denied, "read %s: %w", rel, err)
	}
	p, err := dvc.ParsePointer(rel, b)
	if err != nil {
		return nil, err
	}
	return &Pinning{p.Outs[0].Size, p.Outs[0].Stats}, nil
}

// Staging is the folder that the data of the pin at rel is fetched into, on the work
// tree's file system: what had come for the same token is in it still. One command at
// a time has it. done says whether it is needed no more.
func (w *Workspace) Staging(ctx context.Context, rel, token string) (dir string, release func(done bool), err error) {
	free, err := w.lockOutput(ctx, rel)
	if err != nil {
		return "", nil, err
	}
	above := filepath.Join(w.root, ".dvc", "tmp", "vishwa-"+digest.Of([]byte(rel)).Short())
	dir = filepath.Join(above, digest.Of([]byte(token)).Short())
	others, _ := os.ReadDir(above)
	for _, o := range others {
		if o.Name() != filepath.Base(dir) { // of data that has moved on
			_ = os.RemoveAll(filepath.Join(above, o.Name()))
		}
	}
	if err := os.MkdirAll(dir, 0o777); err != nil {
		free()
		return "", nil, artifact.Disk(fmt.Errorf("make room: %w", err), above)
	}
	return dir, func(done bool) {
		if done {
			_ = os.RemoveAll(above)
		}
		free()
	}, nil
}

// Pin puts the file or folder that was fetched in place of what the pin at rel names,
// takes it in, and has the pin remember what is said of it: Token, From, and so on.
// What stands there and is saved nowhere stays.
func (w *Workspace) Pin(ctx context.Context, rel, fetched string, said map[string]string) (Added, error) {
	target := strings.TrimSuffix(rel, ".dvc")
	release, err := w.lockOutput(ctx, target)
	if err != nil {
		return Added{}, err
	}
	defer release()
	if err := w.replaceable(ctx, target); err != nil {
		return Added{}, err
	}
	abs := w.abs(target)
	if err := os.MkdirAll(filepath.Dir(abs), 0o777); err != nil {
		return Added{}, artifact.Disk(err, abs)
	}
	old := fetched + ".old" // on the same file system, and gone with what was fetched
	if err := os.RemoveAll(old); err != nil {
		return Added{}, artifact.Disk(fmt.Errorf("replace %s: %w", target, err), abs)
	}
	if err := os.Rename(abs, old); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return Added{}, artifact.Disk(fmt.Errorf("replace %s: %w", target, err), abs)
	}
	if err := os.Rename(fetched, abs); err != nil {
		_ = os.Rename(old, abs) // as it was
		return Added{}, artifact.Disk(fmt.Errorf("replace %s: %w", target, err), abs)
	}
	if err := os.RemoveAll(old); err != nil {
		return Added{}, artifact.Disk(fmt.Errorf("replace %s: %w", target, err), abs)
	}
	a, err := w.added(ctx, target)
	if err != nil {
		return a, fmt.Errorf("pin %s: %w", target, err)
	}
	return a, w.describePin(rel, said)
}

// replaceable refuses to let go of what stands at target and is saved nowhere.
func (w *Workspace) replaceable(ctx context.Context, target string) error {
	all, err := OutputsOf(ctx, os.DirFS(w.root))
	if err != nil {
		return err
	}
	abs := w.abs(target)
	i := slices.IndexFunc(all, func(o Output) bool { return o.Path == target })
	if _, err := os.Lstat(abs); err == nil && i < 0 {
		return fault.WithHint(fault.New(fault.Conflict, "%s is there and no pin of ours", target), "move it away, or choose another pin")
	}
	if i < 0 {
		return nil
	}
	if all[i].From != nil { // as it was imported, it comes again
		if oid, _, _, err := w.now(ctx, all[i]); err == nil && oid == all[i].Out.OID {
			return nil
		}
	}
	lost, err := w.unsaved(ctx, all[i])
	if err == nil && len(lost) > 0 {
		err = fault.WithHint(fault.New(fault.Conflict, "%s was changed here, and what came would overwrite what is saved nowhere: %s", target, listed(lost)),
			"save it with vishwa data add %s, or let it go: vishwa data checkout -f %s", target, target)
	}
	return err
}

// unsaved lists the files that stand where an output is, also those that are ignored, and
// that the cache does not have.
func (w *Workspace) unsaved(ctx context.Context, o Output) (lost []string, err error) {
	abs := w.abs(o.Path)
	if _, err := os.Stat(abs); errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	files, err := lookPast(ctx, abs, nil, w.workers())
	if err != nil {
		return nil, err
	}
	sums, err := w.named(ctx, abs, files, dvccache.LoadMemory(w.memoryFile(o.Path)), o.Out.Hash == "")
	if err != nil {
		return nil, err
	}
	for i, f := range files {
		if !dvccache.IsDraft(path.Base(f.path)) && !w.store(o).Has(sums[i].Sums().OID) {
			lost = append(lost, path.Join(o.Path, f.path))
		}
	}
	return lost, nil
}

// listed names some, and counts the rest.
func listed(names []string) string {
	slices.Sort(names)
	if len(names) > 10 {
		names = append(names[:10:10], fmt.Sprintf("and %d more", len(names)-10))
	}
	return strings.Join(names, ", ")
}

// Import is Pin of data of another repository: the .dvc file at rel says where from, as
// DVC's own import does, and DVC can update it.
func (w *Workspace) Import(ctx context.Context, rel, fetched string, from dvc.Dep) (Added, error) {
	a, err := w.Pin(ctx, rel, fetched, nil)
	if err != nil {
		return a, err
	}
	file := w.abs(rel)
	b, err := os.ReadFile(file)
	if err != nil {
		return a, fault.New(fault.Denied, "read %s: %w", rel, err)
	}
	was, err := dvc.ParsePointer(rel, b)
	if err != nil {
		return a, err
	}
	p := &dvc.Pointer{Frozen: true, Deps: []dvc.Dep{from}, Outs: was.Outs, Desc: was.Desc}
	p.MD5 = p.Checksum()
	return a, replace(file, p.Bytes())
}

// describePin has the pin remember what is said of the data.
func (w *Workspace) describePin(rel string, said map[string]string) error {
	file := w.abs(rel)
	b, err := os.ReadFile(file)
	if err != nil {
		return fault.New(fault.Denied, "read %s: %w", rel, err)
	}
	p, err := dvc.ParsePointer(rel, b)
	if err != nil {
		return err
	}
	for i := range p.Outs {
		if p.Outs[i].Path == path.Base(rel[:len(rel)-len(".dvc")]) {
			p.Outs[i].Stats = said
		}
	}
	return replace(file, p.Bytes())
}
