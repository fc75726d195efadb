package schemas

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// TestAClaimIsWithinItsListHoweverItIsSpelt: whoever merges a declaration chooses the host and the path.
func TestAClaimIsWithinItsListHoweverItIsSpelt(t *testing.T) {
	list := []string{"churn.example.com", "*.churn.example.com", "models.example.com/churn", "*.shared.example.com/churn"}
	for _, c := range []struct {
		host, path string
		within     bool
	}{
		{"churn.example.com", "", true}, {"churn.example.com", "/", true}, {"churn.example.com", "/v1/x", true}, {"churn.example.com.", "", true}, {"Churn.Example.COM", "", true},
		{"a.churn.example.com", "", true}, {"b.a.churn.example.com", "/v1", true}, {"xchurn.example.com", "", false}, {"churn.example.com.evil.org", "", false}, {"example.com", "", false},
		{".churn.example.com", "", false}, {"churn.example.com:443", "", false}, {"churn.example.com/models.example.com", "", false}, {"*.example.com", "", false}, {"*", "", false},
		{"churn.example.com`) || Host(`payroll.example.com", "", false}, {"payroll.example.com`) || Host(`a.churn.example.com", "", false}, {"churn.example.com", "/`) || Host(`payroll.example.com", false},
		{"churn.example.com", "/v1/../..", false}, {"payroll.example.com/.churn.example.com", "", false}, {"payroll.example.com, a.churn.example.com", "", false}, {"{any:.*}", "", false}, {"chu\u200brn.example.com", "", false}, {"ch\u03c5rn.example.com", "", false}, {"xn--chrn-7od.example.com", "", false},
		{"models.example.com", "/churn", true}, {"models.example.com", "/churn/", true}, {"models.example.com", "/churn/v2", true},
		{"models.example.com", "", false}, {"models.example.com", "/", false}, {"models.example.com", "/churn-payroll", false}, {"models.example.com", "/Churn", false}, {"models.example.com", "/payroll", false},
		{"models.example.com", "/churn/../payroll", false}, {"models.example.com", "/churn/..", false}, {"models.example.com", "/churn/%2e%2e/payroll", false}, {"models.example.com", "/churn/..%2fpayroll", false},
		{"models.example.com", "/churn//../payroll", false}, {"models.example.com", "/churn/.", false}, {"models.example.com", "/churn/..;/payroll", false}, {"models.example.com", `/churn/..\payroll`, false}, {"models.example.com", "/%63hurn", false},
		{"a.shared.example.com", "/churn", true}, {"a.shared.example.com", "/", false}, {"shared.example.com", "/churn", false},
	} {
		if got := NewClaim(c.host, c.path).Within(list); got != c.within {
			t.Errorf("%q %q is within: %v", c.host, c.path, got)
		}
	}
	if unnamed := NewClaim("", ""); unnamed.Within(nil) || unnamed.Within(list) || unnamed.Within([]string{"*.example.com", "*/churn"}) || !unnamed.Within([]string{"*"}) || unnamed.Takes(unnamed) {
		t.Error("a host that is not declared is one of some, or that of another")
	}
	if NewClaim("any.example.com", "/").Within(nil) || !NewClaim("any.example.com", "/x").Within([]string{"*"}) || NewClaim("any.example.com", "/x").Within([]string{"*/y"}) {
		t.Error("an empty list has something, or * has not all, or leaves its path")
	}
}

func TestAListOfHostsIsReadAsItIsMeant(t *testing.T) {
	for _, text := range []string{"churn.example.com", "*.example.com", "*", "localhost", "models.example.com/churn", "*/churn", "xn--bcher-kva.example", "models.example.com/a/b~c"} {
		if wrong := ListsHost(text); wrong != "" {
			t.Errorf("%s %s", text, wrong)
		}
	}
	for _, text := range []string{"", "Churn.example.com", "churn.example.com.", "churn.example.com:443", "https://churn.example.com", "*.*.example.com", "a.*.example.com", "*example.com", "b\u00fccher.example", "a b", "a/", "a//b", "a/../b", "a/.",
		"a/%62", "a/b*", "a`) || Host(`b", "^a$", "-a", "a-", "a..b", ".a", strings.Repeat("a", 64), "a/" + strings.Repeat("b", 600)} {
		if ListsHost(text) == "" {
			t.Errorf("%q is taken for a host", text)
		}
	}
}

