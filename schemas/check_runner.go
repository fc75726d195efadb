// What a schema cannot say of where runs are carried out: runners that exist and are one tool
// each, images that cannot move, and steps that their runner can carry out.

package schemas

import (
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"
	"unicode"

	"github.com/vishwaops/vishwa/reconciler/lazyregexp"
)

// Bounds on what a runner is declared with, and a run asks for.
const (
	maxRunnerEntries = 64        // of a list or mapping
	maxRunnerText    = 2_048     // bytes of an address
	maxMillicores    = 4_096_000 // of one machine
	minMemory        = 4 << 20   // bytes that a process can begin in
	maxRunnerBytes   = 1 << 50
)

// Names as Kubernetes has them.
var (
	kubeName   = lazyregexp.New(`^[a-z0-9]([-a-z0-9]{0,251}[a-z0-9])?(\.[a-z0-9]([-a-z0-9]{0,251}[a-z0-9])?)*$`)
	labelKey   = lazyregexp.New(`^([a-z0-9]([-.a-z0-9]{0,251}[a-z0-9])?/)?[A-Za-z0-9]([-._A-Za-z0-9]{0,61}[A-Za-z0-9])?$`)
	labelValue = lazyregexp.New(`^([A-Za-z0-9]([-._A-Za-z0-9]{0,61}[A-Za-z0-9])?)?$`)
)

// runners checks what the project names of runners.
func (s *Project) runners(c *checker, d *document) {
	for _, name := range slices.Sorted(maps.Keys(s.Runners)) {
		if d.full() {
			return
		}
		at := "spec.runners." + name
		if name == LocalRunner {
			d.problem(at, "local is the machine that reconciles, and cannot be another runner; rename it")
			continue
		}
		var tools []string
		for _, tool := range runnerTools {
			if d.has(at + "." + tool) {
				tools = append(tools, tool)
			}
		}
		switch {
		case len(tools) == 0 && !d.wrong(at):
			d.problem(at, "names no tool; give one of %s", strings.Join(runnerTools, ", "))
		case len(tools) > 1:
			d.problem(at+"."+tools[1], "and %s are both given, but a runner is one tool; remove one of them, or name two runners", tools[0])
		}
		c.runner(d, at, s, s.Runners[name])
	}
	for _, name := range slices.Sorted(maps.Keys(s.Clusters)) {
		plain(d, "spec.clusters."+name+".context", s.Clusters[name].Context)
		named(d, "spec.clusters."+name+".uid", s.Clusters[name].UID)
	}
	modelServers(d, s.ModelServers)
	if d.has("spec.pullRequests.runners") && len(s.PullRequests.Runners) == 0 && !d.wrong("spec.pullRequests.runners") {
		d.problem("spec.pullRequests.runners", "is empty; list local, or remove it for local alone; train: never of spec.pullRequests runs nothing")
	}
	seen := map[string]bool{}
	for i, name := range s.PullRequests.Runners {
		at := fmt.Sprintf("spec.pullRequests.runners.%d", i)
		if seen[name] && name != "" {
			d.problem(at, "%s is listed twice; remove one", short(name))
			continue
		}
		seen[name] = true
		c.runnerName(d, at, s, name)
	}
	for i, name := range s.PullRequests.External {
		at := fmt.Sprintf("spec.pullRequests.external.%d", i)
		if c.runnerName(d, at, s, name) && !slices.Contains(s.PullRequestRunners(), name) {
			d.problem(at, "%s is none of the runners that pull requests may use; add it to spec.pullRequests.runners, or remove it", short(name))
		}
	}
	c.runnerName(d, "spec.defaults.runner", s, s.Defaults.Runner)
	image(d, "spec.defaults.image", s.Defaults.Image, "project")
}

