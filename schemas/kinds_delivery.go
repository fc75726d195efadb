// How what is declared reaches its cluster: applied by Vishwa, or written to a branch that something else applies.

package schemas

import (
	"slices"
	"strings"

	"github.com/vishwaops/vishwa/reconciler/lazyregexp"
)

// Delivery says how the objects of a target reach their cluster.
type Delivery struct {
	// Git writes them to a branch of this repository, from which Argo CD or Flux applies them; Vishwa changes nothing on the cluster but the Secrets that pods read their model by, and watches until the release serves.
	Git *GitDelivery `json:"git" jsonschema:"required" part:"key"`
}

// ByGit is the branch that it goes by; nil where Vishwa applies it.
func (y *Delivery) ByGit() *GitDelivery {
	if y == nil {
		return nil
	}
	return y.Git
}

// GitDelivery is where objects are written: the file PATH/NAME.yaml, NAME being that of the deployment.
type GitDelivery struct {
	// Branch is a branch for what is delivered; it is made where it is not there. It is neither the tracked branch nor one of Vishwa's own.
	Branch string `json:"branch" jsonschema:"required,maxLength=200" part:"key"`
	// Path is the folder in it, such as models/production.
	Path string `json:"path" jsonschema:"required,maxLength=200" part:"key"`
}

// File is the file of the deployment of that name.
func (g GitDelivery) File(name string) string { return g.Path + "/" + name + ".yaml" }

// OwnBranches begins the names of branches that are Vishwa's: its ledger's, and those of what it proposes.
const OwnBranches = "vishwa/"

// slashed are plain names with slashes between them, none of which begins with a dot or could be taken for an option.
var slashed = lazyregexp.New(`^[A-Za-z0-9_][-A-Za-z0-9_.]*(/[A-Za-z0-9_][-A-Za-z0-9_.]*)*$`)

// Reserved tells why nothing is delivered on a branch of that name; "" where it may be. A file system may not tell
// upper case from lower case, so it does not count.
func (g GitDelivery) Reserved(ledger string) string {
	branch := strings.ToLower(g.Branch)
	switch {
	case !slashed.MatchString(g.Branch), strings.Contains(branch, ".."), strings.HasSuffix(branch, "."), strings.HasSuffix(branch, ".lock"), strings.Contains(branch, ".lock/"):
		return "cannot be the name of a branch"
	case branch == "head", strings.HasPrefix(branch, "refs/"):
		return "is a name that Git takes for something else"
	case strings.HasPrefix(branch, OwnBranches), branch == strings.TrimSuffix(OwnBranches, "/"), branch == strings.ToLower(ledger):
		return "is kept for Vishwa's own branches"
	}
	return ""
}

// Escapes tells why nothing is written to that folder; "" where it may be.
func (g GitDelivery) Escapes() string {
	if !slashed.MatchString(g.Path) {
		return "cannot be a folder for what is delivered"
	}
	return ""
}

// takenFiles are names of files, but for their ending, by which a folder is no folder of manifests: Kustomize's and Helm's.
var takenFiles = []string{"kustomization", "chart"}

func (y *Delivery) check(c *checker, d *document, t *Target) {
	if y == nil || !d.has("spec.delivery.git") || d.wrong("spec.delivery.git") {
		return
	}
	ledger := "" // that of a project which names none begins with OwnBranches
	if c.project != nil {
		if p := ProjectOf([]Declaration{c.project.decl}); p != nil {
			ledger = p.Ledger.Branch
		}
	}
	if y.Git.Branch != "" {
		if why := y.Git.Reserved(ledger); why != "" {
			d.problem("spec.delivery.git.branch", "%s %s; name another, such as environments/production, with letters, digits and hyphens", short(y.Git.Branch), why)
		}
	}
	if y.Git.Path != "" {
		if why := y.Git.Escapes(); why != "" {
			d.problem("spec.delivery.git.path", "%s %s; name one below the top, such as models/production, whose parts begin with a letter or a digit", short(y.Git.Path), why)
		}
	}
	if name := d.decl.Ref().Name; slices.Contains(takenFiles, strings.ToLower(name)) {
		d.problem("metadata.name", "%s names a file that Argo CD and Flux read as what to do with the whole folder; rename the deployment", short(name+".yaml"))
	}
	if t.Kubernetes == nil && t.KServe == nil && t.Seldon == nil && t.SeldonDeployment == nil {
		d.problem("spec.delivery", "is for what a cluster serves, by kubernetes, kserve, seldon or seldonDeployment; remove it, or choose one of them as the target")
	}
}
