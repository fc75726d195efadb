// A release on its way from the store to disk: verified model, code, inputs and
// Python environment, all there before the host hears of it.

package server

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/machine/artifact"
	"github.com/vishwaops/vishwa/reconciler/machine/sandbox"
	"github.com/vishwaops/vishwa/reconciler/machine/wall"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/schemas"
)

// Folders of a laid out release, as sandbox.Layout names them.
const (
	modelFolder = "model"
	codeFolder  = "code"
	inputFolder = "inputs"
	paramsFile  = "params.json"
)

// order is r as the host is asked for it, but for its folder.
func (s *local) order(r port.Release) (order, error) {
	h := r.Hosted()
	o := order{
		Log: r.Log, Name: r.Name, Key: r.Key, Model: r.Model.Digest, Command: h.Command, Pass: h.Pass,
		Declared: h.Port, Over: r.Over, Ready: r.Ready, Timeout: r.Timeout, Pace: s.cfg.Pace.filled(), Limits: s.cfg.Limits, Wall: s.cfg.Wall, Least: wall.Level(r.Isolation),
	}
	if r.Log != nil && r.Log.Dir != "" { // before anything of it begins
		if _, err := logFolder(s.cfg.Dir, r.Log.Dir, r.Name, s.cfg.Wall); err != nil {
			return o, err
		}
	}
	if h.MaxBody > 0 {
		o.Limits.Body = h.MaxBody
	}
	if h.MinReady > 0 {
		o.Pace.Probation = h.MinReady
	}
	if !strings.HasPrefix(o.Ready, "/") {
		o.Ready = schemas.ReadyPath
	}
	if o.Timeout <= 0 {
		o.Timeout = time.Minute
	}
	target := r.Target()
	if target == port.TargetLocal {
		return o, nil
	}
	begins, err := starters(s.cfg.Starters).of(target)
	if err != nil {
		return o, err
	}
	o.Starter, o.Run, o.Command = target, o.Command, nil
	if r.Contained {
		o.Bytes = port.BytesByDigest
	}
	o.Settled, err = begins.Settle(r)
	return o, err
}

// model is r's model as a folder, unless the image that serves has it: one that is a single file is served from a
// folder that holds it, so that VISHWA_MODEL_DIR is always a folder.
func model(r port.Release) port.Artifact {
	m := r.Model
	if r.Contained {
		return port.Artifact{}
	}
	if m.Digest == "" || m.Files != nil {
		return m
	}
	name := m.Name
	if name == "" {
		name = modelFolder
	}
	m.Files = digest.Manifest{{Path: name, Digest: m.Digest, Size: m.Size}}
	m.Digest = m.Files.Digest()
	return m
}

// layOut puts all that r needs on disk. Where that fails, nothing stays.
func (s *local) layOut(ctx context.Context, r port.Release, o order) (order, error) {
	python, err := s.python(ctx, r)
	if err != nil {
		return o, err
	}
	if o.Laid, err = laid(r); err != nil {
		return o, err
	}
	if o.Starter != "" {
		begins, err := starters(s.cfg.Starters).of(o.Starter)
		if err == nil {
			err = begins.Fetch(ctx, o.Settled)
		}
		if err != nil {
			return o, err
		}
	}
	// Never a name that was used before: one that somebody removed may still be the
	// host's to clear away.
	o.Folder = fmt.Sprintf("r-%s-%s", r.Key.Short(), strings.ToLower(rand.Text()[:10]))
	dir := s.place.release(r.Name, o.Folder)
	l, err := sandbox.NewLayout(dir)
	if err != nil {
		return o, err
	}
	err = fill(ctx, s.cfg.Store, r, l)
	if err == nil && o.Starter != "" {
		err = share(dir)
	}
	if err != nil {
		if rerr := sandbox.Remove(dir); rerr != nil {
			err = fmt.Errorf("%w (and its folder stays: %v)", err, rerr)
		}
		return o, err
	}
	// Nothing is written beside what was declared, and no bytecode is left that a later
	// start would take for the code's.
	l.Set("PYTHONDONTWRITEBYTECODE", "1")
	nothing := func(string) (string, bool) { return "", false }
	o.Bin, o.Set = python.Bin, l.Environ(nothing, nil, sandbox.Environment{})
	return o, nil
}

