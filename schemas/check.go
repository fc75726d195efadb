// What a schema cannot say of one declaration: paths that exist, bounds that can
// be met, names that stay apart.

package schemas

import (
	"fmt"
	"io/fs"
	"maps"
	"path"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/robfig/cron/v3"
)

// checker checks documents against the repository and against each other.
type checker struct {
	*loader
	ports    map[int]Ref    // of local deployments
	packages map[string]Ref // by repository
	claimed  map[string]Ref // by what is claimed of a front
}

func (s *Transform) check(c *checker, d *document) {
	c.run(d, s)
	c.outputs(d, s.Outputs)
	d.arguments("spec", s.Run, given{params: s.Params, inputs: keysOf(s.Inputs), outputs: keysOf(s.Outputs)})
}

func (s *Training) check(c *checker, d *document) {
	c.run(d, s)
	if d.has("spec.candidates") && len(s.Candidates) == 0 && len(d.problems) == 0 { // else the schema may have taken some out
		d.problem("spec.candidates", "is empty; name a candidate, or remove it for the one named default")
	}
	s.Search.check(c, d, d.has("spec.candidates"))
	s.Stop().check(d, s.External != nil)
	apart(d, "spec.candidates", s.Candidates, strings.ToLower, "letter case aside")
	s.Retrain.check(c, d)
	if len(d.problems) == 0 { // else there may be other candidates than are meant
		g := given{params: s.Params, variants: s.Variants(), inputs: keysOf(s.Inputs)}
		if a := s.Asked(); a != nil { // each trial has a value for all of the space
			g.params, g.variants = a.drawn(s.Params), nil
		}
		d.arguments("spec", s.Run, g)
	}
	if s.External != nil && (len(s.MetricsFrom) > 0 || s.ModelFrom != "") {
		d.problem("spec.external", "writes the metrics as metrics.json and the model below model/; remove metricsFrom and modelFrom")
	}
	if from := s.ModelFrom; from != "" && (!fs.ValidPath(path.Clean(from)) || path.Clean(from) == ".") {
		d.problem("spec.modelFrom", "%q leads out of the run's folder; write mlflow, or a path from where the command begins, such as out/model", from)
	}
	for i, tool := range s.MetricsFrom {
		if slices.Index(s.MetricsFrom, tool) < i {
			d.problem("spec.metricsFrom", "names %s twice; remove one of them", tool)
		}
	}
}

func (c *checker) run(d *document, s Runnable) {
	w, field := s.Command()
	c.command(d, field, s.Delegates())
	c.work(d, field, *w)
	c.duration(d, "spec.timeout", s.Bounds().Timeout)
	c.inputs(d, "spec.inputs", s.Reads())
	if on, ok := s.(Placed); ok {
		c.placed(d, "spec", on.Placed(), s.Delegates())
	}
}

func (s *Infrastructure) check(c *checker, d *document) {
	c.path(d, "spec.module", s.Module, folder)
	if s.State.Path != "" && s.State.Backend != nil {
		d.problem("spec.state.backend", "and path are both given, but state is in one place; remove one of them")
	}
	c.outside(d, "spec.state.path", s.State.Path)
	schedule(d, "spec.schedule", s.Schedule)
}

// storePlaces are the fields of a store, each a place: one of them is given.
var storePlaces = namesOf(reflect.TypeFor[Store]())

// namesOf lists the JSON names of a type's fields, as they are declared.
func namesOf(t reflect.Type) (names []string) {
	for _, f := range reflect.VisibleFields(t) {
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		names = append(names, name)
	}
	return names
}

func (s *Project) check(c *checker, d *document) {
	if s.Store != nil {
		c.outside(d, "spec.store.dir", s.Store.Dir)
		s.Store.S3.check(d, "spec.store.s3")
		var places []string
		for _, place := range storePlaces {
			if d.has("spec.store." + place) {
				places = append(places, place)
			}
		}
		switch {
		case len(places) > 1:
			d.problem("spec.store."+places[1], "and %s are both given, but the store is in one place; remove one of them", places[0])
		case len(places) == 0 && !d.wrong("spec.store"):
			d.problem("spec.store", "says nowhere; give one of %s", strings.Join(storePlaces, ", "))
		case s.Store.S3 != nil && s.Store.S3.Anonymous:
			d.problem("spec.store.s3.anonymous", "cannot be: the store is written to; remove it")
		}
	}
	if d.has("spec.trust") {
		c.path(d, "spec.trust", s.Trust, file)
	}
	for i, p := range s.Policy.Paths {
		c.path(d, fmt.Sprintf("spec.policy.paths.%d", i), p, folder)
	}
	s.runners(c, d)
	s.Trackers.MLflow.check(d, "spec.trackers.mlflow")
	s.Trackers.Airflow.check(c, d, "spec.trackers.airflow", s.Environments)
	schedule(d, "spec.images.schedule", s.Images.Schedule)
	for _, name := range slices.Sorted(maps.Keys(s.Environments)) {
		for i, host := range s.Environments[name].Hosts {
			if wrong := ListsHost(host); wrong != "" {
				d.problem(fmt.Sprintf("spec.environments.%s.hosts.%d", name, i), "%s %s", short(host), wrong)
			}
		}
	}
}

