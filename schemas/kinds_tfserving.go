// Serving by TensorFlow Serving: the servers that a project has, and what a deployment says of its model.

package schemas

import (
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/vishwaops/vishwa/reconciler/lazyregexp"
)

// ModelServer is a TensorFlow Serving that reads its models, and its models.config, from a folder or from the project's store.
type ModelServer struct {
	// Folder is a folder of the machine that reconciles, or a volume that is mounted there, by its whole path; it holds models.config, and a folder for each model. Without it, models.config is in the store as well, where inStore has the versions laid.
	Folder string `json:"folder,omitempty" part:"placement"`
	// SeenAs is the path that the server has for the folder, where that is another one.
	SeenAs string `json:"seenAs,omitempty" part:"placement"`
	// InStore has the versions of models laid in the project's store, an S3 bucket that the server reads by credentials of its own, in place of the folder; models.config stays there, where there is one.
	InStore bool `json:"inStore,omitempty" part:"placement"`
	// URL is where its REST interface is asked, such as http://127.0.0.1:8501.
	URL string `json:"url" jsonschema:"required" part:"placement"`
}

// TFServingTarget is a model of TensorFlow Serving with the deployment's name, whose label leads to the version that serves. A new release is loaded as another version beside it, and takes the label once it is available. The server checks no signature: the class of what is served is trusted.
type TFServingTarget struct {
	// Server is one of the project's modelServers.
	Server string `json:"server" jsonschema:"required" part:"key"`
	// Label is the name that leads to what serves, in the address of requests.
	Label string `json:"label,omitempty" jsonschema:"pattern=^[A-Za-z0-9][A-Za-z0-9._-]{0\\,62}$,default=stable" part:"key"`
	// Adopt lets it take over a model of its name that somebody else set up: its settings and labels make way, and its files stay.
	Adopt bool `json:"adopt,omitempty" part:"placement"`
	// ReadyTimeout is how long a version may take to be available; without it, five minutes.
	ReadyTimeout Duration `json:"readyTimeout,omitempty" part:"placement"`
}

func (t *TFServingTarget) check(c *checker, d *document) {
	if t == nil {
		return
	}
	const field = "spec.target.tfserving"
	if d.has("spec.log") {
		d.problem("spec.log", "is written by the serving host of a machine, and what TensorFlow Serving serves does not pass it; remove it, or serve from local or docker")
	}
	c.duration(d, field+".readyTimeout", t.ReadyTimeout)
	if c.project == nil || t.Server == "" {
		return
	}
	p := ProjectOf([]Declaration{c.project.decl})
	if p != nil && d.decl.Ref().Name == takenModel && p.ModelServers[t.Server].Folder == "" && p.ModelServers[t.Server].InStore {
		d.problem("metadata.name", "%s is where the versions of all models lie in the store of model server %s, which has no folder; rename the deployment, or give the server a folder", takenModel, short(t.Server))
	}
	if p == nil || c.project.has("spec.modelServers."+t.Server) {
		return
	}
	var names []string
	if c.repo.guesses.may(t.Server, len(p.ModelServers)) {
		names = slices.Collect(maps.Keys(p.ModelServers))
	}
	d.problem(field+".server", "%s is none of the project's modelServers%s", short(t.Server), meantOr(t.Server, names, "declare it in "+Root+" below spec.modelServers"))
}

// takenModel is no name of a model where a server has all in the store: there its versions lie beside what is noted of each model.
const takenModel = "models"

// checkDivided refuses what a label does not do: it leads to one version.
func (t *TFServingTarget) checkDivided(d *document, r *Rollout) {
	switch {
	case r.Shadow != nil:
		d.problem("spec.rollout.shadow", "compares answers, and a model server does not; remove it, or serve by target local or docker")
	case r.Canary != nil:
		d.problem("spec.rollout.canary", "gives a part of the requests, and TensorFlow Serving divides none: its label leads to one version; declare blueGreen in its place")
	}
}

// modelServers checks those of a project.
func modelServers(d *document, all map[string]ModelServer) {
	taken := map[string]string{}
	for _, name := range slices.Sorted(maps.Keys(all)) {
		at, s := "spec.modelServers."+name, all[name]
		switch {
		case s.Folder == "" && !s.InStore && !d.wrong(at+".folder"):
			d.problem(at, "has no place for models.config; give folder, or inStore: true to have all of it in the store")
		case s.Folder == "" && s.SeenAs != "":
			d.problem(at+".seenAs", "is the server's path of a folder, and none is given; remove it, or give folder")
		case s.Folder == "" && !plainName.MatchString(name):
			d.problem(at, "names keys of the store; write letters, digits and . _ - alone")
		}
		wholePath(d, at+".folder", s.Folder)
		wholePath(d, at+".seenAs", s.SeenAs)
		address(d, at+".url", s.URL, "http", "https")
		if s.InStore && !d.has("spec.store.s3") && !d.wrong("spec.store") {
			d.problem(at+".inStore", "has versions laid in the store, a folder of the machine that applies; declare spec.store.s3, or remove it")
		}
		if s.Folder == "" {
			continue
		}
		if other := taken[path.Clean(s.Folder)]; other != "" {
			d.problem(at+".folder", "%s is that of %s as well, and a folder has one models.config; give each server a folder of its own", short(s.Folder), other)
		}
		taken[path.Clean(s.Folder)] = name
	}
}

// plainName can be part of an address.
var plainName = lazyregexp.New(`^[A-Za-z0-9][A-Za-z0-9._-]*$`)

// plainPath has no letters that would be something else in models.config, or on another system.
var plainPath = lazyregexp.New(`^(/[A-Za-z0-9._@+-]+)+/?$`)

func wholePath(d *document, field, text string) {
	if text == "" || !plain(d, field, text) {
		return
	}
	if !plainPath.MatchString(text) || slices.ContainsFunc(strings.Split(text, "/"), func(part string) bool { return part == "." || part == ".." }) {
		d.problem(field, "%s is not the whole path of a folder; write one such as /srv/models, of letters, digits and . _ @ + -", short(text))
	}
}
