// The laws of keys: what must change one does, and what must not does not.

package graph

import (
	"context"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"pgregory.net/rapid"

	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/schemas"
)

// project is a small pipeline in YAML, with %s where a test adds something.
const project = `apiVersion: vishwa.dev/v1alpha1
kind: Project
metadata: {name: p}
spec:
  environments: {staging: {}}
---
apiVersion: vishwa.dev/v1alpha1
kind: Dataset
metadata: {name: d}
spec: {source: {path: d.csv}}
---
apiVersion: vishwa.dev/v1alpha1
kind: Transform
metadata: {name: t}
spec:
  run: [python, t.py]
  code: [t.py, lib]
  env: {requirements: lock.txt}
  inputs: {d: dataset/d}
  outputs: {train: train.csv, test: test.csv}
  params: {seed: 1}
---
apiVersion: vishwa.dev/v1alpha1
kind: Training
metadata: {name: e}
spec:
  run: [python, e.py]
  code: [e.py]
  inputs: {train: "transform/t:train", test: "transform/t:test"}
  params: {seed: 1}
  candidates:
    a: {params: {c: 1}}
    b: {params: {c: 2}}
---
apiVersion: vishwa.dev/v1alpha1
kind: Model
metadata: {name: m}
spec:
  from: training/e
  select: {metric: auc}
---
apiVersion: vishwa.dev/v1alpha1
kind: Infrastructure
metadata: {name: i}
spec: {module: infra, vars: {n: 1}}
---
apiVersion: vishwa.dev/v1alpha1
kind: Deployment
metadata: {name: s}
spec:
  model: model/m
  environment: staging
  needs: [infrastructure/i]
  target: {local: {run: [python, s.py], code: [s.py]}}
`

func files(yaml string) fstest.MapFS {
	fsys := fstest.MapFS{"vishwa.yaml": {Data: []byte(yaml)}}
	for _, p := range []string{"d.csv", "t.py", "lib/a.py", "lib/b/c.py", "lock.txt", "e.py", "infra/main.tf", "s.py", "other.py"} {
		fsys[p] = &fstest.MapFile{Data: []byte("content of " + p + "\n")}
	}
	return fsys
}

func build(t interface{ Fatalf(string, ...any) }, fsys fstest.MapFS) Graph {
	decls, problems := schemas.Load(context.Background(), fsys)
	if len(problems) > 0 {
		t.Fatalf("load: %v", problems)
	}
	pins, problems := Survey(fsys, decls)
	if len(problems) > 0 {
		t.Fatalf("survey: %v", problems)
	}
	g, problems := Build(decls, pins)
	if len(problems) > 0 {
		t.Fatalf("build: %v", problems)
	}
	return g
}

// keys is each node's recipe digest, before its inputs are known.
func keys(t interface{ Fatalf(string, ...any) }, fsys fstest.MapFS) map[string]digest.Digest {
	out := map[string]digest.Digest{}
	for _, n := range build(t, fsys).Nodes {
		key, err := n.Recipe.Key()
		if err != nil {
			t.Fatalf("%v", err)
		}
		out[n.Ref.String()] = key
	}
	return out
}

func moved(a, b map[string]digest.Digest) []string {
	var out []string
	for ref := range b {
		if a[ref] != b[ref] {
			out = append(out, ref)
		}
	}
	slices.Sort(out)
	return out
}

