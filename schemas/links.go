// What declarations say of each other: refs that are declared, outputs that are
// made, no cycle.

package schemas

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
)

// ref reports a ref that is not of a kind that fits, or to nothing. It returns
// the document that ref names, or nil.
func (c *checker) ref(d *document, field string, ref Ref, fits func(Traits) bool) *document {
	if ref == (Ref{}) {
		return nil // the schema has reported it
	}
	kinds, is := KindsThat(fits), ref.Kind.Traits()
	if !slices.Contains(kinds, ref.Kind) {
		if is.New == nil {
			d.problem(field, "%s: there is no kind %s%s", ref, ref.Kind, meantOr(string(ref.Kind), kindTexts(kinds), ""))
		} else {
			d.problem(field, "%s is %s; name %s", ref, indefinite(ref.Kind), oneOf(kinds))
		}
		return nil
	}
	to := c.refs[ref.Whole()]
	switch {
	case to == nil && !c.unread:
		d.problem(field, "%s is not declared%s", ref.Whole(), otherwise(c.nearestRef(ref, kinds), "; declare it"))
	case to == nil:
	case ref.Output != "" && is.Outputs == NoOutputs:
		d.problem(field, "%s has no outputs; write %s", indefinite(ref.Kind), ref.Whole())
	case ref.Output != "" && is.Outputs == CandidateOutputs:
		d.problem(field, "names one candidate, but the best is selected from all; write %s", ref.Whole())
	}
	return to
}

func oneOf(kinds []Kind) string {
	out := make([]string, len(kinds))
	for i, k := range kinds {
		out[i] = indefinite(k)
	}
	return strings.Join(out, " or ")
}

func kindTexts(kinds []Kind) []string {
	out := make([]string, len(kinds))
	for i, k := range kinds {
		out[i] = string(k)
	}
	return out
}

func indefinite(noun Kind) string {
	if strings.ContainsRune("aeiou", rune(noun[0])) {
		return "an " + string(noun)
	}
	return "a " + string(noun)
}

// nearestRef looks among the refs of the same kind, then for the same name in another kind.
func (c *checker) nearestRef(ref Ref, kinds []Kind) string {
	names := []string{}
	if !c.repo.guesses.may(ref.Name, len(c.refs)) {
		return ""
	}
	for r := range c.refs {
		if r.Kind == ref.Kind {
			names = append(names, r.Name)
		}
	}
	if n := Nearest(ref.Name, names); n != "" {
		return "; did you mean " + Ref{Kind: ref.Kind, Name: n, Output: ref.Output}.String() + "?"
	}
	for _, k := range kinds {
		if other := (Ref{Kind: k, Name: ref.Name}); c.refs[other] != nil {
			return "; did you mean " + other.String() + "?"
		}
	}
	return ""
}

// inputs checks what a run reads: datasets, and outputs of transforms.
func (c *checker) inputs(d *document, at string, inputs map[string]Ref) {
	apart(d, at, inputs, envName, "as variables are named")
	for _, name := range slices.Sorted(maps.Keys(inputs)) {
		ref, field := inputs[name], at+"."+name
		to := c.ref(d, field, ref, func(t Traits) bool { return t.Input })
		if to == nil || to.decl.Traits().Outputs != NamedOutputs {
			continue
		}
		run, ok := to.decl.Spec.(Runnable)
		if !ok {
			continue
		}
		made, _ := run.Writes()
		_, there := made[ref.Output]
		if d.full() || there || ref.Output == "" && len(made) < 2 || to.has("spec.outputs."+ref.Output) {
			continue
		}
		if !c.repo.guesses.may(ref.Output, len(made)) {
			d.problem(field, "%s has no such output; name one that it declares", ref)
			continue
		}
		outputs := slices.Sorted(maps.Keys(made))
		if ref.Output == "" {
			d.problem(field, "%s has %d outputs; name one, such as %s:%s", ref, len(outputs), ref, outputs[0])
		} else {
			d.problem(field, "%s has no output %s%s", ref.Whole(), ref.Output, meantOr(ref.Output, outputs, "declare it"))
		}
	}
}

func (s *Deployment) check(c *checker, d *document) {
	defer schedule(d, "spec.schedule", s.Schedule)
	s.Log.check(c, d, "spec.log")
	s.Rollout.check(c, d, s.Model)
	s.checkDivided(d)
	c.ref(d, "spec.model", s.Model, func(t Traits) bool { return t.Releases })
	c.environment(d, s.Environment)
	seen := map[Ref]bool{}
	for i, ref := range s.Needs {
		field := fmt.Sprintf("spec.needs.%d", i)
		if seen[ref] && ref != (Ref{}) {
			d.problem(field, "%s is listed twice; remove one", ref)
			continue
		}
		seen[ref] = true
		c.ref(d, field, ref, func(t Traits) bool { return t.Provisioned })
	}
	s.Target.check(c, d)
	s.Delivery.check(c, d, &s.Target)
	c.claims(d, s)
}

// targets are the fields of a target, each one that serves: one of them is given.
var targets = namesOf(reflect.TypeFor[Target]())

