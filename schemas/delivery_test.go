package schemas

import (
	"strings"
	"testing"
)

// TestADeliveryLeadsNowhereElse: the author of a pull request chooses these words.
func TestADeliveryLeadsNowhereElse(t *testing.T) {
	for _, branch := range []string{"", "vishwa", "vishwa/ledger", "VISHWA/ledger", "vishwa/refresh/main/x", "HEAD", "head", "refs/heads/main", "the-ledger", "The-Ledger",
		"-x", "a b", "a..b", "a//b", "/a", "a/", ".a", "a/.b", "a.lock", "a.lock/b", "a.", "a~1", "a^", "a:b", "a\\b", "a\nb", "ä", "a@{1}"} {
		if why := (GitDelivery{Branch: branch, Path: "p"}).Reserved("the-ledger"); why == "" {
			t.Errorf("branch %q is let", branch)
		}
	}
	for _, branch := range []string{"environments/prod", "gitops", "vishwas-own", "a/vishwa/b", "release-1.2"} {
		if why := (GitDelivery{Branch: branch}).Reserved(""); why != "" {
			t.Errorf("branch %q %s", branch, why)
		}
	}
	for _, path := range []string{"", ".", "..", "../x", "a/../b", "/a", "a/", "a//b", ".github/workflows", "a/.git", ".GIT", "GIT~1", "a\\b", "a b", "-a", "a\x00", "a:b", "ä"} {
		if why := (GitDelivery{Path: path}).Escapes(); why == "" {
			t.Errorf("folder %q is let", path)
		}
	}
	if g := (GitDelivery{Path: "models/prod-1.2"}); g.Escapes() != "" || g.File("churn") != "models/prod-1.2/churn.yaml" {
		t.Errorf("%q: %s", g.File("churn"), g.Escapes())
	}
}

func TestADeliveryIsForWhatAClusterServes(t *testing.T) {
	const model = "apiVersion: vishwa.dev/v1alpha1\nkind: Deployment\nmetadata: {name: d}\nspec:\n  model: model/m\n  environment: staging\n"
	for name, c := range map[string]struct{ text, says string }{
		"of a machine":              {"  target: {local: {run: [x], code: [x]}}\n  delivery: {git: {branch: env, path: models}}\n", "spec.delivery: is for what a cluster serves"},
		"of Vishwa's branch":        {"  target: {seldon: {cluster: prod, requirements: [sklearn]}}\n  delivery: {git: {branch: vishwa/ledger, path: models}}\n", `spec.delivery.git.branch: "vishwa/ledger" is kept for Vishwa's own branches`},
		"of the ledger":             {"  target: {seldon: {cluster: prod, requirements: [sklearn]}}\n  delivery: {git: {branch: Book, path: models}}\n", `spec.delivery.git.branch: "Book" is kept for Vishwa's own branches`},
		"of a folder outside":       {"  target: {seldon: {cluster: prod, requirements: [sklearn]}}\n  delivery: {git: {branch: env, path: ../x}}\n", `spec.delivery.git.path: "../x" cannot be a folder`},
		"named as Kustomize's file": {"  target: {seldon: {cluster: prod, requirements: [sklearn]}}\n  delivery: {git: {branch: env, path: models}}\n", `metadata.name: "kustomization.yaml" names a file that Argo CD and Flux read`},
		"of nothing":                {"  target: {seldon: {cluster: prod, requirements: [sklearn]}}\n  delivery: {}\n", "spec.delivery.git: is missing"},
	} {
		_, problems := Load(t.Context(), repo(map[string]string{
			"vishwa.yaml":   "apiVersion: vishwa.dev/v1alpha1\nkind: Project\nmetadata: {name: p}\nspec:\n  ledger: {branch: book}\n  environments: {staging: {}}\n",
			"vishwa/d.yaml": strings.Replace(model, "name: d}", "name: "+map[bool]string{true: "kustomization", false: "d"}[name == "named as Kustomize's file"]+"}", 1) + c.text,
		}))
		var all []string
		for _, p := range problems {
			all = append(all, p.Error())
		}
		if text := strings.Join(all, "\n"); !strings.Contains(text, c.says) {
			t.Errorf("%s: want %q in\n%s", name, c.says, text)
		}
	}
}

