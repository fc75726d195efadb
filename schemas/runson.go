// Where a step runs: on which runner, with what resources, in which image.

package schemas

import (
	"cmp"
	"strings"

	"github.com/vishwaops/vishwa/reconciler/plural"
)

// RunsOn says where a run is carried out, and on what. The image and the number of nodes are
// part of its key; the rest is not.
type RunsOn struct {
	// Runner is one of the project's runners, or local; without it, the project's default.
	Runner string `json:"runner,omitempty" part:"placement"`
	// Image is the container image that it runs in, by digest, as registry.example.com/base@sha256:...; vishwa image pin writes it. Without it, the project's default.
	Image string `json:"image,omitempty" part:"recipe"`
	// Resources is what it is given.
	Resources Resources `json:"resources,omitzero" part:"placement"`
	// Nodes is how many machines carry it out together, each with one process; the first writes what comes out.
	Nodes int `json:"nodes,omitempty" jsonschema:"minimum=1,maximum=1024,default=1" part:"recipe"`
	// Priority is a class of priority that the runner knows.
	Priority string `json:"priority,omitempty" part:"placement"`
	// Spot allows machines that may be taken back; a run that loses its machine is begun anew and spends no retry.
	Spot bool `json:"spot,omitempty" part:"placement"`
}

// Resources is what a run is given, on each of its nodes.
type Resources struct {
	// CPU is a number of cores, such as "4" or "500m".
	CPU string `json:"cpu,omitempty" jsonschema:"pattern=^([0-9]+(\\.[0-9]{1\\,3})?|[0-9]+m)$" part:"placement"`
	// Memory is in bytes, such as 16Gi or 500M.
	Memory string `json:"memory,omitempty" jsonschema:"pattern=^[0-9]+(k|M|G|T|Ki|Mi|Gi|Ti)?$" part:"placement"`
	// EphemeralStorage is room on disk in bytes, such as 20Gi.
	EphemeralStorage string `json:"ephemeralStorage,omitempty" jsonschema:"pattern=^[0-9]+(k|M|G|T|Ki|Mi|Gi|Ti)?$" part:"placement"`
	// GPU is a number of GPUs, which are its own.
	GPU int `json:"gpu,omitempty" jsonschema:"minimum=0,maximum=64" part:"placement"`
	// GPUKind is a kind of GPU that the runner knows, such as a100.
	GPUKind string `json:"gpuKind,omitempty" part:"placement"`
}

// RunDefaults is what runs have that do not say otherwise.
type RunDefaults struct {
	// Runner is one of the project's runners, or local.
	Runner string `json:"runner,omitempty" jsonschema:"default=local" part:"placement"`
	// Image is a container image by digest; it is part of the key of each run that takes it.
	Image string `json:"image,omitempty" part:"recipe"`
}

// Or is r with d where it says nothing.
func (r RunsOn) Or(d RunDefaults) RunsOn {
	if r.Runner == "" {
		r.Runner = d.Runner
	}
	if r.Runner == "" {
		r.Runner = LocalRunner
	}
	if r.Image == "" {
		r.Image = d.Image
	}
	return r
}

// Plain tells that r is a run as it was before there were runners: a process of the machine
// that reconciles, which asks for nothing.
func (r RunsOn) Plain() bool {
	return r == RunsOn{} || r == RunsOn{Runner: LocalRunner}
}

// Words says where a run is carried out and on what, for people: gpu, 2 nodes, 1 GPU (a100).
func (r RunsOn) Words() string {
	words := []string{cmp.Or(r.Runner, LocalRunner)}
	add := func(value, noun string) {
		if value != "" {
			words = append(words, strings.TrimSpace(value+" "+noun))
		}
	}
	if r.Nodes > 1 {
		add(plural.Of(r.Nodes, "node"), "")
	}
	if r.Resources.CPU != "" {
		add(r.Resources.CPU, "CPU")
	}
	add(r.Resources.Memory, "memory")
	add(r.Resources.EphemeralStorage, "disk")
	if n := r.Resources.GPU; n > 0 {
		add(plural.Of(n, "GPU"), "")
		if kind := r.Resources.GPUKind; kind != "" {
			words[len(words)-1] += " (" + kind + ")"
		}
	}
	add(r.Priority, "priority")
	if r.Spot {
		add("spot", "")
	}
	add(ShortImage(r.Image), "")
	return strings.Join(words, ", ")
}

// ShortImage is an image with the first digits of its digest, for people.
func ShortImage(image string) string {
	name, sum, ok := strings.Cut(image, "@sha256:")
	if !ok {
		return image
	}
	return name + "@sha256:" + sum[:min(len(sum), 12)]
}

// Placed is a run that says where it is carried out.
type Placed interface {
	Runnable
	Placed() RunsOn
}

func (s *Transform) Placed() RunsOn { return s.RunsOn }

func (s *Training) Placed() RunsOn { return s.RunsOn }

// Imaged names a container image: its own, or the project's default.
type Imaged interface {
	// Imaged is the image and its field in the declaration; "" where none is declared.
	Imaged() (image, field string)
}

func (s *Transform) Imaged() (string, string) { return s.Image, "spec.image" }

func (s *Training) Imaged() (string, string) { return s.Image, "spec.image" }

func (s *Project) Imaged() (string, string) { return s.Defaults.Image, "spec.defaults.image" }
