// dvc.yaml as far as dvc.lock needs it: where a stage works, and how each of its outputs
// is kept. dvc.lock names what was made and does not repeat either.

package dvc

import (
	"errors"
	"io/fs"
	"path"
	"regexp"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/lazyregexp"
)

// LoadLock reads the dvc.lock at file with the dvc.yaml beside it: paths are from the
// file's folder, whatever a stage's wdir, and outputs are kept as dvc.yaml says. What it
// names no longer is left out, as in DVC. Without a dvc.yaml the lock stands alone.
func LoadLock(file string, read func(file string) ([]byte, error)) (*Lock, error) {
	b, err := read(file)
	if err != nil {
		return nil, err
	}
	l, err := ParseLock(file, b)
	if err != nil {
		return nil, err
	}
	name := path.Join(path.Dir(file), "dvc.yaml")
	b, err = read(name)
	if errors.Is(err, fs.ErrNotExist) {
		return l, nil
	}
	if err != nil {
		return nil, err
	}
	_, root, err := document(name, b)
	if err != nil {
		return nil, err
	}
	p := &pipeline{reading: reading{name: name}, root: root, read: read, files: map[string]*yaml.Node{}, lists: map[*yaml.Node]map[string]*yaml.Node{}}
	p.arrange(l)
	return l, p.err
}

// pipeline is a dvc.yaml.
type pipeline struct {
	reading
	root *yaml.Node
	read func(file string) ([]byte, error)

	files map[string]*yaml.Node                // of parameters, each read once
	lists map[*yaml.Node]map[string]*yaml.Node // mappings that are asked again and again, by key
	work  int                                  // that reading took so far
}

// Bounds on what a dvc.yaml may ask for: aliases, foreach and matrix make much of little.
const (
	maxWork  = 20_000_000 // steps: values that are looked at, and bytes of text that are filled in
	maxText  = 4096       // bytes of a path or a value
	maxFiles = 100        // of parameters
)

// spend counts work, and tells whether there is room for it.
func (p *pipeline) spend(steps int) bool {
	if p.work += steps; p.work > maxWork && p.err == nil {
		p.err = fault.WithHint(fault.New(fault.Invalid, "%s: its stages take more than %d million steps to read", p.name, maxWork/1_000_000), "let a foreach or a matrix make less, or keep folders whole in place of their files")
	}
	return p.err == nil
}

// under is what a mapping has under key, which is asked for often.
func (p *pipeline) under(n *yaml.Node, key string) *yaml.Node {
	if n == nil || n.Kind != yaml.MappingNode {
		return nil
	}
	by, known := p.lists[n]
	if !known {
		by = make(map[string]*yaml.Node, len(n.Content)/2)
		for i := 0; i+1 < len(n.Content); i += 2 {
			if _, twice := by[n.Content[i].Value]; !twice {
				by[n.Content[i].Value] = n.Content[i+1]
			}
		}
		p.lists[n] = by
		p.spend(len(n.Content))
	}
	p.spend(1)
	return plain(by[key])
}

// arrange has l say what dvc.yaml says of its stages.
func (p *pipeline) arrange(l *Lock) {
	declared := plain(child(p.root, "stages"))
	l.at = map[string]Out{}
	stages := l.Stages[:0]
	for _, s := range l.Stages {
		if p.err != nil {
			return
		}
		body, scope := p.stage(declared, s.Name)
		if body == nil {
			continue
		}
		wdir := scope.filled(plain(child(body, "wdir")))
		keeps := p.keeps(body, scope)
		outs := s.Outs[:0]
		for _, o := range s.Outs {
			at := path.Clean(o.Path)
			if !p.spend(1 + len(keeps.patterns)*(1+len(at)/8)) {
				return
			}
			k, ok := keeps.of(at)
			if !ok {
				continue
			}
			o.NoCache, o.NoPush, o.Persist = k.NoCache, k.NoPush, k.Persist
			if k.Remote != "" {
				o.Remote = k.Remote
			}
			if !path.IsAbs(at) && !strings.Contains(o.Path, "://") {
				o.Path = path.Join(wdir, at)
			}
			outs = append(outs, o)
			if _, twice := l.at[o.Path]; !twice {
				l.at[o.Path] = o
			}
		}
		s.Outs = outs
		stages = append(stages, s)
	}
	l.Stages = stages
}