// runner checks what one runner is declared with.
func (c *checker) runner(d *document, at string, p *Project, r Runner) {
	if t := r.Docker; t != nil {
		plain(d, at+".docker.network", t.Network)
		address(d, at+".docker.host", t.Host, "unix", "tcp", "http", "https", "ssh")
	}
	if t := r.Kubernetes; t != nil {
		at := at + ".kubernetes"
		c.cluster(d, at+".cluster", p, t.Cluster)
		named(d, at+".serviceAccount", t.ServiceAccount)
		named(d, at+".queue", t.Queue)
		labels(d, at+".nodeSelector", t.NodeSelector)
		tolerations(d, at+".tolerations", t.Tolerations)
		label(d, at+".gpuResource", t.GPUResource, labelKey)
		label(d, at+".gpuLabel", t.GPULabel, labelKey)
		worker(d, at+".worker", t.Worker)
		if few(d, at+".pullSecrets", len(t.PullSecrets)) {
			for i, name := range t.PullSecrets {
				named(d, fmt.Sprintf("%s.pullSecrets.%d", at, i), name)
			}
		}
	}
	if t := r.Kubeflow; t != nil {
		at := at + ".kubeflow"
		c.kubeflow(d, at, t)
		c.cluster(d, at+".cluster", p, t.Cluster)
		named(d, at+".queue", t.Queue)
		namespace, runtime, two := strings.Cut(t.RuntimeRef, "/")
		if named(d, at+".runtimeRef", namespace); two {
			named(d, at+".runtimeRef", runtime)
		}
	}
	for tool, asked := range services(r) {
		at := at + "." + tool
		address(d, at+".url", asked.url, "http", "https")
		c.outside(d, at+".token", asked.token)
		plain(d, at+"."+asked.field, asked.name)
	}
}

// kubeflow checks that a runner makes TrainJobs or runs of pipelines, and not both.
func (c *checker) kubeflow(d *document, at string, r *KubeflowRunner) {
	for _, field := range []string{"cluster", "runtimeRef", "queue"} {
		there := d.has(at + "." + field)
		switch {
		case r.Pipelines != nil && there:
			d.problem(at+"."+field, "is of TrainJobs, and pipelines is given; remove one of them, or name two runners")
		case r.Pipelines == nil && !there && field != "queue" && !d.has(at+".pipelines") && !d.wrong(at+"."+field):
			d.problem(at+"."+field, "is missing; add it, or pipelines in place of TrainJobs")
		}
	}
	if p := r.Pipelines; p != nil {
		named(d, at+".pipelines.namespace", p.Namespace)
		named(d, at+".pipelines.serviceAccount", p.ServiceAccount)
	}
}

// service is a server that takes runs by REST.
type service struct{ url, token, field, name string }

func services(r Runner) map[string]service {
	out := map[string]service{}
	if t := r.Airflow; t != nil {
		out["airflow"] = service{t.URL, t.Token, "dag", t.DAG}
	}
	if t := r.Kubeflow; t != nil && t.Pipelines != nil {
		out["kubeflow.pipelines"] = service{t.Pipelines.URL, t.Pipelines.Token, "experiment", t.Pipelines.Experiment}
	}
	if t := r.Ray; t != nil {
		out["ray"] = service{url: t.URL, token: t.Token}
	}
	if t := r.Jenkins; t != nil {
		out["jenkins"] = service{t.URL, t.Token, "job", t.Job}
	}
	return out
}

// runnerName reports a runner that the project does not have.
func (c *checker) runnerName(d *document, field string, p *Project, name string) bool {
	if name == "" || p == nil {
		return true
	}
	if _, _, ok := p.Runner(name); ok {
		return true
	}
	if c.project != nil && c.project.has("spec.runners."+name) {
		return false // and what is wrong with it is reported there
	}
	var names []string
	if c.repo.guesses.may(name, len(p.Runners)+1) {
		names = append(slices.Collect(maps.Keys(p.Runners)), LocalRunner)
	}
	d.problem(field, "%s is none of the project's runners%s", short(name), meantOr(name, names, "declare it in "+Root+" below spec.runners"))
	return false
}

func (c *checker) cluster(d *document, field string, p *Project, name string) {
	if _, ok := p.Clusters[name]; ok || name == "" || d.has("spec.clusters."+name) {
		return
	}
	var names []string
	if c.repo.guesses.may(name, len(p.Clusters)) {
		names = slices.Collect(maps.Keys(p.Clusters))
	}
	d.problem(field, "%s is none of the project's clusters%s", short(name), meantOr(name, names, "declare it below spec.clusters"))
}

