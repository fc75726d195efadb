// Package policy judges plans: it turns a plan and its evidence into findings, by
// rules in Rego, the built-in ones beside this file and the team's own. It fails
// closed: what cannot be judged is denied.
package policy

import (
	"context"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/rego"
	"github.com/open-policy-agent/opa/v1/storage/inmem"

	"github.com/vishwaops/vishwa/policy/terms"
	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/fault"
)

// Options bound a decision; the zero value is sensible.
type Options struct {
	Timeout time.Duration // for one step; zero is two seconds
	Memory  uint64        // bytes that the heap may grow by while a plan is judged; zero is 1 GiB
}

// Engine is a set of rules, compiled once something is to be judged. It is immutable, and safe for many goroutines.
type Engine struct {
	opts    Options
	digest  digest.Digest
	prepare func() (*judge, error) // once: from the text that digest names, and nothing that may be another by then
}

// judge is rules that are ready to be asked.
type judge struct {
	asks  map[string]question // by the kind of a step; "" asks everything
	rules []Rule
	shape *terms.Shape
}

// question is a prepared query for some sets of findings, in the order of its result.
type question struct {
	query rego.PreparedEvalQuery
	sets  []set
	// readers are those that need the Terraform plan.
	readers map[set]bool
}

// set is one collection of findings: deny, warn or note of a package.
type set struct {
	pkg   string
	level string
}

// New takes the built-in rules and those below paths of team, the repository's tree. A team's file that
// cannot be read as rules is an error that names it and the line; that rules compile, Check tells. Nothing is
// judged before they do: compiling takes more than most commands that judge nothing.
func New(team fs.FS, paths []string, opts Options) (*Engine, error) {
	if len(paths) == 0 && opts == (Options{}) {
		return builtIn()
	}
	return gathered(team, paths, opts)
}

// builtIn is the engine of a repository without rules of its own, the same for all of them.
var builtIn = sync.OnceValues(func() (*Engine, error) { return gathered(nil, nil, Options{}) })

func gathered(team fs.FS, paths []string, opts Options) (*Engine, error) {
	mods, err := collect(team, paths, false)
	if err != nil {
		return nil, err
	}
	if opts.Timeout <= 0 {
		opts.Timeout = 2 * time.Second
	}
	if opts.Memory == 0 {
		opts.Memory = 1 << 30
	}
	if err := parse(mods, func(m module) bool { return m.team }); err != nil {
		return nil, err
	}
	mods = slices.DeleteFunc(mods, func(m module) bool { return m.test })
	if err := useless(mods, len(paths) > 0); err != nil {
		return nil, err
	}
	name, err := nameRules(mods)
	if err != nil {
		return nil, err
	}
	return &Engine{opts, name, sync.OnceValues(func() (*judge, error) { return compile(mods) })}, nil
}

// Check compiles the rules: a broken or forbidden one anywhere is an error that names file and line.
func (e *Engine) Check(ctx context.Context) error {
	_, err := e.ready(ctx)
	return err
}

// ready waits until the rules are compiled, or ctx ends: their compiler cannot be told to stop.
func (e *Engine) ready(ctx context.Context) (*judge, error) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		_, _ = e.prepare()
	}()
	select {
	case <-done:
		return e.prepare()
	case <-ctx.Done():
		return nil, fault.New(fault.Cancelled, "compile the rules: %w", context.Cause(ctx))
	}
}

// compile makes rules ready, whose team's are parsed.
func compile(mods []module) (*judge, error) {
	if err := parse(mods, func(m module) bool { return !m.team }); err != nil {
		return nil, err
	}
	shape, types, err := compileSchema()
	if err != nil {
		return nil, err
	}
	j := &judge{rules: describeRules(mods), shape: shape}
	compiler := ast.NewCompiler().WithCapabilities(capabilities()).WithSchemas(types)
	if compiler.Compile(parsed(mods)); compiler.Failed() {
		return nil, broken(compiler.Errors)
	}
	if err := j.ask(compiler, mods, setsOf(mods)); err != nil {
		return nil, err
	}
	return j, nil
}

// wholePackage is the scope of an annotation that is about all rules of a package of Rego.
const wholePackage = "package"

