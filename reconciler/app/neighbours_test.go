// The author of a merged declaration in one repository of a controller attacks another: its tokens, its bucket, its folders and its
// repository, by each place that a declaration can name. Nothing of it may be asked for.

package app

import (
	"context"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"testing/fstest"
	"time"

	"github.com/vishwaops/vishwa/reconciler/adapter/gauge"
	"github.com/vishwaops/vishwa/reconciler/adapter/server"
	"github.com/vishwaops/vishwa/reconciler/data"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/format/dvc"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/reconciler/port/wrap"
	"github.com/vishwaops/vishwa/schemas"
)

// neighbours is a machine with what is repository B's: a server that hears, credentials, and a folder.
type neighbours struct {
	heard  atomic.Int64
	said   atomic.Value // the last Authorization
	server *httptest.Server
	folder string
	env    port.Env
}

func neighbourhood(t *testing.T, may *wrap.Reach) *neighbours {
	t.Helper()
	n := &neighbours{folder: t.TempDir()}
	n.server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n.heard.Add(1)
		n.said.Store(r.Header.Get("Authorization"))
		http.Error(w, "", http.StatusNotFound)
	}))
	t.Cleanup(n.server.Close)
	vars := map[string]string{"AWS_ACCESS_KEY_ID": "all", "AWS_SECRET_ACCESS_KEY": "all", "VISHWA_SOURCE_B": "hunter2", "VISHWA_SOURCE_USER": "u", "HOME": t.TempDir()}
	n.env = port.Env{Now: time.Now, Log: slog.New(slog.DiscardHandler), Lookup: func(name string) (string, bool) { v, ok := vars[name]; return v, ok }}
	if may != nil {
		n.env.Bounds = may
	}
	return n
}

// attacks are by the place that a declaration names; each asks for it.
func (n *neighbours) attacks(ctx context.Context, t *testing.T) map[string]func() error {
	at, host := n.server.URL, strings.TrimPrefix(n.server.URL, "http://")
	o := RefreshOptions{Env: n.env, Allow: []string{"127.0.0.1"}}
	look := func(src schemas.DataSource) func() error {
		return func() error {
			from, err := o.open(src, "")
			if err == nil {
				_, err = from.Inspect(ctx)
			}
			return err
		}
	}
	bucket := schemas.S3{URL: "s3://b-data/raw/", Endpoint: at, Region: "r"}
	remote := func(lines string) func() error {
		return func() error {
			config, err := dvc.ParseConfig(".dvc/config", []byte("[core]\nremote = r\n['remote \"r\"']\n"+lines))
			if err != nil {
				return err
			}
			r, err := data.OpenRemote(config, "", "", n.env, 0)
			if err == nil {
				_, err = r.Bucket.Stat(ctx, "x")
			}
			return err
		}
	}
	stored := func(p StoreRef) func() error {
		return func() error {
			s, err := OpenStore(p, n.env)
			if err == nil {
				_, err = s.Has(ctx, "sha256:"+"ab"+"00000000000000000000000000000000000000000000000000000000000000")
			}
			return err
		}
	}
	logs := func(l schemas.PredictionLog) func() error {
		return func() error {
			b, prefix, err := server.OpenPredictions(t.TempDir(), "one", &l, server.Access{Env: n.env})
			if err == nil {
				_, err = b.Stat(ctx, prefix+"x")
			}
			return err
		}
	}
	return map[string]func() error{
		"a token by HTTP":       look(schemas.DataSource{HTTP: &schemas.HTTP{URL: at + "/x.csv", Token: "VISHWA_SOURCE_B"}}),
		"a token to Airflow":    look(schemas.DataSource{Airflow: &schemas.AirflowData{URL: at, Token: "VISHWA_SOURCE_B", DAG: "d", S3: &bucket}}),
		"a password to brokers": look(schemas.DataSource{Kafka: &schemas.Kafka{Brokers: []string{host}, Topic: "t", Format: "json", SASL: &schemas.KafkaSASL{Mechanism: "plain", User: "VISHWA_SOURCE_USER", Password: "VISHWA_SOURCE_B"}}}),
		"a password to a registry of schemas": look(schemas.DataSource{Kafka: &schemas.Kafka{Brokers: []string{host}, Topic: "t", Format: "avro",
			Schema: &schemas.MessageSchema{Registry: &schemas.SchemaRegistry{URL: at, User: "VISHWA_SOURCE_USER", Password: "VISHWA_SOURCE_B"}}}}),
		"a token to Prometheus": func() error {
			g, err := gauge.Prometheus(schemas.PrometheusGauge{URL: at, Query: "up", Token: "VISHWA_SOURCE_B"}, gauge.Options{Env: n.env, Allow: o.Allow, Wait: time.Second})
			if err == nil {
				_, err = g.Measure(ctx)
			}
			return err
		},
		"a source in its bucket": look(schemas.DataSource{S3: &bucket}),
		"profiles in its bucket": func() error {
			_, err := gauge.Whylogs(fstest.MapFS{}, schemas.WhylogsGauge{Profile: "s3://b-data/p.bin", Reference: "s3://b-data/q.bin", Endpoint: at, Region: "r"}, gauge.Options{Env: n.env, Allow: o.Allow}).Measure(ctx)
			return err
		},
		"a remote in its bucket":   remote("url = s3://b-data/dvc\nendpointurl = " + at + "\nregion = r\n"),
		"a remote in its folder":   remote("url = " + n.folder + "\n"),
		"a store in its bucket":    stored(StoreRef{Dir: t.TempDir(), Away: &schemas.Store{S3: &bucket}}),
		"a store in its registry":  stored(StoreRef{Dir: t.TempDir(), Away: &schemas.Store{OCI: &schemas.OCI{URL: "oci://" + host + "/b/store"}}}),
		"a store in its remote":    stored(StoreRef{Dir: t.TempDir(), Away: &schemas.Store{DVC: &schemas.DVCRemote{}}, DVC: &data.Place{Name: "r", URL: n.folder}}),
		"its log of a bucket":      logs(schemas.PredictionLog{S3: &bucket}),
		"its log of a topic":       logs(schemas.PredictionLog{Kafka: &schemas.LogTopic{Brokers: []string{host}, Topic: "t"}}),
		"its log of a folder":      logs(schemas.PredictionLog{Dir: n.folder}),
		"its repository, by SSH":   look(schemas.DataSource{DVC: &schemas.DVC{Path: "data/raw", Repo: "ssh://git@" + host + "/acme/b.git"}}),
		"its repository, by HTTP":  look(schemas.DataSource{DVC: &schemas.DVC{Path: "data/raw", Repo: at + "/acme/b.git"}}),
		"its repository's folder":  look(schemas.DataSource{DVC: &schemas.DVC{Path: "data/raw", Repo: n.folder}}),
		"the cloud's own metadata": look(schemas.DataSource{HTTP: &schemas.HTTP{URL: "http://169.254.169.254/latest/meta-data/"}}),
	}
}

