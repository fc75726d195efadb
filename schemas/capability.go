// What of a spec others need, without knowing its kind: small interfaces, each of which a
// new kind takes on by having the method.

package schemas

import (
	"strconv"
	"strings"
)

// Spec is what a kind declares.
type Spec interface {
	// check reports what a schema cannot say.
	check(c *checker, d *document)
}

// Commanded is what runs a command.
type Commanded interface {
	// Command is the command and its field in the declaration; nil where none is declared.
	Command() (w *Work, field string)
}

// Bounded is what runs a command within limits.
type Bounded interface {
	Bounds() Limits
}

// Runnable is a command that runs to its end and makes something.
type Runnable interface {
	Commanded
	Bounded
	// Delegates is the work of the team's that it begins in place of a command; nil is none.
	Delegates() *External
	// Reads maps a name to what the run reads by it.
	Reads() map[string]Ref
	// Writes maps a name to where the run writes it; a model has a place of its own.
	Writes() (outputs map[string]string, model bool)
}

// Logging is a run whose metrics, or model, may be in the log of a tool.
type Logging interface {
	LogsTo() (metricsFrom []string, modelFrom string)
}

// Varied is made once for each of its candidates.
type Varied interface {
	// Variants maps a name to a candidate; none is one that has no name of its own.
	Variants() map[string]Candidate
	// Count is how many there are, at most, and no more than one above MaxCandidates; it costs nothing.
	Count() int
	// Searches are the parameters that tell them apart, where they were searched for; nil: their names do.
	Searches() []string
}

// Data is brought in, and held against what is promised of it.
type Data interface {
	Data() *Dataset
}

// Selects releases the best of several candidates.
type Selects interface {
	Selects() Contest
}

// Contest is how candidates are compared.
type Contest struct {
	From  Ref
	By    Selection
	Gates []Gate
}

// Serves takes a model to an environment.
type Serves interface {
	Serves() Service
}

// ReadyPath is where what is served is asked whether it is ready, as the Open Inference Protocol has it, where nothing else is declared.
const ReadyPath = "/v2/health/ready"

// Checked is asked again and again whether it is well.
type Checked interface {
	// ReadyAt is the path that it is asked at.
	ReadyAt() string
}

// Service is what is served, and where.
type Service struct {
	Model       Ref
	Environment string
	Target      string       // the name of what serves; "" where none is given
	Local       bool         // on the machine that serves it
	Bytes       string       // the class of what is served; "" where no target is given
	Address     string       // of all that may stand in its way; "" takes what is free
	Cluster     string       // of the project, that serves it; "" for none
	ModelServer string       // of the project, that serves it; "" for none
	Engine      string       // of Docker, by its address, that has its container; "" for none, and where none is named
	Worker      string       // the image that brings the worker there; "" where the model's does
	Package     Ref          // that is served by its digest; none where the model is read
	Fetches     bool         // what serves on the cluster reads the store
	Delivery    *GitDelivery // where it is written for others to apply; nil: it is applied
	Claims      []Claim      // requests that it has fronts send to it
}

// Provisioned is made by a provisioner.
type Provisioned interface {
	Stack() *Infrastructure
}

// Scheduled is looked at again when its time has come, though nothing was pushed.
type Scheduled interface {
	Times() string // a cron expression; "" is none
}

// ProjectOf finds the project among declarations; nil is none.
func ProjectOf(decls []Declaration) *Project {
	for i := range decls {
		if s, ok := decls[i].Spec.(settings); ok {
			return s.project()
		}
	}
	return nil
}

// settings is the spec of the project.
type settings interface{ project() *Project }

func (s *Project) project() *Project { return s }

func (s *Dataset) Data() *Dataset { return s }

func (s *Transform) Command() (*Work, string)          { return &s.Work, "spec" }
func (s *Transform) Bounds() Limits                    { return s.Limits }
func (s *Transform) Delegates() *External              { return s.External }
func (s *Transform) Reads() map[string]Ref             { return s.Inputs }
func (s *Transform) Writes() (map[string]string, bool) { return s.Outputs, false }

func (s *Training) Command() (*Work, string)          { return &s.Work, "spec" }
func (s *Training) Bounds() Limits                    { return s.Limits }
func (s *Training) Delegates() *External              { return s.External }
func (s *Training) Reads() map[string]Ref             { return s.Inputs }
func (s *Training) Writes() (map[string]string, bool) { return nil, true }
func (s *Training) LogsTo() ([]string, string)        { return s.MetricsFrom, s.ModelFrom }

// Count implements Varied.
func (s *Training) Count() int {
	if s.Search != nil {
		return s.Search.count()
	}
	return len(s.Candidates)
}

// Variants implements Varied.
func (s *Training) Variants() map[string]Candidate {
	if s.Search != nil {
		return s.Search.candidates()
	}
	return s.Candidates
}

func (s *Model) Selects() Contest { return Contest{s.From, s.Select, s.Gates} }

func (s *Infrastructure) Stack() *Infrastructure { return s }
func (s *Infrastructure) Times() string          { return s.Schedule }

func (s *Deployment) Times() string { return s.Schedule }

// ReadyAt implements Checked.
func (s *Deployment) ReadyAt() string {
	_, ready, _ := s.Target.Served()
	if ready == nil || ready.Ready == "" {
		return ReadyPath
	}
	return ready.Ready
}

func (s *Deployment) Command() (*Work, string) {
	w, _, field := s.Target.Served()
	return w, field
}