// TestAPackageThatIsServedHasTheModelThatIsServed: another would be served under the name, and the rules, of this one.
func TestAPackageThatIsServedHasTheModelThatIsServed(t *testing.T) {
	const rest = `apiVersion: vishwa.dev/v1alpha1
kind: Package
metadata: {name: other}
spec: {model: model/other, oci: {repository: registry.example.com/team/other}}
---
apiVersion: vishwa.dev/v1alpha1
kind: Deployment
metadata: {name: d}
spec:
  model: model/m
  environment: staging
`
	for name, c := range map[string]struct{ target, says string }{
		"of another model": {"{kserve: {cluster: prod, modelFormat: json, package: package/other}}", "spec.target.kserve.package: package/other packs model/other, and this one serves model/m"},
		"that is none":     {"{kserve: {cluster: prod, modelFormat: json, package: package/none}}", "package/none"},
		"of another kind":  {"{kserve: {cluster: prod, modelFormat: json, package: model/m}}", "spec.target.kserve.package: "},
		"and a worker":     {"{kserve: {cluster: prod, modelFormat: json, package: package/other, worker: reg.example.com/w@sha256:" + strings.Repeat("0", 64) + "}}", "spec.target.kserve.worker: brings the model from the store, and the package is mounted"},
		"of a machine":     {"{local: {run: [x], package: package/other}}", "package"},
	} {
		_, problems := Load(t.Context(), repo(map[string]string{
			"vishwa.yaml":   "apiVersion: vishwa.dev/v1alpha1\nkind: Project\nmetadata: {name: p}\nspec:\n  clusters: {prod: {namespace: served}}\n  environments: {staging: {}}\n",
			"vishwa/d.yaml": rest + "  target: " + c.target + "\n",
		}))
		var all []string
		for _, p := range problems {
			all = append(all, p.Error())
		}
		text := strings.Join(all, "\n")
		if !strings.Contains(text, c.says) || strings.Contains(text, "spec.store") {
			t.Errorf("package %s: want %q in\n%s", name, c.says, text)
		}
	}
}

// TestThePackagesOwnImageSaysWhatServes: what is declared beside it would be ignored.
func TestThePackagesOwnImageSaysWhatServes(t *testing.T) {
	image := "reg.example.com/base@sha256:" + strings.Repeat("0", 64)
	rest := `apiVersion: vishwa.dev/v1alpha1
kind: Package
metadata: {name: plain}
spec: {model: model/m, oci: {repository: registry.example.com/team/plain}}
---
apiVersion: vishwa.dev/v1alpha1
kind: Package
metadata: {name: serves}
spec: {model: model/m, oci: {repository: registry.example.com/team/serves}, image: {base: "` + image + `", run: [x]}}
---
apiVersion: vishwa.dev/v1alpha1
kind: Deployment
metadata: {name: d}
spec:
  model: model/m
  environment: staging
`
	for name, c := range map[string]struct{ target, says string }{
		"docker":                  {"{docker: {package: package/serves}}", ""},
		"kubernetes":              {"{kubernetes: {cluster: prod, package: package/serves}}", ""},
		"its model alone":         {"{kubernetes: {cluster: far, package: package/plain, image: '" + image + "', run: [x]}}", ""},
		"neither":                 {"{docker: {run: [x]}}", "spec.target.docker.image: is missing"},
		"neither, in pods":        {"{kubernetes: {cluster: prod, run: [x]}}", "spec.target.kubernetes.image: is missing"},
		"both":                    {"{docker: {package: package/serves, image: '" + image + "'}}", "spec.target.docker.package: and image are both given"},
		"one without an image":    {"{docker: {package: package/plain}}", "spec.target.docker.package: package/plain has no image that serves"},
		"a command beside it":     {"{docker: {package: package/serves, run: [x]}}", "spec.target.docker.run: is what the image of package/serves says"},
		"parameters beside it":    {"{kubernetes: {cluster: prod, package: package/serves, params: {a: 1}}}", "spec.target.kubernetes.params: is what the image"},
		"an environment there":    {"{kubernetes: {cluster: prod, package: package/serves, env: {requirements: r.lock}}}", "spec.target.kubernetes.env.requirements: is what the image"},
		"a variable of a Secret":  {"{kubernetes: {cluster: prod, package: package/serves, env: {pass: [A]}}}", "spec.store.s3"},
		"one of another model's":  {"{docker: {package: package/none}}", "package/none"},
		"an image by a tag alone": {"{docker: {image: reg.example.com/base:1, run: [x]}}", "no digest is given"},
	} {
		_, problems := Load(t.Context(), repo(map[string]string{
			"vishwa.yaml": "apiVersion: vishwa.dev/v1alpha1\nkind: Project\nmetadata: {name: p}\nspec:\n  store: {dir: /srv/store}\n  clusters: {prod: {namespace: served}, far: {namespace: far}}\n  environments: {staging: {}}\n" +
				"---\napiVersion: vishwa.dev/v1alpha1\nkind: Model\nmetadata: {name: m}\nspec: {from: training/t, select: {metric: auc, goal: maximize}}\n" +
				"---\napiVersion: vishwa.dev/v1alpha1\nkind: Training\nmetadata: {name: t}\nspec: {run: [x]}\n",
			"vishwa/d.yaml": rest + "  target: " + c.target + "\n",
		}))
		var all []string
		for _, p := range problems {
			all = append(all, p.Error())
		}
		if text := strings.Join(all, "\n"); c.says != "" && !strings.Contains(text, c.says) || c.says == "" && strings.Contains(text, "spec.target.") && name != "its model alone" || strings.Contains(text, "spec.target.kubernetes.image") && name == "its model alone" {
			t.Errorf("%s: want %q in\n%s", name, c.says, text)
		}
	}
}
