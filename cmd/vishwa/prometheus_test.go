// Stories with a real Prometheus and a real Alertmanager, which make test-prometheus builds from
// their Go modules.

package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/vishwaops/vishwa/cmd/vishwa-devforge/devforge"
	"github.com/vishwaops/vishwa/reconciler/freeport"
)

// realPrometheus tells whether the programs are there.
func realPrometheus(t *testing.T) {
	t.Helper()
	if os.Getenv("VISHWA_PROMETHEUS") == "" {
		t.Skip("make test-prometheus runs it: it builds Prometheus and Alertmanager")
	}
}

func TestPrometheusScripts(t *testing.T) {
	realPrometheus(t)
	keys := quickKeys(t)
	commands := forgeCommands()
	commands["prometheus"], commands["issues"] = prometheusDoes, issuesAre
	testscript.Run(t, testscript.Params{
		Dir: "testdata/prometheus",
		Setup: func(env *testscript.Env) error {
			if err := settle(t, env, keys); err != nil {
				return err
			}
			if err := web(env); err != nil {
				return err
			}
			return begin(t, env)
		},
		Cmds: commands,
	})
}

// TestPrometheusTakesTheRules: promtool reads the rules and passes their tests.
func TestPrometheusTakesTheRules(t *testing.T) {
	realPrometheus(t)
	for _, args := range [][]string{{"check", "rules", "rules.yaml"}, {"check", "config", "prometheus.yaml"}, {"test", "rules", "rules_test.yaml"}} {
		cmd := exec.Command(tool("promtool"), args...)
		cmd.Dir = "../../templates/monitoring"
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("promtool %s: %v\n%s", strings.Join(args, " "), err, out)
		}
	}
}

func tool(name string) string { return filepath.Join(os.Getenv("VISHWA_TOOLS"), name) }

// prometheusDoes is
//
//	prometheus begin DIR        starts both with the files that init --monitoring wrote to DIR
//	prometheus asks QUERY       waits until the query has an answer
//	prometheus exemplar METRIC  waits until the metric has an exemplar that names an entry
//	prometheus dashboards DIR   runs each query of each dashboard
//	prometheus alert NAME       waits until Alertmanager has the alert
//	prometheus over NAME        waits until it has it no more
func prometheusDoes(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) != 2 {
		ts.Fatalf("usage: prometheus begin|asks|exemplar|dashboards|alert|over WHAT")
	}
	server, manager := ts.Getenv("PROMETHEUS"), ts.Getenv("ALERTMANAGER")
	switch args[0] {
	case "begin":
		beginPrometheus(ts, args[1])
	case "asks":
		eventually(ts, args[1], func() bool { return len(promQuery(ts, server, args[1])) > 0 })
	case "exemplar":
		eventually(ts, "an exemplar of "+args[1], func() bool {
			var found struct {
				Data []struct {
					Exemplars []struct{ Labels map[string]string }
				}
			}
			now := time.Now()
			answer(ts, server+"/api/v1/query_exemplars?"+url.Values{"query": {args[1]}, "start": {now.Add(-time.Hour).Format(time.RFC3339)}, "end": {now.Add(time.Minute).Format(time.RFC3339)}}.Encode(), &found)
			return len(found.Data) > 0 && len(found.Data[0].Exemplars) > 0 && found.Data[0].Exemplars[0].Labels["entry"] != ""
		})
	case "dashboards":
		askDashboards(ts, server, args[1])
	case "alert", "over":
		eventually(ts, args[0]+" "+args[1], func() bool {
			var all []struct{ Labels map[string]string }
			answer(ts, manager+"/api/v2/alerts?active=true", &all)
			there := false
			for _, a := range all {
				there = there || a.Labels["alertname"] == args[1]
			}
			return there == (args[0] == "alert")
		})
	default:
		ts.Fatalf("prometheus %s is nothing", args[0])
	}
}

// beginPrometheus starts both on ports of their own; what differs from the files that people get is
// how soon they look.
func beginPrometheus(ts *testscript.TestScript, dir string) {
	work := ts.Getenv("WORK")
	server, manager := freeAddress(ts), freeAddress(ts)
	text := ts.ReadFile(filepath.Join(dir, "prometheus.yaml"))
	text = strings.NewReplacer("30s", "1s", "127.0.0.1:8700", strings.TrimPrefix(ts.Getenv("CONTROLLER"), "http://"), "127.0.0.1:9093", manager).Replace(text)
	ts.Check(os.WriteFile(filepath.Join(dir, "prometheus.yaml"), []byte(text), 0o644))
	am := filepath.Join(work, "alertmanager.yaml")
	ts.Check(os.WriteFile(am, []byte("route: {receiver: none}\nreceivers: [{name: none}]\n"), 0o644))
	launch(ts, "alertmanager", "--config.file="+am, "--storage.path="+filepath.Join(work, "am"), "--web.listen-address="+manager, "--cluster.listen-address=")
	launch(ts, "prometheus", "--config.file="+filepath.Join(dir, "prometheus.yaml"), "--storage.tsdb.path="+filepath.Join(work, "tsdb"), "--web.listen-address="+server, "--enable-feature=exemplar-storage")
	ts.Setenv("PROMETHEUS", "http://"+server)
	ts.Setenv("ALERTMANAGER", "http://"+manager)
	for _, at := range []string{server, manager} {
		eventually(ts, at+" is ready", func() bool {
			resp, err := http.Get("http://" + at + "/-/ready")
			if err != nil {
				return false
			}
			resp.Body.Close()
			return resp.StatusCode == http.StatusOK
		})
	}
}

