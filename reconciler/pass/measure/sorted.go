// The reference is read and sorted once: what it came to is kept by the digest of its data and of all that shapes what is read of it.

package measure

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"math"

	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/engine/sample"
	"github.com/vishwaops/vishwa/reconciler/engine/watch"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/machine/recall"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/schemas"
)

// shape is what a reference comes to beside its data: of another shape it is another one.
type shape struct {
	Form    string            `json:"form"`
	Program string            `json:"program"` // that read it: another one may read it otherwise
	Data    digest.Digest     `json:"data"`
	Files   digest.Digest     `json:"files"` // with their names, which tell what they are
	Format  schemas.Format    `json:"format"`
	Log     bool              `json:"log"`
	Columns map[string]string `json:"columns,omitempty"` // that are declared, with their types
	Season  string            `json:"season"`
	Clock   string            `json:"clock"`
	// Cases are rows with what was answered and what came true; Apart the columns of both, which are no features.
	Cases      bool                  `json:"cases"`
	Regression bool                  `json:"regression"`
	Apart      schemas.Predictions   `json:"apart"`
	Labels     schemas.MonitorLabels `json:"labels"`
}

// written is what is written down of a reference.
type written struct {
	Rows   int64          `json:"rows"`
	Other  int64          `json:"other"`
	Cases  int            `json:"cases"`
	Scored sample.Part    `json:"scored"`
	Side   *sample.Sorted `json:"side"`
}

// sortedReference is one that windows are held against.
type sortedReference struct {
	sample.Reference
	shelf   recall.Shelf
	name    digest.Digest
	found   *recall.Found   // of one that was kept
	draft   *recall.Draft   // of one that is being kept
	keeping *sample.Keeping // the same
	typ     func(column string) string
}

// sorted is the reference: as it was kept, or else read.
func (s *session) sorted(ctx context.Context, base *rows, from port.Artifact) (*sortedReference, error) {
	ref := &sortedReference{Reference: &base.side, shelf: s.References, typ: func(column string) string { return s.typeOf(column, &base.side) }}
	if s.References.Dir == "" {
		return ref, base.readData(ctx, s.spec.Reference, from)
	}
	var err error
	if ref.name, err = s.shapeOf(base, from); err != nil {
		return nil, err
	}
	if !s.anew && ref.find(s, base, from) {
		return ref, nil
	}
	if err := base.readData(ctx, s.spec.Reference, from); err != nil {
		return nil, err
	}
	if base.side.Numbers() > sample.MostKept || !s.References.Tidy(s.References.One) {
		return ref, nil
	}
	if ref.draft, err = s.References.New(ref.name); err == nil { // else the next one reads it, too
		ref.keeping = sample.Keep(&base.side, ref.draft)
		ref.Reference = ref.keeping
	}
	return ref, nil
}

func (s *session) shapeOf(base *rows, a port.Artifact) (digest.Digest, error) {
	files, format := s.filesOf(s.spec.Reference, a)
	to := shape{Form: sample.KeptForm, Program: s.Program, Data: a.Digest, Files: files.Digest(), Format: format, Log: s.baseline != nil, Season: s.season.Name(), Clock: s.spec.Current.Time,
		Cases: s.spec.Labels != nil || s.spec.Estimate != "", Regression: base.regression(), Apart: s.spec.Predictions}
	if season := s.spec.Current.Season; season != nil {
		to.Clock += "\x00" + season.Time
	}
	if s.spec.Labels != nil {
		to.Labels = schemas.MonitorLabels{Key: s.spec.Labels.Key, Label: s.spec.Labels.Label}
	}
	if len(s.spec.Columns) > 0 {
		to.Columns = map[string]string{}
		for name, w := range s.spec.Columns {
			to.Columns[name] = w.Type
		}
	}
	return digest.JSON(to)
}

// find has what was kept of the reference be it, with the rows that were counted and scored.
func (ref *sortedReference) find(s *session, base *rows, a port.Artifact) bool {
	found := s.References.Open(ref.name)
	if found == nil {
		return false
	}
	var w written
	err := json.Unmarshal(found.Index, &w)
	if err == nil && w.Side != nil && w.Cases >= 0 && w.Cases <= mostCases {
		base.scored, err = readCases(w.Scored, found, w.Cases)
	}
	if err != nil || w.Side == nil {
		found.Close()
		s.References.Drop(ref.name)
		base.scored = nil
		return false
	}
	w.Side.Open(found)
	base.told = watch.Data{From: s.spec.Reference.String(), Digest: a.Digest, Rows: w.Rows}
	base.other = w.Other
	ref.Reference, ref.found = w.Side, found
	return true
}

// keep puts up what was read of ref, where nothing failed; a measurement waits for none of it, and misses none.
func (s *session) keep(ref *sortedReference, base *rows) {
	if ref.keeping == nil {
		return
	}
	side, err := ref.keeping.End(ref.typ)
	if err != nil {
		return
	}
	w := written{Rows: base.told.Rows, Other: base.other, Cases: len(base.scored), Side: side}
	if w.Scored, err = writeCases(base.scored, ref.draft); err != nil {
		return
	}
	if raw, err := json.Marshal(w); err == nil && ref.draft.Put(raw) == nil {
		s.References.Tidy(0)
	}
}

// spoiled tells whether err says that what was kept cannot be used, which is kept no more then.
func (ref *sortedReference) spoiled(err error) bool {
	if ref.found == nil || fault.Of(err) != fault.Corrupt {
		return false
	}
	ref.shelf.Drop(ref.name)
	return true
}

func (ref *sortedReference) done() {
	if ref.found != nil {
		ref.found.Close()
	}
	if ref.draft != nil {
		_ = ref.draft.Done()
	}
}

const (
	caseBytes = 3*8 + 1
	labelled  = 1 << 0
	missed    = 1 << 1
)

func writeCases(all []watch.Case, to sample.Keeper) (sample.Part, error) {
	w := &sample.PartWriter{Keeper: to}
	for _, c := range all {
		for _, x := range []float64{c.Score, c.Answer, c.Outcome} {
			w.Raw = binary.LittleEndian.AppendUint64(w.Raw, math.Float64bits(x))
		}
		is := byte(0)
		if c.Labelled {
			is |= labelled
		}
		if c.Missed {
			is |= missed
		}
		w.Raw = append(w.Raw, is)
		if err := w.Next(); err != nil {
			return sample.Part{}, err
		}
	}
	return w.End()
}

func readCases(p sample.Part, from sample.Finder, n int) ([]watch.Case, error) {
	if n == 0 {
		return nil, nil
	}
	out := make([]watch.Case, 0, n)
	err := p.Read(from, func(raw []byte) error {
		if len(raw)%caseBytes != 0 || len(raw)/caseBytes > n-len(out) {
			return fault.New(fault.Corrupt, "what was kept of a reference is damaged")
		}
		for ; len(raw) > 0; raw = raw[caseBytes:] {
			number := func(i int) float64 { return math.Float64frombits(binary.LittleEndian.Uint64(raw[8*i:])) }
			out = append(out, watch.Case{Score: number(0), Answer: number(1), Outcome: number(2), Labelled: raw[24]&labelled != 0, Missed: raw[24]&missed != 0})
		}
		return nil
	})
	return out, err
}