// Served is what a target says of the process that serves, and the target's field. The work is nil where a server of
// others' serves, and all is where no target is given.
func (t *Target) Served() (*Work, *Readiness, string) {
	if k := t.Kubernetes; k != nil {
		return &k.Work, &k.Readiness, "spec.target.kubernetes"
	}
	if k := t.KServe; k != nil {
		return nil, &Readiness{Ready: k.Ready, ReadyTimeout: k.ReadyTimeout}, "spec.target.kserve"
	}
	if k := t.Seldon; k != nil {
		return nil, &Readiness{ReadyTimeout: k.ReadyTimeout}, "spec.target.seldon"
	}
	if k := t.SeldonDeployment; k != nil {
		return nil, &Readiness{Ready: k.Ready, ReadyTimeout: k.ReadyTimeout}, "spec.target.seldonDeployment"
	}
	if k := t.TFServing; k != nil {
		return nil, &Readiness{ReadyTimeout: k.ReadyTimeout}, "spec.target.tfserving"
	}
	if w, hosted, field := t.Hosted(); w != nil {
		return w, &hosted.Readiness, field
	}
	return nil, nil, "spec.target"
}

// Classes of the bytes that are served, by who vouches for them, the strongest first.
const (
	// BytesVerified: what serves begins only after the model's signature and every file's digest were checked where it
	// serves, and cannot write to them.
	BytesVerified = "verified"
	// BytesByDigest: whoever brings the bytes checks that they are those of a digest, and no signature.
	BytesByDigest = "by-digest"
	// BytesTrusted: they are read from a place that is named by their digest, which nobody holds them against when they
	// are read: whoever may write there can change them.
	BytesTrusted = "trusted"
)

// Packaged is the package that is served by its digest; none where the model is read from the store.
func (t *Target) Packaged() Ref {
	switch {
	case t.Docker != nil:
		return t.Docker.Package
	case t.Kubernetes != nil:
		return t.Kubernetes.Package
	case t.KServe != nil:
		return t.KServe.Package
	}
	return Ref{}
}

// Contained tells that the image of a package serves, which has the model, the code and the command.
func (t *Target) Contained() bool {
	return t.Docker != nil && t.Docker.Package != (Ref{}) || t.Kubernetes != nil && t.Kubernetes.contained()
}

// bytes is the class of what a target serves.
func (t *Target) bytes() string {
	switch {
	case t.Packaged() != (Ref{}):
		return BytesByDigest
	case t.Local != nil, t.Docker != nil, t.Kubernetes != nil, t.KServe != nil, t.SeldonDeployment != nil:
		return BytesVerified
	case t.Seldon != nil, t.TFServing != nil:
		return BytesTrusted
	}
	return ""
}

// Hosted is what the serving host of this machine needs to know of the target that is given, and
// the target's field; nil where another serves, or none is given.
func (t *Target) Hosted() (*Work, *Hosted, string) {
	switch {
	case t.Docker != nil:
		return &t.Docker.Work, &t.Docker.Hosted, "spec.target.docker"
	case t.Local != nil:
		return &t.Local.Work, &t.Local.Hosted, "spec.target.local"
	default:
		return nil, nil, "spec.target"
	}
}

// ByRuntime is the program that serves in place of a command; nil where none does.
func (t *Target) ByRuntime() *Runtime {
	if t.Kubernetes != nil {
		return t.Kubernetes.Runtime
	}
	if _, hosted, _ := t.Hosted(); hosted != nil {
		return hosted.Runtime
	}
	return nil
}

// Imaged is the image of a container that serves; a process of this machine has none.
func (s *Deployment) Imaged() (string, string) {
	switch {
	case s.Target.Contained():
	case s.Target.Docker != nil:
		return s.Target.Docker.Image, "spec.target.docker.image"
	case s.Target.Kubernetes != nil:
		return s.Target.Kubernetes.Image, "spec.target.kubernetes.image"
	case s.Target.KServe != nil && s.Target.KServe.Image != "":
		return s.Target.KServe.Image, "spec.target.kserve.image"
	case s.Target.Seldon != nil && s.Target.Seldon.OwnServer != nil:
		return s.Target.Seldon.OwnServer.Image, "spec.target.seldon.ownServer.image"
	case s.Target.SeldonDeployment != nil:
		return s.Target.SeldonDeployment.Image, "spec.target.seldonDeployment.image"
	}
	return "", ""
}

func (s *Deployment) Serves() Service {
	_, hosted, _ := s.Target.Hosted()
	_, _, field := s.Target.Served()
	target, _ := strings.CutPrefix(field, "spec.target.")
	if target == field {
		target = ""
	}
	out := Service{Model: s.Model, Environment: s.Environment, Target: target, Local: hosted != nil, Bytes: s.Target.bytes()}
	if out.Local && hosted.Port != 0 {
		out.Address = "local:" + strconv.Itoa(hosted.Port)
	}
	out.Delivery, out.Package, out.Claims = s.Delivery.ByGit(), s.Target.Packaged(), s.Target.Claims()
	switch t := s.Target; {
	case t.Docker != nil:
		out.Engine = t.Docker.Host
	case t.Kubernetes != nil:
		out.Cluster, out.Worker = t.Kubernetes.Cluster, t.Kubernetes.Worker
		out.Fetches = !t.Contained() || len(s.Needs)+len(t.Kubernetes.Env.Pass) > 0
	case t.KServe != nil:
		out.Cluster, out.Worker, out.Fetches = t.KServe.Cluster, t.KServe.Worker, t.KServe.Package == (Ref{})
	case t.Seldon != nil:
		out.Cluster, out.Fetches = t.Seldon.Cluster, true
	case t.SeldonDeployment != nil:
		out.Cluster, out.Worker, out.Fetches = t.SeldonDeployment.Cluster, t.SeldonDeployment.Worker, true
	case t.TFServing != nil:
		out.ModelServer = t.TFServing.Server
	}
	return out
}