func TestAChangeMovesTheKeysThatDependOnItAndNoOthers(t *testing.T) {
	was := keys(t, files(project))
	for name, c := range map[string]struct {
		old, new string // in vishwa.yaml; old names a file where new is empty
		want     string
	}{
		"data":                {"d.csv", "", "dataset/d"},
		"code":                {"t.py", "", "transform/t"},
		"code below a folder": {"lib/b/c.py", "", "transform/t"},
		"lock file":           {"lock.txt", "", "transform/t"},
		"module":              {"infra/main.tf", "", "infrastructure/i"},
		"serving code":        {"s.py", "", "deployment/s"},
		"undeclared file":     {"other.py", "", ""},
		"command":             {"run: [python, e.py]", "run: [python, -O, e.py]", "training/e:a training/e:b"},
		"one param":           {"{c: 2}", "{c: 3}", "training/e:b"},
		"common param":        {"  params: {seed: 1}\n  candidates", "  params: {seed: 2}\n  candidates", "training/e:a training/e:b"},
		"output path":         {"train: train.csv", "train: out/train.csv", "transform/t"},
		"variable":            {"vars: {n: 1}", "vars: {n: 2}", "infrastructure/i"},
		"selection":           {"metric: auc", "metric: f1", "model/m"},
		"passed variable":     {"env: {requirements: lock.txt}", "env: {requirements: lock.txt, pass: [GPU]}", "transform/t"},
		"comment":             {"kind: Training\n", "kind: Training # tuned\n", ""},
		"description":         {"metadata: {name: e}", "metadata: {name: e, description: The one}", ""},
		"label":               {"metadata: {name: e}", "metadata: {name: e, labels: {team: x}}", ""},
		"time-out":            {"run: [python, e.py]", "run: [python, e.py]\n  timeout: 5m", ""},
		"retries":             {"run: [python, e.py]", "run: [python, e.py]\n  retries: 2", ""},
		"number's spelling":   {"{c: 1}", "{c: 1.0}", ""},
		"key order":           {"{train: train.csv, test: test.csv}", "{test: test.csv, train: train.csv}", ""},
		"quotes":              {"metric: auc", `metric: "auc"`, ""},
	} {
		t.Run(name, func(t *testing.T) {
			fsys := files(project)
			if c.new == "" {
				fsys[c.old] = &fstest.MapFile{Data: []byte("changed")}
			} else {
				if !strings.Contains(project, c.old) {
					t.Fatalf("%q is not in the project", c.old)
				}
				fsys = files(strings.Replace(project, c.old, c.new, 1))
			}
			if got := strings.Join(moved(was, keys(t, fsys)), " "); got != c.want {
				t.Fatalf("keys that moved: %q, want %q", got, c.want)
			}
		})
	}
}

// TestImageAndNodesMoveTheKeyAndPlacementDoesNot: what a run computes with is in its key, and where it happens is not.
func TestImageAndNodesMoveTheKeyAndPlacementDoesNot(t *testing.T) {
	const train = "run: [python, e.py]"
	image := func(n int) string { return fmt.Sprintf("registry.example.com/base@sha256:%064x", n) }
	elsewhere := strings.Replace(project, "  environments: {staging: {}}\n", `  environments: {staging: {}}
  clusters: {prod: {context: prod, namespace: team-a}}
  runners:
    cluster: {kubernetes: {cluster: prod, gpuLabel: gpu-kind}}
    other: {kubernetes: {cluster: prod, queue: team-a}}
`, 1)
	with := func(spec string) fstest.MapFS { return files(strings.Replace(elsewhere, train, train+spec, 1)) }
	const where = "\n  runner: cluster\n  image: "
	was := keys(t, with(where+image(1)))
	const both = "training/e:a training/e:b"
	for name, c := range map[string]struct{ spec, want string }{
		"image":     {where + image(2), both},
		"nodes":     {where + image(1) + "\n  nodes: 2", both},
		"one node":  {where + image(1) + "\n  nodes: 1", ""},
		"runner":    {"\n  runner: other\n  image: " + image(1), ""},
		"resources": {where + image(1) + "\n  resources: {cpu: \"4\", memory: 8Gi, gpu: 1, gpuKind: a100, ephemeralStorage: 20Gi}", ""},
		"priority":  {where + image(1) + "\n  priority: high", ""},
		"spot":      {where + image(1) + "\n  spot: true", ""},
	} {
		t.Run(name, func(t *testing.T) {
			if got := strings.Join(moved(was, keys(t, with(c.spec))), " "); got != c.want {
				t.Errorf("keys that moved: %q, want %q", got, c.want)
			}
		})
	}
}