// stage finds the declaration of a stage of dvc.lock; one of foreach or matrix is named
// NAME@ITEM.
func (p *pipeline) stage(declared *yaml.Node, name string) (*yaml.Node, *scope) {
	s := &scope{pipeline: p}
	if body := p.under(declared, name); body != nil {
		return body, s.of(body)
	}
	base, item, ok := strings.Cut(name, "@")
	body := p.under(declared, base)
	if !ok || body == nil {
		return nil, nil
	}
	s.of(body)
	s.item, s.each = item, body
	if do := plain(child(body, "do")); do != nil {
		return do, s.of(do)
	}
	return body, s
}

// kept is how the outputs that dvc.yaml declares of a stage are kept.
type kept struct {
	by       map[string]Out // by path
	patterns []pattern      // of paths that are filled in with what dvc.yaml alone does not say
}

type pattern struct {
	matches *regexp.Regexp
	Out
}

// maxPatterns bounds how often each output is compared.
const maxPatterns = 1000

func (k *kept) of(at string) (Out, bool) {
	if o, ok := k.by[at]; ok {
		return o, true
	}
	for _, p := range k.patterns {
		if p.matches.MatchString(at) {
			return p.Out, true
		}
	}
	return Out{}, false
}

var filling = lazyregexp.New(`\\?\$\{[^}]*\}`)

// keeps reads the outputs of a stage: names, or names with how they are kept.
func (p *pipeline) keeps(body *yaml.Node, s *scope) *kept {
	all := &kept{by: map[string]Out{}}
	for _, key := range []string{"outs", "metrics", "plots"} {
		list := plain(child(body, key))
		if list == nil {
			continue
		}
		entries := list.Content
		if list.Kind == yaml.MappingNode {
			entries = []*yaml.Node{list}
		}
		for _, n := range entries {
			n = plain(n)
			if !p.spend(1) {
				return all
			}
			switch n.Kind {
			case yaml.ScalarNode:
				s.keep(all, n, nil)
			case yaml.MappingNode:
				for i := 0; i+1 < len(n.Content) && p.err == nil; i += 2 {
					s.keep(all, n.Content[i], plain(n.Content[i+1]))
				}
			default:
				p.fail(n, "an output of a stage is neither a name nor a mapping")
			}
		}
	}
	return all
}

func (s *scope) keep(all *kept, n, how *yaml.Node) {
	name := n.Value
	if !s.spend(20 + len(name)) {
		return
	}
	if len(name) > maxText {
		s.fail(n, "an output's path has more than %d bytes", maxText)
		return
	}
	o := Out{NoCache: !s.yes(how, "cache", true), NoPush: !s.yes(how, "push", true), Persist: s.yes(how, "persist", false),
		Remote: s.filled(plain(child(how, "remote")))}
	if at, ok := s.fill(name); ok {
		all.by[path.Clean(at)] = o
		return
	}
	if !s.spend(50 * len(name)) { // an expression takes far more than its text
		return
	}
	var b strings.Builder // any value: which one is in dvc.lock
	last := 0
	for _, m := range filling.FindAllStringIndex(name, -1) {
		b.WriteString(regexp.QuoteMeta(name[last:m[0]]) + ".*")
		last = m[1]
	}
	re, err := regexp.Compile("^" + b.String() + regexp.QuoteMeta(strings.TrimSuffix(name[last:], "/")) + "$")
	if err != nil || len(all.patterns) == maxPatterns {
		s.fail(n, "an output is too long, or more than %d of a stage hold values that are not known here", maxPatterns)
		return
	}
	all.patterns = append(all.patterns, pattern{re, o})
}

// yes is a switch that may be filled in.
func (s *scope) yes(n *yaml.Node, key string, otherwise bool) bool {
	c := plain(child(n, key))
	if c == nil {
		return otherwise
	}
	switch v := s.filled(c); strings.ToLower(v) {
	case "true", "yes", "on":
		return true
	case "false", "no", "off":
		return false
	default:
		s.fail(c, "%s is neither true nor false", key)
		return otherwise
	}
}
