// The shell blocks of the pages are run as they stand, each page in a story of its own; what
// cannot be run here is listed, with what runs it elsewhere or why nothing does.

package main

import (
	"maps"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/vishwaops/vishwa/reconciler/adapter/tracker/mlflowtest"
	"github.com/vishwaops/vishwa/reconciler/port/porttest/peers"
	"github.com/vishwaops/vishwa/reconciler/port/porttest/registrytest"
)

// elsewhere is why a block is not run here, and the line of the test that runs it, or what it does, in another way.
type elsewhere struct{ why, file, line string }

const (
	needsCluster = "needs a cluster: make test-kubernetes runs the block as it stands"
	onCluster    = "cmd/vishwa-release/chart_real_test.go"
)

// unrun are shell blocks, by page and first line, that no story runs. Their commands of
// vishwa and make are held against the program's own flags and make's targets all the same.
var unrun = map[string]elsewhere{
	"README.md: make demo    # sets up and runs the main job on a real example, in vishwa-demo/": {
		"make test is what runs this, and what make demo runs is run by the example's test", "examples/examples_test.go", `s.run(".", s.vishwa, "demo", s.dir)`},
	"CONTRIBUTING.md: go run ./cmd/vishwa-release verify --version VERSION --key build.pub DIR": {
		"needs a release: the tests of releases make one and verify it both ways", "cmd/vishwa-release/release_test.go", `"verify-blob-attestation"`},
	"guide.md: vishwa verify model/enrollment --out release     # lays it out, checks it, prints the commands below": {
		"two of its commands are shortened: the example's test runs them all, as verify prints them", "examples/examples_test.go", `s.run(s.repo(), s.vishwa, "verify"`},
	"kubernetes.md: make image PUSH=registry.example.com/team/vishwa": {
		"builds for minutes: the chart's test builds and pushes an image as this does", "cmd/vishwa-release/chart_install_test.go", `push: enginetest.Registry(t)`},
	"kubernetes.md: kubectl create namespace controllers":                                          {needsCluster, "cmd/vishwa-release/chart_install_test.go", `i.page(t, "create namespace")`},
	"kubernetes.md: helm install prod templates/chart -n controllers -f values.yaml":               {needsCluster, "cmd/vishwa-release/chart_install_test.go", `i.page(t, "helm install")`},
	"kubernetes.md: kubectl -n controllers rollout status deployment/prod-vishwa --timeout=180s":   {needsCluster, onCluster, `i.page(t, "rollout status")`},
	"kubernetes.md: helm upgrade prod templates/chart -n controllers -f values.yaml -f scale.yaml": {needsCluster, onCluster, `i.page(t, "scale.yaml")`},
	"kubernetes.md: helm upgrade prod templates/chart -n controllers -f values.yaml": {
		"needs a cluster: the block of the heading Scale, which is run, is this with one file more", onCluster, `i.page(t, "scale.yaml")`},
	"kubernetes.md: kubectl -n controllers scale deployment/prod-vishwa --replicas=0": {needsCluster, onCluster, `i.page(t, "--replicas=0")`},
	"kubernetes.md: helm uninstall prod -n controllers --wait":                        {needsCluster, onCluster, `i.page(t, "helm uninstall")`},
	"operating.md: useradd --system --home-dir /var/lib/vishwa --create-home --shell /usr/sbin/nologin vishwa": {
		"makes a user and a service of this machine; that the unit is there is tested", "cmd/vishwa/told_test.go", `os.ReadFile(unit)`},
	"operating.md: systemctl daemon-reload": {
		"needs systemd as the first process: systemd reads the unit in a test", "cmd/vishwa/told_test.go", `analyze, "verify", file`},
	"packages.md: cosign verify --key others/build.pub --new-bundle-format --trusted-root others/trusted-root.json \\": {
		"needs cosign: make test-package runs both commands", "cmd/vishwa/testdata/oci/package_real.txtar", "exec cosign verify-attestation --type https://slsa.dev/provenance/v1 --key"},
	"security.md: docker run --user 61001 --security-opt seccomp=unconfined --security-opt apparmor=unconfined --security-opt systempaths=unconfined IMAGE vishwa doctor": {
		"needs an engine that may loosen its own isolation; what doctor says there is tested level by level", "cmd/vishwa/doctor_test.go", `"no isolation"`},
	"tracking.md: vishwa runs show training/iris --out logged": {
		"needs a run that logs by a tool: the story of such runs has the command", "cmd/vishwa/testdata/script/tracking.txtar", "exec vishwa runs show training/price:curve --out ../logged"},
	"delivery.md: kubectl create namespace served": {
		"needs a cluster: the tests of deliveries run as an account with the rights of that file", "reconciler/adapter/server/kubernetes/deliver_test.go", `rightsOf(t, Watching)`},
	"servers.md: kubectl create namespace served": {
		"needs a cluster: the tests of deployments make the namespace and apply the rights of that file", "reconciler/adapter/server/kubernetes/real_test.go", `"../../../../" + Rights`},
}

// toldPages are the pages that have a story, testdata/docs/NAME.txtar, by its name.
func toldPages(t *testing.T) map[string]string {
	t.Helper()
	pages := map[string]string{}
	for _, page := range pagesOfTheDocs(t) {
		name := strings.ToLower(strings.TrimSuffix(filepath.Base(page), ".md"))
		if strings.Contains(filepath.ToSlash(page), "/docs/reference/") || strings.Contains(filepath.ToSlash(page), "/docs/decisions/") {
			continue
		}
		if _, err := os.Stat("testdata/docs/" + name + ".txtar"); err == nil {
			pages[name] = page
		}
	}
	return pages
}

