// Taking data in: named in one pass, kept in the cache, linked back, and pointed to
// by a .dvc file that Git keeps.

package data

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/format/dvc"
	"github.com/vishwaops/vishwa/reconciler/machine/dvccache"
)

// Added is what an add came to.
type Added struct {
	Path   string        `json:"path"`
	File   string        `json:"file"` // the .dvc file
	OID    dvc.OID       `json:"md5"`
	SHA256 digest.Digest `json:"sha256"`
	Size   int64         `json:"size"`
	Files  int64         `json:"files"`
	Read   int64         `json:"read"` // files that had to be read
	Moved  bool          `json:"changed"`
}

// Add takes in the file or folder at each path.
func (w *Workspace) Add(ctx context.Context, paths []string) ([]Added, error) {
	var out []Added
	for _, p := range paths {
		rel, err := w.rel(strings.TrimSuffix(p, ".dvc"))
		if err != nil {
			return out, err
		}
		a, err := w.add(ctx, rel)
		if err != nil {
			return out, fmt.Errorf("add %s: %w", rel, err)
		}
		out = append(out, a)
	}
	return out, nil
}

func (w *Workspace) add(ctx context.Context, rel string) (Added, error) {
	if rel == "." || rel == ".dvc" || strings.HasPrefix(rel, ".dvc/") || rel == ".git" || strings.HasPrefix(rel, ".git/") {
		return Added{}, fault.WithHint(fault.New(fault.Invalid, "it is the repository's own"), "name a file or folder of data")
	}
	if err := dvc.CheckPath(rel); err != nil {
		return Added{}, fault.WithHint(fault.New(fault.Invalid, "%w", err), "rename it")
	}
	release, err := w.lockOutput(ctx, rel)
	if err != nil {
		return Added{}, err
	}
	defer release()
	return w.added(ctx, rel)
}

// added is add for whoever has the turn.
func (w *Workspace) added(ctx context.Context, rel string) (Added, error) {
	held, err := w.cache.Hold()
	if err != nil {
		return Added{}, err
	}
	defer held.Close()
	dvccache.Tidy(filepath.Dir(w.abs(rel)))
	if err := w.checkOverlap(ctx, rel); err != nil {
		return Added{}, err
	}
	if by, err := w.ignoredBy(rel); err != nil || by != "" {
		if err == nil {
			err = fault.WithHint(fault.New(fault.Invalid, "%s leaves it out", by), "change the pattern there, or keep the data elsewhere: DVC would refuse the repository")
		}
		return Added{}, err
	}
	t, err := w.ingest(ctx, rel)
	if err != nil {
		return Added{}, err
	}
	a := Added{Path: rel, File: rel + ".dvc", OID: t.oid, SHA256: t.sha256, Size: t.size, Files: int64(len(t.sums)), Read: t.read}
	if a.Moved, err = w.writePointer(rel, t); err != nil {
		return a, err
	}
	return a, w.gitignore(ctx, rel)
}

// checkOverlap refuses data that another output holds, or that holds one.
func (w *Workspace) checkOverlap(ctx context.Context, rel string) error {
	all, err := OutputsOf(ctx, os.DirFS(w.root))
	if err != nil {
		return err
	}
	for _, o := range all {
		switch {
		case o.Path == rel && o.Stage != "":
			return fault.WithHint(fault.New(fault.Invalid, "it is made by the stage %s of %s", o.Stage, o.File), "run the stage; its output needs no add")
		case strings.HasPrefix(rel, o.Path+"/"):
			return fault.WithHint(fault.New(fault.Invalid, "it is part of %s, which %s keeps", o.Path, o.File), "add that as a whole: vishwa data add %s", o.Path)
		case strings.HasPrefix(o.Path, rel+"/"):
			return fault.WithHint(fault.New(fault.Invalid, "%s in it is kept by %s already", o.Path, o.File), "remove %s first, or add its other parts one by one", o.File)
		}
	}
	return nil
}
