// What one repository's declarations ask of a machine that others share is refused before it is had, however it is written.

package wrap

import (
	"context"
	"strings"
	"testing"

	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/schemas"
)

func shared() *Reach {
	return &Reach{Runners: []string{"unix:///run/team.sock", "ssh://ml@gpu-box"}, Bounds: Bounds{
		Own: []string{"WEBHOOK_SECRET", "VISHWA_SOURCE_OURS"}, Apart: true,
		Variables: &[]string{"HF_TOKEN", "WEBHOOK_SECRET"},
		Tokens:    &map[string][]string{"VISHWA_SOURCE_API": {"https://api.example.com/v1"}, "VISHWA_SOURCE_OURS": {"https://api.example.com"}},
		Storage:   &[]string{"s3://acme/churn", "https://minio.example.com:9000/acme/churn/", "oci://registry.example.com/churn", "/srv/churn", "git@github.com:acme/data", "https://github.com/acme/public.git", "kafka://one.example:9092/t", "kafka://two.example:9092"},
		Hosts:     &[]string{"churn.example.com", "*.churn.example.com", "models.example.com/churn"},
	}}
}

func TestWhatBelongsToAnotherRepositoryIsRefused(t *testing.T) {
	may := shared()
	ask := func(what func(string) error, all map[string]bool) {
		t.Helper()
		for asked, lets := range all {
			err := what(asked)
			if (err == nil) != lets || err != nil && (fault.Of(err) != fault.Denied || fault.HintOf(err) == "") {
				t.Errorf("%s: %v (%s)", asked, err, fault.HintOf(err))
			}
		}
	}
	ask(may.Variable, map[string]bool{"HF_TOKEN": true, "AWS_SECRET_ACCESS_KEY": false, "hf_token": false, "": false, "WEBHOOK_SECRET": false, "HOME": false})
	ask(func(address string) error { return may.Token("VISHWA_SOURCE_API", address) }, map[string]bool{
		"https://api.example.com/v1": true, "https://api.example.com/v1/users": true, "https://api.example.com/v1/../v2": false,
		"https://api.example.com": false, "https://api.example.com/v10": false, "http://api.example.com/v1": false,
		"https://api.example.com@evil.example/v1": false, "https://api.example.com.evil.example/v1": false, "https://evil.example/https://api.example.com/v1": false,
	})
	if may.Token("VISHWA_SOURCE_OTHER", "https://api.example.com/v1") == nil || may.Token("VISHWA_SOURCE_OURS", "https://api.example.com") == nil {
		t.Error("a token of another's is sent")
	}
	ask(may.Place, map[string]bool{
		"s3://acme/churn": true, "s3://acme/churn/": true, "s3://acme/churn/raw/1.csv": true, "https://minio.example.com:9000/acme/churn/x": true,
		"s3://acme": false, "s3://acme/churn2": false, "s3://acme/churn/../payroll": false, "s3://acme/payroll": false, "s3://other/churn": false,
		// The bucket's name at a server of the attacker's, who would have signed requests to hand on.
		"https://evil.example/acme/churn": false, "http://minio.example.com:9000/acme/churn": false, "https://minio.example.com:9000/payroll": false,
		"oci://registry.example.com/churn/base": true, "oci://registry.example.com/churn-secret": false, "oci://registry.example.com": false,
		"/srv/churn": true, "/srv/churn/sub/": true, "/srv/churn/../payroll": false, "/srv/churning": false, "/": false, "": false, "~/churn": false,
		"git@github.com:acme/data": true, "git@github.com:acme/payroll": false, "https://github.com/acme/public.git": true, "https://github.com/acme/payroll.git": false,
	})
	ask(func(asked string) error {
		host, path, _ := strings.Cut(asked, "/")
		return may.Host(schemas.NewClaim(host, path))
	}, map[string]bool{
		"churn.example.com": true, "churn.example.com/v1": true, "a.churn.example.com": true, "models.example.com/churn/v1": true, "CHURN.example.com.": true,
		"payroll.example.com": false, "models.example.com": false, "models.example.com/churn-2": false, "models.example.com/churn/../payroll": false, "models.example.com/churn/%2e%2e/payroll": false,
		"churn.example.com:443": false, "*.example.com": false, "churn.example.com`)||Host(`payroll.example.com": false, "payroll.example.com`)||Host(`a.churn.example.com": false, "churn.example.com/`)||Host(`payroll.example.com": false, "": false,
	})
	if may.Programs() == nil {
		t.Error("a program of its begins without a sandbox beside those of others")
	}
}

