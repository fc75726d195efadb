// How runs are kept apart on this machine, and what a supervisor, a process of its own,
// needs to know of that.

package app

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"sync"

	"github.com/vishwaops/vishwa/reconciler/adapter/runner"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/machine/dial"
	"github.com/vishwaops/vishwa/reconciler/machine/egress"
	"github.com/vishwaops/vishwa/reconciler/machine/gpu"
	"github.com/vishwaops/vishwa/reconciler/machine/sandbox"
	"github.com/vishwaops/vishwa/reconciler/machine/seal"
	"github.com/vishwaops/vishwa/reconciler/machine/wall"
	"github.com/vishwaops/vishwa/reconciler/port"
)

// runs say where one kind of runs has its things: those of the tracked branch, or those
// of pull requests. It holds no secret: supervisors get it on their command line.
type runs struct {
	Store string      `json:"store"` // see ParseStorePlace
	Envs  string      `json:"envs"`  // folder of environments
	Seal  string      `json:"seal"`  // file of the key that seals what is kept of runs
	For   string      `json:"for"`   // "" for the tracked branch, else pulls: the two do not take each other's
	Wall  wall.Policy `json:"wall"`
	Allow []string    `json:"allow,omitempty"` // private hosts and networks that runs of pull requests, and bound ones, may reach where they are declared
	Bound bool        `json:"bound,omitempty"` // those of the tracked branch reach what is declared as those of pull requests do
}

func (r runs) String() string {
	raw, err := json.Marshal(r)
	if err != nil {
		panic(err) // plain values
	}
	return string(raw)
}

// bind has runs reach what they declare alone, at public addresses and those in allow. What they install is reviewed as
// before, where they are the tracked branch's.
func (r *runs) bind(allow []string) {
	r.Bound, r.Allow, r.Wall.Strict, r.Wall.Reviewed = true, allow, r.Wall.Level != wall.None, r.For == ""
}

// isolation is what would keep one of these runs apart from this machine. The machine is
// asked once.
func (r runs) isolation() func(context.Context) *port.Isolation {
	tried := sync.OnceValue(func() *port.Isolation {
		if r.Wall.Level == wall.None {
			return nil
		}
		rung, _ := r.Wall.Stand(wall.Probe(r.Wall))
		return (*port.Isolation)(rung.Report)
	})
	return func(context.Context) *port.Isolation { return tried() }
}

// environments are those that these runs are made with.
func (r runs) environments(env port.Env, key seal.Key) sandbox.Environments {
	return sandbox.Environments{Dir: r.Envs, Env: env, Seal: sandbox.EnvironmentKey(key, r.For), Wall: r.Wall, Dial: egress.Through(env.Lookup), Named: r.dial(env)}
}

// SuperviseConfig is what a supervisor works with; text is what the process that began
// it was configured with.
func SuperviseConfig(text string, env port.Env) (runner.Config, error) {
	var r runs
	if err := json.Unmarshal([]byte(text), &r); err != nil {
		return runner.Config{}, fault.New(fault.Invalid, "read the configuration of runs: %w", err)
	}
	place, err := ParseStoreRef(r.Store)
	if err != nil {
		return runner.Config{}, err
	}
	kept, err := OpenStore(place, env)
	if err != nil {
		return runner.Config{}, err
	}
	key, err := seal.Load(r.Seal)
	if err != nil {
		return runner.Config{}, err
	}
	return runner.Config{Env: env, Store: kept, Envs: r.environments(env, key), Seal: key.Derive("runs " + r.For), Dial: r.dial(env), GPUs: machineGPUs}, nil
}

// dial connects runs to the hosts that are declared, by the machine's own proxy where it
// has one. Those of pull requests reach public addresses alone, and private ones that the
// machine's owner allows, whatever a declared name leads to at the time.
func (r runs) dial(env port.Env) egress.Dial {
	if r.For == "" && !r.Bound {
		return egress.Through(env.Lookup)
	}
	return dial.Guarded(r.Allow)
}

// Hidden are the folders that no run may be shown: the user's own, and Vishwa's.
func (p Paths) Hidden(lookup func(string) (string, bool)) []string {
	hidden := []string{filepath.Dir(p.State), filepath.Dir(p.Cache), p.Keys}
	if home, ok := lookup("HOME"); ok && filepath.IsAbs(home) && !wall.System(home) {
		hidden = append(hidden, home)
	}
	for i, h := range hidden {
		hidden[i] = filepath.Clean(h)
	}
	return hidden
}

// machineGPUs are what this machine's runs can take.
var machineGPUs = gpu.Machine{All: func() []gpu.GPU { return gpu.Read(os.DirFS(gpu.NVIDIA)) }}
