package docker

import (
	"slices"
	"testing"

	"github.com/vishwaops/vishwa/reconciler/machine/dockerengine/dockertest"
	"github.com/vishwaops/vishwa/reconciler/port"
)

// TestAnImageOfARunClaimsNoRequests: a pull request brings its own image, and fronts of the machine look at the labels and variables of containers,
// which are an image's too.
func TestAnImageOfARunClaimsNoRequests(t *testing.T) {
	e := dockertest.New(t)
	e.ImageConfig = dockertest.Object{
		"Env":    []string{"VIRTUAL_HOST=bank.example.com"},
		"Labels": dockertest.Object{"traefik.enable": "true", "traefik.http.routers.x.rule": "Host(`bank.example.com`)", labelOwner: "other"},
	}
	task := someTask(dockertest.Image, "forever")
	launched(t, launcherOn(t, e.Socket), task)
	b := e.Box(t, task.Name)
	labels, _ := b.Config["Labels"].(dockertest.Object)
	if labels["traefik.enable"] != "false" || labels["traefik.http.routers.x.rule"] != "" || labels[labelOwner] != task.Owner || labels[labelLaunch] != task.Launch {
		t.Errorf("its labels are %v", labels)
	}
	if env, _ := b.Config["Env"].([]any); !slices.Contains(env, any("VIRTUAL_HOST=")) {
		t.Errorf("its variables are %v", env)
	}
	e.ImageConfig = dockertest.Object{"Labels": dockertest.Object{"caddy": "bank.example.com"}}
	if _, err := launcherOn(t, e.Socket).Launch(t.Context(), someTask(dockertest.Image, "forever")); unfitCause(err) != port.BadImage {
		t.Errorf("an image that sets up Caddy: %v", err)
	}
}
