// What an image would say by a container of it. The engine gives each container the labels and the variables of its image, and who looks at the
// containers of a machine, such as a front that sends requests to them, takes them for its owner's word: they are those of whoever made the image.

package dockerengine

import (
	"maps"
	"slices"
	"strings"

	"github.com/moby/moby/client"

	"github.com/vishwaops/vishwa/reconciler/harmless"
	"github.com/vishwaops/vishwa/schemas"
)

// Quiet is what a container says in place of its image: labels, where it has none of its own under the name, and variables. An image that cannot be
// kept from speaking is Invalid, by an Unfit.
func Quiet(name string, image client.ImageInspectResult) (labels map[string]string, env []string, err error) {
	// Traefik and Registrator make a way in to each container that says nothing, unless they are set up otherwise.
	labels = map[string]string{traefikEnable: "false", registratorIgnore: "true"}
	if image.Config == nil {
		return labels, nil, nil
	}
	for _, label := range slices.Sorted(maps.Keys(image.Config.Labels)) {
		switch low := strings.ToLower(label); {
		case low == "caddy" || strings.HasPrefix(low, "caddy.") || strings.HasPrefix(low, "caddy_"): // an empty one is a setting of all that Caddy serves
			return nil, nil, badImage("image %s has the label %s, which would set up a Caddy of the machine that looks at containers", name, harmless.Line(label))
		case !describes(low):
			labels[label] = instead(label)
		}
	}
	for _, v := range image.Config.Env {
		name, _, valued := strings.Cut(v, "=")
		if name == "" { // the engine would refuse it
			continue
		}
		if schemas.ForFront(name) || !valued { // Registrator ends by a variable without a value, and nobody is told of containers any more
			env = append(env, name+"="+instead(name))
		}
	}
	return labels, env, nil
}

const (
	traefikEnable     = "traefik.enable"
	registratorIgnore = "SERVICE_IGNORE"
)

// instead is what a container says under the name of a label or a variable of its image: nothing, where that is not another thing to say.
func instead(name string) string {
	service, is := strings.CutPrefix(name, "SERVICE_")
	switch low := strings.ToLower(service); {
	case strings.EqualFold(name, traefikEnable): // Traefik reads it so
		return "false"
	case is && (low == "ignore" || strings.HasSuffix(low, "_ignore")): // of one port; an empty one would count before that of all
		return "true"
	}
	return ""
}

// describes tells whether a label is for people alone.
func describes(label string) bool {
	return label == "maintainer" || strings.HasPrefix(label, "org.opencontainers.image.") || strings.HasPrefix(label, "org.label-schema.")
}
