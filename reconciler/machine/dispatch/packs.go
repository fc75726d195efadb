// Packed environments, as far as they are known: which objects of the store are the environment
// of a lock in an image, and the job that makes one.

package dispatch

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"

	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/machine/sandbox"
	"github.com/vishwaops/vishwa/reconciler/machine/seal"
	"github.com/vishwaops/vishwa/reconciler/machine/work"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/schemas"
)

// Packs are the packed environments of one tool. Runs of pull requests read those of the
// tracked branch, and make none.
type Packs struct {
	Dir  string // what is known of them; "" is none
	Seal seal.Key
	Make bool
}

// Packed are the packs of a lock in an image, by the kind of machine.
type Packed map[string]port.Artifact

// PackOf names what is packed for a job.
func PackOf(job port.Job) string {
	return digest.Of([]byte(string(lockOf(job).Digest) + " " + job.RunsOn.Image)).Hex()[:32]
}

func lockOf(job port.Job) digest.File {
	for _, f := range job.Code {
		if f.Path == job.Lock {
			return f
		}
	}
	return digest.File{}
}

func (p Packs) file(name string) string { return filepath.Join(p.Dir, name+".json") }

// Read is what is known under a name; what is not ours is nothing.
func (p Packs) Read(name string) Packed {
	out := Packed{}
	raw, err := os.ReadFile(p.file(name))
	if err == nil {
		raw, err = p.Seal.Open("packs "+name, raw)
	}
	if err != nil || json.Unmarshal(raw, &out) != nil {
		return Packed{} // whoever comes next learns it anew
	}
	return out
}

// Write notes it.
func (p Packs) Write(name string, all Packed) error {
	raw, err := json.Marshal(all)
	if err == nil {
		err = os.MkdirAll(p.Dir, 0o700)
	}
	if err == nil {
		err = sandbox.WriteFile(p.file(name), p.Seal.Wrap("packs "+name, raw))
	}
	return err
}

// Job is the job that packs the environment of another: its lock, and nothing else of it. Its key
// is of the tool whose packs these are, so that no other one's result is taken for its own.
func (p Packs) Job(job port.Job, host string) port.Job {
	lock := lockOf(job)
	on := schemas.RunsOn{Runner: job.RunsOn.Runner, Image: job.RunsOn.Image, Priority: job.RunsOn.Priority, Spot: job.RunsOn.Spot, Resources: job.RunsOn.Resources}
	on.Resources.GPU, on.Resources.GPUKind = 0, ""
	return port.Job{
		Key: digest.Of(fmt.Appendf(nil, "environment %s %s %s %s", lock.Digest, on.Image, host, filepath.Base(p.Dir))),
		Ref: schemas.Ref{Kind: job.Ref.Kind, Name: "environment"}, Command: []string{work.PackOutput},
		Code: digest.Manifest{lock}, Lock: job.Lock, Outputs: map[string]string{work.PackOutput: work.PackOutput},
		Network: schemas.Network{schemas.NetworkNone}, RunsOn: on,
	}
}
