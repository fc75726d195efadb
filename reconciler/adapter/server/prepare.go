// A release on its way from the store to disk: verified model, code, inputs and
// Python environment, all there before the host hears of it.
package server

import (
	"context"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/vishwaops/vishwa/reconciler/adapter/content"
	"github.com/vishwaops/vishwa/reconciler/adapter/sandbox"
	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/port"
)

// Folders of a laid out release, as sandbox.Layout names them.
const (
	modelFolder = "model"
	codeFolder  = "code"
)

// order is r as the host is asked for it, but for its folder.
func (s *local) order(r port.Release) order {
	o := order{
		Name: r.Name, Key: r.Key, Model: r.Model.Digest, Files: model(r).Files, Command: r.Command, Pass: r.Pass,
		Declared: r.Port, Ready: r.Ready, Timeout: r.Timeout, Pace: s.cfg.Pace.filled(),
	}
	if !strings.HasPrefix(o.Ready, "/") {
		o.Ready = "/v2/health/ready"
	}
	if o.Timeout <= 0 {
		o.Timeout = time.Minute
	}
	return o
}

// model is r's model as a folder: one that is a single file is served from a
// folder that holds it, so that VISHWA_MODEL_DIR is always a folder.
func model(r port.Release) port.Artifact {
	m := r.Model
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
	for n := 1; ; n++ {
		o.Folder = fmt.Sprintf("r-%s-%d", r.Key.Short(), n)
		if _, err := os.Lstat(s.place.release(r.Name, o.Folder)); err != nil {
			break
		}
	}
	dir := s.place.release(r.Name, o.Folder)
	l, err := sandbox.NewLayout(dir)
	if err != nil {
		return o, err
	}
	if err := fill(ctx, s.cfg.Store, r, l); err != nil {
		if rerr := sandbox.Remove(dir); rerr != nil {
			err = fmt.Errorf("%w (and its folder stays: %v)", err, rerr)
		}
		return o, err
	}
	nothing := func(string) (string, bool) { return "", false }
	o.Bin, o.Set = python.Bin, l.Environ(nothing, nil, sandbox.Environment{})
	return o, nil
}

func fill(ctx context.Context, store port.Store, r port.Release, l *sandbox.Layout) error {
	if err := l.Code(ctx, store, r.Code); err != nil {
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
	return l.Params(r.Params)
}

// python makes the environment that r's lock file asks for.
func (s *local) python(ctx context.Context, r port.Release) (sandbox.Environment, error) {
	if r.Lock == "" {
		return sandbox.Environment{}, nil
	}
	for _, f := range r.Code {
		if f.Path != r.Lock {
			continue
		}
		lock, err := content.ReadAll(ctx, s.cfg.Store, f.Digest)
		if err != nil {
			return sandbox.Environment{}, fmt.Errorf("read %s: %w", r.Lock, err)
		}
		return s.cfg.Envs.Prepare(ctx, lock, io.Discard)
	}
	return sandbox.Environment{}, fault.Hint(fault.New(fault.Invalid, "release %s: its lock file %s is not among its code", r.Name, r.Lock),
		"list %s under spec.target.local.code", r.Lock)
}
