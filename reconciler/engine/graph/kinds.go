// What the nodes of each kind are made of: one recipe a kind.

package graph

import (
	"path"
	"slices"

	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/schemas"
)

// recipes make the nodes of a declaration of each kind; the project has none.
var recipes = map[schemas.Kind]func(*builder, *schemas.Declaration){
	schemas.KindDataset:        of((*builder).dataset),
	schemas.KindTransform:      of((*builder).transform),
	schemas.KindTraining:       of((*builder).training),
	schemas.KindModel:          of((*builder).model),
	schemas.KindInfrastructure: of((*builder).infrastructure),
	schemas.KindDeployment:     of((*builder).deployment),
	schemas.KindPackage:        of((*builder).packed),
}

// of is a recipe for specs of one type.
func of[S schemas.Spec](build func(*builder, *schemas.Declaration, S)) func(*builder, *schemas.Declaration) {
	return func(b *builder, d *schemas.Declaration) { build(b, d, d.Spec.(S)) }
}

func (b *builder) dataset(d *schemas.Declaration, spec *schemas.Dataset) {
	n := b.node(d, spec, 1)
	n.Data, n.Points = b.pins.Data[n.Ref], b.pins.Points[n.Ref]
	if n.Data.Digest != "" {
		n.Recipe.Inputs = map[string]digest.Digest{"data": n.Data.Digest}
	} else if n.Points != nil {
		n.Recipe.Inputs = map[string]digest.Digest{"pointer": digest.Of([]byte(n.Points.Name))}
	}
	b.nodes = append(b.nodes, n)
}

func (b *builder) transform(d *schemas.Declaration, spec *schemas.Transform) {
	n := b.node(d, spec, 1)
	if !b.work(d, &n, withFiles(spec.Work, spec.External), 1) {
		return
	}
	b.place(&n, spec.RunsOn, spec.External)
	n.Recipe.Params = spec.Params
	n.Inputs = spec.Inputs
	b.nodes = append(b.nodes, n)
}

// withFiles is what a run consists of: the files of external work are its code.
func withFiles(w schemas.Work, e *schemas.External) schemas.Work {
	w.Code = append(slices.Clone(w.Code), e.Files()...)
	return w
}

// training makes a node a candidate. All but the parameters is the same for every one, and
// is made once.
func (b *builder) training(d *schemas.Declaration, spec *schemas.Training) {
	all := candidates(spec)
	every := b.node(d, spec, len(all))
	if !b.work(d, &every, withFiles(spec.Work, spec.External), len(all)) || !b.weigh(d, "spec.candidates", len(all)*(weight(spec.Params)+len(spec.Inputs)*perInput)+apart(spec, all)) {
		return
	}
	b.place(&every, spec.RunsOn, spec.External)
	every.Inputs, every.Recipe.Stop = spec.Inputs, spec.Stop()
	says := b.asks(d, spec)
	for name, c := range all {
		n := every
		n.Ref.Output = name
		n.Trial = says[name]
		n.Recipe.Params = merged(spec.Params, c.Params)
		b.nodes = append(b.nodes, n)
	}
}

// apart is the weight of what a search writes into each of its candidates: a value that is declared once is in many.
func apart(spec *schemas.Training, all map[string]schemas.Candidate) (n int) {
	if spec.Search == nil {
		return 0
	}
	for _, c := range all {
		if n += weight(c.Params); n > MaxWeight {
			break
		}
	}
	return n
}

func (b *builder) model(d *schemas.Declaration, spec *schemas.Model) {
	n := b.node(d, spec, 1)
	n.Inputs = map[string]schemas.Ref{}
	if !b.weigh(d, "spec.from", len(b.candidates[spec.From])*perInput) {
		return
	}
	for _, c := range b.candidates[spec.From] {
		n.Inputs[c.Output] = c
	}
	if !b.evaluation(d, &n, spec.Evaluate) {
		return
	}
	b.nodes = append(b.nodes, n)
}

func (b *builder) infrastructure(d *schemas.Declaration, spec *schemas.Infrastructure) {
	n := b.node(d, spec, 1)
	n.Code = b.pins.Files[path.Clean(spec.Module)]
	if !b.weigh(d, "spec.module", named(n.Code)) {
		return
	}
	n.Recipe.Code = byPath(n.Code)
	b.nodes = append(b.nodes, n)
}

func (b *builder) deployment(d *schemas.Declaration, spec *schemas.Deployment) {
	n := b.node(d, spec, 1)
	if w, ready, _ := spec.Target.Served(); w != nil {
		if !b.work(d, &n, *w, 1) {
			return
		}
		n.Recipe.Params = ready.Params
	}
	n.Inputs = map[string]schemas.Ref{"model": spec.Model}
	for _, need := range spec.Needs {
		n.Inputs[need.String()] = need
	}
	if ref := spec.Target.Packaged(); ref != (schemas.Ref{}) {
		n.Inputs["package"] = ref
	}
	if spec.Log != nil {
		n.Recipe.Personal = b.personal(spec)
	}
	b.nodes = append(b.nodes, n)
}

func (b *builder) packed(d *schemas.Declaration, spec *schemas.Package) {
	n := b.node(d, spec, 1)
	if spec.Image != nil {
		if !b.work(d, &n, spec.Image.Work, 1) {
			return
		}
		n.Recipe.Params = spec.Image.Params
	}
	n.Inputs = map[string]schemas.Ref{"model": spec.Model}
	b.nodes = append(b.nodes, n)
}
