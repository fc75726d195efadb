// What is kept on this machine of what stands on clusters, sealed: where it may be, and what it was
// declared as. The cluster's own word is what it looks like, and this is what it should.

package kubernetes

import (
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/machine/artifact"
	"github.com/vishwaops/vishwa/reconciler/machine/kube"
	"github.com/vishwaops/vishwa/reconciler/machine/kube/owned"
	"github.com/vishwaops/vishwa/reconciler/machine/sandbox"
)

// record is of one name.
type record struct {
	Places []place   `json:"places"` // where something of it may stand, made before anything is
	Served *standing `json:"served,omitempty"`
	// Tried is what is tried next to it, as it is to stand once it serves; how much of the requests it has says the route.
	Tried *standing `json:"tried,omitempty"`
	// Forget are Secrets of releases that were, which nothing else takes away: the unit that they belong to goes on.
	Forget []string `json:"forget,omitempty"`
	// Wrote is what the file of a branch may hold that we wrote last: what it was before, and what it came to.
	Wrote []digest.Digest `json:"wrote,omitempty"`
}

// standing is what has the traffic, as it should stand.
type standing struct {
	Target  string          `json:"target,omitempty"` // empty: of pods
	Place   place           `json:"place"`
	Key     digest.Digest   `json:"key"`
	Model   digest.Digest   `json:"model"`
	Unit    string          `json:"unit"` // the name of its Deployment, which follows from what its pods are
	URL     string          `json:"url"`
	Ready   string          `json:"ready"`
	Since   time.Time       `json:"since"`
	Objects []owned.Object  `json:"objects"` // but for the Secret
	Bring   bring           `json:"bring"`
	Loan    loan            `json:"loan"`
	Bytes   string          `json:"bytes,omitempty"` // the class of what is served; empty: that of its target
	Laid    string          `json:"laid,omitempty"`  // the folder of the store that it is read from, where that is not by digest
	Files   digest.Manifest `json:"files,omitempty"` // of the model, in that folder
}

// bring is what its pods are brought, and by which Secret.
type bring struct {
	Secret  string                   `json:"secret"`
	Release []byte                   `json:"release"` // a served.Release
	Inline  map[digest.Digest][]byte `json:"inline,omitempty"`
	Read    []digest.Digest          `json:"read"`
	Fetched bool                     `json:"fetched,omitempty"` // the worker, by its image's Python
	Workers map[string]digest.Digest `json:"workers,omitempty"` // of those that it may be, by architecture
	Pass    []string                 `json:"pass,omitempty"`    // names of variables
}

// loan is for how long its pods may read of the store.
type loan struct {
	From  time.Time `json:"from"`
	Until time.Time `json:"until"`
}

// due tells whether it is time to lend anew.
func (l loan) due(now time.Time) bool {
	return !l.Until.IsZero() && now.After(l.From.Add(l.Until.Sub(l.From)/3))
}

// ends tells of a loan that nobody renewed, and of its end.
func (l loan) ends(now time.Time) (soon bool, text string) {
	const way = ": a pod that is begun after that finds no model; run vishwa apply, or see that the controller runs: it lends it anew"
	at := l.Until.UTC().Format(time.RFC3339)
	switch {
	case l.Until.IsZero(): // its pods read nothing of it
		return false, ""
	case now.After(l.Until):
		return true, "what its pods may read of the store ended at " + at + way
	case now.After(l.Until.Add(-l.Until.Sub(l.From) / 4)):
		return true, "what its pods may read of the store ends at " + at + way
	default:
		return false, ""
	}
}

// stands adds a place and what is made there, and tells whether anything of that was not known.
func (r *record) stands(p place) bool {
	r.Places = slices.Clone(r.Places)
	i := slices.IndexFunc(r.Places, p.is)
	if i < 0 {
		r.Places = append(r.Places, p)
		return true
	}
	all := r.made(r.Places[i])
	known := len(all)
	for _, kind := range p.Made {
		if !slices.Contains(all, kind) {
			all = append(all, kind)
		}
	}
	r.Places[i].Made = all
	return len(all) > known
}

// made are the kinds of what may stand at a place.
func (r record) made(p place) (all []kube.Resource) {
	for _, one := range r.Places {
		if one.is(p) {
			all = append(all, one.Made...)
		}
	}
	if r.Served != nil && r.Served.Place.is(p) { // also where a record does not say it of places
		all = append(all, kinds(r.Served.Objects)...)
	}
	if r.Tried != nil && r.Tried.Place.is(p) {
		all = append(all, kinds(r.Tried.Objects)...)
	}
	slices.SortFunc(all, func(a, b kube.Resource) int { return strings.Compare(a.String(), b.String()) })
	return slices.Compact(all)
}

func kinds(of []owned.Object) (all []kube.Resource) {
	for _, o := range of {
		if !slices.Contains(all, o.Resource) {
			all = append(all, o.Resource)
		}
	}
	return all
}

// before is an object of what has the traffic, as it was declared, where it is at p.
func (r record) before(p place, o owned.Object) (owned.Object, bool) {
	if r.Served == nil || !r.Served.Place.is(p) {
		return o, false
	}
	i := slices.IndexFunc(r.Served.Objects, func(was owned.Object) bool { return was.Resource == o.Resource && was.Name == o.Name })
	if i < 0 {
		return o, false
	}
	return r.Served.Objects[i], true
}

func (s *server) file(name string) string { return filepath.Join(s.o.Dir, name+".json") }

// unknown tells whether nothing was ever served under name from here.
func (s *server) unknown(name string) bool {
	_, err := os.Lstat(s.file(filepath.Base(name)))
	return err != nil
}

func purpose(name string) string { return "served on a cluster " + name }

func (s *server) readRecord(name string) (record, error) {
	raw, err := os.ReadFile(s.file(name))
	if errors.Is(err, fs.ErrNotExist) {
		return record{}, nil
	}
	var r record
	if err == nil {
		raw, err = s.o.Seal.Open(purpose(name), raw)
	}
	if err == nil {
		err = json.Unmarshal(raw, &r)
	}
	if err != nil {
		return r, fault.WithHint(fault.New(fault.Corrupt, "what is recorded of %s on a cluster cannot be read: %w", name, err),
			"remove %s, then run vishwa apply: it finds its objects by their labels", s.file(name))
	}
	return r, nil
}

// writeRecord replaces what is kept of name; a record of nowhere is none.
func (s *server) writeRecord(name string, r record) error {
	if len(r.Places) == 0 {
		for _, file := range []string{s.seenFile(name), s.file(name)} {
			if err := os.Remove(file); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return artifact.Disk(err, s.o.Dir)
			}
		}
		return nil
	}
	body, err := json.Marshal(r)
	if err != nil {
		return fault.New(fault.Internal, "record what is served: %w", err)
	}
	return artifact.Disk(sandbox.WriteFile(s.file(name), s.o.Seal.Wrap(purpose(name), body)), s.o.Dir)
}
