// Labels that Traefik finds a deployment by. They lead to the public port, and not to the container: which release has the requests, and from
// when on, is the serving host's to say.

package docker

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/moby/moby/client"

	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/harmless"
	"github.com/vishwaops/vishwa/reconciler/machine/dockerengine"
	"github.com/vishwaops/vishwa/schemas"
)

// byTraefik are the labels of a container of name, whose public port is that. While one release takes the place of another, containers of both are
// there: those that say the same are one way in, and those that do not have names of their own, as Traefik would follow neither of two that
// say different things under one name.
func byTraefik(name string, of schemas.Traefik, port int) map[string]string {
	says, rule := []any{of, port}, "Host(`"+of.Host+"`)"
	if path := of.Claims()[0].Path; path != "/" {
		rule += " && (Path(`" + path + "`) || PathPrefix(`" + path + "/`))" // PathPrefix alone takes what only begins with the same letters, too
		says = append(says, rule)                                           // an older Vishwa made another of the same path
	}
	said, err := json.Marshal(says)
	if err != nil {
		panic("docker: what is said to Traefik is no JSON: " + err.Error())
	}
	own := name + "-" + digest.Of(said).Hex()[:10]
	router, service := "traefik.http.routers."+own+".", "traefik.http.services."+own+"."
	out := map[string]string{
		"traefik.enable":   "true",
		router + "rule":    rule,
		router + "service": own,

		service + "loadbalancer.server.url": fmt.Sprintf("http://127.0.0.1:%d", port),
	}
	for key, value := range map[string]string{
		"entrypoints": strings.Join(of.EntryPoints, ","), "middlewares": strings.Join(of.Middlewares, ","), "tls.certresolver": of.CertResolver,
	} {
		if value != "" {
			out[router+key] = value
		}
	}
	return out
}

// says is what a container says to fronts in place of its image, whose labels would have requests go to the container itself, past the serving
// host, for whatever host they name.
func (at settled) says(image client.ImageInspectResult) (labels map[string]string, env []string, err error) {
	labels, env, err = dockerengine.Quiet(at.Image, image)
	if err != nil {
		return nil, nil, fault.WithHint(err, "name an image without it")
	}
	if len(at.Labels) > 0 && image.Config != nil { // empty ones would be of a way in, too
		for _, name := range slices.Sorted(maps.Keys(image.Config.Labels)) {
			if strings.HasPrefix(strings.ToLower(name), "traefik.") { // Traefik reads them so
				return nil, nil, fault.WithHint(fault.New(fault.Invalid, "image %s has the label %s, by which Traefik would send requests past the serving host", at.Image, harmless.Line(name)),
					"name an image without labels of Traefik's, or remove spec.target.docker.traefik and have Traefik send to the port by its own file")
			}
		}
	}
	maps.Copy(labels, at.Labels)
	return labels, env, nil
}