const (
	claimProject = "apiVersion: vishwa.dev/v1alpha1\nkind: Project\nmetadata: {name: p}\nspec:\n" +
		"  clusters: {prod: {context: prod, namespace: served}, again: {context: prod, namespace: other}, far: {context: far, namespace: served}}\n" +
		"  store: {s3: {url: \"s3://b/p\", region: r}}\n  environments: {staging: {}, production: {hosts: %s}}\n"
	claimImage = "r.example/i@sha256:0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a"
)

// problemsOf are those of deployments with these targets, but for models and code that are not there.
func problemsOf(t *testing.T, hosts string, targets ...string) (out []string) {
	t.Helper()
	files := map[string]string{"vishwa.yaml": fmt.Sprintf(claimProject, hosts), "x": ""}
	for i, target := range targets {
		environment, target, _ := strings.Cut(target, " ")
		files[fmt.Sprintf("vishwa/d%d.yaml", i)] = fmt.Sprintf("apiVersion: vishwa.dev/v1alpha1\nkind: Deployment\nmetadata: {name: d%d}\nspec:\n  model: model/m\n  environment: %s\n  target:\n    %s\n", i, environment, target)
	}
	_, problems := Load(t.Context(), repo(files))
	for _, p := range problems {
		if strings.HasPrefix(p.Field, "spec.target") || strings.HasPrefix(p.Field, "spec.env") {
			out = append(out, p.Error())
		}
	}
	return out
}

func byDocker(port int, traefik string) string {
	return fmt.Sprintf("docker: {image: %q, run: [x], code: [x], port: %d, traefik: {%s}}", claimImage, port, traefik)
}

func byCluster(cluster, way string) string {
	return fmt.Sprintf("kubernetes: {cluster: %s, image: %q, worker: %q, run: [x], code: [x], %s}", cluster, claimImage, claimImage, way)
}

func byKServe(cluster, way string) string {
	return fmt.Sprintf("kserve: {cluster: %s, modelFormat: onnx, worker: %q, %s}", cluster, claimImage, way)
}

