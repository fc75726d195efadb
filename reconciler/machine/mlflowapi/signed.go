// What a controller signs of what it makes on a server: tags are anybody's to write who may log there.

package mlflowapi

import (
	"fmt"

	"github.com/vishwaops/vishwa/reconciler/digest"
)

// Records are a ledger's records on a server. Ids say which one is meant only together with the server: another one answers with whatever id it likes,
// and ids of experiments are the same small numbers everywhere.
type Records struct{ Server, Workspace, Ledger, Experiment string }

// Where names the server and the ledger.
func (r Records) Where() string {
	return fmt.Sprintf("server %q\nworkspace %q\nledger %q\n", r.Server, r.Workspace, r.Ledger)
}

// Run is what is signed of a run: the key that it was made by, and which one it is.
func (r Records) Run(key digest.Digest, id string) string {
	return fmt.Sprintf("run of MLflow\n%sexperiment %q\nmade by %q\nid %q\n", r.Where(), r.Experiment, key, id)
}

// BegunRun is what is signed of who began to write a run, and when: the run is left to them for a while, and else whoever writes tags could hold it for good.
func (r Records) BegunRun(key digest.Digest, id, writer string, since int64) string {
	return r.Run(key, id) + begun(writer, since)
}

// MadeExperiment is what is signed of an experiment: the name that it was made by, and which one it is.
func (r Records) MadeExperiment(name, id string) string {
	return fmt.Sprintf("experiment of MLflow\n%smade by %q\nid %q\n", r.Where(), name, id)
}

// MadeVersion is what is signed of a version of a registered model: the key that it was made by, which one it is, and of what.
func (r Records) MadeVersion(name string, key digest.Digest, number, source string) string {
	return fmt.Sprintf("version of MLflow\n%sname %q\nmade by %q\nnumber %q\nsource %q\n", r.Where(), name, key, number, source)
}

// BegunModel is what is signed of a model that is begun for a registered one: which one it is, by whom, and when. Else whoever writes tags could have
// the files go to a model of theirs, or hold the release for good.
func (r Records) BegunModel(name string, key digest.Digest, id, writer string, since int64) string {
	return fmt.Sprintf("model of MLflow\n%sname %q\nmade by %q\nid %q\n", r.Where(), name, key, id) + begun(writer, since)
}

func begun(writer string, since int64) string {
	return fmt.Sprintf("begun by %q at %d\n", writer, since)
}
