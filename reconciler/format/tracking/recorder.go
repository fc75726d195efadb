// A recorder takes in what is read, within bounds: of a long series every second point is kept, then
// every fourth, so that a curve keeps its shape and memory its limit.

package tracking

import (
	"cmp"
	"fmt"
	"maps"
	"math"
	"slices"

	"github.com/vishwaops/vishwa/reconciler/fault"
)

type point struct {
	step, time int64
	value      float64
}

type series struct {
	points []point
	every  int // of which one is kept
	logged int
	last   point
	final  bool // the tool itself said which value counts
}

type recorder struct {
	params   map[string]string
	pictures map[string]picture
	shown    int // bytes of these
	series   map[string]*series
	points   int
	notes    []string
	pool     *pool // nil: it is the only one
}

// pool is what is held of several runs together, before one is put over the other.
type pool struct {
	all    []*recorder
	points int
	bytes  int // of parameters
}

const (
	mostPool      = 16 * mostPoints
	mostPoolBytes = 64 << 20
	ofSeries      = 8 // points that a series is as large as
)

// recorder is a new one of the pool.
func (p *pool) recorder() *recorder {
	r := newRecorder()
	r.pool = p
	p.all = append(p.all, r)
	return r
}

// takePoints makes room for n points.
func (p *pool) takePoints(n int) error {
	if p == nil {
		return nil
	}
	if p.points += n; p.points <= mostPool {
		return nil
	}
	for _, r := range p.all {
		r.thin()
	}
	if p.points > mostPool/4*3 {
		return fault.WithHint(fault.New(fault.Invalid, "its runs of MLflow have more metrics than are read"), "let it begin fewer runs, or log less in each")
	}
	return nil
}

func (p *pool) takeBytes(n int) error {
	if p == nil {
		return nil
	}
	if p.bytes += n; p.bytes > mostPoolBytes {
		return fault.New(fault.Invalid, "its runs of MLflow have more than %d MiB of parameters", mostPoolBytes>>20)
	}
	return nil
}

func newRecorder() *recorder {
	return &recorder{params: map[string]string{}, series: map[string]*series{}}
}

func (r *recorder) note(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	if len(r.notes) < mostNotes && !slices.Contains(r.notes, text) {
		r.notes = append(r.notes, text)
	}
}

// param keeps a parameter; one that comes twice keeps its first value, and says so.
func (r *recorder) param(name, value string) error {
	was, twice := r.params[name]
	switch {
	case !wellNamed(name):
		r.note("the parameter %.80q has a name that cannot be kept", name)
	case len(value) > mostValue:
		r.note("the parameter %q has %d bytes, more than %d", name, len(value), mostValue)
	case twice && was != value:
		r.note("the parameter %q was logged twice, with another value: the first one counts", name)
	case twice:
	case len(r.params) >= mostNames:
		return fault.New(fault.Invalid, "it logged more than %d parameters", mostNames)
	default:
		r.params[name] = value
		return r.pool.takeBytes(len(name) + len(value))
	}
	return nil
}

func (r *recorder) of(name string) (*series, error) { return r.under(name, name) }

// under is the series of a name that is kept under a key.
func (r *recorder) under(key, name string) (*series, error) {
	if !wellNamed(name) {
		r.note("the metric %.80q has a name that cannot be kept", name)
		return nil, nil
	}
	s := r.series[key]
	if s == nil {
		if len(r.series) >= mostNames {
			return nil, fault.New(fault.Invalid, "it logged more than %d metrics", mostNames)
		}
		s = &series{every: 1}
		r.series[key] = s
		return s, r.pool.takePoints(ofSeries)
	}
	return s, nil
}

// point keeps a value. That of the highest step counts, and of several of a step the latest.
func (r *recorder) point(name string, p point) error {
	s, err := r.of(name)
	if s == nil || err != nil {
		return err
	}
	return r.add(s, p)
}

func (r *recorder) add(s *series, p point) error {
	if !s.final && (s.logged == 0 || p.step > s.last.step || p.step == s.last.step && p.time >= s.last.time) {
		s.last = p
	}
	if s.logged++; (s.logged-1)%s.every != 0 {
		return nil
	}
	s.points = append(s.points, p)
	if r.points++; r.points > mostPoints {
		r.thin()
	}
	return r.pool.takePoints(1)
}

// final says which value counts.
func (r *recorder) final(name string, value float64) error {
	s, err := r.of(name)
	if s == nil || err != nil {
		return err
	}
	s.last.value, s.final = value, true
	return nil
}

// thin halves the longest series, and all that are half as long or longer.
func (r *recorder) thin() {
	longest := 0
	for _, s := range r.series {
		longest = max(longest, len(s.points))
	}
	for _, s := range r.series {
		if len(s.points) < 2 || len(s.points) < longest/2 {
			continue
		}
		n := 0
		for i := 0; i < len(s.points); i += 2 {
			s.points[n] = s.points[i]
			n++
		}
		r.points -= len(s.points) - n
		if r.pool != nil {
			r.pool.points -= len(s.points) - n
		}
		s.points, s.every = s.points[:n], 2*s.every
	}
}

// document is what was recorded.
func (r *recorder) document(from []string) Document {
	d := Document{Version: version, From: from, Params: r.params, Notes: r.notes, Pictures: r.named()}
	for _, name := range slices.Sorted(maps.Keys(r.series)) {
		s := r.series[name]
		s.settle()
		out := Series{Name: name, Logged: s.logged}
		for _, p := range s.points {
			out.Steps, out.Times, out.Values = append(out.Steps, p.step), append(out.Times, p.time), append(out.Values, Number(p.value))
		}
		if v := s.last.value; !math.IsNaN(v) && !math.IsInf(v, 0) {
			out.Last = &v
		} else if len(d.Notes) < mostNotes {
			d.Notes = append(d.Notes, fmt.Sprintf("the metric %q is %v at its end, which is not a number", name, v))
		}
		d.Series = append(d.Series, out)
	}
	return d
}

// settle has the points in the order of their steps, each once: MLflow's client may write one again. A
// series of which only the last value is known has that for its point.
func (s *series) settle() {
	slices.SortStableFunc(s.points, func(a, b point) int { return cmp.Or(cmp.Compare(a.step, b.step), cmp.Compare(a.time, b.time)) })
	all := len(s.points)
	s.points = slices.Compact(s.points)
	s.logged -= all - len(s.points)
	if len(s.points) == 0 {
		s.points, s.logged = append(s.points, s.last), 1
	}
}

// merge takes in what another tool logged: what is known already keeps its values.
func (r *recorder) merge(o *recorder) error {
	for name, value := range o.params {
		if _, known := r.params[name]; known {
			continue
		}
		if err := r.param(name, value); err != nil {
			return err
		}
	}
	for _, name := range slices.Sorted(maps.Keys(o.pictures)) {
		if _, known := r.pictures[name]; !known {
			r.keepPicture(name, o.pictures[name])
		}
	}
	for name, s := range o.series {
		if r.series[name] != nil {
			continue
		}
		if len(r.series) >= mostNames {
			return fault.New(fault.Invalid, "it logged more than %d metrics", mostNames)
		}
		r.series[name], r.points = s, r.points+len(s.points)
	}
	for r.points > mostPoints {
		r.thin()
	}
	for _, n := range o.notes {
		r.note("%s", n)
	}
	return nil
}
