// What is asked by the way is asked as the remote's own branch says.

package app

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/vishwaops/vishwa/reconciler/adapter/gitledger"
	"github.com/vishwaops/vishwa/reconciler/adapter/repo"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/machine/gitstore/gittest"
	"github.com/vishwaops/vishwa/reconciler/pass"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/schemas"
)

// TestHowAPlaceIsAskedIsWhatWasAgreedOn: each setting that says who gets this machine's credentials, and whether they are encrypted.
func TestHowAPlaceIsAskedIsWhatWasAgreedOn(t *testing.T) {
	yes, no := true, false
	topic := func(change func(*schemas.LogTopic)) *schemas.PredictionLog {
		k := &schemas.LogTopic{Brokers: []string{"broker:9092"}, Topic: "asked", TLS: &schemas.LogTLS{}, SASL: &schemas.KafkaSASL{}}
		change(k)
		return &schemas.PredictionLog{Kafka: k}
	}
	gauge := func(url, token string) schemas.Gauge {
		return schemas.Gauge{Prometheus: &schemas.PrometheusGauge{URL: url, Query: "up", Token: token}}
	}
	asGauge := gauge("https://prometheus", "VISHWA_SOURCE_P")
	a := &agreement{decls: []schemas.Declaration{
		{Spec: &schemas.Package{OCI: schemas.OCIPackage{Repository: "r.example.com/a"}}},
		{Spec: &schemas.Package{OCI: schemas.OCIPackage{Repository: "r.example.com/plain", PlainHTTP: &yes}}},
		{Spec: &schemas.Deployment{Log: &schemas.PredictionLog{S3: &schemas.S3{URL: "s3://logs/a", Endpoint: "https://minio"}}}},
		{Spec: &schemas.Deployment{Log: topic(func(*schemas.LogTopic) {}), Rollout: &schemas.Rollout{Analyses: map[string]schemas.Analysis{"p": {Gauge: &asGauge}}}}},
	}}
	bucket := func(s schemas.S3) error { return a.log(&schemas.PredictionLog{S3: &s}) }
	for name, c := range map[string]struct {
		err  error
		asks bool
	}{
		"the registry":                     {a.registry(port.Registry{Repository: "r.example.com/a"}), true},
		"the registry, without TLS":        {a.registry(port.Registry{Repository: "r.example.com/a", PlainHTTP: &yes}), false},
		"the registry, with TLS in words":  {a.registry(port.Registry{Repository: "r.example.com/a", PlainHTTP: &no}), false},
		"one that is plain":                {a.registry(port.Registry{Repository: "r.example.com/plain", PlainHTTP: &yes}), true},
		"one that was plain":               {a.registry(port.Registry{Repository: "r.example.com/plain"}), false},
		"another registry":                 {a.registry(port.Registry{Repository: "evil.example.com/a"}), false},
		"no log":                           {a.log(nil), true},
		"a log in a folder":                {a.log(&schemas.PredictionLog{Dir: "/srv/log"}), true},
		"the bucket, sampled otherwise":    {a.log(&schemas.PredictionLog{Sample: 0.5, S3: &schemas.S3{URL: "s3://logs/a", Endpoint: "https://minio"}}), true},
		"the bucket, at another endpoint":  {bucket(schemas.S3{URL: "s3://logs/a", Endpoint: "http://minio"}), false},
		"the bucket, by another profile":   {bucket(schemas.S3{URL: "s3://logs/a", Endpoint: "https://minio", Profile: "admin"}), false},
		"the bucket, in another region":    {bucket(schemas.S3{URL: "s3://logs/a", Endpoint: "https://minio", Region: "evil"}), false},
		"the bucket, addressed otherwise":  {bucket(schemas.S3{URL: "s3://logs/a", Endpoint: "https://minio", PathStyle: &no}), false},
		"the topic":                        {a.log(topic(func(*schemas.LogTopic) {})), true},
		"the topic, without TLS":           {a.log(topic(func(k *schemas.LogTopic) { k.TLS = nil })), false},
		"the topic, by another broker":     {a.log(topic(func(k *schemas.LogTopic) { k.Brokers = []string{"evil:9092"} })), false},
		"the gauge":                        {a.gauge(asGauge), true},
		"the gauge, its token elsewhere":   {a.gauge(gauge("https://evil", "VISHWA_SOURCE_P")), false},
		"the gauge, without TLS":           {a.gauge(gauge("http://prometheus", "VISHWA_SOURCE_P")), false},
		"the gauge, with another's token":  {a.gauge(gauge("https://prometheus", "VISHWA_SOURCE_OTHER")), false},
		"a file that a gauge reads":        {a.gauge(schemas.Gauge{Evidently: &schemas.EvidentlyGauge{Report: "r.json"}}), true},
		"whoever acts, another registry":   {(&agreement{all: true}).registry(port.Registry{Repository: "other.example.com/a"}), true},
		"a branch nobody saw, a registry":  {(&agreement{}).registry(port.Registry{Repository: "r.example.com/a"}), false},
		"a branch nobody saw, a gauge":     {(&agreement{}).gauge(asGauge), false},
		"what acts, another registry's":    {(&agreement{all: true}).log(topic(func(k *schemas.LogTopic) { k.TLS = nil })), true},
		"to be packed, without TLS":        {a.packing(port.Package{At: port.Registry{Repository: "r.example.com/a", PlainHTTP: &yes}}), false},
		"to be packed, over another image": {a.packing(port.Package{At: port.Registry{Repository: "r.example.com/a"}, Image: &port.ServingImage{Base: "evil.example.com/python@sha256:00"}}), false},
	} {
		if c.asks != (c.err == nil) || c.err != nil && (!errors.As(c.err, new(port.Unasked)) || fault.HintOf(c.err) == "") {
			t.Errorf("%s: %v", name, c.err)
		}
	}
}