// ask makes one question a kind, so that a step is not asked what only concerns
// other kinds. A built-in package names its kinds; a team's rules are asked of every step.
func (j *judge) ask(compiler *ast.Compiler, mods []module, sets []set) error {
	limited := map[string][]string{} // package -> kinds
	j.asks = map[string]question{"": {}}
	readers := readers(compiler, sets)
	for _, m := range mods {
		for _, a := range m.parsed.Annotations {
			if kinds, ok := a.Custom["kinds"].([]any); ok && a.Scope == wholePackage && !m.team {
				for _, k := range kinds {
					kind := fmt.Sprint(k)
					limited[m.parsed.Package.Path.String()] = append(limited[m.parsed.Package.Path.String()], kind)
					j.asks[kind] = question{}
				}
			}
		}
	}
	for kind := range j.asks {
		q := question{readers: readers, sets: slices.DeleteFunc(slices.Clone(sets), func(s set) bool {
			kinds := limited[s.pkg]
			return kind != "" && kinds != nil && !slices.Contains(kinds, kind)
		})}
		var err error
		q.query, err = rego.New(
			rego.ParsedQuery(ask(q.sets)), rego.Compiler(compiler), rego.Store(inmem.New()), rego.StrictBuiltinErrors(true),
		).PrepareForEval(context.Background())
		if err != nil {
			return fault.New(fault.Internal, "prepare policy: %w", err)
		}
		j.asks[kind] = q
	}
	return nil
}

// Digest names all rules in force, built-in and the team's, and the shape of what they see.
func (e *Engine) Digest() digest.Digest { return e.digest }

func nameRules(mods []module) (digest.Digest, error) {
	files := map[string]digest.Digest{"input.schema.json": digest.Of(inputSchema)}
	for _, m := range mods {
		files[m.key()] = digest.Of(m.text)
	}
	return digest.JSON(files)
}

func parsed(mods []module) map[string]*ast.Module {
	out := map[string]*ast.Module{}
	for _, m := range mods {
		out[m.key()] = m.parsed
	}
	return out
}

// broken is a compiler's errors, with the ways out that people need.
func broken(errs ast.Errors) error {
	err := fault.New(fault.Invalid, "load policy: %w", errs)
	return fault.WithHint(err, "correct the rules; they see only the documented input, and reach neither network, machine, chance nor clock (%s are refused)", strings.Join(refused, ", "))
}

// useless refuses a team's rules that declare no set of findings: they would be no rules at all, most likely by a slip
// of the pen.
func useless(mods []module, team bool) error {
	if err := misspelt(mods); err != nil {
		return err
	}
	for _, m := range mods {
		if m.team && slices.ContainsFunc(m.parsed.Rules, func(r *ast.Rule) bool { _, is := levelOf(r); return is }) {
			return nil
		}
	}
	if !team {
		return nil
	}
	return fault.WithHint(fault.New(fault.Invalid, "load policy: the team's rules declare none of the sets %s", strings.Join(levels, ", ")),
		"write: deny contains message if { ... }")
}

// setsOf lists the sets of findings that mods declare.
func setsOf(mods []module) []set {
	seen := map[set]bool{}
	for _, m := range mods {
		for _, r := range m.parsed.Rules {
			if level, is := levelOf(r); is {
				seen[set{m.parsed.Package.Path.String(), level}] = true
			}
		}
	}
	var out []set
	for s := range seen {
		out = append(out, s)
	}
	slices.SortFunc(out, func(a, b set) int {
		if a.pkg != b.pkg {
			return strings.Compare(a.pkg, b.pkg)
		}
		return strings.Compare(a.level, b.level)
	})
	return out
}

// ask is the one query of a decision: an array of all the sets. Where any of them
// is undefined, so is the array, and nothing is taken for allowed.
func ask(sets []set) ast.Body {
	terms := make([]*ast.Term, len(sets))
	for i, s := range sets {
		terms[i] = ast.MustParseTerm(fmt.Sprintf("%s.%s", s.pkg, s.level))
	}
	return ast.NewBody(ast.NewExpr(ast.ArrayTerm(terms...)))
}