// TestTwoDeploymentsDoNotClaimTheSameRequests: those of one would go to the other.
func TestTwoDeploymentsDoNotClaimTheSameRequests(t *testing.T) {
	const host = "host: a.example.com"
	for name, c := range map[string]struct {
		one, two string
		same     bool
	}{
		"a host of Traefik's":                     {byDocker(1, host), byDocker(2, host), true},
		"a path of it, spelt otherwise":           {byDocker(1, host+", path: /v1"), byDocker(2, host+", path: /v1/"), true},
		"another path":                            {byDocker(1, host+", path: /v1"), byDocker(2, host+", path: /v2"), false},
		"a path below":                            {byDocker(1, host), byDocker(2, host+", path: /v2"), false},
		"another host":                            {byDocker(1, host), byDocker(2, "host: b.example.com"), false},
		"entry points of which one is the same":   {byDocker(1, host+", entryPoints: [web, in]"), byDocker(2, host+", entryPoints: [secure, in]"), true},
		"entry points that differ":                {byDocker(1, host+", entryPoints: [web]"), byDocker(2, host+", entryPoints: [secure]"), false},
		"an entry point, and those by default":    {byDocker(1, host+", entryPoints: [web]"), byDocker(2, host), true},
		"those by default, and an entry point":    {byDocker(1, host), byDocker(2, host+", entryPoints: [web]"), true},
		"a Gateway":                               {byCluster("prod", "route: {gateway: g, "+host+"}"), byCluster("prod", "route: {gateway: g, namespace: served, "+host+"}"), true},
		"a cluster by two names":                  {byCluster("prod", "route: {gateway: g, namespace: n, "+host+"}"), byCluster("again", "route: {gateway: g, namespace: n, "+host+"}"), true},
		"a Gateway of another namespace":          {byCluster("prod", "route: {gateway: g, "+host+"}"), byCluster("again", "route: {gateway: g, "+host+"}"), false},
		"another cluster":                         {byCluster("prod", "ingress: {"+host+"}"), byCluster("far", "ingress: {"+host+"}"), false},
		"an ingress":                              {byCluster("prod", "ingress: {class: a, "+host+"}"), byCluster("again", "ingress: {class: a, "+host+"}"), true},
		"an ingress of the default class, or not": {byCluster("prod", "ingress: {class: a, "+host+"}"), byCluster("prod", "ingress: {"+host+"}"), true},
		"an ingress of another class":             {byCluster("prod", "ingress: {class: a, "+host+"}"), byCluster("prod", "ingress: {class: b, "+host+"}"), false},
		"a host of KServe's":                      {byKServe("prod", "expose: true, "+host), byKServe("again", "expose: true, "+host), true},
		"KServe of another cluster":               {byKServe("prod", "expose: true, "+host), byKServe("far", "expose: true, "+host), false},
		"Knative's own route":                     {byKServe("prod", "mode: knative, expose: true, "+host), byKServe("prod", "expose: true, host: a-predictor.example.com"), true},
		"Knative's route of the release before":   {byKServe("prod", "mode: knative, expose: true, "+host), byKServe("prod", "expose: true, host: prev-a-predictor.example.com"), true},
		"no route of Knative's":                   {byKServe("prod", "expose: true, "+host), byKServe("prod", "expose: true, host: a-predictor.example.com"), false},
		"two that KServe gives hosts":             {byKServe("prod", "expose: true"), byKServe("prod", "expose: true"), false},
		"an ingress and a route":                  {byCluster("prod", "ingress: {"+host+"}"), byCluster("prod", "route: {gateway: g, "+host+"}"), false},
	} {
		for _, targets := range [][]string{{"staging " + c.one, "production " + c.two}, {"staging " + c.two, "staging " + c.one}} {
			got := problemsOf(t, "[\"*\"]", targets...)
			if says := strings.Join(got, "\n"); c.same != strings.Contains(says, "is claimed by deployment/d0 as well") || len(got) > 1 || !c.same && len(got) > 0 {
				t.Errorf("%s: %s", name, says)
			}
		}
	}
	if got := problemsOf(t, "[\"*\"]", "staging "+byCluster("prod", "ingress: {"+host+"}, route: {gateway: g, "+host+"}")); len(got) > 0 {
		t.Errorf("two ways to one deployment: %v", got)
	}
}

