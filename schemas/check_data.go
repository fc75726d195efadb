// What a schema cannot say of a dataset: that its source is one place, that its
// pin can move, that its promises can be kept.

package schemas

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
)

func (s *Dataset) check(c *checker, d *document) {
	c.source(d, s)
	for _, name := range slices.Sorted(maps.Keys(s.Columns)) {
		column(d, "spec.columns."+name, s.Columns[name])
	}
	if r := s.Rows; r != nil && r.Min != nil && r.Max != nil && *r.Min > *r.Max {
		d.problem("spec.rows.min", "%d is above max %d, so that no count can be between them; swap them", *r.Min, *r.Max)
	}
	if f := s.Freshness; f != nil {
		c.duration(d, "spec.freshness.maxAge", f.MaxAge)
		if col, ok := s.Columns[f.Column]; ok && col.Type != "date" && col.Type != "timestamp" {
			d.problem("spec.freshness.column", "%s is not a column of type date or timestamp; declare its type, or name another", f.Column)
		}
	}
	if f := s.Format; f != nil && f.Quote != "" && (f.Quote == f.Delimiter || f.Quote == f.Comment) {
		d.problem("spec.format.quote", "%q cannot be the delimiter or the comment as well; choose another", f.Quote)
	}
}

// source checks that the data is in one place, and that a place that can change has a pin.
func (c *checker) source(d *document, s *Dataset) {
	const field = "spec.source"
	var places []string
	for _, place := range []string{"path", "dvc", "http", "s3", "kafka", "airflow", "predictions"} {
		if d.has(field + "." + place) {
			places = append(places, place)
		}
	}
	switch {
	case len(places) == 0 && d.has(field) && !d.wrong(field):
		d.problem(field, "says nowhere; give path, dvc, http, s3, kafka, airflow or predictions")
	case len(places) > 1:
		d.problem(field+"."+places[1], "cannot be set together with %s: the data is in one place; remove one of them", places[0])
	}
	if p := s.Source.Path; c.path(d, field+".path", p, fileOrFolder) && !c.repo.entryAt(p).mode.IsDir() {
		c.data(d, field+".path", p)
	}
	s.Source.Kafka.check(c, d, field+".kafka")
	s.Source.Airflow.check(d, field+".airflow")
	s.Source.Predictions.check(c, d, field+".predictions")
	if v := s.Source.DVC; v != nil {
		if wrong := local(v.Path); wrong != "" && v.Path != "" {
			d.problem(field+".dvc.path", "%s", wrong)
		}
		if v.Revision != "" && v.Repo == "" {
			d.problem(field+".dvc.revision", "is of another repository, and none is named; give repo, or remove it")
		}
	}
	for _, at := range []struct{ field, url string }{{field + ".http.url", web(s.Source.HTTP)}, {field + ".airflow.http.url", web(airflowHTTP(s.Source.Airflow))}, {field + ".dvc.repo", origin(s.Source.DVC)}} {
		withoutCredential(d, at.field, at.url, "let whoever runs Vishwa log in there by other means")
	}
	s.Source.S3.check(d, field+".s3")
	mutable := s.Source.Mutable()
	switch {
	case mutable && s.Source.Pin == "" && !d.wrong(field):
		d.problem(field, "can change, and has no pin; add pin: %s, and let vishwa data refresh write that file", "data/"+d.decl.Metadata.Name+".dvc")
	case !mutable && s.Source.Pin != "" && len(places) == 1:
		d.problem(field+".pin", "pins what a revision holds already; remove it")
	}
	if r := s.Source.Refresh; r != nil {
		if !mutable && len(places) == 1 {
			d.problem(field+".refresh", "looks at what changes with commits alone; remove it")
		}
		schedule(d, field+".refresh.schedule", r.Schedule)
		if r.Settle != "" {
			c.duration(d, field+".refresh.settle", r.Settle)
		}
	}
	if s.Source.Pin != "" {
		if wrong := local(s.Source.Pin); wrong != "" {
			d.problem(field+".pin", "%s", wrong)
		}
	}
}

func airflowHTTP(a *AirflowData) *HTTP {
	if a == nil {
		return nil
	}
	return a.HTTP
}

func web(s *HTTP) string {
	if s == nil {
		return ""
	}
	return s.URL
}

func origin(s *DVC) string {
	if s == nil {
		return ""
	}
	return s.Repo
}

// wrong tells whether something is wrong with the field, or below it, already.
func (d *document) wrong(field string) bool {
	return slices.ContainsFunc(d.problems, func(p Problem) bool { return p.Field == field || strings.HasPrefix(p.Field, field+".") })
}

// Mutable tells whether the data can change without a commit to this repository.
func (s DataSource) Mutable() bool {
	return s.HTTP != nil || s.S3 != nil || s.Kafka != nil || s.Airflow != nil || s.Predictions != nil || s.DVC != nil && s.DVC.Repo != ""
}

// Direct tells whether a new pin is committed without a pull request.
func (r *Refresh) Direct() bool { return r != nil && r.Propose == "commit" }

func column(d *document, at string, col Column) {
	ordered(d, at, col.Min, col.Max)
	for bound, v := range map[string]*float64{"min": col.Min, "max": col.Max} {
		if v != nil && slices.Contains([]string{"boolean", "string", "date", "timestamp"}, col.Type) {
			d.problem(at+"."+bound, "bounds numbers, but the column's type is %s; remove it or change the type", col.Type)
		}
	}
	if _, err := regexp.Compile(col.Pattern); err != nil {
		d.problem(at+".pattern", "is not a regular expression (%s); write it as RE2 has it", strings.TrimPrefix(err.Error(), "error parsing regexp: "))
	}
}

// data reports a dataset whose file holds no data.
func (c *checker) data(d *document, field, p string) {
	if c.repo.entryAt(p).size == 0 {
		d.problem(field, "%s is empty (0 bytes); put the data there", p)
		return
	}
	const pointer = "version https://git-lfs.github.com/spec/v1\n"
	head, err := c.repo.head(p, 0, int64(len(pointer)))
	switch {
	case err != nil:
		d.problem(field, "%s cannot be read: %s; make it readable", p, cause(err))
	case string(head) == pointer:
		d.problem(field, "%s is a Git LFS pointer and not the data; run git lfs pull", p)
	case fmt.Sprintf("%.5s", head) == "outs:" && strings.HasSuffix(p, ".dvc"):
		d.problem(field, "%s is a DVC pointer and not the data; write dvc: {path: %s}", p, strings.TrimSuffix(p, ".dvc"))
	}
}

// check reports an endpoint that holds a credential.
func (s *S3) check(d *document, field string) {
	if s != nil {
		withoutCredential(d, field+".endpoint", s.Endpoint, "have whoever runs Vishwa give it")
	}
}
