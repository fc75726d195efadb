// What each kind is: one row a kind. Whoever needs to tell kinds apart asks for a trait here,
// or for a capability of the spec (capability.go), and never for a kind by its name: a new
// kind is a new row.

package schemas

import (
	"slices"
)

// Kind is a kind as refs name it, in lower case: dataset, deployment.
type Kind string

// The kinds. Their names are for rows and executors alone, which a test holds.
const (
	KindProject        Kind = "project"
	KindDataset        Kind = "dataset"
	KindTransform      Kind = "transform"
	KindTraining       Kind = "training"
	KindModel          Kind = "model"
	KindInfrastructure Kind = "infrastructure"
	KindDeployment     Kind = "deployment"
	KindMonitor        Kind = "monitor"
	KindPackage        Kind = "package"
)

// Traits are what is asked of a kind. A kind that nobody declares has none.
type Traits struct {
	Kind Kind
	Name string      // as declarations write it: Dataset
	New  func() Spec // its zero spec

	// Settings says how the repository is reconciled: there is one, in vishwa.yaml, and
	// nothing is made of it.
	Settings bool
	// Action is what the ledger calls it when one is made; "" where nothing is.
	Action string
	// Names is what names the thing that was made, for the keys of what needs it.
	Names Naming
	// Outputs is what of it a ref may name after a colon.
	Outputs Outputs

	// Observed stands in the world and is looked at there. All others are looked up by
	// their key: one that was made once is never made again.
	Observed bool
	// PreMerge touches nothing but the store and the ledger: it can be made for a pull request.
	PreMerge bool
	// Pinned is data: it is known by its content before anything was done, and no run made it.
	Pinned bool
	// Runs is made by a command that runs to its end, has a log, and can fail by its own fault.
	Runs bool
	// Input can be read by a run.
	Input bool
	// Releases makes a signed model, which may be served.
	Releases bool
	// Serves takes a model to an environment: guards and approvals are about it.
	Serves bool
	// Provisioned is planned against the world with a change of its own. What serves may stand
	// on it, and goes before it does; retiring it destroys what stands.
	Provisioned bool
	// Packs keeps a released model where others fetch it.
	Packs bool
	// Measures holds what is served against what it was trained on: nothing is made of it, and
	// what it finds is recorded.
	Measures bool
}

// Naming is what names the thing that was made.
type Naming int

const (
	NamedByNothing Naming = iota
	NamedByData           // its content
	NamedByOutputs        // the content of each output
	NamedByResult         // its model and its metrics together, which decide what is selected
	NamedByModel          // the model that was released
	NamedByChange         // its key and the change that brought it about: its outputs may be secret
	NamedByKey            // its key alone
)

// Outputs is what of a thing a ref may name after a colon.
type Outputs int

const (
	NoOutputs        Outputs = iota
	NamedOutputs             // the outputs that it declares
	CandidateOutputs         // its candidates, of which others read the best one alone
)

// table has one row a kind.
var table = []Traits{
	{Kind: KindProject, Name: "Project", New: func() Spec { return new(Project) }, Settings: true},
	{Kind: KindDataset, Name: "Dataset", New: func() Spec { return new(Dataset) },
		Action: "pin", Names: NamedByData, PreMerge: true, Pinned: true, Input: true},
	{Kind: KindTransform, Name: "Transform", New: func() Spec { return new(Transform) },
		Action: "transform", Names: NamedByOutputs, Outputs: NamedOutputs, PreMerge: true, Runs: true, Input: true},
	{Kind: KindTraining, Name: "Training", New: func() Spec { return new(Training) },
		Action: "train", Names: NamedByResult, Outputs: CandidateOutputs, PreMerge: true, Runs: true},
	{Kind: KindModel, Name: "Model", New: func() Spec { return new(Model) },
		Action: "select", Names: NamedByModel, PreMerge: true, Releases: true},
	{Kind: KindInfrastructure, Name: "Infrastructure", New: func() Spec { return new(Infrastructure) },
		Action: "provision", Names: NamedByChange, Observed: true, Provisioned: true},
	{Kind: KindDeployment, Name: "Deployment", New: func() Spec { return new(Deployment) },
		Action: "deploy", Names: NamedByKey, Observed: true, Serves: true},
	{Kind: KindPackage, Name: "Package", New: func() Spec { return new(Package) },
		Action: "pack", Names: NamedByKey, Observed: true, Packs: true},
	{Kind: KindMonitor, Name: "Monitor", New: func() Spec { return new(Monitor) }, Measures: true},
}

var (
	rowOf   = rowsBy(func(t *Traits) string { return string(t.Kind) })
	namedBy = rowsBy(func(t *Traits) string { return t.Name })
)

func rowsBy(name func(*Traits) string) map[string]*Traits {
	out := make(map[string]*Traits, len(table))
	for i := range table {
		out[name(&table[i])] = &table[i]
	}
	return out
}

// Kinds are the rows of all kinds.
func Kinds() []Traits { return slices.Clone(table) }

// KindsThat lists the kinds that have a trait.
func KindsThat(has func(Traits) bool) (out []Kind) {
	for _, t := range table {
		if has(t) {
			out = append(out, t.Kind)
		}
	}
	return out
}

// Traits are what the kind is; none where there is no such kind.
func (k Kind) Traits() Traits {
	if t := rowOf[string(k)]; t != nil {
		return *t
	}
	return Traits{}
}

// Declared is the row of a kind as declarations and recipes write it, such as Dataset; none
// where there is no such kind.
func Declared(name string) Traits {
	if t := namedBy[name]; t != nil {
		return *t
	}
	return Traits{}
}

// kindNames are the kinds as declarations write them, sorted.
func kindNames() []string {
	var out []string
	for _, t := range table {
		out = append(out, t.Name)
	}
	slices.Sort(out)
	return out
}

// ProjectRef names the project, which has no name of its own.
var ProjectRef = Ref{Kind: KindProject}