// placed checks that a run can be carried out where it is declared to be, by the fields below at.
func (c *checker) placed(d *document, at string, on RunsOn, e *External) {
	resources(d, at+".resources", on.Resources)
	image(d, at+".image", on.Image, d.decl.Ref().String())
	named(d, at+".priority", on.Priority)
	if c.project == nil {
		return
	}
	p := ProjectOf([]Declaration{c.project.decl})
	if p == nil || !c.runnerName(d, at+".runner", p, on.Runner) {
		return
	}
	whole := on.Or(p.Defaults)
	r, is, ok := p.Runner(whole.Runner)
	if !ok || is.Tool == "" {
		return // and what is wrong with it is reported there
	}
	who := "runner " + whole.Runner
	if is.Tool != whole.Runner {
		who += " (" + is.Tool + ")"
	}
	if e != nil {
		c.external(d, e, whole.Runner, r)
		return // the rest is of commands
	}
	say := func(field, format string, args ...any) {
		d.problem(field, "%s "+format, append([]any{who}, args...)...)
	}
	switch {
	case is.Containers && whole.Image == "" && !d.has(at+".image"):
		say(at+".runner", "runs containers, and no image is declared; add image, or spec.defaults.image of %s, and let vishwa image pin %s write its digest", Root, d.decl.Ref())
	case !is.Containers && on.Image != "":
		say(at+".image", "runs no containers; remove the image, or name a runner that does")
	case !is.Containers && whole.Image != "":
		say(at+".runner", "runs no containers, and the project's default image counts here; name a runner that does, or give the image to the runs that need it in place of spec.defaults.image")
	}
	if p.Store != nil && p.Store.OCI != nil && is.Tool != LocalRunner && r.Docker == nil {
		say(at+".runner", "cannot be lent what it reads of a store in a registry; declare spec.store.s3 in %s", Root)
	}
	if on.Nodes > 1 && !is.Nodes {
		say(at+".nodes", "gives a run one machine; name a runner of kubernetes or kubeflow, or remove it")
	}
	if on.Priority != "" && !is.Queue {
		say(at+".priority", "knows no priorities; remove it, or name a runner of kubernetes or kubeflow")
	}
	switch gpu := on.Resources; {
	case gpu.GPU > 0 && !is.GPU:
		say(at+".resources.gpu", "hands out no GPUs; remove it, or name another runner")
	case gpu.GPU > 0 && gpu.GPUKind != "" && !is.GPUKind:
		say(at+".resources.gpuKind", "does not tell kinds of GPU apart; remove it, or name another runner")
	case gpu.GPU > 0 && gpu.GPUKind != "" && r.Kubernetes != nil && r.Kubernetes.GPULabel == "":
		say(at+".resources.gpuKind", "does not say which label of its nodes has the kind of GPU; add gpuLabel to it, or remove gpuKind")
	}
}

func resources(d *document, at string, r Resources) {
	cores(d, at+".cpu", r.CPU)
	amount(d, at+".memory", r.Memory, minMemory)
	amount(d, at+".ephemeralStorage", r.EphemeralStorage, minMemory)
	if r.GPUKind != "" && r.GPU == 0 {
		d.problem(at+".gpuKind", "is a kind of GPU, and none is asked for; add gpu: 1, or remove it")
	}
	label(d, at+".gpuKind", r.GPUKind, labelValue)
}

func cores(d *document, field, text string) {
	if n, ok := Millicores(text); text != "" && (!ok || n <= 0 || n > maxMillicores) {
		d.problem(field, "%s is not a number of processors that a machine has; write one such as \"4\" or \"500m\"", short(text))
	}
}

func amount(d *document, field, text string, least int64) {
	switch n, ok := Bytes(text); {
	case text == "":
	case !ok || n > maxRunnerBytes:
		d.problem(field, "%s is more than a machine has; write an amount such as 16Gi", short(text))
	case n < least:
		d.problem(field, "%s is %d bytes, and less than %d MiB is too little to begin in; write its unit, such as 16Gi", short(text), n, least>>20)
	}
}

// image reports an image that is not by digest; ref is what vishwa image pin takes.
func image(d *document, field, name, ref string) {
	switch {
	case name == "" && !d.has(field), ByDigest(name):
	case name == "" && d.wrong(field):
	case name == "":
		d.problem(field, "is empty; name an image, or remove it")
	case len(name) <= maxImage && byTag.MatchString(name):
		d.problem(field, "%s names what may change, as no digest is given; vishwa image pin %s writes it", short(name), ref)
	default:
		d.problem(field, "%s is not an image by digest; write one such as registry.example.com/team/base:1.0, and let vishwa image pin %s add its digest", short(name), ref)
	}
}

