// Package airflow shows Airflow, whose DAGs wait for assets, what a ledger records: an event of an asset says
// that a dataset has other data, or that a model was released. The newest state alone is told, so that a ledger of years begins no hundred
// runs; an event that is there for it already is found by what it says of the ledger and the entry.
package airflow

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/machine/dial"
	"github.com/vishwaops/vishwa/reconciler/machine/httpx"
	"github.com/vishwaops/vishwa/reconciler/machine/token"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/schemas"
)

// TokenVariable has Airflow's bearer token, or user:password, where no file of one is declared.
const TokenVariable = "VISHWA_TRACKER_AIRFLOW"

const (
	onePage    = 100     // Airflow gives no more at once, unless it is told to
	mostFound  = 10_000  // assets with such a URI, or events of one, that are looked through
	mostAnswer = 4 << 20 // bytes
	mostNotes  = 20
	patience   = 20 * time.Second
)

// Options are what Airflow is reached with.
type Options struct {
	Env       port.Env
	Transport http.RoundTripper                                // asks it; nil is the usual way
	Sleep     func(ctx context.Context, d time.Duration) error // waits between tries; nil is the usual way
}

type events struct {
	spec schemas.AirflowTracker
	env  port.Env
	http *http.Client
}

// New tells of data and releases by events of assets. It shows no runs.
func New(spec schemas.AirflowTracker, o Options) port.Tracker {
	next := o.Transport
	if next == nil {
		next = httpx.Transport(httpx.Options{})
	}
	return &events{spec, o.Env, &http.Client{
		Transport:     &httpx.Retry{Next: next, Who: "Airflow", Now: o.Env.Now, Log: o.Env.Log, Limit: patience, Sleep: o.Sleep},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }, // a credential goes nowhere else
	}}
}

// event is what an event says.
type event struct {
	Of          string        `json:"vishwa_of"`
	Environment string        `json:"vishwa_environment,omitempty"`
	Digest      digest.Digest `json:"vishwa_digest"`
	Revision    string        `json:"vishwa_revision"`
	Entry       int64         `json:"vishwa_entry"`
	Ledger      string        `json:"vishwa_ledger"`
}

// Record implements port.Tracker.
func (a *events) Record(ctx context.Context, p port.Projection, dry bool) (out port.Recorded, err error) {
	session := ""
	for _, of := range a.spec.Assets {
		newest, there := newestOf(of, p)
		if !there {
			continue
		}
		if session == "" {
			if session, err = a.session(ctx); err != nil {
				return out, err
			}
		}
		id, err := a.asset(ctx, session, of.Asset)
		if err != nil {
			return out, err
		}
		if id == 0 {
			if len(out.Notes) < mostNotes {
				out.Notes = append(out.Notes, fmt.Sprintf("Airflow has no asset %s: it gets one with a DAG that names it", of.Asset))
			}
			continue
		}
		told, err := a.told(ctx, session, id, newest)
		if err != nil {
			return out, err
		}
		if told {
			continue
		}
		out.Writes++
		if dry {
			continue
		}
		if err := a.ask(ctx, session, http.MethodPost, "/api/v2/assets/events", map[string]any{"asset_id": id, "extra": newest}, nil); err != nil {
			return out, err
		}
	}
	return out, nil
}

// newestOf is what the ledger says last of what an asset stands for.
func newestOf(of schemas.AirflowAsset, p port.Projection) (e event, there bool) {
	e = event{Of: of.Of.String(), Environment: of.Environment, Ledger: p.Ledger}
	if of.Of.Kind.Traits().Pinned {
		for _, d := range p.Data {
			if d.Name == of.Of.Name {
				e.Digest, e.Revision, e.Entry = d.Digest, d.Tags[port.TagRevision], d.Entry
				return e, true
			}
		}
		return e, false
	}
	for _, m := range p.Models {
		if m.Name != of.Of.Name || len(m.Versions) == 0 {
			continue
		}
		last := m.Versions[len(m.Versions)-1]
		entry := last.Entry
		if of.Environment != "" {
			last, entry = port.TrackerVersion{}, 0
			for _, move := range m.Moves {
				if move.Environment != of.Environment {
					continue
				}
				last, entry = port.TrackerVersion{}, 0 // where it serves none any more, there is nothing to wait for
				for _, v := range m.Versions {
					if v.Key == move.Key {
						last, entry = v, move.Entry
					}
				}
			}
		}
		e.Digest, e.Revision, e.Entry = last.Digest, last.Tags[port.TagRevision], entry
		return e, entry > 0
	}
	return e, false
}

// page is a part of what Airflow has.
type page struct {
	Assets []struct {
		ID  int64  `json:"id"`
		URI string `json:"uri"`
	} `json:"assets"`
	Events []struct {
		Extra json.RawMessage `json:"extra"`
	} `json:"asset_events"`
	Total int `json:"total_entries"`
}