func TestWhatIsNeededComesFirst(t *testing.T) {
	g := build(t, files(project))
	seen := map[schemas.Ref]bool{}
	for _, n := range g.Nodes {
		for _, need := range n.Needs {
			if !seen[need] {
				t.Errorf("%s comes before %s, which it needs", n.Ref, need)
			}
		}
		seen[n.Ref] = true
	}
	if len(g.Nodes) != 7 {
		t.Fatalf("%d nodes", len(g.Nodes))
	}
}

// TestKeysDoNotDependOnHowItIsWritten: whatever order documents come in and
// whatever stands around them, the graph has the same digest.
func TestKeysDoNotDependOnHowItIsWritten(t *testing.T) {
	want := build(t, files(project)).Digest()
	docs := strings.Split(project, "---\n")
	rapid.Check(t, func(t *rapid.T) {
		order := rapid.Permutation(docs).Draw(t, "order")
		var b strings.Builder
		for i, d := range order {
			if i > 0 {
				b.WriteString("---\n")
			}
			fmt.Fprintf(&b, "# %s\n", rapid.StringMatching(`[a-z ]{0,20}`).Draw(t, "comment"))
			b.WriteString(d)
		}
		if got := build(t, files(b.String())).Digest(); got != want {
			t.Fatalf("digest moved for:\n%s", b.String())
		}
	})
}

// TestAnyByteOfADeclaredFileMovesTheDigest: and putting it back brings it back.
func TestAnyByteOfADeclaredFileMovesTheDigest(t *testing.T) {
	want := build(t, files(project)).Digest()
	declared := slices.DeleteFunc(slices.Sorted(maps.Keys(files(project))), func(p string) bool { return p == "other.py" || p == "vishwa.yaml" })
	rapid.Check(t, func(t *rapid.T) {
		fsys := files(project)
		p := rapid.SampledFrom(declared).Draw(t, "file")
		data := slices.Clone(fsys[p].Data)
		data[rapid.IntRange(0, len(data)-1).Draw(t, "at")] ^= byte(rapid.IntRange(1, 255).Draw(t, "flip"))
		fsys[p] = &fstest.MapFile{Data: data}
		if build(t, fsys).Digest() == want {
			t.Fatalf("%s changed and the digest did not", p)
		}
	})
}

func TestACycleIsShownAsAPath(t *testing.T) {
	decl := func(name, needs string) schemas.Declaration {
		return schemas.Declaration{Kind: "Transform", Metadata: schemas.Metadata{Name: name},
			Spec: &schemas.Transform{Inputs: map[string]schemas.Ref{"in": {Kind: "transform", Name: needs}}, Outputs: map[string]string{"o": "o"}}}
	}
	_, problems := Build([]schemas.Declaration{decl("a", "b"), decl("b", "c"), decl("c", "b")}, Pins{})
	if len(problems) != 1 || !strings.Contains(problems[0].Message, "transform/b -> transform/c -> transform/b") {
		t.Fatalf("got %v", problems)
	}
}

