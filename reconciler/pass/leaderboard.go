// The board: how candidates compare with each other and with what is live.

package pass

import (
	"maps"
	"slices"

	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/engine/ledger"
	"github.com/vishwaops/vishwa/reconciler/engine/plan"
	"github.com/vishwaops/vishwa/reconciler/engine/selection"
	"github.com/vishwaops/vishwa/schemas"
)

// Leaderboard is the candidates of one model, best first.
type Leaderboard struct {
	Model  schemas.Ref `json:"model"`
	Metric string      `json:"metric"` // what selects
	Goal   string      `json:"goal"`
	// Objectives are further metrics that select, and TieBreak which one of their front is selected.
	Objectives []schemas.Objective `json:"objectives,omitempty"`
	TieBreak   string              `json:"tieBreak,omitempty"`
	Live       digest.Digest       `json:"live,omitempty"` // the model that is served now
	Was        map[string]float64  `json:"liveMetrics,omitempty"`
	Rows       []Row               `json:"candidates"`
	Gates      []schemas.Gate      `json:"gates,omitempty"`
	// Searched are the parameters that tell the candidates of a search apart.
	Searched []string `json:"searched,omitempty"`
	// Scores are those of the model that is, or would be, selected and of the one that is served,
	// on the same rows; without metrics where a run is yet to come.
	Scores []ledger.Score `json:"scores,omitempty"`
}

// Row is one candidate. Delta is its metrics minus the live model's, where both
// report them.
type Row struct {
	Ref      schemas.Ref        `json:"ref"`
	Model    digest.Digest      `json:"model,omitempty"`
	Made     bool               `json:"made"` // for what is declared now
	Selected bool               `json:"selected,omitempty"`
	Front    bool               `json:"front,omitempty"` // of several objectives: no other candidate is as good by all of them, and better by one
	Live     bool               `json:"live,omitempty"`
	Metrics  map[string]float64 `json:"metrics,omitempty"`
	Delta    map[string]float64 `json:"delta,omitempty"`
	Params   map[string]any     `json:"params,omitempty"`
	Stopped  string             `json:"stopped,omitempty"` // early, and why; it is never selected
	Run      *ledger.Run        `json:"-"`                 // how it came to be, and what it logged
}

// Leaderboards compares the candidates of every declared model. A candidate that is not
// made for what is declared now shows its newest result, if any, and says so.
func Leaderboards(w *Snapshot) (out []Leaderboard) {
	w = w.clone()
	w.champions()
	steps := map[schemas.Ref]plan.Step{}
	for _, s := range plan.Compute(w.Graph, w.Observed).Steps {
		steps[s.Ref] = s
	}
	for i := range w.Graph.Nodes {
		n := &w.Graph.Nodes[i]
		spec, ok := n.Decl.Spec.(schemas.Selects)
		if !ok {
			continue
		}
		contest := spec.Selects()
		b := Leaderboard{Model: n.Ref, Metric: contest.By.Metric, Goal: contest.By.Goal, Objectives: contest.By.Objectives, TieBreak: contest.By.TieBreak, Gates: contest.Gates}
		if b.Goal == "" {
			b.Goal = "maximize"
		}
		if live := w.live(n.Ref); live != nil {
			b.Live, b.Was = live.Digest, live.Metrics
		}
		b.Scores, _ = plan.Scores(steps[n.Ref].Evaluations)
		selected := w.Facts.Latest[n.Ref]
		if e := w.Facts.ByKey[steps[n.Ref].Key]; e != nil {
			selected = e
			b.Scores = e.Scores
		}
		for _, ref := range n.Candidates() {
			b.Rows = append(b.Rows, w.row(ref, steps[ref], b))
			if v, ok := w.Graph.Node(ref).Decl.Spec.(schemas.Varied); ok {
				b.Searched = v.Searches()
			}
		}
		for i := range b.Rows {
			b.Rows[i].Selected = selected != nil && selected.Model != nil && selected.Model.Candidate == b.Rows[i].Ref && selected.Model.Artifact.Digest == b.Rows[i].Model
		}
		slices.SortFunc(b.Rows, func(x, y Row) int { return x.Ref.Compare(y.Ref) })
		b.rank(contest.By)
		out = append(out, b)
	}
	return out
}

func (w *Snapshot) row(ref schemas.Ref, s plan.Step, b Leaderboard) Row {
	r := Row{Ref: ref}
	e := w.Facts.ByKey[s.Key]
	r.Made = e != nil
	if e == nil {
		e = w.Facts.Latest[ref]
	}
	if e == nil {
		return r
	}
	r.Model, r.Metrics, r.Run = e.Outputs.Named("model").Digest, e.Metrics, e.Run
	r.Live = b.Live != "" && r.Model == b.Live
	if made := e.Recipe(); made != nil {
		r.Params = made.Params
	}
	if s := e.Stopped(); s != nil {
		r.Stopped = s.String()
	}
	if b.Was != nil {
		r.Delta = map[string]float64{}
		for _, name := range slices.Sorted(maps.Keys(e.Metrics)) {
			if was, ok := b.Was[name]; ok {
				r.Delta[name] = e.Metrics[name] - was
			}
		}
	}
	return r
}

// rank puts the candidate that is selected first, and those without the metrics last; among equals the first by name.
func (b *Leaderboard) rank(by schemas.Selection) {
	metrics := make([]map[string]float64, len(b.Rows))
	for i, r := range b.Rows {
		metrics[i] = r.Metrics
	}
	rows := make([]Row, 0, len(b.Rows))
	for _, r := range selection.Rank(by, metrics) {
		row := b.Rows[r.At]
		row.Front = r.Front && len(by.Objectives) > 0
		rows = append(rows, row)
	}
	b.Rows = rows
}
