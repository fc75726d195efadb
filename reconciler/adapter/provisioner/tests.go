// The tests of a stack's own module (terraform test). They make what they test unless they
// mock it, so they are run as a pull request is planned: behind the wall, with a home of
// their own, without any of the stack's variables and without its state.

package provisioner

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/hashicorp/go-version"

	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/format/terraform"
	"github.com/vishwaops/vishwa/reconciler/machine/sandbox"
	"github.com/vishwaops/vishwa/reconciler/machine/wall"
	"github.com/vishwaops/vishwa/reconciler/port"
)

// firstTests is the first version of either program that runs tests of this kind.
var firstTests = version.Must(version.NewVersion("1.6.0"))

// hasTests tells whether the program finds tests in a module: next to its files, and in the folder tests.
func hasTests(module digest.Manifest, product string) bool {
	return slices.ContainsFunc(module, func(f digest.File) bool { return terraform.IsTest(f.Path, product) })
}

// helpers are the modules that the tests of a module run, which was initialised and not run yet.
func (w *work) helpers() (out []port.TestModule, err error) {
	root, err := os.OpenRoot(w.moduleDir())
	if err != nil {
		return nil, fault.New(fault.Internal, "read tests of stack %s: %w", w.stack.Name, err)
	}
	defer root.Close()
	all, err := terraform.TestCalls(root.FS(), w.tool.product)
	if err != nil {
		return nil, fault.WithHint(fault.New(fault.Invalid, "stack %s: which modules its tests run cannot be read: %w", w.stack.Name, err), "correct the file, or write the tests more simply")
	}
	for _, c := range all {
		out = append(out, port.TestModule{Name: c.Name, Source: c.Source, Version: c.Version})
	}
	return out, nil
}

// test runs the tests of a module that was initialised; nil where it has none.
func (w *proposal) test(ctx context.Context) (*port.Tests, error) {
	if w.stack.Remove || !hasTests(w.module, w.tool.product) {
		return nil, nil
	}
	if have, err := version.NewVersion(w.tool.version); err != nil || have.Core().LessThan(firstTests) {
		return nil, fault.WithHint(fault.New(fault.Invalid, "stack %s has tests, and %s cannot run them", w.stack.Name, w.tool), "install %s %s or newer", w.tool.product, firstTests)
	}
	modules, err := w.helpers()
	if err != nil {
		return nil, err
	}
	if w.tests && w.policy.Level == wall.None {
		return &port.Tests{NotRun: "isolation is turned off on this machine", Modules: modules}, nil
	}
	var seen progress
	err = w.do(ctx, nothing, "test", upTo(mostSaid, &seen), seen.found, "test", "-json", "-no-color", "-var-file="+w.varsFile())
	switch {
	case errors.Is(err, errUnwalled):
		return &port.Tests{NotRun: err.Error(), Modules: modules}, nil
	case fault.Of(err) == fault.Cancelled, err != nil && seen.tested == nil:
		return nil, err
	case fault.Of(err) == fault.Denied:
		return nil, fault.WithHint(err, "tests get neither credentials nor the state: mock the provider (mock_provider), or list what they need to reach under spec.network")
	case seen.tested == nil:
		return nil, fault.New(fault.Internal, "test stack %s: %s said nothing of its tests", w.stack.Name, w.tool)
	}
	sum := *seen.tested
	return &port.Tests{Passed: sum.Passed, Failed: sum.Failed + sum.Errored, Skipped: sum.Skipped, Failures: w.failures(seen.diagnostics), Modules: modules}, nil
}

// failures are what tests said went wrong, for people. An assertion's own words are its detail.
func (w *proposal) failures(all []diagnostic) (out []string) {
	for _, d := range all {
		if d.Severity != "error" {
			continue
		}
		if d.Summary == "Test assertion failed" && d.Detail != "" {
			d.Summary = d.Detail
		}
		if d.run != "" {
			d.Summary = fmt.Sprintf("run %q: %s", d.run, d.Summary)
		}
		if one := d.told(w.secrets); !slices.Contains(out, one) {
			out = append(out, one)
		}
	}
	if n := len(out); n > most {
		out = append(out[:most], fmt.Sprintf("and %d more", n-most))
	}
	return out
}

// testedForm tells what is remembered of tests apart from what older programs remember, which knew nothing of their modules.
const testedForm = 1

// wentBadly is how long tests that failed, or did not end, count as such: what they reach may be back by then.
const wentBadly = time.Hour

// ran is what is remembered of tests, so that they are run again only where something has changed that they are told of, or
// where they went badly and that is a while ago: a stack is planned many times over, and is held while its tests are run.
type ran struct {
	Of    digest.Digest `json:"of"`
	Tests port.Tests    `json:"tests"`
	At    time.Time     `json:"at"`
	Wrong string        `json:"wrong,omitempty"` // why they could not be run to their end
	Hint  string        `json:"hint,omitempty"`
	Kind  fault.Kind    `json:"kind,omitempty"`
}

// tells is what is remembered of the same tests; false where they have to be run.
func (r ran) tells(of digest.Digest, now time.Time) (got *port.Tests, known bool, err error) {
	age := now.Sub(r.At)
	switch fresh := age >= 0 && age < wentBadly; {
	case r.Of != of, !fresh && (r.Wrong != "" || r.Tests.Failed > 0):
		return nil, false, nil
	case r.Wrong != "":
		return nil, true, fault.WithHint(fault.New(r.Kind, "%s", r.Wrong), "%s", r.Hint)
	default:
		return &r.Tests, true, nil
	}
}

