// Data that Airflow says is new: the newest event of an asset, or the newest run of a DAG that
// succeeded, is what the data is called, and the data itself is where the declaration says. What
// changes there without an event is not taken.

package source

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/lazyregexp"
	"github.com/vishwaops/vishwa/reconciler/machine/dial"
	"github.com/vishwaops/vishwa/reconciler/machine/httpx"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/schemas"
)

// announced is data that Airflow announces.
type announced struct {
	o      Options
	spec   schemas.AirflowData
	url    *url.URL
	client *http.Client
	open   func(schemas.DataSource, Options) (port.Source, error)
}

func openAnnounced(spec schemas.AirflowData, o Options) (port.Source, error) {
	u, err := url.Parse(spec.URL)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" || u.User != nil {
		return nil, fault.WithHint(fault.New(fault.Invalid, "Airflow's address cannot be read"), "write it as https://host, without a user")
	}
	g, err := dial.NewGuard(u.Hostname(), o.Allow)
	if err != nil {
		return nil, err
	}
	client := &http.Client{
		Transport:     dial.Paced(httpx.Transport(httpx.Options{Dial: g.Dial, Roots: o.Roots}), o.pace()),
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }, // the token is for this address alone
	}
	return &announced{o, spec, u, client, Open}, nil
}

func (a *announced) String() string {
	if a.spec.DAG != "" {
		return "the runs of " + a.spec.DAG
	}
	return "the asset " + a.spec.Asset
}

// announcement is what Airflow says last: its name, which run made the data, and when.
type announcement struct {
	name, run string
	at        time.Time
}

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
	session, err := a.session(ctx)
	if err != nil {
		return announcement{}, err
	}
	if a.spec.DAG != "" {
		return a.newestRun(ctx, session)
	}
	return a.newestEvent(ctx, session)
}

func (a *announced) newestRun(ctx context.Context, session string) (announcement, error) {
	var got struct {
		Runs []struct {
			ID  string     `json:"dag_run_id"`
			End *time.Time `json:"end_date"`
		} `json:"dag_runs"`
	}
	q := url.Values{"state": {"success"}, "order_by": {"-end_date"}, "limit": {"1"}}
	if err := a.ask(ctx, session, http.MethodGet, "/api/v2/dags/"+url.PathEscape(a.spec.DAG)+"/dagRuns?"+q.Encode(), nil, &got); err != nil {
		return announcement{}, err
	}
	if len(got.Runs) == 0 || got.Runs[0].End == nil {
		return announcement{}, fault.WithHint(fault.New(fault.Missing, "no run of it has succeeded yet"), "wait for one")
	}
	r := got.Runs[0]
	if !runID.MatchString(r.ID) {
		return announcement{}, fault.WithHint(fault.New(fault.Invalid, "its newest run has an id that cannot be part of an address"), "let runs have ids of letters, digits and _.:+~=-")
	}
	return announcement{"run:" + r.ID + "@" + r.End.UTC().Format(time.RFC3339Nano), r.ID, *r.End}, nil
}

// mostAssets are looked through for the one that is meant.
const mostAssets = 10_000

// asset is the number of the asset; 0: there is none.
func (a *announced) asset(ctx context.Context, session string) (int64, error) {
	for at := 0; at < mostAssets; {
		var got struct {
			Assets []struct {
				ID  int64  `json:"id"`
				URI string `json:"uri"`
			} `json:"assets"`
			Total int `json:"total_entries"`
		}
		q := url.Values{"uri_pattern": {a.spec.Asset}, "order_by": {"id"}, "limit": {"100"}, "offset": {strconv.Itoa(at)}}
		if err := a.ask(ctx, session, http.MethodGet, "/api/v2/assets?"+q.Encode(), nil, &got); err != nil {
			return 0, err
		}
		for _, asset := range got.Assets {
			if asset.URI == a.spec.Asset { // the pattern finds others, too
				return asset.ID, nil
			}
		}
		if at += len(got.Assets); len(got.Assets) == 0 || at >= got.Total {
			break
		}
	}
	return 0, nil
}