// maxSchedule bounds a cron expression, in bytes, as the controller does.
const maxSchedule = 200

// schedule checks a cron expression. Times are UTC everywhere, so that a zone of its own is none.
func schedule(d *document, field, expr string) {
	if expr == "" {
		return
	}
	if strings.Contains(expr, "TZ=") {
		d.problem(field, "names a time zone, and schedules are in UTC; remove it")
		return
	}
	if len(expr) > maxSchedule {
		d.problem(field, "is longer than %d bytes; write minute hour day month weekday, such as \"0 6 * * 1\", or @daily", maxSchedule)
		return
	}
	every, err := cron.ParseStandard(expr)
	if err != nil {
		d.problem(field, "is not a cron expression (%v); write minute hour day month weekday, such as \"0 6 * * 1\", or @daily", err)
	}
	if constant, is := every.(cron.ConstantDelaySchedule); is && constant.Delay < time.Minute {
		d.problem(field, "is more often than once a minute; give at least @every 1m")
	}
}

func (s *Model) check(c *checker, d *document) {
	for i, g := range s.Gates {
		at := fmt.Sprintf("spec.gates.%d", i)
		if !d.has(at+".min") && !d.has(at+".max") && !d.has(at+".maxRegression") && d.has(at+".metric") {
			d.problem(at, "bounds nothing; give min, max or maxRegression")
		}
		ordered(d, at, g.Min, g.Max)
		g.rows(d, at, s.Evaluate)
	}
	s.Select.check(d)
	s.Evaluate.check(c, d)
	c.ref(d, "spec.from", s.From, func(t Traits) bool { return t.Outputs == CandidateOutputs })
}

func (s Selection) check(d *document) {
	const at = "spec.select"
	switch {
	case len(s.Objectives) > 0 && s.TieBreak == "" && !d.wrong(at+".tieBreak"):
		d.problem(at+".objectives", "leave several candidates on the front, and nothing says which one is selected; give tieBreak: ideal or order")
	case len(s.Objectives) == 0 && s.TieBreak != "" && !d.wrong(at+".objectives"):
		d.problem(at+".tieBreak", "is of several objectives, and there is one; remove it, or give objectives")
	}
	seen := map[string]bool{s.Metric: true}
	for i, o := range s.Objectives {
		if seen[o.Metric] && o.Metric != "" {
			d.problem(fmt.Sprintf("%s.objectives.%d.metric", at, i), "%s counts already; remove one of them", short(o.Metric))
		}
		seen[o.Metric] = true
	}
}

func ordered(d *document, field string, low, high *float64) {
	if low != nil && high != nil && *low > *high {
		d.problem(field+".min", "%v is above max %v, so that nothing can be between them; swap them", *low, *high)
	}
}

// work checks what a command reads.
func (c *checker) work(d *document, field string, w Work) {
	if len(w.Run) > 0 && strings.TrimSpace(w.Run[0]) == "" && d.has(field+".run.0") {
		d.problem(field+".run.0", "is empty; name a program")
	}
	for i, p := range w.Code {
		c.path(d, fmt.Sprintf("%s.code.%d", field, i), p, fileOrFolder)
	}
	c.script(d, field, w)
	if d.has(field + ".env.requirements") {
		c.path(d, field+".env.requirements", w.Env.Requirements, file)
	}
	for i, name := range w.Env.Pass {
		at := fmt.Sprintf("%s.env.pass.%d", field, i)
		switch {
		case !variable(name):
			d.problem(at, "%s cannot be the name of a variable; use letters, digits and underscores", short(name))
		case strings.HasPrefix(strings.ToUpper(name), "VISHWA_"):
			d.problem(at, "%s is Vishwa's own and never passed on; remove it", name)
		}
	}
}

func variable(name string) bool {
	for i, r := range name {
		letter := r == '_' || 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z'
		if !letter && (i == 0 || r < '0' || r > '9') {
			return false
		}
	}
	return name != ""
}

func (c *checker) duration(d *document, field string, s Duration) {
	if s == "" {
		return
	}
	if v, err := ParseDuration(string(s)); err != nil || v <= 0 {
		d.problem(field, "%s is not a time that can pass; write one such as 90s, 15m, 2h or 3d", short(string(s)))
	}
}