func TestAnEnvironmentHasTheHostsThatTheProjectGivesIt(t *testing.T) {
	const hosts = "[churn.example.com, models.example.com/churn]"
	for name, c := range map[string]struct{ target, says string }{
		"one of them":            {"production " + byDocker(1, "host: churn.example.com"), ""},
		"a path of one":          {"production " + byDocker(1, "host: models.example.com, path: /churn/v1"), ""},
		"any elsewhere":          {"staging " + byDocker(1, "host: payroll.example.com"), ""},
		"another":                {"production " + byDocker(1, "host: payroll.example.com"), "vishwa/d0.yaml:8:148: spec.target.docker.traefik.host: payroll.example.com is none of the hosts of environment \"production\"; name one of those, or have it added to its hosts in vishwa.yaml"},
		"all of one":             {"production " + byCluster("prod", "route: {gateway: g, host: models.example.com}"), "spec.target.kubernetes.route.host: models.example.com is none of the hosts"},
		"another path":           {"production " + byCluster("prod", "ingress: {host: models.example.com, path: /churned}"), "spec.target.kubernetes.ingress.host: models.example.com/churned is none of the hosts"},
		"in capitals":            {"production " + byDocker(1, "host: Payroll.example.com"), "cannot be a name there"},
		"with a dot at its end":  {"production " + byDocker(1, "host: payroll.example.com."), "cannot be a name there"},
		"with a port":            {"production " + byDocker(1, "host: \"churn.example.com:80\""), "cannot be a name there"},
		"one of KServe's":        {"production " + byKServe("prod", "expose: true, host: churn.example.com"), ""},
		"another of KServe's":    {"production " + byKServe("prod", "expose: true, host: payroll.example.com"), "spec.target.kserve.host: payroll.example.com is none of the hosts of environment \"production\""},
		"Knative's own, too":     {"production " + byKServe("prod", "mode: knative, expose: true, host: churn.example.com"), "spec.target.kserve.host: churn-predictor.example.com is none of the hosts of environment \"production\""},
		"any that KServe gives":  {"production " + byKServe("prod", "expose: true"), "spec.target.kserve.expose: has KServe make a way in at a host that is not declared, and environment \"production\" has those that it lists; name the host that KServe gives it, as host: churn.example.com"},
		"any of them elsewhere":  {"staging " + byKServe("prod", "expose: true"), ""},
		"no way in of KServe's":  {"production " + byKServe("prod", ""), ""},
		"a host of none":         {"production " + byKServe("prod", "host: churn.example.com"), "spec.target.kserve.host: is that of a way in, and KServe makes none; add expose: true, or remove it"},
		"an odd one of KServe's": {"staging " + byKServe("prod", "expose: true, host: \"churn.example.com:80\""), "cannot be a name there"},
		"an empty one":           {"production " + byKServe("prod", "expose: true, host: \"\""), "spec.target.kserve.host: names no host"},
		"a wildcard":             {"staging " + byCluster("prod", "ingress: {host: \"*.example.com\"}"), "cannot be a name there"},
		"a rule":                 {"staging " + byDocker(1, "host: \"a`) || HostRegexp(`.*\""), "cannot be a name there"},
		"a way out of a path":    {"production " + byDocker(1, "host: models.example.com, path: /churn/../payroll"), "is a path that servers read in more than one way"},
		"one that is encoded":    {"staging " + byCluster("prod", "route: {gateway: g, host: a.example.com, path: /%63hurn}"), "is a path that servers read in more than one way"},
		"an empty part":          {"staging " + byCluster("prod", "ingress: {host: a.example.com, path: //churn}"), "is a path that servers read in more than one way"},
		"a part of one dot":      {"staging " + byCluster("prod", "ingress: {host: a.example.com, path: /./churn}"), "is a path that servers read in more than one way"},
	} {
		got := strings.Join(problemsOf(t, hosts, c.target), "\n")
		if c.says == "" && got != "" || !strings.Contains(got, c.says) {
			t.Errorf("%s: want %q in\n%s", name, c.says, got)
		}
	}
	knative := "production " + byKServe("prod", "mode: knative, expose: true, host: churn.example.com")
	if got := problemsOf(t, "[churn.example.com, churn-predictor.example.com]", knative); len(got) != 1 || !strings.Contains(got[0], "prev-churn-predictor.example.com is none of the hosts") {
		t.Errorf("of the release before: %v", got)
	}
	if got := problemsOf(t, "[churn.example.com, churn-predictor.example.com, prev-churn-predictor.example.com]", knative); len(got) != 0 {
		t.Errorf("all of Knative's: %v", got)
	}
	if got := problemsOf(t, "[]", "production "+byDocker(1, "host: a.example.com")); len(got) != 1 {
		t.Errorf("of no hosts: %v", got)
	}
	if got := problemsOf(t, "[a.example.com]}, pr0duction: {envelope: true", "pr0duction "+byDocker(1, "host: b.example.com")); len(got) != 1 || !strings.Contains(got[0], "none of the hosts of environment \"production\"") {
		t.Errorf("under another spelling: %v", got)
	}
	if got := problemsOf(t, "[\"https://a.example.com\"]"); len(got) != 1 || !strings.Contains(got[0], "spec.environments.production.hosts.0: \"https://a.example.com\" is no host; write churn.example.com") {
		t.Errorf("what is no host: %v", got)
	}
}

// TestManyClaimsAreHeldAgainstEachOtherInLittleTime: their number is an author's to choose.
func TestManyClaimsAreHeldAgainstEachOtherInLittleTime(t *testing.T) {
	targets := make([]string, 2000)
	for i := range targets {
		targets[i] = "staging " + byDocker(1000+i, fmt.Sprintf("host: a.example.com, entryPoints: [e%d]", i))
	}
	begun := time.Now()
	if got := problemsOf(t, "[]", targets...); len(got) > 0 {
		t.Errorf("%d problems, the first %s", len(got), got[0])
	}
	if took := time.Since(begun); took > time.Minute {
		t.Errorf("it took %v", took)
	}
}