func TestADeclarationTakesNothingOfAnotherRepositorys(t *testing.T) {
	none := []string{}
	n := neighbourhood(t, &wrap.Reach{Bounds: wrap.Bounds{Variables: &none, Tokens: &map[string][]string{"VISHWA_SOURCE_B": {"https://b.example.com"}}, Storage: &[]string{"s3://a-data", "/srv/a"}, Apart: true}})
	for name, attack := range n.attacks(t.Context(), t) {
		err := attack()
		if err == nil || fault.Of(err) != fault.Denied || fault.HintOf(err) == "" {
			t.Errorf("%s: %v (%s)", name, err, fault.HintOf(err))
		}
		if err != nil && strings.Contains(err.Error()+fault.HintOf(err), "hunter2") {
			t.Errorf("%s: the message tells the token", name)
		}
		if heard := n.heard.Swap(0); heard > 0 {
			t.Errorf("%s: what is the other's heard %d requests, the last with %v", name, heard, n.said.Load())
		}
	}
}

// TestAListedPlaceIsAsked: the same places are asked where the controller's file lists them, and by a user's own command.
func TestAListedPlaceIsAsked(t *testing.T) {
	listed := neighbourhood(t, &wrap.Reach{})
	*listed.env.Bounds.(*wrap.Reach) = wrap.Reach{Bounds: wrap.Bounds{
		Tokens:  &map[string][]string{"VISHWA_SOURCE_B": {listed.server.URL, "kafka://" + strings.TrimPrefix(listed.server.URL, "http://")}, "VISHWA_SOURCE_USER": {listed.server.URL, "kafka://" + strings.TrimPrefix(listed.server.URL, "http://")}},
		Storage: &[]string{listed.server.URL + "/b-data", "oci://" + strings.TrimPrefix(listed.server.URL, "http://"), listed.folder, listed.server.URL + "/acme"},
	}}
	for who, n := range map[string]*neighbours{"listed": listed, "a user's": neighbourhood(t, nil)} {
		for name := range n.attacks(t.Context(), t) {
			if strings.Contains(name, "brokers") || strings.Contains(name, "topic") || strings.Contains(name, "schemas") || strings.Contains(name, "SSH") || strings.Contains(name, "metadata") {
				continue // they speak no HTTP, or are nobody's
			}
			n.heard.Store(0)
			asked, done := context.WithTimeout(t.Context(), 500*time.Millisecond)
			err := n.attacks(asked, t)[name]()
			done()
			here := strings.Contains(name, "folder") || name == "a store in its remote"
			if !here && n.heard.Load() == 0 {
				t.Errorf("%s, %s: nobody was asked: %v", who, name, err)
			}
			if err != nil && strings.Contains(fault.HintOf(err), "in the controller's file") {
				t.Errorf("%s, %s: %v", who, name, err)
			}
		}
	}
}

