// Rows of one side: opened from the store or the log, narrowed to the window, and remembered as
// far as outcomes and scores are asked for.

package measure

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"hash/fnv"
	"math"
	"path"
	"strconv"
	"strings"
	"time"

	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/engine/sample"
	"github.com/vishwaops/vishwa/reconciler/engine/watch"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/format/predictions"
	"github.com/vishwaops/vishwa/reconciler/format/table"
	"github.com/vishwaops/vishwa/reconciler/pass"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/schemas"
)

// mostCases bounds the rows whose outcome is looked for.
const mostCases = 4 << 20

// rows are those of one side.
type rows struct {
	*session
	current bool
	side    sample.Side
	base    sample.Reference // of a window
	told    watch.Data
	notes   []string // what a log lacks
	skip    int64    // rows before the newest ones
	other   int64    // rows of the reference that are of other hours than the window's

	cases   map[string]one // of the window, by id
	twice   map[string]bool
	answers int          // cells of the window
	scored  []watch.Case // of the reference
}

// one is a row of the window.
type one struct {
	watch.Case
	at   time.Time
	said uint64 // the class that was answered, by nameOf
}

// read takes all rows of data in the store.
func (r *rows) readData(ctx context.Context, ref schemas.Ref, a port.Artifact) error {
	r.told = watch.Data{From: ref.String(), Digest: a.Digest}
	r.side.Log = r.baseline != nil
	return r.each(ctx, ref, a, func(t table.Reader) error {
		return r.side.Read(t, r.keep, r.row(time.Time{}), ctx.Err)
	})
}

// window takes the rows that are held against the reference.
func (r *rows) window(ctx context.Context) error {
	c := r.spec.Current
	var from time.Time
	if c.Window != "" {
		from = r.now.Add(-c.Window.Or(0))
	}
	if c.From == (schemas.Ref{}) {
		return r.log(ctx, from)
	}
	a, err := r.made(c.From)
	if err != nil {
		return err
	}
	r.told = watch.Data{From: c.From.String(), Digest: a.Digest}
	if c.Rows > 0 { // the newest: those before them are counted first
		count := &rows{session: r.session, current: true}
		if err := count.each(ctx, c.From, a, func(t table.Reader) error {
			return count.side.Read(t, func(string) bool { return false }, count.row(from), ctx.Err)
		}); err != nil {
			return err
		}
		r.skip = count.side.Rows - int64(c.Rows)
	}
	return r.each(ctx, c.From, a, func(t table.Reader) error {
		return r.side.Read(t, r.keep, r.row(from), ctx.Err)
	})
}

// log reads the deployment's log of predictions.
func (r *rows) log(ctx context.Context, from time.Time) error {
	r.told, r.side.Log = watch.Data{From: "the log of " + r.spec.Deployment.String()}, true
	if n := r.spec.Current.Rows; n > 0 { // the newest: those before them are counted first
		count := &rows{session: r.session, current: true}
		if err := count.logged(ctx, from, func(string) bool { return false }); err != nil {
			return err
		}
		r.skip = count.side.Rows - int64(n)
	}
	return r.logged(ctx, from, r.keep)
}

func (r *rows) logged(ctx context.Context, from time.Time, keep func(string) bool) error {
	for _, d := range r.in.Decls {
		if d.Ref() != r.spec.Deployment {
			continue
		}
		t, done, err := r.Log(ctx, d, from, r.now)
		if err != nil {
			return fault.WithHint(fault.New(fault.Of(err), "%s: %w", r.ref, err), "declare spec.log of %s and deploy it, or name a dataset with its rows in spec.current.from", r.spec.Deployment)
		}
		err = r.side.Read(t, keep, r.row(from), ctx.Err)
		if lacks, ok := t.(interface{ Notes() []string }); ok {
			r.notes = lacks.Notes()
		}
		return joined(err, done)
	}
	return fault.WithHint(fault.New(fault.Missing, "%s is not declared", r.spec.Deployment), "correct spec.deployment of the monitor; vishwa plan -v lists what is declared")
}

