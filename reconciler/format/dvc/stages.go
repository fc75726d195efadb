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
	p := &pipeline{reading: reading{name: name}, root: root, read: read, files: map[string]*yaml.Node{}}
	p.arrange(l)
	return l, p.err
}

// pipeline is a dvc.yaml.
type pipeline struct {
	reading
	root *yaml.Node
	read func(file string) ([]byte, error)

	files map[string]*yaml.Node // of parameters, each read once
}

// arrange has l say what dvc.yaml says of its stages.
func (p *pipeline) arrange(l *Lock) {
	declared := plain(child(p.root, "stages"))
	l.at = map[string]Out{}
	stages := l.Stages[:0]
	for _, s := range l.Stages {
		body, scope := p.stage(declared, s.Name)
		if body == nil {
			continue
		}
		wdir := scope.filled(plain(child(body, "wdir")))
		keeps := p.keeps(body, scope)
		outs := s.Outs[:0]
		for _, o := range s.Outs {
			at := path.Clean(o.Path)
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
	if body := plain(child(declared, name)); body != nil {
		return body, s.of(body)
	}
	base, item, ok := strings.Cut(name, "@")
	body := plain(child(declared, base))
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

var filling = regexp.MustCompile(`\\?\$\{[^}]*\}`)

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
			switch n.Kind {
			case yaml.ScalarNode:
				s.keep(all, n, nil)
			case yaml.MappingNode:
				for i := 0; i+1 < len(n.Content); i += 2 {
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
	o := Out{NoCache: !s.yes(how, "cache", true), NoPush: !s.yes(how, "push", true), Persist: s.yes(how, "persist", false),
		Remote: s.filled(plain(child(how, "remote")))}
	if at, ok := s.fill(name); ok {
		all.by[path.Clean(at)] = o
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
