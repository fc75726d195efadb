// What a Server is asked to serve: what every target needs, and one part that is a target's own.

package port

import (
	"time"

	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/schemas"
)

// Release is what a Server serves under a name. At most one target's part is there, and its
// field has the name of the target; with none, nothing is served under the name any more.
type Release struct {
	Name    string            `json:"name"`
	Key     digest.Digest     `json:"key"` // of the deployment's recipe: the same key is the same release
	Model   Artifact          `json:"model,omitzero"`
	Inputs  map[string][]byte `json:"inputs,omitempty"` // name -> bytes of the file at VISHWA_INPUT_<NAME>
	Params  map[string]any    `json:"params,omitempty"`
	Ready   string            `json:"ready"`
	Timeout time.Duration     `json:"timeout"` // to become ready
	// Isolation is the weakest level that it may be served at; empty is any.
	Isolation string `json:"isolation,omitempty"`
	// Over is the name of what is served at the same public address by now: it ends when this release has
	// proved itself in its place, and goes on where it does not. Empty: of nothing.
	Over string `json:"over,omitempty"`
	// Log keeps what is asked and answered; nil: nothing is kept.
	Log *PredictionLog `json:"log,omitempty"`

	// Git is where a cluster's objects are written for others to apply; nil: the server applies them.
	Git *schemas.GitDelivery `json:"git,omitempty"`

	// Package is an image, by its digest, that has the model's files below /models, for what mounts it in place of reading
	// the store; empty: none does.
	Package string `json:"package,omitempty"`

	// Contained tells that the image that serves has the model, the code and the parameters: it is that of Package.
	Contained bool `json:"contained,omitempty"`

	// Signature is of the model's files, by its digest in the store; what serves elsewhere than here checks it there.
	Signature digest.Digest `json:"signature,omitempty"`

	Local      *LocalRelease      `json:"local,omitempty"`
	Docker     *DockerRelease     `json:"docker,omitempty"`
	Kubernetes *KubernetesRelease `json:"kubernetes,omitempty"`
	KServe     *KServeRelease     `json:"kserve,omitempty"`
	Seldon     *SeldonRelease     `json:"seldon,omitempty"`
	TFServing  *TFServingRelease  `json:"tfserving,omitempty"`

	SeldonDeployment *SeldonDeploymentRelease `json:"seldonDeployment,omitempty"`
}

// Serves tells whether anything is to be served.
func (r Release) Serves() bool { return r.Target() != "" }

// Target is the name of r's target; empty where nothing is to be served.
func (r Release) Target() string {
	switch {
	case r.Local != nil:
		return TargetLocal
	case r.Docker != nil:
		return TargetDocker
	case r.Kubernetes != nil:
		return TargetKubernetes
	case r.KServe != nil:
		return TargetKServe
	case r.Seldon != nil:
		return TargetSeldon
	case r.SeldonDeployment != nil:
		return TargetSeldonDeployment
	case r.TFServing != nil:
		return TargetTFServing
	default:
		return ""
	}
}

// Targets, as they are declared.
const (
	TargetLocal      = "local"
	TargetDocker     = "docker"
	TargetKubernetes = "kubernetes"
	TargetKServe     = "kserve"
	TargetSeldon     = "seldon"
	TargetTFServing  = "tfserving"

	TargetSeldonDeployment = "seldonDeployment"
)

// MinReady is how long a new release must answer where nothing else is declared.
const MinReady = 500 * time.Millisecond

// Hosted is what targets share that are served by this machine's serving host.
type Hosted struct {
	Command []string        `json:"command"`
	Code    digest.Manifest `json:"code,omitempty"`
	Pass    []string        `json:"pass,omitempty"`    // variables of the caller's that the process may see
	Port    int             `json:"port,omitempty"`    // the public one; zero chooses a free one and keeps it
	MaxBody int64           `json:"maxBody,omitempty"` // bytes of a request's body; zero is the server's own bound
	// MinReady is how long a new release must answer before the one before it ends; zero is the server's own time.
	MinReady time.Duration `json:"minReady,omitempty"`
}

// LocalRelease is a process of this machine.
type LocalRelease struct {
	Hosted
	Lock string `json:"lock,omitempty"` // path in Code of the requirements file; none is the caller's own environment
}

// UsualEngine is the socket of a Docker Engine where an address names none.
const UsualEngine = "/var/run/docker.sock"

// DockerRelease is a container of a Docker Engine.
type DockerRelease struct {
	Hosted
	Host          string `json:"host,omitempty"` // as it is declared; empty is DOCKER_HOST, or the usual socket
	Image         string `json:"image"`          // by digest
	ContainerPort int    `json:"containerPort"`  // where it listens, inside
	CPU           string `json:"cpu,omitempty"`
	Memory        string `json:"memory,omitempty"`
	// Traefik is what Traefik is told by labels; nil is nothing. It asks for Port.
	Traefik *schemas.Traefik `json:"traefik,omitempty"`
}

// KubernetesRelease is pods of a cluster.
type KubernetesRelease struct {
	schemas.KubernetesTarget
	Code digest.Manifest `json:"code,omitempty"`
}

// KServeRelease is an InferenceService of KServe.
type KServeRelease struct{ schemas.KServeTarget }

// SeldonRelease is a Model of Seldon Core 2.
type SeldonRelease struct{ schemas.SeldonTarget }

// SeldonDeploymentRelease is a SeldonDeployment of Seldon Core 1.
type SeldonDeploymentRelease struct {
	schemas.SeldonDeploymentTarget
}

// TFServingRelease is a model of TensorFlow Serving.
type TFServingRelease struct{ schemas.TFServingTarget }

// Classes of the bytes that are served.
const (
	BytesVerified = schemas.BytesVerified
	BytesByDigest = schemas.BytesByDigest
	BytesTrusted  = schemas.BytesTrusted
)

// Hosted is the part of r that the serving host needs; nil where r is another target's.
func (r Release) Hosted() *Hosted {
	switch {
	case r.Local != nil:
		return &r.Local.Hosted
	case r.Docker != nil:
		return &r.Docker.Hosted
	default:
		return nil
	}
}

// Program is the command that serves and its code, to be set where something writes them; nil where r's target begins none.
func (r *Release) Program() (command *[]string, code *digest.Manifest) {
	if k := r.Kubernetes; k != nil {
		return &k.Run, &k.Code
	}
	if h := r.Hosted(); h != nil {
		return &h.Command, &h.Code
	}
	return nil, nil
}