func joined(err error, done func() error) error {
	if end := done(); err == nil {
		err = end
	}
	return err
}

// each opens every table of a, in the order of their names.
func (r *rows) each(ctx context.Context, ref schemas.Ref, a port.Artifact, read func(table.Reader) error) error {
	files, format := r.filesOf(ref, a)
	tables := 0
	for _, f := range files {
		as, err := table.FormatOf(format, f.Path)
		if err != nil && len(files) > 1 {
			continue // what lies beside tables in a folder is no part of them
		}
		if err != nil {
			return fmt.Errorf("%s: %w", ref, err)
		}
		tables++
		if err := r.one(ctx, f, as, read); err != nil {
			return fmt.Errorf("%s: %w", ref, err)
		}
	}
	if tables == 0 && len(files) > 0 {
		return fault.WithHint(fault.New(fault.Invalid, "%s holds no table", ref), "declare its spec.format")
	}
	return nil
}

// filesOf are the files of a, by names that tell what they are, and the format that is declared of them.
func (s *session) filesOf(ref schemas.Ref, a port.Artifact) (files digest.Manifest, format schemas.Format) {
	if files = a.Files; files == nil {
		files = digest.Manifest{{Path: a.Name, Digest: a.Digest, Size: a.Size}}
	}
	for _, d := range s.in.Decls {
		if data, ok := d.Spec.(schemas.Data); ok && d.Ref() == ref.Whole() {
			if f := data.Data().Format; f != nil {
				format = *f
			}
			if a.Files == nil && a.Name == "" {
				files[0].Path = path.Base(cmp.Or(data.Data().Source.Path, data.Data().Source.Pin))
			}
		}
	}
	return files, format
}

func (r *rows) one(ctx context.Context, f digest.File, as schemas.Format, read func(table.Reader) error) error {
	in, err := pass.Content(ctx, r.Store, f)
	if err != nil {
		return err
	}
	defer in.Close()
	t, err := table.Open(in, f.Size, as, f.Path)
	if err != nil {
		return err
	}
	return read(t)
}

// keep tells whether a column is held: of a window none but those that the reference has, as
// clients may name what they like.
func (r *rows) keep(name string) bool {
	if r.base != nil && !r.base.Has(name) {
		return false
	}
	if len(r.spec.Columns) > 0 {
		_, named := r.spec.Columns[name]
		return named
	}
	return !r.apart(name)
}

// row tells whether a row belongs to the side, and notes its answer and its time.
func (r *rows) row(from time.Time) sample.Row {
	clock, p := cmp.Or(r.spec.Current.Time, "time"), r.spec.Predictions
	seasonal := !r.current && r.season != nil
	if seasonal {
		clock = cmp.Or(r.spec.Current.Season.Time, clock)
	}
	answers := r.spec.Labels != nil || r.spec.Estimate != ""
	return func(cell func(string) []byte) (bool, error) {
		var at time.Time
		if seasonal {
			at, err := timeOf(cell(clock))
			if err != nil {
				return false, fault.WithHint(fault.New(fault.Invalid, "a row of the reference has no time in column %s", clock), "name the column with a row's time in spec.current.season.time")
			}
			if !r.season.Has(at) {
				r.other++
				return false, nil
			}
		}
		if r.current {
			if b := cell(clock); b != nil {
				var err error
				if at, err = timeOf(b); err != nil {
					return false, fault.WithHint(fault.New(fault.Invalid, "column %s of the window holds a value that is not a time", clock), "name the column with a row's time in spec.current.time")
				}
			} else if !from.IsZero() {
				return false, fault.WithHint(fault.New(fault.Invalid, "a row of the window has no time in column %s", clock), "name the column with a row's time in spec.current.time, or give spec.current.rows")
			}
			if at.After(r.now) {
				r.told.Future++
				return false, nil
			}
			if at.Before(from) || r.baseline != nil && !at.After(r.baseline.Last) { // nothing is compared with itself
				return false, nil
			}
		}
		if r.skip > 0 {
			r.skip--
			return false, nil
		}
		r.told.Rows++
		if !at.IsZero() {
			if r.told.First.IsZero() || at.Before(r.told.First) {
				r.told.First = at
			}
			if at.After(r.told.Last) {
				r.told.Last = at
			}
		}
		if answers {
			r.answer(cell, at, p)
		}
		return true, nil
	}
}

