// Data that Airflow says is new: the newest event of an asset, or the newest run of a DAG that
// succeeded, is what the data is called, and the data itself is where the declaration says. What
// changes there without an event is not taken.

package source

import (
	"context"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/lazyregexp"
	"github.com/vishwaops/vishwa/reconciler/machine/airflow"
	"github.com/vishwaops/vishwa/reconciler/machine/dial"
	"github.com/vishwaops/vishwa/reconciler/machine/httpx"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/schemas"
)

// announced is data that Airflow announces.
type announced struct {
	o      Options
	spec   schemas.AirflowData
	client *airflow.Client
	open   func(schemas.DataSource, Options) (port.Source, error)
}

func openAnnounced(spec schemas.AirflowData, o Options) (port.Source, error) {
	u, err := url.Parse(spec.URL)
	if err != nil {
		return nil, fault.WithHint(fault.New(fault.Invalid, "Airflow's address cannot be read"), "write it as https://HOST[/PATH]")
	}
	if err := o.Env.MayAsk(spec.URL); err != nil {
		return nil, err
	}
	g, err := dial.NewGuard(u.Hostname(), o.Allow)
	if err != nil {
		return nil, err
	}
	a := &announced{o: o, spec: spec, open: Open}
	a.client, err = airflow.New(spec.URL, airflow.Options{
		Transport:  dial.Paced(httpx.Transport(httpx.Options{Dial: g.Dial, Roots: o.Roots}), o.pace()),
		Credential: a.credential, Declared: "spec.source.airflow.url", May: "read DAGs and assets, or name in token the variable of one that may",
	})
	return a, err
}

// credential is a bearer token, or user:password.
func (a *announced) credential() (string, error) {
	text, err := a.o.variable(a.spec.Token, a.spec.URL)
	if err != nil {
		return "", err
	}
	if text == "" || strings.ContainsAny(text, "\r\n\x00") {
		return "", fault.WithHint(fault.New(fault.Denied, "the variable %s holds no token for Airflow", a.spec.Token), "set it to a bearer token, or to user:password")
	}
	return text, nil
}

func (a *announced) String() string {
	if a.spec.DAG != "" {
		return "the runs of " + a.spec.DAG
	}
	return "the asset " + a.spec.Asset
}

// announcement is what Airflow says last: its name, and which run made the data.
type announcement struct{ name, run string }

// runID is what may become part of an address.
var runID = lazyregexp.New(`^[A-Za-z0-9_][A-Za-z0-9_.:+~=-]{0,249}$`)

// Inspect asks for the newest announcement, and where there is a new one what is at its place.
func (a *announced) Inspect(ctx context.Context) (port.Snapshot, error) {
	look, err := a.inspect(ctx)
	if err != nil {
		return port.Snapshot{}, fmt.Errorf("look at %s: %w", a, err)
	}
	return look, nil
}

func (a *announced) inspect(ctx context.Context) (port.Snapshot, error) {
	last, err := a.newest(ctx)
	if err != nil {
		return port.Snapshot{}, err
	}
	name, place := "airflow:"+last.name+" ", a.spec.Place(last.run)
	at, err := a.open(place, a.o)
	if err != nil {
		return port.Snapshot{}, err
	}
	look, err := at.Inspect(ctx)
	if err != nil {
		return port.Snapshot{}, err
	}
	if strings.HasPrefix(a.o.Last, name) { // no event tells of what changed since
		return port.Snapshot{Files: look.Files, Token: a.o.Last}, nil
	}
	return a.o.snapshotOf(look.Files, name+last.run+" "+look.Token), nil
}

// Fetch reads what is at the place, where it is still what look saw.
func (a *announced) Fetch(ctx context.Context, look port.Snapshot, dir string, tell func(done, total int64)) error {
	parts := strings.SplitN(look.Token, " ", 3)
	if len(parts) != 3 || !strings.HasPrefix(parts[0], "airflow:") || parts[1] != "" && !runID.MatchString(parts[1]) {
		return fault.WithHint(fault.New(fault.Invalid, "fetch %s: the pin names nothing that Airflow announced", a), "run vishwa data refresh")
	}
	at, err := a.open(a.spec.Place(parts[1]), a.o)
	if err != nil {
		return err
	}
	look.Token = parts[2]
	return at.Fetch(ctx, look, dir, tell)
}

// newest is the last thing that Airflow announced.
func (a *announced) newest(ctx context.Context) (announcement, error) {
	if a.spec.DAG != "" {
		return a.newestRun(ctx)
	}
	return a.newestEvent(ctx)
}

func (a *announced) newestRun(ctx context.Context) (announcement, error) {
	var got struct {
		Runs []struct {
			ID  string     `json:"dag_run_id"`
			End *time.Time `json:"end_date"`
		} `json:"dag_runs"`
	}
	q := url.Values{"state": {"success"}, "order_by": {"-end_date"}, "limit": {"1"}}
	if err := a.client.Get(ctx, "/dags/"+url.PathEscape(a.spec.DAG)+"/dagRuns", q, &got); err != nil {
		return announcement{}, err
	}
	if len(got.Runs) == 0 || got.Runs[0].End == nil {
		return announcement{}, fault.WithHint(fault.New(fault.Missing, "no run of it has succeeded yet"), "wait for one")
	}
	r := got.Runs[0]
	if !runID.MatchString(r.ID) {
		return announcement{}, fault.WithHint(fault.New(fault.Invalid, "its newest run has an id that cannot be part of an address"), "let runs have ids of letters, digits and _.:+~=-")
	}
	return announcement{"run:" + r.ID + "@" + r.End.UTC().Format(time.RFC3339Nano), r.ID}, nil
}

func (a *announced) newestEvent(ctx context.Context) (announcement, error) {
	id, err := a.client.Asset(ctx, a.spec.Asset)
	if err != nil {
		return announcement{}, err
	}
	if id == 0 {
		return announcement{}, fault.WithHint(fault.New(fault.Missing, "Airflow has no such asset"), "correct its URI, or have a DAG name it")
	}
	e, there, err := a.client.Newest(ctx, id)
	if err != nil {
		return announcement{}, err
	}
	if !there {
		return announcement{}, fault.WithHint(fault.New(fault.Missing, "it has no event yet"), "wait until a DAG has updated it")
	}
	run := ""
	if e.Run != nil && runID.MatchString(*e.Run) {
		run = *e.Run
	}
	if run == "" && a.spec.NamesRun() {
		return announcement{}, fault.WithHint(fault.New(fault.Invalid, "its newest event is of no run, and the address names {run}"), "give an address without it, or have a DAG update the asset")
	}
	return announcement{fmt.Sprintf("event:%d@%s", e.ID, e.At.UTC().Format(time.RFC3339Nano)), run}, nil
}

// Run is the run whose data a token of Airflow is of; "" where it is of none.
func Run(token string) string {
	parts := strings.SplitN(token, " ", 3)
	if len(parts) != 3 || !strings.HasPrefix(parts[0], "airflow:") {
		return ""
	}
	return parts[1]
}