// worker reports an image of the worker that is not by digest: it is trusted with every run.
func worker(d *document, field, name string) {
	if name != "" && !ByDigest(name) {
		d.problem(field, "%s is not an image by digest; write name@sha256:... as your registry tells it", short(name))
	}
}

// address checks where a server is asked.
func address(d *document, field, text string, schemes ...string) {
	if text == "" || !plain(d, field, text) || !withoutCredential(d, field, text, "have whoever runs Vishwa give it") {
		return
	}
	u, err := url.Parse(text)
	switch {
	case err != nil || !slices.Contains(schemes, u.Scheme) || u.Host == "" && u.Scheme != "unix" || u.Scheme == "unix" && (u.Host != "" || !strings.HasPrefix(u.Path, "/")):
		d.problem(field, "%s is not an address; write one that begins with %s://", short(text), strings.Join(schemes, ":// or "))
	case u.RawQuery != "" || u.Fragment != "":
		d.problem(field, "%s has more than an address; end it before its ? or #", short(text))
	}
}

// withoutCredential reports an address that holds a credential: everybody who reads the repository, a log or a message reads it there. Who
// is asked for by SSH is no secret, and the password of one is.
func withoutCredential(d *document, field, text, way string) bool {
	scheme, rest, is := strings.Cut(text, "://")
	if !is {
		return true // HOST:PORT, a path, or Git's short form of SSH
	}
	if end := strings.IndexAny(rest, `/?#\`); end >= 0 {
		rest = rest[:end]
	}
	at := strings.LastIndexByte(rest, '@')
	if at < 0 || strings.HasSuffix(scheme, "ssh") && !strings.Contains(rest[:at], ":") {
		return true
	}
	d.problem(field, "holds a user or a password, which everybody who reads the repository sees; remove it and change it, and %s", way)
	return false
}

// plain reports text that is long, or holds what no name holds.
func plain(d *document, field, text string) bool {
	switch {
	case len(text) > maxRunnerText:
		d.problem(field, "%s is longer than %d bytes; give a shorter one", short(text), maxRunnerText)
	case strings.ContainsFunc(text, func(r rune) bool { return unicode.IsControl(r) || r == unicode.ReplacementChar }):
		d.problem(field, "%s holds a control character; remove it", short(text))
	default:
		return true
	}
	return false
}

func named(d *document, field, name string) { label(d, field, name, kubeName) }

func label(d *document, field, text string, fits *lazyregexp.Regexp) {
	if text != "" && (len(text) > 253 || !fits.MatchString(text)) {
		d.problem(field, "%s cannot be a name there; use letters, digits, hyphens and dots, as Kubernetes does", short(text))
	}
}

func labels(d *document, field string, all map[string]string) {
	if !few(d, field, len(all)) {
		return
	}
	for _, key := range slices.Sorted(maps.Keys(all)) {
		if !labelKey.MatchString(key) {
			d.problem(field, "%s cannot be a label; use letters, digits, hyphens and dots, as Kubernetes does", short(key))
			continue
		}
		label(d, field+"."+key, all[key], labelValue)
	}
}

func tolerations(d *document, field string, all []Toleration) {
	if !few(d, field, len(all)) {
		return
	}
	for i, t := range all {
		at := fmt.Sprintf("%s.%d", field, i)
		label(d, at+".key", t.Key, labelKey)
		label(d, at+".value", t.Value, labelValue)
		switch {
		case t.Operator == "Exists" && t.Value != "":
			d.problem(at+".value", "is compared with nothing, as the operator is Exists; remove one of them")
		case t.Key == "" && t.Operator != "Exists":
			d.problem(at, "names no taint; add key, or operator: Exists for every one")
		}
	}
}

func few(d *document, field string, n int) bool {
	if n > maxRunnerEntries {
		d.problem(field, "has %d entries, which is more than %d; give fewer", n, maxRunnerEntries)
	}
	return n <= maxRunnerEntries
}