// TestPagesAreToldAsTheyStand: testdata/docs/PAGE.txtar sets the scene and has the page's
// shell blocks as $WORK/PAGE-1.sh and so on, and its YAML as $WORK/PAGE-1.yaml; then it looks at what came of them.
func TestPagesAreToldAsTheyStand(t *testing.T) {
	t.Parallel()
	for name, page := range toldPages(t) {
		blocks := blocksOf(t, page)
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			keys := quickKeys(t)
			registry := peers.NewBetween(t, locked(registrytest.Memory()))
			mlflow := httptest.NewServer(mlflowtest.New())
			t.Cleanup(mlflow.Close)
			testscript.Run(t, testscript.Params{
				Files: []string{"testdata/docs/" + name + ".txtar"},
				Setup: func(env *testscript.Env) error {
					host := strings.TrimPrefix(registry.URL, "http://")
					for name, value := range map[string]string{"OCI": host, "VISHWA_OCI_REGISTRY": host, "VISHWA_OCI_USERNAME": registryUser, "VISHWA_OCI_PASSWORD": registryPassword, "MLFLOW": mlflow.URL} {
						env.Setenv(name, value)
					}
					if err := settle(t, env, keys); err != nil {
						return err
					}
					return scripts(env.WorkDir, name, blocks)
				},
				Cmds: map[string]func(*testscript.TestScript, bool, []string){
					"exits": exits, "project": project, "edit": edit, "commit": commit, "until": until,
					"image": func(ts *testscript.TestScript, _ bool, args []string) {
						pushImage(t, registry.URL[len("http://"):]+"/"+args[0], "amd64")
					},
				},
			})
		})
	}
}

// scripts writes the blocks of a page that a story runs.
func scripts(dir, name string, blocks []block) error {
	count := map[string]int{}
	for _, b := range blocks {
		if b.language != "sh" && b.language != "yaml" {
			continue
		}
		count[b.language]++
		if err := os.WriteFile(filepath.Join(dir, name+"-"+strconv.Itoa(count[b.language])+"."+b.language), []byte(b.text), 0o644); err != nil {
			return err
		}
	}
	return nil
}

// TestEveryShellBlockIsRunOrSaidWhyNot: by the story of its page, or there is a reason, and no
// reason is left over.
func TestEveryShellBlockIsRunOrSaidWhyNot(t *testing.T) {
	left := maps.Clone(unrun)
	ran := 0
	told := toldPages(t)
	for _, page := range pagesOfTheDocs(t) {
		name := strings.ToLower(strings.TrimSuffix(filepath.Base(page), ".md"))
		story := ""
		if told[name] == page {
			raw, err := os.ReadFile("testdata/docs/" + name + ".txtar")
			if err != nil {
				t.Fatal(err)
			}
			story = string(raw)
		}
		count := 0
		for _, b := range blocksOf(t, page) {
			if b.language != "sh" {
				continue
			}
			count++
			first, _, _ := strings.Cut(b.text, "\n")
			row := filepath.Base(page) + ": " + first
			_, said := unrun[row]
			delete(left, row)
			switch runs := strings.Contains(story, name+"-"+strconv.Itoa(count)+".sh"); {
			case runs && said:
				t.Errorf("%s:%d is run by its story: take it off the list", page, b.line)
			case runs:
				ran++
			case !said:
				t.Errorf("%s:%d is not run: source $WORK/%s-%d.sh in testdata/docs/%s.txtar, or say in unrun why it cannot be", page, b.line, name, count, name)
			}
		}
	}
	for row, by := range unrun {
		if raw, err := os.ReadFile("../../" + by.file); err != nil || by.why == "" || !strings.Contains(string(raw), by.line) {
			t.Errorf("%s: %s has no line %s (%v)", row, by.file, by.line, err)
		}
	}
	for _, row := range slices.Sorted(maps.Keys(left)) {
		t.Errorf("no page has the block %q: take it off the list", row)
	}
	if ran < 30 {
		t.Errorf("only %d blocks are run", ran)
	}
}

// TestTheUnitIsOneThatSystemdTakes, as far as this machine's systemd is there to ask.
func TestTheUnitIsOneThatSystemdTakes(t *testing.T) {
	raw, err := os.ReadFile(unit)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"NoNewPrivileges=yes", "ProtectSystem=strict", "CapabilityBoundingSet=\n", "KillMode=process", "RestrictNamespaces=no", "ProtectKernelTunables=no"} {
		if !strings.Contains(string(raw), "\n"+want) {
			t.Errorf("the unit lacks %s", want)
		}
	}
	analyze, err := exec.LookPath("systemd-analyze")
	if err != nil {
		t.Log("systemd-analyze is missing: the unit is read by this test alone")
		return
	}
	text := strings.NewReplacer("/usr/local/bin/vishwa ", "/bin/true ", "Documentation=man:vishwa-controller(1)\n", "", "DelegateSubgroup=controller\n", "").Replace(string(raw)) // the last is of systemd 254
	file := filepath.Join(t.TempDir(), "vishwa-controller.service")
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.CommandContext(t.Context(), analyze, "verify", file).CombinedOutput(); err != nil || len(out) > 0 {
		t.Errorf("systemd-analyze verify: %v\n%s", err, out)
	}
}
