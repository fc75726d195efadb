// What is read of a cluster's objects, and kept of them: no more than what tells how a task
// stands.

package status

import (
	"slices"
	"time"
)

// Meta is of every object.
type Meta struct {
	Name        string            `json:"name"`
	UID         string            `json:"uid"`
	Generation  int64             `json:"generation"`
	Created     time.Time         `json:"creationTimestamp"`
	Deleted     *time.Time        `json:"deletionTimestamp"`
	Labels      map[string]string `json:"labels"`
	Annotations map[string]string `json:"annotations"`
	Owners      []struct {
		UID string `json:"uid"`
	} `json:"ownerReferences"`
	Managers []struct {
		Name string `json:"manager"`
	} `json:"managedFields"`
}

type condition struct {
	Type    string    `json:"type"`
	Status  string    `json:"status"`
	Reason  string    `json:"reason"`
	Message string    `json:"message"`
	Since   time.Time `json:"lastTransitionTime"`
}

// Conditions are how an object says that it stands.
type Conditions []condition

// Get is the condition of a type, and whether it is true.
func (c Conditions) Get(kind string) (condition, bool) {
	i := slices.IndexFunc(c, func(c condition) bool { return c.Type == kind })
	if i < 0 {
		return condition{}, false
	}
	return c[i], c[i].Status == "True"
}

// Unit is the object that a task is: a Job or a TrainJob.
type Unit struct {
	Meta `json:"metadata"`
	Spec struct {
		Suspend     bool `json:"suspend"`
		Completions int  `json:"completions"`
		Trainer     struct {
			Nodes int `json:"numNodes"`
		} `json:"trainer"`
	} `json:"spec"`
	Status struct {
		Conditions Conditions `json:"conditions"`
		Started    *time.Time `json:"startTime"`
		Trainer    *progress  `json:"trainerStatus"`
	} `json:"status"`
}

func (u Unit) nodes() int { return max(1, u.Spec.Completions, u.Spec.Trainer.Nodes) }

// Pod is one of a task's.
type Pod struct {
	Meta `json:"metadata"`
	Spec struct {
		Node       string `json:"nodeName"`
		Containers []struct {
			Name      string `json:"name"`
			Image     string `json:"image"`
			Resources struct {
				Limits map[string]string `json:"limits"`
			} `json:"resources"`
		} `json:"containers"`
	} `json:"spec"`
	Status struct {
		Phase      string           `json:"phase"`
		Reason     string           `json:"reason"`
		Message    string           `json:"message"`
		Conditions Conditions       `json:"conditions"`
		Containers []containerState `json:"containerStatuses"`
		Init       []containerState `json:"initContainerStatuses"`
	} `json:"status"`
}

// Final tells whether all of its containers have ended for good: it holds nothing of its node.
func (p Pod) Final() bool { return p.Status.Phase == "Succeeded" || p.Status.Phase == "Failed" }

type containerState struct {
	Name     string `json:"name"`
	Image    string `json:"image"`
	Ready    bool   `json:"ready"`
	Restarts int    `json:"restartCount"`
	State    struct {
		Waiting *struct {
			Reason  string `json:"reason"`
			Message string `json:"message"`
		} `json:"waiting"`
		Running    *struct{} `json:"running"`
		Terminated *ending   `json:"terminated"`
	} `json:"state"`
	Last struct {
		Terminated *ending `json:"terminated"`
	} `json:"lastState"`
}

// ending is how a container ended.
type ending struct {
	ExitCode int    `json:"exitCode"`
	Reason   string `json:"reason"`
	Message  string `json:"message"`
}

// limit is what a pod's containers are given of a resource, or "".
func (p Pod) limit(resource string) string {
	for _, c := range p.Spec.Containers {
		if l := c.Resources.Limits[resource]; l != "" {
			return l
		}
	}
	return ""
}

// image is that of a container, as it was asked for.
func (p Pod) image(c containerState) string {
	for _, s := range p.Spec.Containers {
		if s.Name == c.Name {
			return s.Image
		}
	}
	return c.Image
}

// states are those of all its containers, those that run first before the others.
func (p Pod) states() []containerState { return slices.Concat(p.Status.Init, p.Status.Containers) }

// Rename has the container of that name have another, as whoever made the pod named it otherwise.
func (p Pod) Rename(from, to string) {
	for i := range p.Status.Containers {
		if p.Status.Containers[i].Name == from {
			p.Status.Containers[i].Name = to
		}
	}
	for i := range p.Spec.Containers {
		if p.Spec.Containers[i].Name == from {
			p.Spec.Containers[i].Name = to
		}
	}
}

// Deployment is pods of which so many are to serve.
type Deployment struct {
	Meta `json:"metadata"`
	Spec struct {
		Replicas *int `json:"replicas"`
		Paused   bool `json:"paused"`
		Template struct {
			Meta Meta `json:"metadata"`
		} `json:"template"`
	} `json:"spec"`
	Status struct {
		Observed   int64      `json:"observedGeneration"`
		Replicas   int        `json:"replicas"`
		Updated    int        `json:"updatedReplicas"`
		Available  int        `json:"availableReplicas"`
		Conditions Conditions `json:"conditions"`
	} `json:"status"`
}

// Event is what the cluster says of an object.
type Event struct {
	Meta    `json:"metadata"`
	Reason  string `json:"reason"`
	Message string `json:"message"`
	Of      struct {
		Name string `json:"name"`
		UID  string `json:"uid"`
	} `json:"involvedObject"`
	Last time.Time `json:"lastTimestamp"`
}

// Workload is what Kueue keeps of an object that waits in a queue.
type Workload struct {
	Meta `json:"metadata"`
	Spec struct {
		Queue    string `json:"queueName"`
		Priority int64  `json:"priority"`
		Active   *bool  `json:"active"`
	} `json:"spec"`
	Status struct {
		Conditions Conditions `json:"conditions"`
	} `json:"status"`
}