// remember notes how tests went. What is the machine's fault, or the caller's, is not.
func (w *work) remember(note ran, got *port.Tests, err error) {
	switch {
	case err == nil && got.NotRun == "":
		note.Tests = *got
	case err != nil && (fault.Of(err) == fault.Invalid || fault.Of(err) == fault.Denied):
		note.Kind, note.Wrong, note.Hint = fault.Of(err), err.Error(), fault.HintOf(err)
	default:
		return
	}
	if raw, err := json.Marshal(note); err == nil {
		_ = os.WriteFile(w.testedFile(), raw, 0o600) // run again where it cannot be remembered
	}
}

func (w *work) testedFile() string { return filepath.Join(w.root, "tested.json") }

// tested is test for a stack of the tracked branch.
func (t *Stacks) tested(ctx context.Context, w *work) (*port.Tests, error) {
	if w.stack.Remove || !hasTests(w.module, w.tool.product) {
		return nil, nil
	}
	of, err := digest.JSON(map[string]any{"form": testedForm, "module": w.module.Digest(), "vars": w.stack.Vars, "tool": w.tool.String(), "network": w.stack.Network})
	if err != nil {
		return nil, fault.New(fault.Invalid, "stack %s: spec.vars cannot be written as JSON", w.stack.Name)
	}
	var last ran
	if raw, err := os.ReadFile(w.testedFile()); err == nil && json.Unmarshal(raw, &last) == nil {
		if got, known, err := last.tells(of, w.now); known {
			return got, err
		}
	}
	p := w.apart(t.cfg)
	defer p.tidy()
	if err := p.borrow(w, t.cfg.Env.Lookup); err != nil {
		return nil, err
	}
	inner, cancel := context.WithTimeoutCause(ctx, t.cfg.Patience, errSlow)
	defer cancel()
	got, err := p.test(inner)
	if err != nil && ctx.Err() == nil && errors.Is(context.Cause(inner), errSlow) {
		err = fault.WithHint(fault.New(fault.Invalid, "test stack %s: it was ended after %s", w.stack.Name, t.cfg.Patience), "see what the tests wait for")
	}
	if ctx.Err() == nil {
		w.remember(ran{Of: of, At: t.cfg.Env.Now()}, got, err)
	}
	return got, err
}

// apart is the stack's work for its tests, in a folder of theirs below the stack's: what tests write is code that nobody has
// reviewed, and what lies in the stack's own folder is planned and applied afterwards with no wall around it.
func (w *work) apart(c Config) *proposal {
	own := *w
	own.root, own.cli = filepath.Join(w.root, "tests"), nil
	p := &proposal{work: &own, policy: c.Wall, dial: c.Dial, tests: true}
	p.policy.Strict = true
	return p
}

// borrow lays the module out for tests, with copies of the providers and modules that were fetched for from. What init noted of
// the backend is left out: there may be credentials in it.
func (w *proposal) borrow(from *work, lookup func(string) (string, bool)) error {
	if err := sandbox.Remove(w.root); err != nil {
		return fault.New(fault.Internal, "remove old tests of stack %s: %w", w.stack.Name, err)
	}
	if err := os.MkdirAll(w.file("home"), 0o700); err != nil {
		return fault.New(fault.Internal, "make work directory: %w", err)
	}
	err := w.layOut()
	for _, part := range []string{lockFile, ".terraform/modules", ".terraform/providers"} {
		if err == nil {
			err = copied(filepath.Join(from.moduleDir(), part), filepath.Join(w.moduleDir(), part))
		}
	}
	if err != nil {
		return fault.WithHint(fault.New(fault.Internal, "lay out tests of stack %s: %w", w.stack.Name, err), "free space, or allow writing there")
	}
	if err := w.writeVars(); err != nil {
		return err
	}
	return w.outfit(lookup)
}

// copied copies a file, or a folder with all that is in it; one that is not there is none. Links to elsewhere on this machine, as
// to a cache of providers, stay links.
func copied(from, to string) error {
	return filepath.WalkDir(from, func(path string, d fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) && path == from {
			return nil
		}
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(from, path)
		if err != nil {
			return err
		}
		at := filepath.Join(to, rel)
		switch info, err := d.Info(); {
		case err != nil:
			return err
		case d.IsDir():
			return os.MkdirAll(at, 0o700|info.Mode().Perm())
		case d.Type()&fs.ModeSymlink != 0:
			return copyLink(path, at, from)
		case !d.Type().IsRegular():
			return fmt.Errorf("%s is no plain file", path)
		default:
			return copyFile(path, at, info.Mode().Perm())
		}
	})
}

// copyLink has the copy of a link lead to where the link does. One that leads to a place in the same tree leads there in the copy's.
func copyLink(link, to, tree string) error {
	at, err := os.Readlink(link)
	if err != nil {
		return err
	}
	if !filepath.IsAbs(at) {
		whole := filepath.Join(filepath.Dir(link), at)
		if rel, err := filepath.Rel(tree, whole); err != nil || !filepath.IsLocal(rel) {
			at = whole
		}
	}
	return os.Symlink(at, to)
}

// copyFile replaces what is there: the module has a lock file of its own, which init may have added to.
func copyFile(from, to string, mode fs.FileMode) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600|mode)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	return errors.Join(err, out.Close())
}

// tidy removes what the tests had for themselves.
func (w *proposal) tidy() {
	if err := sandbox.Remove(w.root); err != nil {
		w.log.Warn("the folder of tests could not be removed", "stack", w.stack.Name, "error", err)
	}
}