// TestAStoreOfAnothersFolderIsRefusedBeforeItIsTouched: nothing is left there either.
func TestAStoreOfAnothersFolderIsRefusedBeforeItIsTouched(t *testing.T) {
	n := neighbourhood(t, &wrap.Reach{Bounds: wrap.Bounds{Storage: &[]string{"/srv/a"}}})
	tree := fstest.MapFS{".dvc/config": {Data: []byte("[core]\nremote = r\n['remote \"r\"']\nurl = " + n.folder + "\n")}}
	if _, err := (data.Fetcher{Env: n.env}).FetchData(t.Context(), tree, port.DataPointer{File: "data.dvc", Path: "data", Name: "0123456789abcdef0123456789abcdef"}, func(string) {}); err == nil || fault.Of(err) != fault.Denied {
		t.Errorf("data was brought from another's folder: %v", err)
	}
	if left, _ := os.ReadDir(n.folder); len(left) > 0 {
		t.Errorf("%d things were put into another's folder", len(left))
	}
}

// TestADeclaredHostLeadsARunNowhereInside: the cloud's metadata and the machine's own ports are hosts that anybody can declare.
func TestADeclaredHostLeadsARunNowhereInside(t *testing.T) {
	heard := make(chan struct{}, 8)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			heard <- struct{}{}
			c.Close()
		}
	}()
	env := port.Env{Now: time.Now, Log: slog.New(slog.DiscardHandler), Lookup: func(string) (string, bool) { return "", false }}
	dial := func(r runs, to string) error { // as a supervisor, a process of its own, is told
		t.Helper()
		r.Store, r.Seal = StoreRef{Dir: t.TempDir()}.String(), t.TempDir()+"/seal/key"
		c, err := SuperviseConfig(r.String(), env)
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		conn, err := c.Dial(ctx, "tcp", to)
		if err == nil {
			conn.Close()
		}
		return err
	}
	for _, to := range []string{l.Addr().String(), "169.254.169.254:80", "[fd00:ec2::254]:80", "[::ffff:127.0.0.1]:80", "localhost:" + strings.TrimPrefix(l.Addr().String(), "127.0.0.1:")} {
		if err := dial(runs{Bound: true}, to); err == nil || fault.Of(err) != fault.Denied {
			t.Errorf("a bound run reaches %s: %v", to, err)
		}
	}
	if len(heard) > 0 {
		t.Fatal("this machine was dialled")
	}
	for what, r := range map[string]runs{"which the file allows": {Bound: true, Allow: []string{"127.0.0.1"}}, "which is not bound": {}} {
		if err := dial(r, l.Addr().String()); err != nil {
			t.Errorf("a run %s: %v", what, err)
		}
		<-heard
	}
}

// TestBoundRunsInstallAsReviewedOnesDo: that runs reach what they declare alone takes no index from the lock file of the
// tracked branch, and no packages' cache; and the lock file leads nowhere inside. Those of pull requests stay as they are.
func TestBoundRunsInstallAsReviewedOnesDo(t *testing.T) {
	env := port.Env{Now: time.Now, Log: slog.New(slog.DiscardHandler), Lookup: func(string) (string, bool) { return "", false }}
	for _, r := range []runs{{}, {For: "pulls"}} {
		r.Store, r.Seal = StoreRef{Dir: t.TempDir()}.String(), t.TempDir()+"/seal/key"
		r.bind(nil)
		c, err := SuperviseConfig(r.String(), env)
		if err != nil {
			t.Fatal(err)
		}
		if got := c.Envs.Wall.Unreviewed(); !c.Envs.Wall.Strict || got != (r.For == "pulls") {
			t.Errorf("for %q: installs as what nobody reviewed: %t, behind a wall that must hold: %t", r.For, got, c.Envs.Wall.Strict)
		}
		if conn, err := c.Envs.Named(t.Context(), "tcp", "169.254.169.254:80"); err == nil || fault.Of(err) != fault.Denied {
			t.Errorf("for %q: a lock file leads to %v, %v", r.For, conn, err)
		}
	}
}
