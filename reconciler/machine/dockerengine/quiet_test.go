package dockerengine

import (
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/moby/moby/client"

	"github.com/vishwaops/vishwa/reconciler/port"
)

// TestAnImageSaysNothingByItsContainer: neither to fronts nor to others that look at the containers of a machine.
func TestAnImageSaysNothingByItsContainer(t *testing.T) {
	of := func(labels map[string]string, env ...string) (out client.ImageInspectResult) {
		raw, err := json.Marshal(map[string]any{"Config": map[string]any{"Labels": labels, "Env": env}})
		if err == nil {
			err = json.Unmarshal(raw, &out.InspectResponse)
		}
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	labels, env, err := Quiet("x", of(map[string]string{
		"Traefik.Enable": "true", "traefik.http.routers.x.rule": "Host(`bank.example.com`)", "swag": "enable", "com.docker.compose.project": "bank", "vishwa.dev/serves": "bank",
		"maintainer": "x", "org.opencontainers.image.source": "https://example.com", "SERVICE_NAME": "bank", "SERVICE_8080_TAGS": "urlprefix-bank.example.com/", "SERVICE_IGNORE": "", "SERVICE_8080_IGNORE": "",
		"com.dnsdock.name": "bank", "interlock.hostname": "bank",
	}, "PATH=/bin", "VIRTUAL_ENV=/opt/venv", "VIRTUAL_HOST=bank.example.com", "VIRTUAL_HOST_MULTIPORTS={}", "LETSENCRYPT_HOST=bank.example.com", "SERVICE_NAME=bank", "SERVICE_8080_NAME=bank",
		"SERVICE_TAGS=urlprefix-bank.example.com/", "SERVICE_CHECK_HTTP=/", "SERVICE_IGNORE=", "SERVICE_8080_ignore=", "DNSDOCK_ALIAS=bank.example.com", "INTERLOCK_DATA={}", "MY_SERVICE_NAME=x", "DNSDOCKER=x", "BARE", "=x", ""))
	want := map[string]string{"traefik.enable": "false", "Traefik.Enable": "false", "traefik.http.routers.x.rule": "", "swag": "", "com.docker.compose.project": "", "vishwa.dev/serves": "",
		"SERVICE_NAME": "", "SERVICE_8080_TAGS": "", "SERVICE_IGNORE": "true", "SERVICE_8080_IGNORE": "true", "com.dnsdock.name": "", "interlock.hostname": ""}
	says := []string{"VIRTUAL_HOST=", "VIRTUAL_HOST_MULTIPORTS=", "LETSENCRYPT_HOST=", "SERVICE_NAME=", "SERVICE_8080_NAME=", "SERVICE_TAGS=", "SERVICE_CHECK_HTTP=",
		"SERVICE_IGNORE=true", "SERVICE_8080_ignore=true", "DNSDOCK_ALIAS=", "INTERLOCK_DATA=", "BARE="}
	if err != nil || !maps.Equal(labels, want) || !slices.Equal(env, says) {
		t.Errorf("it says %v and %v: %v", labels, env, err)
	}
	for _, label := range []string{"caddy", "caddy_1.reverse_proxy", "Caddy.local_certs"} {
		_, _, err := Quiet("x", of(map[string]string{label: "bank.example.com"}))
		if unfit := (*port.Unfit)(nil); !errors.As(err, &unfit) || !strings.Contains(err.Error(), label) {
			t.Errorf("%s: %v", label, err)
		}
	}
	if labels, env, err := Quiet("x", of(map[string]string{"caddyshack": "x"})); err != nil || labels["caddyshack"] != "" || len(env) != 0 {
		t.Errorf("%v, %v, %v", labels, env, err)
	}
	if labels, env, err := Quiet("x", client.ImageInspectResult{}); err != nil || labels["traefik.enable"] != "false" || labels["SERVICE_IGNORE"] != "true" || len(labels) != 2 || len(env) != 0 {
		t.Errorf("%v, %v, %v", labels, env, err)
	}
}