// search asks for one page after another until one has what is looked for.
func (a *events) search(ctx context.Context, session, path string, q url.Values, has func(page) bool) (bool, error) {
	q.Set("limit", strconv.Itoa(onePage))
	for at := 0; at < mostFound; {
		q.Set("offset", strconv.Itoa(at))
		var got page
		if err := a.ask(ctx, session, http.MethodGet, path+"?"+q.Encode(), nil, &got); err != nil {
			return false, err
		}
		if has(got) {
			return true, nil
		}
		n := len(got.Assets) + len(got.Events)
		if at += n; n == 0 || at >= got.Total {
			return false, nil
		}
	}
	return false, nil
}

// asset is the number of an asset; 0: there is none.
func (a *events) asset(ctx context.Context, session, uri string) (id int64, err error) {
	_, err = a.search(ctx, session, "/api/v2/assets", url.Values{"uri_pattern": {uri}, "order_by": {"id"}}, func(p page) bool {
		for _, asset := range p.Assets {
			if asset.URI == uri { // the pattern finds others, too
				id = asset.ID
			}
		}
		return id != 0
	})
	return id, err
}

// told tells whether the asset has the event. The newest are looked at first: what comes meanwhile hides none.
func (a *events) told(ctx context.Context, session string, id int64, newest event) (bool, error) {
	q := url.Values{"asset_id": {strconv.FormatInt(id, 10)}, "order_by": {"-timestamp"}}
	return a.search(ctx, session, "/api/v2/assets/events", q, func(p page) bool {
		for _, e := range p.Events {
			var said event
			if json.Unmarshal(e.Extra, &said) == nil && said == newest { // those of others say anything
				return true
			}
		}
		return false
	})
}

// session is what questions are asked with: the token, or what Airflow gives for a user and a password.
func (a *events) session(ctx context.Context) (string, error) {
	at, err := url.Parse(a.spec.URL)
	if err != nil || at.User != nil {
		return "", fault.WithHint(fault.New(fault.Denied, "the url of Airflow holds a user or a password, or cannot be read"), "write it as https://HOST, and give the file of a credential in token")
	}
	text, err := token.Read(a.env.Lookup, token.Place{Who: "Airflow", File: a.spec.Token, Variable: TokenVariable})
	if err != nil {
		return "", err
	}
	if text == "" {
		return "", fault.WithHint(fault.New(fault.Denied, "there is no token for Airflow"), "put a bearer token, or user:password, into %s, or name a file as the tracker's token", TokenVariable)
	}
	if at.Scheme != "https" && !dial.Loopback(at.Hostname()) {
		return "", fault.WithHint(fault.New(fault.Denied, "Airflow is at a plain http address, and its credential would go there in the clear"), "write https:// in the tracker's url")
	}
	user, password, is := strings.Cut(text, ":")
	if !is {
		return text, nil
	}
	var got struct {
		Token string `json:"access_token"`
	}
	if err := a.ask(ctx, "", http.MethodPost, "/auth/token", map[string]string{"username": user, "password": password}, &got); err != nil {
		return "", err
	}
	if got.Token == "" || strings.ContainsFunc(got.Token, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return "", fault.WithHint(fault.New(fault.Denied, "Airflow gave no session"), "give a bearer token instead of a user and a password")
	}
	return got.Token, nil
}

// ask asks one question.
func (a *events) ask(ctx context.Context, session, method, path string, body, into any) error {
	raw := []byte(nil)
	if body != nil {
		var err error
		if raw, err = json.Marshal(body); err != nil {
			return fault.New(fault.Internal, "ask Airflow: %w", err)
		}
	}
	req, err := http.NewRequestWithContext(ctx, method, strings.TrimRight(a.spec.URL, "/")+path, bytes.NewReader(raw))
	if err != nil {
		return fault.WithHint(fault.New(fault.Invalid, "ask Airflow: its url cannot be asked"), "write spec.trackers.airflow.url as https://HOST[/PATH]")
	}
	if session != "" {
		req.Header.Set("Authorization", "Bearer "+session)
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Accept", "application/json")
	res, err := a.http.Do(req)
	if err != nil {
		err = httpx.Failed(ctx, err)
		return fault.WithHint(fault.New(fault.Of(err), "ask Airflow at %s: %w", req.URL.Host, err), "%s", cmp.Or(fault.HintOf(err), "try again later"))
	}
	defer httpx.Drain(res)
	if res.StatusCode != http.StatusOK && res.StatusCode != http.StatusCreated {
		kind := httpx.KindOf(res.StatusCode)
		way := map[fault.Kind]string{
			fault.Missing: "correct the address, which is of Airflow 3 and without /api",
			fault.Denied:  "let this user read assets and create asset events",
		}[kind]
		return fault.WithHint(fault.New(kind, "Airflow at %s answers %d %s", req.URL.Host, res.StatusCode, http.StatusText(res.StatusCode)), "%s", cmp.Or(way, "the log of Airflow says more"))
	}
	if into == nil {
		return nil
	}
	b, err := io.ReadAll(io.LimitReader(res.Body, mostAnswer+1))
	if err != nil {
		return fault.WithHint(fault.New(fault.Transient, "ask Airflow: its answer could not be read to its end"), "try again when it answers")
	}
	if len(b) > mostAnswer || json.Unmarshal(b, into) != nil {
		return fault.WithHint(fault.New(fault.Invalid, "Airflow at %s answers with something that cannot be read", req.URL.Host), "see that the address is that of Airflow 3")
	}
	return nil
}