// TestACloneThatSawNoBranchOfTheRemotesAsksNoStore: a CI job checks out one commit, which may be a stranger's and name any bucket; with this
// machine's credentials none is asked before the clone, or the ledger, has heard what the remote's own branch names.
func TestACloneThatSawNoBranchOfTheRemotesAsksNoStore(t *testing.T) {
	gittest.NeedGit(t)
	remote := gittest.NewRepo(t)
	project := func(bucket string) {
		gittest.Write(t, remote, "vishwa.yaml", "apiVersion: vishwa.dev/v1alpha1\nkind: Project\nmetadata:\n  name: students\nspec:\n  store:\n    s3:\n      url: s3://"+bucket+"/kept\n")
		gittest.Git(t, remote, "add", "-A")
		gittest.Git(t, remote, "commit", "-q", "-m", bucket)
	}
	project("ours")
	own := strings.TrimSpace(gittest.Git(t, remote, "branch", "--show-current"))
	gittest.Git(t, remote, "switch", "-q", "-c", "change")
	project("theirs")
	gittest.Git(t, remote, "switch", "-q", own)

	// As actions/checkout does it: a commit of one branch, and no more.
	clone := t.TempDir()
	gittest.Git(t, clone, "init", "-q")
	gittest.Git(t, clone, "remote", "add", "origin", "file://"+remote)
	gittest.Git(t, clone, "fetch", "-q", "--depth=1", "origin", "+refs/heads/change:refs/remotes/origin/change")
	gittest.Git(t, clone, "checkout", "-q", "-B", "change", "refs/remotes/origin/change")
	open := func(ledger bool) *Repository {
		checkout, err := repo.Open(clone, repo.Options{})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = checkout.Close() })
		h := &Repository{Reconciler: &pass.Reconciler{Observers: pass.Observers{Repo: checkout}}, Repo: checkout}
		if ledger {
			h.GitLedger, err = gitledger.Open(checkout.Place(), gitledger.Options{Verifier: &gittest.Notary{}, Now: time.Now})
			if err == nil {
				_, err = h.GitLedger.Facts(t.Context())
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		return h
	}
	asks := func(h *Repository, bucket string) error {
		place, err := h.place(&schemas.Project{Store: &schemas.Store{S3: &schemas.S3{URL: "s3://" + bucket + "/kept"}}}, nil)
		if err != nil {
			t.Fatal(err)
		}
		return h.asksStore(Options{Look: true}, place)(t.Context())
	}
	for _, ledger := range []bool{false, true} {
		h := open(ledger)
		for _, bucket := range []string{"theirs", "ours"} {
			err := asks(h, bucket)
			if !port.WasUnasked(err) || !strings.Contains(err.Error(), "has not seen the branch") || !strings.Contains(fault.HintOf(err), "git fetch") {
				t.Errorf("with its ledger %v, it asks %s: %v", ledger, bucket, err)
			}
		}
	}
	gittest.Git(t, clone, "fetch", "-q", "--depth=1", "origin", "+refs/heads/"+own+":refs/remotes/origin/"+own)
	h := open(true) // which has heard what the remote calls its own
	if err := asks(h, "ours"); err != nil {
		t.Errorf("what the branch names: %v", err)
	}
	if err := asks(h, "theirs"); !port.WasUnasked(err) {
		t.Errorf("what the checkout alone names: %v", err)
	}
}