// TestWhoIsAloneHasWhatItDeclares: and yet nothing of the controller's own, and a user's own commands have all.
func TestWhoIsAloneHasWhatItDeclares(t *testing.T) {
	alone := &Reach{Bounds: Bounds{Own: []string{"WEBHOOK_SECRET"}}}
	for _, may := range []*Reach{nil, alone} {
		for what, err := range map[string]error{
			"variable": may.Variable("HF_TOKEN"), "token": may.Token("VISHWA_SOURCE_API", "https://anywhere.example"), "place": may.Place("s3://any/where"), "programs": may.Programs(), "host": may.Host(schemas.NewClaim("any.example.com", "/")),
			"release": may.Release(port.Release{Log: &port.PredictionLog{PredictionLog: schemas.PredictionLog{Dir: "/srv"}}}),
			"topic":   may.Release(port.Release{Log: &port.PredictionLog{PredictionLog: schemas.PredictionLog{Kafka: &schemas.LogTopic{Brokers: []string{"kafka.internal:9092"}, Topic: "t"}}}}),
		} {
			if err != nil {
				t.Errorf("%s: %v", what, err)
			}
		}
	}
	if alone.Variable("WEBHOOK_SECRET") == nil || alone.Token("WEBHOOK_SECRET", "https://evil.example") == nil {
		t.Error("the controller's own secret is a declaration's to pass on")
	}
}