// want is what a path has to be.
type want int

const (
	file want = iota
	folder
	fileOrFolder
)

// path tells whether p is there as it is wanted, and reports it where it is not.
func (c *checker) path(d *document, field, p string, as want) bool {
	if !d.has(field) || p == "" && len(d.problems) > 0 { // the schema has reported it
		return false
	}
	wrong := local(p)
	if wrong == "" {
		wrong = c.there(p, as)
	}
	if wrong != "" {
		d.problem(field, "%s", wrong)
	}
	return wrong == ""
}

func (c *checker) there(p string, as want) string {
	e := c.repo.entryAt(p)
	switch {
	case e.err != nil && !missing(e.err):
		return fmt.Sprintf("%s cannot be read: %s; make it readable", p, cause(e.err))
	case e.err != nil && c.foreign(p) != "":
		return fmt.Sprintf("%s is in %s, which is a submodule, or another Git repository of its own, whose files no commit of this one holds; "+
			"copy what is needed into this repository, or have data come by source.dvc.repo", p, c.foreign(p))
	case e.err != nil:
		return fmt.Sprintf("%s is not in the repository%s", p, otherwise(c.repo.nearest(p), "; add it or correct the path"))
	case e.link != "":
		return fmt.Sprintf("%s is a symbolic link, which is not followed; name what it points to", e.link)
	case e.mode.IsDir() && as == file:
		return p + " is a folder; name a file"
	case !e.mode.IsDir() && as == folder:
		return p + " is a file; name a folder"
	case !e.mode.IsDir() && !e.mode.IsRegular():
		return p + " is not a regular file; name one"
	default:
		return ""
	}
}

// foreign is the folder above p that is a repository of its own (a folder of irregular mode), or nothing.
func (c *checker) foreign(p string) string {
	for p = path.Dir(p); p != "."; p = path.Dir(p) {
		if e := c.repo.entryAt(p); e.err == nil {
			if e.mode.IsDir() && e.mode&fs.ModeIrregular != 0 {
				return p
			}
			return ""
		}
	}
	return ""
}

func missing(err error) bool {
	return strings.Contains(err.Error(), fs.ErrNotExist.Error()) || strings.Contains(err.Error(), "not a directory")
}

// outside reports a path that has to be absolute and is not.
func (c *checker) outside(d *document, field, p string) {
	if p != "" && (!path.IsAbs(p) || path.Clean(p) != p) {
		d.problem(field, "%s is not a plain absolute path; give one outside the repository, such as /var/lib/vishwa", short(p))
	}
}

// inRun turns what local says into the words of a run's folder.
var inRun = strings.NewReplacer("of the repository", "of the run's folder", "from the repository's root", "within the run's folder", "outside the repository", "outside the run's folder")

// outputs checks where a run writes.
func (c *checker) outputs(d *document, outputs map[string]string) {
	apart(d, "spec.outputs", outputs, envName, "as variables are named")
	whole := map[string]string{} // path in lower case, with a slash at its end -> name
	for _, name := range slices.Sorted(maps.Keys(outputs)) {
		p, at := outputs[name], "spec.outputs."+name
		if wrong := local(p); wrong != "" {
			d.problem(at, "%s", inRun.Replace(wrong))
			continue
		}
		if p == "." {
			d.problem(at, "is the run's folder itself; name a file or folder in it")
			continue
		}
		low := strings.ToLower(p) + "/"
		if other, twice := whole[low]; twice {
			d.problem(at, "output %s is written to %s as well; write to different files", other, outputs[other])
			continue
		}
		whole[low] = name
	}
	above := ""
	for _, low := range slices.Sorted(maps.Keys(whole)) {
		if above != "" && strings.HasPrefix(low, above) {
			d.problem("spec.outputs."+whole[low], "is inside %s, which is output %s; write to different files", outputs[whole[above]], whole[above])
			continue
		}
		above = low
	}
}

// envName is how a name stands in a variable of a run's environment.
func envName(name string) string {
	return strings.Map(func(r rune) rune {
		if 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' {
			return r
		}
		return '_'
	}, strings.ToUpper(name))
}

// apart reports names that fold makes equal.
func apart[V any](d *document, field string, names map[string]V, fold func(string) string, how string) {
	first := map[string]string{}
	for _, name := range slices.Sorted(maps.Keys(names)) {
		if other, twice := first[fold(name)]; twice {
			d.problem(field+"."+name, "%s and %s are one name, %s; rename one", other, name, how)
			continue
		}
		first[fold(name)] = name
	}
}