func fill(ctx context.Context, store port.Store, r port.Release, l *sandbox.Layout) error {
	if err := l.Code(ctx, store, r.Hosted().Code); err != nil {
		return err
	}
	if m := model(r); m.Digest != "" {
		if err := l.Model(ctx, store, m); err != nil {
			return err
		}
	}
	for name, data := range r.Inputs {
		if err := l.InputBytes(name, data); err != nil {
			return err
		}
	}
	if err := l.Params(r.Params); err != nil {
		return err
	}
	return shut(l.Dir())
}

// laid is what fill lays out, by the release's own digests and not by what then
// stands on disk.
func laid(r port.Release) (digest.Manifest, error) {
	var out digest.Manifest
	for folder, files := range map[string]digest.Manifest{codeFolder: r.Hosted().Code, modelFolder: model(r).Files} {
		for _, f := range files {
			f.Path = folder + "/" + f.Path
			out = append(out, f)
		}
	}
	for name, data := range r.Inputs {
		out = append(out, digest.File{Path: inputFolder + "/" + sandbox.VarName(name) + "/data", Digest: digest.Of(data), Size: int64(len(data))})
	}
	raw, err := sandbox.ParamsFile(r.Params)
	if err != nil {
		return nil, fault.New(fault.Invalid, "encode the parameters of %s: %w", r.Name, err)
	}
	out = append(out, digest.File{Path: paramsFile, Digest: digest.Of(raw), Size: int64(len(raw))})
	slices.SortFunc(out, func(a, b digest.File) int { return strings.Compare(a.Path, b.Path) })
	return out, nil
}

// shut takes the right to write from the folders of what was laid out, so that a
// served process that would write beside its code fails at once, and not at its next
// start.
func shut(dir string) error {
	for _, sub := range []string{codeFolder, modelFolder, inputFolder} {
		err := filepath.WalkDir(filepath.Join(dir, sub), func(p string, d fs.DirEntry, err error) error {
			if err == nil && d.IsDir() {
				return os.Chmod(p, 0o555)
			}
			return err
		})
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fault.New(fault.Internal, "protect what was laid out: %w", err)
		}
	}
	return nil
}

// share lets another user read the inputs and the parameters, as who serves in a container is one.
// The folder around them is its owner's alone.
func share(dir string) error {
	for _, top := range []string{inputFolder, paramsFile} {
		err := filepath.WalkDir(filepath.Join(dir, top), func(p string, d fs.DirEntry, err error) error {
			if err == nil && !d.IsDir() {
				return os.Chmod(p, 0o444)
			}
			return err
		})
		if err != nil {
			return fault.New(fault.Internal, "share what was laid out: %w", err)
		}
	}
	return nil
}

// python makes the environment that r's lock file asks for.
func (s *local) python(ctx context.Context, r port.Release) (sandbox.Environment, error) {
	if r.Local == nil || r.Local.Lock == "" {
		return sandbox.Environment{}, nil
	}
	for _, f := range r.Local.Code {
		if f.Path != r.Local.Lock {
			continue
		}
		lock, err := artifact.ReadAll(ctx, s.cfg.Store, f.Digest)
		if err != nil {
			return sandbox.Environment{}, fmt.Errorf("read %s: %w", r.Local.Lock, err)
		}
		return s.cfg.Envs.Prepare(ctx, lock, io.Discard)
	}
	return sandbox.Environment{}, fault.WithHint(fault.New(fault.Invalid, "release %s: its lock file %s is not among its code", r.Name, r.Local.Lock),
		"list %s under spec.target.local.code", r.Local.Lock)
}