func TestAReleaseHasWhatItsRepositoryMay(t *testing.T) {
	hosted := func(pass ...string) port.Hosted { return port.Hosted{Pass: pass} }
	log := func(l schemas.PredictionLog) *port.PredictionLog { return &port.PredictionLog{PredictionLog: l} }
	kafka := func(user string, brokers ...string) *port.PredictionLog {
		return log(schemas.PredictionLog{Kafka: &schemas.LogTopic{Brokers: brokers, Topic: "t", SASL: &schemas.KafkaSASL{User: user, Password: user}}})
	}
	plain := func(topic string, brokers ...string) *port.PredictionLog {
		return log(schemas.PredictionLog{Kafka: &schemas.LogTopic{Brokers: brokers, Topic: topic}})
	}
	host := &shelf{live: map[string]port.Live{}}
	may := shared()
	(*may.Tokens)["VISHWA_SOURCE_LOG"] = []string{"kafka://one.example:9092"}
	served := Served(host, nil, may)
	for name, c := range map[string]struct {
		r    port.Release
		lets bool
	}{
		"a variable of its own":    {port.Release{Local: &port.LocalRelease{Hosted: hosted("HF_TOKEN")}}, true},
		"another's":                {port.Release{Local: &port.LocalRelease{Hosted: hosted("HF_TOKEN", "PAYROLL_KEY")}}, false},
		"another's in docker":      {port.Release{Docker: &port.DockerRelease{Hosted: hosted("PAYROLL_KEY")}}, false},
		"another's in pods":        {port.Release{Kubernetes: &port.KubernetesRelease{KubernetesTarget: schemas.KubernetesTarget{Work: schemas.Work{Env: schemas.Environs{Pass: []string{"PAYROLL_KEY"}}}}}}, false},
		"a host of its own":        {port.Release{Docker: &port.DockerRelease{Traefik: &schemas.Traefik{Host: "churn.example.com"}}}, true},
		"another's host":           {port.Release{Docker: &port.DockerRelease{Traefik: &schemas.Traefik{Host: "payroll.example.com"}}}, false},
		"a path of its own":        {port.Release{Kubernetes: &port.KubernetesRelease{KubernetesTarget: schemas.KubernetesTarget{Route: &schemas.Route{Host: "models.example.com", Path: "/churn"}}}}, true},
		"another's path":           {port.Release{Kubernetes: &port.KubernetesRelease{KubernetesTarget: schemas.KubernetesTarget{Route: &schemas.Route{Host: "models.example.com", Path: "/payroll"}}}}, false},
		"another's, by an ingress": {port.Release{Kubernetes: &port.KubernetesRelease{KubernetesTarget: schemas.KubernetesTarget{Route: &schemas.Route{Host: "churn.example.com"}, Ingress: &schemas.Ingress{Host: "payroll.example.com"}}}}, false},
		"a host of KServe's":       {port.Release{KServe: &port.KServeRelease{KServeTarget: schemas.KServeTarget{Expose: true, Host: "churn.example.com"}}}, true},
		"another's, of KServe's":   {port.Release{KServe: &port.KServeRelease{KServeTarget: schemas.KServeTarget{Expose: true, Host: "payroll.example.com"}}}, false},
		"any that KServe gives":    {port.Release{KServe: &port.KServeRelease{KServeTarget: schemas.KServeTarget{Expose: true}}}, false},
		"none of KServe's":         {port.Release{KServe: &port.KServeRelease{}}, true},
		"for others to apply":      {port.Release{Git: &schemas.GitDelivery{Branch: "live", Path: "models"}, Kubernetes: &port.KubernetesRelease{KubernetesTarget: schemas.KubernetesTarget{Ingress: &schemas.Ingress{Host: "payroll.example.com"}}}}, false},
		"an engine of its own":     {port.Release{Docker: &port.DockerRelease{Host: "unix:///run/team.sock"}}, true},
		"the controller's engine":  {port.Release{Docker: &port.DockerRelease{}}, true},
		"another's engine":         {port.Release{Docker: &port.DockerRelease{Host: "unix:///run/payroll.sock"}}, false},
		"a machine of its own":     {port.Release{Docker: &port.DockerRelease{Host: "ssh://ml@gpu-box"}}, true},
		"another user of it":       {port.Release{Docker: &port.DockerRelease{Host: "ssh://root@gpu-box"}}, false},
		"no user of it":            {port.Release{Docker: &port.DockerRelease{Host: "ssh://gpu-box"}}, false},
		"another port of it":       {port.Release{Docker: &port.DockerRelease{Host: "ssh://ml@gpu-box:2222"}}, false},
		"its engine without SSH":   {port.Release{Docker: &port.DockerRelease{Host: "tcp://gpu-box:2376"}}, false},
		"another machine":          {port.Release{Docker: &port.DockerRelease{Host: "ssh://ml@gpu-box.evil.example"}}, false},
		"a log in its bucket":      {port.Release{Local: &port.LocalRelease{}, Log: log(schemas.PredictionLog{S3: &schemas.S3{URL: "s3://acme/churn/log"}})}, true},
		"a log in another's":       {port.Release{Local: &port.LocalRelease{}, Log: log(schemas.PredictionLog{S3: &schemas.S3{URL: "s3://acme/payroll"}})}, false},
		"a log in its folder":      {port.Release{Local: &port.LocalRelease{}, Log: log(schemas.PredictionLog{Dir: "/srv/churn/log"})}, true},
		"a log in another's dir":   {port.Release{Local: &port.LocalRelease{}, Log: log(schemas.PredictionLog{Dir: "/srv/payroll"})}, false},
		"a log in its topic":       {port.Release{Local: &port.LocalRelease{}, Log: kafka("VISHWA_SOURCE_LOG", "one.example:9092")}, true},
		"a log in clear":           {port.Release{Local: &port.LocalRelease{}, Log: plain("t", "one.example:9092")}, true},
		"a log at two brokers":     {port.Release{Local: &port.LocalRelease{}, Log: plain("t", "one.example:9092", "two.example:9092")}, true},
		"a log in another's topic": {port.Release{Local: &port.LocalRelease{}, Log: plain("t", "two.example:9092", "10.0.0.7:9092")}, false},
		"a log in a topic beside":  {port.Release{Local: &port.LocalRelease{}, Log: plain("t2", "one.example:9092")}, false},
		"a log at another port":    {port.Release{Local: &port.LocalRelease{}, Log: plain("t", "one.example:90920")}, false},
		"a log at any broker":      {port.Release{Local: &port.LocalRelease{}, Log: kafka("VISHWA_SOURCE_LOG", "one.example:9092", "evil.example:9092")}, false},
		"a log by another's":       {port.Release{Local: &port.LocalRelease{}, Log: kafka("VISHWA_SOURCE_OTHER", "one.example:9092")}, false},
	} {
		asked := host.asked
		c.r.Name = "one"
		_, err := served.Apply(t.Context(), c.r)
		if refused := err != nil && fault.Of(err) == fault.Denied; refused == c.lets || refused && host.asked != asked {
			t.Errorf("%s: %v, and the server was asked %d times", name, err, host.asked-asked)
		}
		if !c.lets {
			if _, err := served.(port.Splitter).Split(t.Context(), c.r, port.Part{Weight: 10}); fault.Of(err) != fault.Denied || err == nil {
				t.Errorf("%s, tried beside: %v", name, err)
			}
		}
	}
}