func (a *announced) newestEvent(ctx context.Context, session string) (announcement, error) {
	id, err := a.asset(ctx, session)
	if err != nil {
		return announcement{}, err
	}
	if id == 0 {
		return announcement{}, fault.WithHint(fault.New(fault.Missing, "Airflow has no such asset"), "correct its URI, or have a DAG name it")
	}
	var got struct {
		Events []struct {
			ID  int64     `json:"id"`
			At  time.Time `json:"timestamp"`
			Run *string   `json:"source_run_id"`
		} `json:"asset_events"`
	}
	q := url.Values{"asset_id": {strconv.FormatInt(id, 10)}, "order_by": {"-timestamp"}, "limit": {"1"}}
	if err := a.ask(ctx, session, http.MethodGet, "/api/v2/assets/events?"+q.Encode(), nil, &got); err != nil {
		return announcement{}, err
	}
	if len(got.Events) == 0 {
		return announcement{}, fault.WithHint(fault.New(fault.Missing, "it has no event yet"), "wait until a DAG has updated it")
	}
	e, run := got.Events[0], ""
	if e.Run != nil && runID.MatchString(*e.Run) {
		run = *e.Run
	}
	if run == "" && a.spec.NamesRun() {
		return announcement{}, fault.WithHint(fault.New(fault.Invalid, "its newest event is of no run, and the address names {run}"), "give an address without it, or have a DAG update the asset")
	}
	return announcement{fmt.Sprintf("event:%d@%s", e.ID, e.At.UTC().Format(time.RFC3339Nano)), run, e.At}, nil
}

// session is what questions are asked with: the token, or what Airflow gives for a user and a password.
func (a *announced) session(ctx context.Context) (string, error) {
	token, err := a.o.variable(a.spec.Token, a.spec.URL)
	if err != nil {
		return "", err
	}
	if token == "" || strings.ContainsAny(token, "\r\n\x00") {
		return "", fault.WithHint(fault.New(fault.Denied, "the variable %s holds no token for Airflow", a.spec.Token), "set it to a bearer token, or to user:password")
	}
	user, password, is := strings.Cut(token, ":")
	if !is {
		return token, nil
	}
	var got struct {
		Token string `json:"access_token"`
	}
	body, err := json.Marshal(map[string]string{"username": user, "password": password})
	if err != nil {
		return "", fault.New(fault.Internal, "sign in to Airflow: %w", err)
	}
	if err := a.ask(ctx, "", http.MethodPost, "/auth/token", body, &got); err != nil {
		return "", err
	}
	if got.Token == "" {
		return "", fault.WithHint(fault.New(fault.Denied, "Airflow gave no session"), "give a bearer token instead of a user and a password")
	}
	return got.Token, nil
}

// ask asks one question, whose answer is short.
func (a *announced) ask(ctx context.Context, session, method, path string, body []byte, into any) error {
	const most = 4 << 20
	req, err := http.NewRequestWithContext(ctx, method, strings.TrimRight(a.url.String(), "/")+path, strings.NewReader(string(body)))
	if err != nil {
		return fault.WithHint(fault.New(fault.Invalid, "Airflow's address cannot be read"), "write it as https://HOST[/PATH]")
	}
	if session != "" {
		req.Header.Set("Authorization", "Bearer "+session)
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Accept", "application/json")
	res, err := a.client.Do(req)
	if err != nil {
		return fmt.Errorf("ask Airflow: %w", httpx.Failed(ctx, err))
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK && res.StatusCode != http.StatusCreated {
		kind := httpx.KindOf(res.StatusCode)
		way := map[fault.Kind]string{
			fault.Missing: "correct the address, which is of Airflow 3 and without /api, or the DAG",
			fault.Denied:  "let this token read DAGs and assets, or name the variable that holds one that may",
		}[kind]
		return fault.WithHint(fault.New(kind, "Airflow at %s answers %d %s", a.url.Host, res.StatusCode, http.StatusText(res.StatusCode)), "%s", way)
	}
	b, err := io.ReadAll(io.LimitReader(res.Body, most+1))
	if err != nil {
		return fmt.Errorf("ask Airflow: %w", httpx.Failed(ctx, err))
	}
	if len(b) > most || json.Unmarshal(b, into) != nil {
		return fault.WithHint(fault.New(fault.Invalid, "Airflow at %s answers with something that cannot be read", a.url.Host), "see that the address is that of Airflow 3")
	}
	return nil
}

// Run is the run whose data a token of Airflow is of; "" where it is of none.
func Run(token string) string {
	parts := strings.SplitN(token, " ", 3)
	if len(parts) != 3 || !strings.HasPrefix(parts[0], "airflow:") {
		return ""
	}
	return parts[1]
}
