// Package policy judges plans: it turns a plan and its evidence into findings, by
// rules in Rego, the built-in ones beside this file and the team's own. It fails
// closed: what cannot be judged is denied.
package policy

import (
	"context"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/rego"
	"github.com/open-policy-agent/opa/v1/storage/inmem"

	"github.com/vishwaops/vishwa/policy/parts"
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
	prepare prepared // all rules: from the text that digest names, and nothing that may be another by then
	// parts are, without a team's rules, those that steps of a kind are asked: most plans concern few.
	parts map[string]prepared
}

// prepared makes rules ready, once.
type prepared func() (*judge, error)

// judge is rules that are ready to be asked.
type judge struct {
	compiler *ast.Compiler
	limited  map[string][]string // the kinds that a package of them is about
	sets     []set
	readers  map[set]bool // those that need the Terraform plan
	rules    []Rule
	shape    *terms.Shape

	mu   sync.Mutex
	asks map[string]*question // by the kind of a step; "" asks everything
}

// question is a prepared query for some sets of findings, in the order of its result.
type question struct {
	*judge
	query rego.PreparedEvalQuery
	sets  []set
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
	e := &Engine{opts: opts, digest: name, prepare: once(mods)}
	if len(paths) == 0 {
		e.parts = map[string]prepared{}
		for _, part := range parts.Split(texts(mods)) {
			ready := once(some(mods, part.Files))
			for _, kind := range part.Kinds {
				e.parts[kind] = ready
			}
		}
	}
	return e, nil
}

func texts(mods []module) map[string][]byte {
	out := map[string][]byte{}
	for _, m := range mods {
		out[m.name] = m.text
	}
	return out
}

// some are those of mods with the names.
func some(mods []module, names []string) []module {
	return slices.DeleteFunc(slices.Clone(mods), func(m module) bool { return !slices.Contains(names, m.name) })
}

func once(mods []module) prepared {
	return sync.OnceValues(func() (*judge, error) { return compile(mods) })
}

// Check compiles the rules: a broken or forbidden one anywhere is an error that names file and line. Of the built-in
// ones alone none is: what is released compiles.
func (e *Engine) Check(ctx context.Context) error {
	if e.parts != nil {
		return nil
	}
	return await(ctx, func() error { _, err := e.prepare(); return err })
}

// ready are the questions for steps of kinds, once their rules are compiled.
func (e *Engine) ready(ctx context.Context, kinds []string) (map[string]*question, error) {
	whole := slices.ContainsFunc(kinds, func(k string) bool { return e.parts[k] == nil })
	out := map[string]*question{}
	err := await(ctx, func() error {
		for _, kind := range kinds {
			prepare := e.parts[kind]
			if whole {
				prepare = e.prepare
			}
			j, err := prepare()
			if err == nil {
				out[kind], err = j.question(kind)
			}
			if err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// await waits for what compiles rules, or until ctx ends: their compiler cannot be told to stop.
func await(ctx context.Context, compiled func() error) error {
	done := make(chan error, 1)
	go func() { done <- compiled() }()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return fault.New(fault.Cancelled, "compile the rules: %w", context.Cause(ctx))
	}
}

// compile makes rules ready, whose team's are parsed.
func compile(mods []module) (*judge, error) {
	if err := parse(mods, func(m module) bool { return !m.team }); err != nil {
		return nil, err
	}
	input, err := inputOnce()
	if err != nil {
		return nil, err
	}
	compiler := ast.NewCompiler().WithCapabilities(capabilities()).WithSchemas(input.types)
	if compiler.Compile(parsed(mods)); compiler.Failed() {
		return nil, broken(compiler.Errors)
	}
	sets := setsOf(mods)
	return &judge{
		compiler: compiler, limited: limits(mods), sets: sets, readers: readers(compiler, sets), rules: describeRules(mods), shape: input.shape,
		asks: map[string]*question{},
	}, nil
}

// wholePackage is the scope of an annotation that is about all rules of a package of Rego.
const wholePackage = "package"

// limits are the kinds that built-in packages name: a step is not asked what only concerns other kinds.
// A team's rules are asked of every step.
func limits(mods []module) map[string][]string {
	limited := map[string][]string{} // package -> kinds
	for _, m := range mods {
		for _, a := range m.parsed.Annotations {
			if kinds, ok := a.Custom["kinds"].([]any); ok && a.Scope == wholePackage && !m.team {
				for _, k := range kinds {
					limited[m.parsed.Package.Path.String()] = append(limited[m.parsed.Package.Path.String()], fmt.Sprint(k))
				}
			}
		}
	}
	return limited
}

// question is what is asked of a step of a kind; one that no package names is asked everything.
func (j *judge) question(kind string) (*question, error) {
	if !slices.ContainsFunc(slices.Collect(maps.Values(j.limited)), func(kinds []string) bool { return slices.Contains(kinds, kind) }) {
		kind = ""
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	if q := j.asks[kind]; q != nil {
		return q, nil
	}
	q := &question{judge: j, sets: slices.DeleteFunc(slices.Clone(j.sets), func(s set) bool {
		kinds := j.limited[s.pkg]
		return kind != "" && kinds != nil && !slices.Contains(kinds, kind)
	})}
	var err error
	q.query, err = rego.New(
		rego.ParsedQuery(ask(q.sets)), rego.Compiler(j.compiler), rego.Store(inmem.New()), rego.StrictBuiltinErrors(true),
	).PrepareForEval(context.Background())
	if err != nil {
		return nil, fault.New(fault.Internal, "prepare policy: %w", err)
	}
	j.asks[kind] = q
	return q, nil
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
