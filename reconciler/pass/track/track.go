// Package track makes what trackers show out of a ledger: its runs, the releases of its models, and
// which of them each environment serves. What a pull request made is shown once it serves, and not
// before: its code was not reviewed then.
package track

import (
	"context"
	"fmt"
	"iter"
	"maps"
	"slices"
	"strings"

	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/engine/ledger"
	"github.com/vishwaops/vishwa/reconciler/pass"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/schemas"
)

// Source is what a projection is made of.
type Source struct {
	// At names an entry, by its number: the first names the ledger. False: there is none.
	At func(seq int64) (digest.Digest, bool)
	// Entries are those from a number on.
	Entries func(from int64) iter.Seq2[ledger.Entry, error]
	Store   port.Store
	Remote  string // of the repository, without credentials
}

// Reading is what was read of a ledger so far: the next reading goes on where it stopped. The zero value has read nothing. It is for one at a time.
type Reading struct {
	fold        *fold
	first, last digest.Digest
	next        int64
}

// fold is what was read so far.
type fold struct {
	Source
	ledger   digest.Digest // its name
	runs     []*ledger.Entry
	selects  []*ledger.Entry
	byKey    map[digest.Digest]*ledger.Entry // selects
	approved map[digest.Digest]*ledger.Entry // the deployment of a release, by its key: the newest
	serving  map[schemas.Ref]place
	moves    []move
	pins     []*ledger.Entry
	made     []*ledger.Entry // outputs of transforms
}

// move is what an entry changed of what an environment serves of a model.
type move struct {
	port.TrackerMove
	model schemas.Ref
}

// spot is a model in an environment.
type spot struct {
	environment string
	model       schemas.Ref
}

// place is what a deployment serves.
type place struct {
	spot
	selected digest.Digest
	by       *ledger.Entry
}

// Project is what of a ledger trackers show. An empty ledger shows nothing. A ledger that is not the one that was read, or has another past, is
// read from its beginning.
func (r *Reading) Project(s Source) (port.Projection, error) {
	first, there := s.At(0)
	if !there {
		return port.Projection{}, nil
	}
	if last, _ := s.At(r.next - 1); r.fold == nil || first != r.first || last != r.last {
		*r = Reading{first: first, fold: &fold{byKey: map[digest.Digest]*ledger.Entry{}, approved: map[digest.Digest]*ledger.Entry{}, serving: map[schemas.Ref]place{}}}
	}
	r.fold.Source, r.fold.ledger = s, first
	for e, err := range s.Entries(r.next) {
		if err != nil {
			return port.Projection{}, err
		}
		at, there := s.At(r.next)
		if !there {
			break // it landed since, and is read the next time
		}
		r.fold.add(&e)
		r.next, r.last = r.next+1, at
	}
	return r.fold.projection(), nil
}

func (f *fold) add(e *ledger.Entry) {
	switch {
	case e.Duplicate:
	case e.Action == ledger.Pin:
		f.pins = append(f.pins, e)
	case e.Ran() && (e.Metrics != nil || e.Stopped() != nil):
		f.runs = append(f.runs, e)
	case e.Action == ledger.Transform && len(e.Outputs) > 0:
		f.made = append(f.made, e)
	case e.Action == ledger.Select && e.Model != nil && f.byKey[e.Key] == nil:
		f.selects, f.byKey[e.Key] = append(f.selects, e), e
	case e.Action == ledger.Deploy && e.Release != nil:
		var now place
		if by := f.byKey[e.Release.Selected]; by != nil {
			f.approved[by.Key] = e
			now = place{spot{e.Release.Environment, by.Ref}, by.Key, e}
		}
		f.serves(e, now)
	case e.Action == ledger.Retire:
		f.serves(e, place{})
	}
}

// serves notes what a deployment serves since an entry; the zero place is nothing.
func (f *fold) serves(e *ledger.Entry, now place) {
	was := f.serving[e.Ref]
	before := map[spot]digest.Digest{was.spot: f.at(was.spot), now.spot: f.at(now.spot)}
	delete(f.serving, e.Ref)
	if now != (place{}) {
		f.serving[e.Ref] = now
	}
	for _, s := range []spot{was.spot, now.spot} {
		if key := f.at(s); s != (spot{}) && key != before[s] {
			before[s] = key // where both are one
			f.moves = append(f.moves, move{port.TrackerMove{Entry: e.Seq, Time: e.Time, Environment: s.environment, Key: key}, s.model})
		}
	}
}

// at is what an environment serves of a model, "" where it does not: of several deployments, the last by its name tells.
func (f *fold) at(s spot) (key digest.Digest) {
	var by schemas.Ref
	for ref, p := range f.serving {
		if p.spot == s && (key == "" || ref.Compare(by) > 0) {
			by, key = ref, p.selected
		}
	}
	return key
}

