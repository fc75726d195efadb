// Reading rules: the built-in ones, and those of the team's repository. A team's
// rules stand beside the built-in ones and cannot reach into them, so that they
// add denials and never take one away.

package policy

import (
	"cmp"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"

	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/format/lfs"
)

//go:embed *.rego
var library embed.FS

// Bounds on what is read from a repository.
const (
	maxRegoFile  = 1 << 20 // bytes
	maxRegoFiles = 1000
	maxRegoBytes = 8 << 20 // of all
	maxRegoPaths = 1_000_000
)

// Name is the digest of the rules that New would have in force. They are read, and
// neither parsed nor compiled: whose rules they are need not be known.
func Name(team fs.FS, paths []string) (digest.Digest, error) {
	mods, err := gather(library, []string{"."}, false)
	if err != nil {
		return "", err
	}
	theirs, err := gather(team, paths, true)
	if err != nil {
		return "", err
	}
	return nameRules(slices.DeleteFunc(append(mods, theirs...), func(m module) bool { return m.test }))
}

// module is one Rego file.
type module struct {
	name   string // path in its file system
	team   bool
	test   bool // *_test.rego: no rule of it is in force
	text   []byte
	parsed *ast.Module
}

// levels are the sets whose members are findings.
var levels = []string{"deny", "warn", "note"}

// prefix sets the built-in files' names apart from the team's.
const prefix = "built-in/"

func (m module) key() string {
	if m.team {
		return m.name
	}
	return prefix + m.name
}

// load reads and parses all rules, with their tests.
func load(team fs.FS, paths []string) ([]module, error) {
	mods, err := collect(team, paths, true)
	if err != nil {
		return nil, err
	}
	return mods, parse(mods, func(module) bool { return true })
}

// collect reads all rules: a team's tests with them, the built-in ones only where they are wanted.
func collect(team fs.FS, paths []string, tests bool) ([]module, error) {
	mods, err := gather(library, []string{"."}, false)
	if err != nil {
		return nil, err
	}
	mods = slices.DeleteFunc(mods, func(m module) bool { return m.test && !tests })
	if len(paths) > 0 {
		theirs, err := gather(team, paths, true)
		if err != nil {
			return nil, err
		}
		mods = append(mods, theirs...)
	}
	return mods, nil
}

// parse parses those of mods that are which. Every broken file is named, with its line.
func parse(mods []module, which func(module) bool) error {
	var broken []error
	for i := range mods {
		if !which(mods[i]) {
			continue
		}
		if err := mods[i].parse(); err != nil {
			broken = append(broken, err)
		}
	}
	if err := errors.Join(broken...); err != nil {
		return fault.WithHint(fault.New(fault.Invalid, "load policy: %w", err), "correct the rules: while one of them cannot be read, nothing is judged")
	}
	return nil
}

// gather lists the Rego files below paths, each once, sorted.
func gather(fsys fs.FS, paths []string, team bool) ([]module, error) {
	var mods []module
	seen := map[string]bool{}
	bytes, visits := 0, 0
	for _, p := range paths {
		before := len(mods)
		p = path.Clean(strings.TrimSuffix(p, "/"))
		err := fs.WalkDir(fsys, p, func(name string, e fs.DirEntry, err error) error {
			if visits++; visits > maxRegoPaths {
				return fmt.Errorf("there are more than %d paths to look at", maxRegoPaths)
			}
			if err != nil || e.IsDir() || path.Ext(name) != ".rego" || seen[name] {
				return err
			}
			seen[name] = true
			if !e.Type().IsRegular() {
				return fmt.Errorf("%s is not a regular file", name)
			}
			if info, err := e.Info(); err != nil {
				return err
			} else if info.Size() > maxRegoFile || len(mods) >= maxRegoFiles {
				return fmt.Errorf("%s: rules are limited to %d files of %d bytes", name, maxRegoFiles, maxRegoFile)
			}
			text, err := fs.ReadFile(fsys, name)
			if err != nil {
				return err
			}
			if _, is := lfs.Parse(text); is {
				return fault.WithHint(fault.New(fault.Invalid, "%s %s", name, lfs.NotTheFile), "%s", lfs.Way(name))
			}
			if bytes += len(text); bytes > maxRegoBytes {
				return fmt.Errorf("%s: with it, rules have more than %d MiB", name, maxRegoBytes>>20)
			}
			mods = append(mods, module{name: name, team: team, test: strings.HasSuffix(name, "_test.rego"), text: text})
			return nil
		})
		if err != nil {
			return nil, fault.WithHint(fault.New(fault.Invalid, "load policy from %s: %w", p, err), "%s",
				cmp.Or(fault.HintOf(err), "correct spec.policy.paths in vishwa.yaml, or the folder"))
		}
		if len(mods) == before && !seen[p] {
			return nil, fault.WithHint(fault.New(fault.Invalid, "load policy from %s: it holds no .rego file", p), "correct spec.policy.paths in vishwa.yaml, or add rules")
		}
	}
	slices.SortFunc(mods, func(a, b module) int { return strings.Compare(a.name, b.name) })
	return mods, nil
}

// parse reads m, and holds a team's file to what a team may write.
func (m *module) parse() error {
	parsed, err := ast.ParseModuleWithOpts(m.key(), string(m.text), ast.ParserOptions{
		RegoVersion: ast.RegoV1, ProcessAnnotation: true, Capabilities: capabilities(),
	})
	if err != nil {
		return err
	}
	if parsed == nil {
		return fmt.Errorf("%s:1: is empty; write a package, or remove the file", m.key())
	}
	m.parsed = parsed
	if !m.team {
		return nil
	}
	if p := parsed.Package.Path; len(p) > 1 && p[1].Equal(ast.StringTerm("vishwa")) {
		return fmt.Errorf("%s: package %s is Vishwa's own; choose another name, your rules add to the built-in ones", parsed.Package.Location, packageName(parsed))
	}
	for _, r := range parsed.Rules {
		if level, is := levelOf(r); is && (r.Head.RuleKind() != ast.MultiValue || len(r.Head.Ref()) != 1) {
			return fmt.Errorf("%s: %s is not a set; write: %s contains message if { ... }", r.Location, level, level)
		}
	}
	return nil
}

// levelOf tells whether r adds to one of the sets that are findings.
func levelOf(r *ast.Rule) (string, bool) {
	ref := r.Head.Ref()
	if len(ref) == 0 {
		return "", false
	}
	name := strings.Trim(ref[0].String(), `"`)
	return name, slices.Contains(levels, name)
}

// packageName is the package as it is written, without "data.".
func packageName(m *ast.Module) string {
	return strings.TrimPrefix(m.Package.Path.String(), "data.")
}

// refused lists the built-in functions that rules do not get: the network, the
// machine, chance, and a clock besides the recorded time of the decision.
var refused = []string{
	"http.send", "net.lookup_ip_addr", "opa.runtime", "rand.intn", "uuid.rfc4122",
	"crypto.x509.parse_and_verify_certificates", "crypto.x509.parse_and_verify_certificates_with_options",
}

// capabilities is what rules may use. A rule that calls more does not compile.
func capabilities() *ast.Capabilities {
	c := ast.CapabilitiesForThisVersion()
	c.AllowNet = []string{}
	c.Builtins = slices.DeleteFunc(c.Builtins, func(b *ast.Builtin) bool { return slices.Contains(refused, b.Name) })
	return c
}