type began struct {
	port.Runner
	port.Provisioner
	n int
}

func (b *began) Start(context.Context, port.Job) (port.Run, error) { b.n++; return port.Run{}, nil }
func (b *began) Diff(context.Context, port.Infrastructure) (port.Change, error) {
	b.n++
	return port.Change{}, nil
}
func (b *began) Apply(context.Context, port.Infrastructure, port.Change) (port.Outcome, error) {
	b.n++
	return port.Outcome{}, nil
}

func TestNothingIsBegunThatWouldBeGivenWhatIsAnothers(t *testing.T) {
	b := &began{}
	may := shared()
	runs, stacks := BoundedRuns(b, port.Env{Bounds: may}), BoundedTools(b, may)
	_, ran := runs.Start(t.Context(), port.Job{Pass: []string{"HF_TOKEN", "PAYROLL_KEY"}})
	_, planned := stacks.Diff(t.Context(), port.Infrastructure{})
	_, applied := stacks.Apply(t.Context(), port.Infrastructure{}, port.Change{})
	may.Apart = false
	_, passed := stacks.Diff(t.Context(), port.Infrastructure{Pass: []string{"PAYROLL_KEY"}})
	for what, err := range map[string]error{"a run": ran, "a plan": planned, "an apply": applied, "a plan with another's credentials": passed} {
		if err == nil || fault.Of(err) != fault.Denied || !strings.Contains(fault.HintOf(err), "in the controller's file") {
			t.Errorf("%s: %v (%s)", what, err, fault.HintOf(err))
		}
	}
	if b.n > 0 {
		t.Fatalf("%d things were begun", b.n)
	}
	if _, err := runs.Start(t.Context(), port.Job{Pass: []string{"HF_TOKEN"}}); err != nil {
		t.Error(err)
	}
	if _, err := stacks.Diff(t.Context(), port.Infrastructure{Pass: []string{"HF_TOKEN"}}); err != nil {
		t.Error(err)
	}
	if BoundedRuns(b, port.Env{}) != port.Runner(b) {
		t.Error("a user's own runs are asked about")
	}
}

func TestARunReachesWhatItDeclares(t *testing.T) {
	b := &began{}
	runs := BoundedRuns(b, port.Env{Bounds: &Reach{Bounds: Bounds{Declared: true}}})
	for name, c := range map[string]struct {
		job  port.Job
		lets bool
	}{
		"nothing is declared": {port.Job{}, false},
		"all is":              {port.Job{Network: schemas.Network{schemas.NetworkAll}}, false},
		"none is":             {port.Job{Network: schemas.Network{schemas.NetworkNone}}, true},
		"hosts are":           {port.Job{Network: schemas.Network{"huggingface.co:443"}}, true},
		"a team's own DAG":    {port.Job{External: &schemas.External{}}, true},
	} {
		before := b.n
		_, err := runs.Start(t.Context(), c.job)
		if (err == nil) != c.lets || c.lets != (b.n > before) || err != nil && (fault.Of(err) != fault.Denied || !strings.Contains(fault.HintOf(err), "network: none")) {
			t.Errorf("%s: %v (%s)", name, err, fault.HintOf(err))
		}
	}
	if err := (&Reach{}).Network(true); err != nil {
		t.Errorf("without it, %v", err)
	}
}
