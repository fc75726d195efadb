// What Traefik is told by the labels of a container.

package docker

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/freeport"
	"github.com/vishwaops/vishwa/reconciler/machine/dockerengine/dockertest"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/schemas"
)

// labeled is a release that Traefik is told of.
func (s *stage) labeled(version string, of schemas.Traefik) port.Release {
	s.t.Helper()
	r := s.release("one", version)
	r.Docker.Port, r.Docker.Traefik = freePort(s.t), &of
	return r
}

// freePort is one that nobody listens at.
func freePort(t *testing.T) int {
	t.Helper()
	port, err := freeport.Find("127.0.0.1")
	if err != nil {
		t.Fatal(err)
	}
	return port
}

// told is what Traefik reads of the one container, but for the name that it is all said under.
func told(t *testing.T, e *dockertest.Engine) (says []string, under string) {
	t.Helper()
	labels, _ := the(t, e, "one").Config["Labels"].(dockertest.Object)
	for _, key := range slices.Sorted(maps.Keys(labels)) {
		if words := strings.SplitN(key, ".", 5); words[0] == "traefik" {
			if len(words) > 3 {
				words[3], under = "NAME", words[3]
			}
			says = append(says, fmt.Sprintf("%s=%v", strings.Join(words, "."), labels[key]))
		}
	}
	return says, under
}

// TestTraefikIsSentToThePublicPort: never to a container, and what is said anew is said under another name.
func TestTraefikIsSentToThePublicPort(t *testing.T) {
	s, e := onDouble(t)
	r := s.labeled("1", schemas.Traefik{Host: "one.example.com"})
	l := s.apply(r)
	says, under := told(t, e)
	if want := []string{"traefik.enable=true", "traefik.http.routers.NAME.rule=Host(`one.example.com`)", "traefik.http.routers.NAME.service=" + under,
		"traefik.http.services.NAME.loadbalancer.server.url=" + l.URL}; !slices.Equal(says, want) {
		t.Errorf("it is told %q, want %q", says, want)
	}
	two := s.release("one", "2")
	two.Docker.Port, two.Docker.Traefik = r.Docker.Port, r.Docker.Traefik
	s.apply(two)
	s.until("the second stands alone", func() bool { return len(units(e, "one")) == 1 })
	if again, name := told(t, e); name != under || !slices.Equal(again, says) {
		t.Errorf("of the next release it is told %q under %s, and of the one before under %s", again, name, under)
	}
	three := s.release("one", "3")
	three.Docker.Port, three.Docker.Traefik = r.Docker.Port, &schemas.Traefik{Host: "one.example.com", Path: "/v1", EntryPoints: []string{"web", "secure"}, Middlewares: []string{"auth@file"}, CertResolver: "le"}
	s.apply(three)
	s.until("the third stands alone", func() bool { return len(units(e, "one")) == 1 })
	says, name := told(t, e)
	for _, want := range []string{"NAME.rule=Host(`one.example.com`) && (Path(`/v1`) || PathPrefix(`/v1/`))", "NAME.entrypoints=web,secure", "NAME.middlewares=auth@file", "NAME.tls.certresolver=le"} {
		if !slices.Contains(says, "traefik.http.routers."+want) {
			t.Errorf("it is told %q, and not %q", says, want)
		}
	}
	if name == under {
		t.Errorf("two that are told apart have the name %s", name)
	}
}

// TestTraefikIsNotSentToAnotherMachine: the public port is here, whatever engine is asked.
func TestTraefikIsNotSentToAnotherMachine(t *testing.T) {
	s, _, _ := elsewhere(t, "ssh")
	r := s.labeled("1", schemas.Traefik{Host: "one.example.com"})
	_, err := s.server.Apply(t.Context(), r)
	if err == nil || fault.Of(err) != fault.Invalid || !strings.Contains(err.Error(), "is on another") || !strings.Contains(fault.HintOf(err), "traefik") {
		t.Errorf("%v (%s)", err, fault.HintOf(err))
	}
}

// TestAnImageLeadsTraefikNowhere: its labels are the container's too, and would have requests go past the serving host.
func TestAnImageLeadsTraefikNowhere(t *testing.T) {
	s, e := onDouble(t)
	e.ImageConfig = dockertest.Object{"Labels": dockertest.Object{"Traefik.Enable": "true", "traefik.enable": "true", "traefik.http.routers.x.rule": "Host(`bank.example.com`)", "maintainer": "x"}}
	s.apply(s.release("one", "1"))
	labels, _ := the(t, e, "one").Config["Labels"].(dockertest.Object)
	if labels["traefik.enable"] != "false" || labels["Traefik.Enable"] != "false" || labels["maintainer"] != "x" {
		t.Errorf("its labels are %v", labels)
	}
	_, err := s.server.Apply(t.Context(), s.labeled("2", schemas.Traefik{Host: "one.example.com"}))
	if err == nil || fault.Of(err) != fault.Invalid || !strings.Contains(err.Error(), "has the label Traefik.Enable, by which") || !strings.Contains(fault.HintOf(err), "image without") {
		t.Errorf("%v (%s)", err, fault.HintOf(err))
	}
	e.ImageConfig = dockertest.Object{"Env": []string{"VIRTUAL_HOST=bank.example.com"}, "Labels": dockertest.Object{"swag": "enable", labelName: "bank"}}
	s.apply(s.release("two", "1"))
	two := the(t, e, "two").Config
	if labels, _ := two["Labels"].(dockertest.Object); labels["swag"] != "" || labels[labelName] != "two" {
		t.Errorf("others are told %v", labels)
	}
	if env, _ := two["Env"].([]any); !slices.Contains(env, any("VIRTUAL_HOST=")) {
		t.Errorf("nginx-proxy is told %v", env)
	}
	e.ImageConfig = dockertest.Object{"Labels": dockertest.Object{"caddy": "bank.example.com"}}
	if _, err := s.server.Apply(t.Context(), s.release("four", "1")); err == nil || fault.Of(err) != fault.Invalid || !strings.Contains(err.Error(), "label caddy") || fault.HintOf(err) == "" {
		t.Errorf("Caddy is told: %v (%s)", err, fault.HintOf(err))
	}
	e.ImageConfig = nil
	s.apply(s.release("three", "1"))
	if labels, _ := the(t, e, "three").Config["Labels"].(dockertest.Object); labels["traefik.enable"] != "false" {
		t.Errorf("its labels are %v", labels)
	}
}

// TestARuleOfAnOlderVishwaHasANameOfItsOwn: while a release takes the place of one that an older Vishwa began, containers of both are there, and
// Traefik follows neither of two rules under one name. Its rule of a path was another, by this name.
func TestARuleOfAnOlderVishwaHasANameOfItsOwn(t *testing.T) {
	of := schemas.Traefik{Host: "one.example.com", Path: "/v1"}
	said, err := json.Marshal([]any{of, 8080})
	if err != nil {
		t.Fatal(err)
	}
	if labels := byTraefik("one", of, 8080); labels["traefik.http.routers.one-"+digest.Of(said).Hex()[:10]+".rule"] != "" {
		t.Errorf("another rule has the name of the one before: %v", labels)
	}
}