// timeOf is a cell as a time.
func timeOf(cell []byte) (time.Time, error) {
	x, is := table.Value(cell)
	if cell == nil || is != table.IsTime {
		return time.Time{}, fault.New(fault.Invalid, "a row has no time")
	}
	whole, part := math.Modf(x)
	return time.Unix(int64(whole), int64(part*1e9)).UTC(), nil
}

// answer notes what the model said of a row.
func (r *rows) answer(cell func(string) []byte, at time.Time, p schemas.Predictions) {
	said := cell(cmp.Or(p.Prediction, "prediction"))
	c := watch.Case{Score: r.numberOf(cell(cmp.Or(p.Score, "score"))), Answer: r.classOf(said)}
	label, key := "label", "id"
	if l := r.spec.Labels; l != nil {
		label, key = cmp.Or(l.Label, label), cmp.Or(l.Key, key)
	}
	if !r.current {
		if out := cell(label); out != nil && len(r.scored) < mostCases {
			c.Outcome, c.Labelled = r.classOf(out), true
			c.Missed = r.missed(nameOf(said), out)
			r.scored = append(r.scored, c)
		}
		return
	}
	if said != nil {
		r.answers++
	}
	if r.cases == nil {
		r.cases, r.twice = map[string]one{}, map[string]bool{}
	}
	id := predictions.ID(cell(key))
	if _, there := r.cases[id]; there && id != "" {
		r.twice[id] = true
	}
	if id == "" { // a row that no outcome can name still has a score
		id = "\x00" + strconv.Itoa(len(r.cases))
	}
	if len(r.cases) < mostCases {
		r.cases[id] = one{c, at, nameOf(said)}
	}
}

func (r *rows) numberOf(b []byte) float64 {
	if x, is := table.Value(b); b != nil && (is == table.IsInteger || is == table.IsNumber) {
		return x
	}
	return math.NaN()
}

// classOf is 1 of the positive class and 0 of another; of a regression it is the number.
func (r *rows) classOf(b []byte) float64 {
	if r.regression() {
		return r.numberOf(b)
	}
	positive := cmp.Or(string(r.spec.Predictions.Positive), "1")
	if b == nil {
		return math.NaN()
	}
	x, is := table.Value(b)
	y, are := table.Value([]byte(positive))
	if strings.EqualFold(string(b), positive) || is != table.IsText && are != table.IsText && x == y {
		return 1
	}
	return 0
}

// missed tells whether a class that was answered, by its nameOf, is another than came true, and neither is the positive one.
func (r *rows) missed(said uint64, out []byte) bool {
	return !r.regression() && r.classOf(out) == 0 && said != r.positiveName() && said != nameOf(out)
}

func (r *rows) positiveName() uint64 {
	return nameOf([]byte(cmp.Or(string(r.spec.Predictions.Positive), "1")))
}

// nameOf is equal of equal classes, however their numbers are written.
func nameOf(class []byte) uint64 {
	text := bytes.ToLower(class)
	if x, is := table.Value(class); is == table.IsInteger || is == table.IsNumber || is == table.IsTruth {
		text = strconv.AppendFloat(nil, x, 'g', -1, 64)
	}
	h := fnv.New64a()
	h.Write(text)
	return h.Sum64()
}

func (r *rows) regression() bool {
	for _, g := range r.spec.Gates {
		if g.Metric == "mae" || g.Metric == "rmse" {
			return true
		}
	}
	return false
}
