// Metrics that a script logged of several data sets by one name, as MLflow 3 lets it: the last one counts by that name, and of which it is nobody knows.

package tracking

import "slices"

// bySet has the points of a run's metrics by the data sets that they are of, under names such as test.rmse.
type bySet struct {
	log  *recorder
	sets map[string][]string // of a metric
}

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
	return b.log.point(set+"."+metric, p)
}

// into gives r those of several data sets. What the script itself calls so goes before them.
func (b *bySet) into(r *recorder) error {
	for metric, sets := range b.sets {
		if len(sets) == 1 {
			b.drop(sets[0] + "." + metric)
		}
	}
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
