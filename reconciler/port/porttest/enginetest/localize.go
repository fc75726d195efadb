// Manifests of others, made to run where no image of theirs can be pulled.

package enginetest

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"strings"

	"go.yaml.in/yaml/v3"
)

// localize reads a manifest of a controller and gives its program's containers an image of ours. What the containers ask of the node
// goes, as the whole node is smaller; a container with an image of somebody else's is refused.
func localize(manifest, upstream, ours string) (string, error) {
	in, err := os.Open(manifest)
	if err != nil {
		return "", err
	}
	defer in.Close()
	var out bytes.Buffer
	to := yaml.NewEncoder(&out)
	for from := yaml.NewDecoder(in); ; {
		var object map[string]any
		if err := from.Decode(&object); errors.Is(err, io.EOF) {
			return out.String(), to.Close()
		} else if err != nil {
			return "", fmt.Errorf("read %s: %w", manifest, err)
		}
		if err := replaceImages(object, upstream, ours); err != nil {
			return "", fmt.Errorf("%s: %w", manifest, err)
		}
		if err := to.Encode(object); err != nil {
			return "", err
		}
	}
}

// replaceImages gives the containers of an object's pods our image, where it has pods.
func replaceImages(object map[string]any, upstream, ours string) error {
	at := any(object)
	for _, name := range []string{"spec", "template", "spec", "containers"} {
		fields, _ := at.(map[string]any)
		at = fields[name]
	}
	list, _ := at.([]any)
	for _, c := range list {
		container, ok := c.(map[string]any)
		if !ok {
			return errors.New("a container is no object")
		}
		image, _ := container["image"].(string)
		if name, _, _ := strings.Cut(image, ":"); path.Base(name) != upstream {
			return fmt.Errorf("a container wants %s, which is not %s", image, upstream)
		}
		container["image"], container["imagePullPolicy"] = ours, "IfNotPresent"
		delete(container, "resources")
	}
	return nil
}
