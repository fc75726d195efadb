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
	"sync/atomic"
	"time"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/rego"
	"github.com/open-policy-agent/opa/v1/storage"
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
	opts   Options
	digest digest.Digest
	// whole is all rules: from the text that digest names, and nothing that may be another by then.
	whole *prepared
	// parts are those that steps of a kind are asked: most plans concern few. There are none where a team's rules speak of the built-in ones.
	parts map[string]*prepared
	team  *prepared // the team's alone, where there are parts and a team has rules
}

// prepared are rules that are compiled once they are needed.
type prepared struct {
	mods  []module
	once  sync.Once
	judge *judge
	err   error
	done  atomic.Bool
}

func (p *prepared) ready() (*judge, error) {
	p.once.Do(func() {
		p.judge, p.err = compile(p.mods)
		p.mods = nil
		p.done.Store(true)
	})
	return p.judge, p.err
}

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
	none  storage.Transaction // reads of data, of which rules have none
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
	e := &Engine{opts: opts, digest: name, whole: &prepared{mods: mods}}
	built := slices.DeleteFunc(slices.Clone(mods), func(m module) bool { return m.team })
	theirs := slices.DeleteFunc(slices.Clone(mods), func(m module) bool { return !m.team })
	if independent(theirs) {
		e.parts = map[string]*prepared{}
		if len(theirs) > 0 {
			e.team = &prepared{mods: theirs}
		}
		for _, part := range parts.Split(texts(built)) {
			p := &prepared{mods: slices.Concat(some(built, part.Files), theirs)}
			for _, kind := range part.Kinds {
				e.parts[kind] = p
			}
		}
	}
	return e, nil
}

// independent tells whether a team's rules speak of none but its own: then they are the same beside a part of the built-in ones.
// It goes by their text: OPA's walkers leave out what stands in the head of a rule, and a word too many costs time alone.
func independent(team []module) bool {
	return !slices.ContainsFunc(team, func(m module) bool { return parts.Reaches(m.text) })
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

// Check compiles a team's rules: a broken or forbidden one anywhere is an error that names file and line. None of the built-in
// ones is: what is released compiles.
func (e *Engine) Check(ctx context.Context) error {
	p := e.whole
	switch {
	case e.parts == nil || p.done.Load():
	case e.team == nil:
		return nil
	default:
		p = e.team
	}
	return await(ctx, func() error { _, err := p.ready(); return err })
}

// ready are the questions for steps of kinds, once their rules are compiled.
func (e *Engine) ready(ctx context.Context, kinds []string) (map[string]*question, error) {
	rules := e.parts[kinds[0]]
	if rules == nil || e.whole.done.Load() || slices.ContainsFunc(kinds, func(k string) bool { return e.parts[k] != rules }) {
		rules = e.whole // all are compiled at once, and once
	}
	out := map[string]*question{}
	err := await(ctx, func() error {
		j, err := rules.ready()
		for i := 0; i < len(kinds) && err == nil; i++ {
			out[kinds[i]], err = j.question(kinds[i])
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// await waits for what compiles rules, or until ctx ends: their compiler cannot be told to stop.
func await(ctx context.Context, compiled func() error) error {
	done := make(chan error, 1)
	fault.Go(func() { done <- compiled() }, func(err error) { done <- err })
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
	store := inmem.New()
	q.query, err = rego.New(
		rego.ParsedQuery(ask(q.sets)), rego.Compiler(j.compiler), rego.Store(store), rego.StrictBuiltinErrors(true),
	).PrepareForEval(context.Background())
	if err == nil {
		q.none, err = store.NewTransaction(context.Background())
	}
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