func (t *Target) check(c *checker, d *document) {
	var given []string
	for _, name := range targets {
		if d.has("spec.target." + name) {
			given = append(given, name)
		}
	}
	switch {
	case len(given) > 1:
		d.problem("spec.target."+given[1], "and %s are both given, but a deployment has one target; remove one of them", given[0])
		return
	case len(given) == 0 && d.has("spec.target") && !d.wrong("spec.target"):
		d.problem("spec.target", "names none; give one of %s", strings.Join(targets, ", "))
	}
	for _, name := range []string{"docker", "kubernetes"} { // also where other fields of it are wrong
		if d.has("spec.target." + name) {
			inImage(d, "spec.target."+name)
		}
	}
	t.KServe.check(c, d)
	t.Seldon.check(c, d)
	t.SeldonDeployment.check(c, d)
	t.TFServing.check(c, d)
	w, ready, field := t.Served()
	if w == nil {
		return
	}
	if run := t.ByRuntime(); run != nil {
		run.check(c, d, field+".runtime", w.Code)
		if d.has(field + ".run") {
			d.problem(field+".runtime", "and run are both given, but one of them serves; remove one of them")
		}
	} else if !d.has(field+".runtime") && !t.Contained() {
		c.command(d, field, nil)
	}
	c.work(d, field, *w)
	c.duration(d, field+".readyTimeout", ready.ReadyTimeout)
	t.Docker.check(c, d, field)
	t.Kubernetes.check(c, d, field)
	_, hosted, _ := t.Hosted()
	if hosted == nil {
		return
	}
	c.duration(d, field+".minReady", hosted.MinReady)
	if hosted.Port == 0 {
		return
	}
	if other, taken := c.ports[hosted.Port]; taken {
		d.problem(field+".port", "%d is the port of %s as well; choose another, or none for a free one", hosted.Port, other)
		return
	}
	c.ports[hosted.Port] = d.decl.Ref()
}

func (t *DockerTarget) check(c *checker, d *document, field string) {
	if t == nil {
		return
	}
	image(d, field+".image", t.Image, d.decl.Ref().String())
	if of := c.packaged(d, field+".package", t.Package); d.has(field + ".package") {
		c.contained(d, field, t.Package, of)
		if d.has(field + ".image") {
			d.problem(field+".package", "and image are both given, but one of them serves; remove one of them")
		}
	}
	address(d, field+".host", t.Host, "unix", "tcp", "ssh")
	cores(d, field+".resources.cpu", t.Resources.CPU)
	amount(d, field+".resources.memory", t.Resources.Memory, minMemory)
	t.Traefik.check(d, field, t)
	for i, name := range t.Env.Pass {
		if ForFront(name) {
			d.problem(fmt.Sprintf("%s.env.pass.%d", field, i), "%s is read by what looks at containers, as nginx-proxy and Registrator do, and could have requests sent past the public port; give the variable another name, or remove it and have the proxy send to the port by its own file", short(name))
		}
	}
	if d.has(field+".env.requirements") && !d.has(field+".package") {
		d.problem(field+".env.requirements", "is not installed into a container; serve an image that a Package builds of them (its spec.image.env), or one that has them, and remove it")
	}
}

func (c *checker) environment(d *document, name string) {
	if c.project == nil || name == "" {
		return
	}
	s := ProjectOf([]Declaration{c.project.decl})
	if s == nil || c.project.has("spec.environments."+name) {
		return
	}
	var names []string
	if c.repo.guesses.may(name, len(s.Environments)) {
		names = slices.Collect(maps.Keys(s.Environments))
	}
	d.problem("spec.environment", "%s is none of the project's environments%s", short(name),
		meantOr(name, names, "declare it in "+Root+" below spec.environments"))
}

// cycles reports every ring of runs that read each other's outputs, once. Nothing else can
// be in a ring: the kinds' refs only ever point the other way.
func (c *checker) cycles() {
	const done = -1
	state := map[Ref]int{} // done, or the place in the trail, from 1
	var trail []Ref
	var visit func(ref Ref)
	visit = func(ref Ref) {
		d := c.refs[ref]
		trail = append(trail, ref)
		state[ref] = len(trail)
		reads := chained(d)
		for _, name := range slices.Sorted(maps.Keys(reads)) {
			to := reads[name].Whole()
			if next := c.refs[to]; next == nil || chained(next) == nil {
				continue
			}
			switch at := state[to]; {
			case at == 0:
				visit(to)
			case at > 0 && !d.full():
				d.problem("spec.inputs."+name, "is part of a cycle: %s; remove one of these inputs", arrows(trail[at-1:], to))
			}
		}
		trail = trail[:len(trail)-1]
		state[ref] = done
	}
	for _, ref := range slices.SortedFunc(maps.Keys(c.refs), Ref.Compare) {
		if chained(c.refs[ref]) != nil && state[ref] == 0 {
			visit(ref)
		}
	}
}

// chained is what a run reads that others can read in turn; nil is of another kind.
func chained(d *document) map[string]Ref {
	if run, ok := d.decl.Spec.(Runnable); ok && d.decl.Traits().Input {
		return run.Reads()
	}
	return nil
}

// arrows writes a ring that comes back to first; of a long one, its ends.
func arrows(ring []Ref, first Ref) string {
	const most = 20
	var names []string
	for i, r := range ring {
		switch {
		case len(ring) <= most || i < most/2 || i >= len(ring)-most/2:
			names = append(names, r.String())
		case i == most/2:
			names = append(names, fmt.Sprintf("(%d more)", len(ring)-most))
		}
	}
	return strings.Join(append(names, first.String()), " -> ")
}