func freeAddress(ts *testscript.TestScript) string {
	at, err := freeport.Address("127.0.0.1")
	ts.Check(err)
	return at
}

// launch starts a program that ends with the script.
func launch(ts *testscript.TestScript, name string, args ...string) {
	log, err := os.Create(filepath.Join(ts.Getenv("WORK"), name+".log"))
	ts.Check(err)
	cmd := exec.Command(tool(name), args...)
	cmd.Stdout, cmd.Stderr = log, log
	ts.Check(cmd.Start())
	ts.Defer(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		log.Close()
	})
}

func eventually(ts *testscript.TestScript, what string, is func() bool) {
	for deadline := time.Now().Add(4 * time.Minute); ; time.Sleep(200 * time.Millisecond) {
		if is() {
			return
		}
		if time.Now().After(deadline) {
			ts.Fatalf("it does not come to be: %s", what)
		}
	}
}

// answer reads an answer, which must be one.
func answer(ts *testscript.TestScript, address string, to any) {
	resp, err := http.Get(address)
	ts.Check(err)
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	ts.Check(err)
	if resp.StatusCode != http.StatusOK {
		ts.Fatalf("%s answers %d: %s", address, resp.StatusCode, raw)
	}
	ts.Check(json.Unmarshal(raw, to))
}

// promQuery is what a query has now.
func promQuery(ts *testscript.TestScript, server, query string) []json.RawMessage {
	var out struct {
		Status string
		Data   struct{ Result []json.RawMessage }
	}
	answer(ts, server+"/api/v1/query?"+url.Values{"query": {query}}.Encode(), &out)
	if out.Status != "success" {
		ts.Fatalf("%s: %s", query, out.Status)
	}
	return out.Data.Result
}

// silent are the panels that have nothing to draw where nothing failed and nobody trained.
var silent = map[string]bool{"Steps that failed in an hour": true, "What failed in an hour": true, "Webhooks": true}

// askDashboards runs every query of every dashboard and of its variables, as Grafana would with All chosen.
func askDashboards(ts *testscript.TestScript, server, dir string) {
	files, err := filepath.Glob(filepath.Join(dir, "*.json"))
	ts.Check(err)
	queries := 0
	values := regexp.MustCompile(`^label_values\((.*), [a-z]+\)$`)
	for _, file := range files {
		var d struct {
			Templating struct {
				List []struct{ Type, Query, Name string }
			}
			Panels []struct {
				Title   string
				Targets []struct{ Expr string }
			}
		}
		ts.Check(json.Unmarshal([]byte(ts.ReadFile(file)), &d))
		chosen := []string{}
		ask := func(what, query string, quiet bool) {
			queries++
			query = strings.NewReplacer(chosen...).Replace(query)
			eventually(ts, what+" has something to draw: "+query, func() bool { return len(promQuery(ts, server, query)) > 0 || quiet })
		}
		for _, v := range d.Templating.List {
			if m := values.FindStringSubmatch(v.Query); m != nil {
				ask(fmt.Sprintf("%s, variable %s", filepath.Base(file), v.Name), m[1], false)
				chosen = append(chosen, "$"+v.Name, ".*")
			} else if v.Type == "query" {
				ts.Fatalf("%s: the variable %s asks what this does not know: %s", file, v.Name, v.Query)
			}
		}
		for _, p := range d.Panels {
			for _, t := range p.Targets {
				ask(filepath.Base(file)+", "+p.Title, t.Expr, silent[p.Title])
			}
		}
	}
	if len(files) != 4 || queries < 30 {
		ts.Fatalf("%d queries of %d dashboards were run", queries, len(files))
	}
}

// issuesAre waits until there is one issue with a title, open or closed, and never a second one:
// issues open|closed TITLE; or insists that there is none, or that the newest says something: issues none TITLE, issues says TEXT.
func issuesAre(ts *testscript.TestScript, _ bool, args []string) {
	if args[0] == "none" || args[0] == "says" {
		all, err := hub(ts).Issues(theirs)
		ts.Check(err)
		switch {
		case args[0] == "says" && (len(all) == 0 || !strings.Contains(all[len(all)-1].Body, args[1])):
			ts.Fatalf("no issue says %s: %+v", args[1], all)
		case args[0] == "none" && slices.ContainsFunc(all, func(i devforge.Issue) bool { return i.Title == args[1] }):
			ts.Fatalf("there is an issue already: %+v", all)
		}
		return
	}
	eventually(ts, strings.Join(args, " "), func() bool {
		all, err := hub(ts).Issues(theirs)
		ts.Check(err)
		n, as := 0, false
		for _, i := range all {
			if i.Title == args[1] {
				n++
				as = i.Closed == (args[0] == "closed")
			}
		}
		if n > 1 {
			ts.Fatalf("%d issues are called %s", n, args[1])
		}
		return n == 1 && as
	})
}