// TestWhatStandsForSomethingElseIsRefused: of a pointer, of what is locked and of a
// repository within the repository, no digest is a digest of what a run would need.
func TestWhatStandsForSomethingElseIsRefused(t *testing.T) {
	pointer := &fstest.MapFile{Data: []byte("version https://git-lfs.github.com/spec/v1\noid sha256:4d7a214614ab2935c943f9e0ff69d22eadbb8f32b1258daaa5e2ca24d17e2393\nsize 12345\n")}
	locked := &fstest.MapFile{Data: []byte("\x00GITCRYPT\x00\x01\x02")}
	within := &fstest.MapFile{Mode: fs.ModeDir | fs.ModeIrregular | 0o555}
	plain := &fstest.MapFile{Data: []byte("x")}
	for name, c := range map[string]struct {
		at   string
		file *fstest.MapFile
		spec schemas.Declaration
		says string
	}{
		"dataset":           {"d.csv", pointer, dataset("d.csv"), "d.csv is a Git LFS pointer and not the file itself; fetch what it names: git lfs pull"},
		"in a dataset":      {"d/deep/a.csv", pointer, dataset("d"), "d/deep/a.csv is a Git LFS pointer"},
		"code":              {"src/a.py", pointer, training(schemas.Work{Code: []string{"src"}}), "src/a.py is a Git LFS pointer"},
		"lock":              {"lock.txt", pointer, training(schemas.Work{Env: schemas.Environs{Requirements: "lock.txt"}}), "lock.txt is a Git LFS pointer"},
		"module":            {"infra/a.tf", pointer, module("infra"), "infra/a.tf is a Git LFS pointer"},
		"pointer of DVC's":  {"d.dvc", pointer, tracked("d"), "d.dvc is a Git LFS pointer"},
		"locked data":       {"d.csv", locked, dataset("d.csv"), "git-crypt unlock"},
		"submodule":         {"lib", within, training(schemas.Work{Code: []string{"lib"}}), "lib is a submodule"},
		"above a submodule": {"src/lib", within, training(schemas.Work{Code: []string{"src"}}), "src/lib is a submodule"},
	} {
		tree := fstest.MapFS{c.at: c.file, "src/plain": plain, "d/plain": plain}
		_, problems := Survey(tree, []schemas.Declaration{c.spec})
		if len(problems) != 1 || !strings.Contains(problems[0].Message, c.says) {
			t.Errorf("%s: %v", name, problems)
		}
	}
}

func dataset(p string) schemas.Declaration {
	return schemas.Declaration{Kind: "Dataset", Spec: &schemas.Dataset{Source: schemas.DataSource{Path: p}}}
}

func tracked(p string) schemas.Declaration {
	return schemas.Declaration{Kind: "Dataset", Spec: &schemas.Dataset{Source: schemas.DataSource{DVC: &schemas.DVC{Path: p}}}}
}

func training(w schemas.Work) schemas.Declaration {
	return schemas.Declaration{Kind: "Training", Spec: &schemas.Training{Work: w}}
}

func module(p string) schemas.Declaration {
	return schemas.Declaration{Kind: "Infrastructure", Spec: &schemas.Infrastructure{Module: p}}
}

// What a deployment logs follows the tags of all data that its model comes from: a tag that is
// added is another release, and a deployment without a log has nothing to do with it.
func TestALogKnowsWhichColumnsArePersonal(t *testing.T) {
	personal := func(log, columns string) ([]string, digest.Digest) {
		text := strings.Replace(project, "spec: {source: {path: d.csv}}", "spec: {source: {path: d.csv}, purpose: p, columns: {"+columns+"}}", 1)
		text = strings.Replace(text, "  target: {local:", "  "+log+"\n  target: {local:", 1)
		n := build(t, files(text)).Node(schemas.Ref{Kind: schemas.KindDeployment, Name: "s"})
		key, err := n.Recipe.Key()
		if err != nil {
			t.Fatal(err)
		}
		return n.Recipe.Personal, key
	}
	const email, age = "email: {tags: [personal]}", "age: {type: number}"
	got, tagged := personal("log: {columns: [zip]}", email+", "+age)
	if fmt.Sprint(got) != "[email zip]" {
		t.Errorf("%q are personal", got)
	}
	if _, plain := personal("log: {columns: [zip]}", "email: {type: string}, "+age); plain == tagged {
		t.Error("a tag that is taken away leaves the release as it is")
	}
	none, without := personal("", email)
	if _, same := personal("", age); none != nil || same != without {
		t.Errorf("a deployment without a log has %q", none)
	}
}