func (f *fold) projection() port.Projection {
	p := port.Projection{Ledger: f.ledger.Hex()}
	if f.Store != nil {
		p.Content = f.Store.Get
	}
	shown := map[digest.Digest]bool{} // runs, by key
	models := map[schemas.Ref]*port.TrackerModel{}
	var order []schemas.Ref
	for _, e := range f.selects {
		if e.PullRequest != nil && f.approved[e.Key] == nil {
			continue
		}
		v := port.TrackerVersion{Key: e.Key, Entry: e.Seq, Time: e.Time, Digest: e.Model.Artifact.Digest, Model: e.Model.Artifact, Tags: f.tags(e)}
		if by := f.approved[e.Key]; by != nil && len(by.Approved) > 0 {
			v.Tags[port.TagApproved] = strings.Join(by.Approved, ", ")
		}
		if r := f.madeBy(e); r != nil {
			v.Run, shown[r.Key] = r.Key, true
		}
		for _, r := range f.runs { // and those that it was compared with
			if r.Seq < e.Seq && r.Ref.Whole() == e.Model.Candidate.Whole() && r.PullRequest.String() == e.PullRequest.String() {
				shown[r.Key] = true
			}
		}
		m := models[e.Ref]
		if m == nil {
			m = &port.TrackerModel{Name: e.Ref.Name, Serves: map[string]digest.Digest{}, Deployed: map[string]port.TrackerDeployed{}}
			models[e.Ref] = m
			order = append(order, e.Ref)
		}
		m.Versions = append(m.Versions, v)
	}
	for _, ref := range slices.SortedFunc(maps.Keys(f.serving), schemas.Ref.Compare) {
		if at := f.serving[ref]; models[at.model] != nil {
			models[at.model].Serves[at.environment] = at.selected
			models[at.model].Deployed[at.environment] = port.TrackerDeployed{Entry: at.by.Seq, Tags: f.tags(at.by)}
		}
	}
	for _, v := range f.moves {
		if m := models[v.model]; m != nil {
			m.Moves = append(m.Moves, v.TrackerMove)
		}
	}
	told := map[digest.Digest]bool{}
	for _, e := range f.runs {
		if e.PullRequest != nil && !shown[e.Key] || told[e.Key] {
			continue
		}
		told[e.Key] = true
		p.Runs = append(p.Runs, f.run(e))
	}
	for _, ref := range order {
		p.Models = append(p.Models, *models[ref])
	}
	p.Data = f.data(shown)
	return p
}

// data is what each dataset has by now. What a pull request pinned counts once a model that is shown was
// made of it.
func (f *fold) data(shown map[digest.Digest]bool) (out []port.TrackerData) {
	used := map[digest.Digest]bool{}
	for _, r := range f.runs {
		if (r.PullRequest == nil || shown[r.Key]) && r.HasRecipe() {
			for _, d := range r.Recipe().Inputs {
				used[d] = true
			}
		}
	}
	for _, t := range slices.Backward(f.made) { // of what is used, what it was made of
		for _, a := range t.Outputs {
			if used[a.Digest] && t.HasRecipe() {
				for _, d := range t.Recipe().Inputs {
					used[d] = true
				}
			}
		}
	}
	at := map[schemas.Ref]int{}
	for _, e := range f.pins {
		a, there := e.Outputs.Find("data")
		if !there || e.PullRequest != nil && !used[a.Digest] {
			continue
		}
		d := port.TrackerData{Name: e.Ref.Name, Entry: e.Seq, Time: e.Time, Digest: a.Digest, Tags: f.tags(e)}
		if i, seen := at[e.Ref]; seen {
			out[i] = d
			continue
		}
		at[e.Ref] = len(out)
		out = append(out, d)
	}
	return out
}

// madeBy is the run that made the model which e selected: the newest before it.
func (f *fold) madeBy(e *ledger.Entry) (found *ledger.Entry) {
	for _, r := range f.runs {
		if r.Seq < e.Seq && r.Ref == e.Model.Candidate && r.Outputs.Named("model").Digest == e.Model.Artifact.Digest {
			found = r
		}
	}
	return found
}

func (f *fold) tags(e *ledger.Entry) map[string]string {
	out := map[string]string{port.TagRevision: e.Revision, port.TagRemote: f.Remote, port.TagAuthor: e.Author, port.TagReason: e.Reason, port.TagPull: e.PullRequest.String(), port.TagApproved: strings.Join(e.Approved, ", ")}
	if r := e.Recipe(); r != nil {
		out[port.TagSource] = strings.Join(r.Command, " ")
	}
	return out
}

func (f *fold) run(e *ledger.Entry) port.TrackerRun {
	r := port.TrackerRun{Key: e.Key, Entry: e.Seq, Name: e.Ref.String(), Metrics: e.Metrics, Params: map[string]string{}, Tags: f.tags(e), Started: e.Time, Finished: e.Time}
	if s := e.Stopped(); s != nil {
		r.Stopped, r.Tags[port.TagStopped], r.Metrics = true, s.String(), map[string]float64{}
		if s.Best != nil {
			r.Metrics[s.Metric] = *s.Best
		}
	}
	if recipe := e.Recipe(); recipe != nil {
		r.Inputs = recipe.Inputs
		flat("", recipe.Params, r.Params)
	}
	if e.Run == nil {
		return r
	}
	r.Started, r.Finished = e.Run.Started, e.Run.Finished
	if e.Run.Tracking != nil {
		r.Logged = func(ctx context.Context) (port.TrackerLog, error) { return f.logged(ctx, e.Run) }
	}
	return r
}

func (f *fold) logged(ctx context.Context, run *ledger.Run) (out port.TrackerLog, err error) {
	d, err := pass.Logged(ctx, f.Store, run)
	if err != nil || d == nil {
		return out, err
	}
	out.Params = d.Params
	for _, s := range d.Series {
		one := port.TrackerSeries{Name: s.Name, Steps: s.Steps, Times: s.Times}
		for _, v := range s.Values {
			one.Values = append(one.Values, float64(v))
		}
		out.Series = append(out.Series, one)
	}
	return out, nil
}

// flat spells parameters by dotted names.
func flat(name string, v any, out map[string]string) {
	m, nested := v.(map[string]any)
	if !nested {
		out[name] = fmt.Sprint(v)
		return
	}
	for _, k := range slices.Sorted(maps.Keys(m)) { // two may come to one name, and the last counts
		at := k
		if name != "" {
			at = name + "." + k
		}
		flat(at, m[k], out)
	}
}
