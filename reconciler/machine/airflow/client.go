// A client of Airflow 3's REST API, whose answers are short.

package airflow

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/machine/httpx"
)

const (
	api        = "/api/v2"
	onePage    = 100     // Airflow gives no more at once, unless it is told to
	mostFound  = 10_000  // of what it lists by the page, that are looked through
	mostAnswer = 4 << 20 // bytes
)

// Options are who asks.
type Options struct {
	Transport http.RoundTripper // asks
	// Credential is a bearer token, or user:password. It is read for each question: it may be renewed.
	Credential func() (string, error)
	Declared   string // the field that has the address, for people
	May        string // what whoever asks has to be let do, for people: read assets
}

// Client asks one Airflow.
type Client struct {
	o       Options
	url     string
	host    string
	http    *http.Client
	session Session
}

// New is a client of the Airflow at an address, which holds no user. Nothing is asked of it yet.
func New(at string, o Options) (*Client, error) {
	u, err := url.Parse(at)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return nil, fault.WithHint(fault.New(fault.Invalid, "Airflow's address cannot be read"), "write %s as https://HOST[/PATH]", o.Declared)
	}
	if u.User != nil { // a client of HTTP would send it, in the clear too
		return nil, fault.WithHint(fault.New(fault.Denied, "Airflow's address holds a user or a password"), "write %s as https://HOST, and give a credential in token", o.Declared)
	}
	c := &Client{o: o, url: strings.TrimRight(at, "/"), host: u.Host, http: &http.Client{
		Transport:     o.Transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }, // a credential goes nowhere else
	}}
	c.session.Send, c.session.Refused = c.send, c.refused
	return c, nil
}

// Get reads what is at a path below the API.
func (c *Client) Get(ctx context.Context, path string, q url.Values, into any) error {
	return c.ask(ctx, http.MethodGet, path+"?"+q.Encode(), nil, into)
}

// Post sends a document to a path below the API.
func (c *Client) Post(ctx context.Context, path string, body any) error {
	return c.ask(ctx, http.MethodPost, path, body, nil)
}

func (c *Client) ask(ctx context.Context, method, path string, body, into any) error {
	credential, err := c.o.Credential()
	if err != nil {
		return err
	}
	status, raw, err := c.session.Ask(ctx, credential, method, api+path, body)
	if err != nil {
		return err
	}
	if status != http.StatusOK && status != http.StatusCreated {
		return c.refused("ask Airflow", status)
	}
	if into == nil {
		return nil
	}
	if json.Unmarshal(raw, into) != nil {
		return c.unreadable()
	}
	return nil
}

func (c *Client) unreadable() error {
	return fault.WithHint(fault.New(fault.Invalid, "Airflow at %s answers with something that cannot be read", c.host), "see that the address is that of Airflow 3")
}

func (c *Client) refused(doing string, status int) error {
	kind := httpx.KindOf(status)
	way := map[fault.Kind]string{
		fault.Missing: "correct the address, which is of Airflow 3 and without /api, or what is asked for",
		fault.Denied:  "let this user " + c.o.May,
	}[kind]
	return fault.WithHint(fault.New(kind, "%s: Airflow at %s answers %d %s", doing, c.host, status, http.StatusText(status)), "%s", cmp.Or(way, "the log of Airflow says more"))
}

// send asks one question.
func (c *Client) send(ctx context.Context, bearer, method, path string, body any) (int, []byte, error) {
	raw := []byte(nil)
	if body != nil {
		var err error
		if raw, err = json.Marshal(body); err != nil {
			return 0, nil, fault.New(fault.Internal, "ask Airflow: %w", err)
		}
	}
	req, err := http.NewRequestWithContext(ctx, method, c.url+path, bytes.NewReader(raw))
	if err != nil {
		return 0, nil, fault.WithHint(fault.New(fault.Invalid, "Airflow's address cannot be asked"), "write %s as https://HOST[/PATH]", c.o.Declared)
	}
	if bearer != "" {
		req.Header.Set("Authorization", "Bearer "+bearer)
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Accept", "application/json")
	res, err := c.http.Do(req)
	if err != nil {
		return 0, nil, c.lost(ctx, err)
	}
	defer httpx.Drain(res)
	answer, err := io.ReadAll(io.LimitReader(res.Body, mostAnswer+1))
	if err != nil {
		return 0, nil, c.lost(ctx, err)
	}
	if len(answer) > mostAnswer {
		return 0, nil, c.unreadable()
	}
	return res.StatusCode, answer, nil
}

func (c *Client) lost(ctx context.Context, err error) error {
	err = httpx.Failed(ctx, err)
	return fault.WithHint(fault.New(fault.Of(err), "ask Airflow at %s: %w", c.host, err), "%s", cmp.Or(fault.HintOf(err), "try again later"))
}

// Event is one of an asset.
type Event struct {
	ID    int64           `json:"id"`
	At    time.Time       `json:"timestamp"`
	Run   *string         `json:"source_run_id"` // of the DAG that updated it, where one did
	Extra json.RawMessage `json:"extra"`
}

// page is a part of what Airflow lists.
type page struct {
	Assets []struct {
		ID  int64  `json:"id"`
		URI string `json:"uri"`
	} `json:"assets"`
	Events []Event `json:"asset_events"`
	Total  int     `json:"total_entries"`
}

// search asks for one page after another until one has what is looked for.
func (c *Client) search(ctx context.Context, path string, q url.Values, has func(page) bool) (bool, error) {
	q.Set("limit", strconv.Itoa(onePage))
	for at := 0; at < mostFound; {
		q.Set("offset", strconv.Itoa(at))
		var got page
		if err := c.Get(ctx, path, q, &got); err != nil {
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

// Asset is the number of the asset with a URI; 0: there is none.
func (c *Client) Asset(ctx context.Context, uri string) (id int64, err error) {
	q := url.Values{"uri_pattern": {uri}, "order_by": {"id"}}
	_, err = c.search(ctx, "/assets", q, func(p page) bool {
		for _, asset := range p.Assets {
			if asset.URI == uri { // the pattern finds others, too
				id = asset.ID
			}
		}
		return id != 0
	})
	return id, err
}

// events of an asset, the newest first: what comes meanwhile hides none.
func eventsOf(asset int64) url.Values {
	return url.Values{"asset_id": {strconv.FormatInt(asset, 10)}, "order_by": {"-timestamp"}}
}

// HasEvent tells whether an asset has an event that is one of those looked for.
func (c *Client) HasEvent(ctx context.Context, asset int64, is func(Event) bool) (bool, error) {
	return c.search(ctx, "/assets/events", eventsOf(asset), func(p page) bool {
		for _, e := range p.Events {
			if is(e) {
				return true
			}
		}
		return false
	})
}

// Newest is the last event of an asset, where it has one.
func (c *Client) Newest(ctx context.Context, asset int64) (e Event, there bool, err error) {
	q, got := eventsOf(asset), page{}
	q.Set("limit", "1")
	if err := c.Get(ctx, "/assets/events", q, &got); err != nil || len(got.Events) == 0 {
		return Event{}, false, err
	}
	return got.Events[0], true, nil
}
