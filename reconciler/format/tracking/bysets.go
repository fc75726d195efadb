// Metrics that a script logged of several data sets by one name, as MLflow 3 lets it: the last one counts by that name, and of which it is nobody knows.

package tracking

import (
	"maps"
	"slices"
	"strings"
)

// bySet has the points of a run's metrics by the data sets that they are of, under names such as test.rmse.
type bySet struct {
	log  *recorder           // by keys, as several may come to one name
	sets map[string][]string // of a metric
}

// between parts the data set from the metric in a key; no name that is kept has it.
const between = "\x00"

func (b *bySet) point(metric, set string, p point) error {
	if !slices.Contains(b.sets[metric], set) {
		if len(b.log.series) >= mostNames {
			return nil
		}
		if b.sets == nil {
			b.sets = map[string][]string{}
		}
		b.sets[metric] = append(b.sets[metric], set)
	}
	s, err := b.log.under(set+between+metric, set+"."+metric)
	if s == nil || err != nil {
		return err
	}
	return b.log.add(s, p)
}

// into gives r those of several data sets. What the script itself calls so goes before them.
func (b *bySet) into(r *recorder) error {
	for metric, sets := range b.sets {
		if len(sets) == 1 {
			b.drop(sets[0] + between + metric)
		}
	}
	b.named(r)
	if len(r.series)+len(b.log.series) > mostNames {
		r.note("metrics by data set were left out, as there are more than %d with them", mostNames)
		for name := range b.log.series {
			b.drop(name)
		}
	}
	err := r.merge(b.log)
	b.log.series, b.log.points = nil, 0 // they are r's by now
	return err
}

// named gives each its name. Those of which several come to one name have none: whoever reads it would take the one for the other.
func (b *bySet) named(r *recorder) {
	named := map[string][]string{}
	for _, key := range slices.Sorted(maps.Keys(b.log.series)) {
		name := strings.Replace(key, between, ".", 1)
		named[name] = append(named[name], key)
	}
	for _, name := range slices.Sorted(maps.Keys(named)) {
		keys := named[name]
		if len(keys) == 1 {
			s := b.log.series[keys[0]]
			delete(b.log.series, keys[0])
			b.log.series[name] = s
			continue
		}
		set, metric, _ := strings.Cut(keys[0], between)
		other, too, _ := strings.Cut(keys[1], between)
		if r.series[name] == nil { // else it is the script's own
			r.note("the metric %.80q was left out: it is %.80q of data set %.80q, and %.80q of data set %.80q; give one of the data sets another name", name, metric, set, too, other)
		}
		for _, key := range keys {
			b.drop(key)
		}
	}
}

func (b *bySet) drop(name string) {
	s := b.log.series[name]
	if s == nil {
		return
	}
	b.log.points -= len(s.points)
	if b.log.pool != nil {
		b.log.pool.points -= len(s.points) + ofSeries
	}
	delete(b.log.series, name)
}
