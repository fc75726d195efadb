// Package mlflowapi is a client of MLflow's REST API: its credential read anew each time, sent to its own address alone and never in
// the clear, its bad hours ridden out, and nothing shown of what it answers but its error code. It is a stranger, and its pages must come to an end.
package mlflowapi

import (
	"bytes"
	"cmp"
	"context"
	"encoding/base64"
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
	"github.com/vishwaops/vishwa/reconciler/machine/token"
	"github.com/vishwaops/vishwa/reconciler/port"
)

// Options are which server, and how it is asked.
type Options struct {
	URL, Workspace string
	Token          string // the file of a credential; "": the variable
	// URLAt and TokenAt are where people write these; "": the tracker's url, and the tracker's token.
	URLAt, TokenAt string
	Env            port.Env
	Transport      http.RoundTripper // asks; nil is the usual way
	Pace           dial.Pace         // that answers have to keep then; zero is the usual one
	// Sleep waits between tries; nil is the usual way.
	Sleep func(ctx context.Context, d time.Duration) error
}

// TokenVariable has MLflow's bearer token, or user:password, where no file of one is declared.
const TokenVariable = "VISHWA_TRACKER_MLFLOW"

// Prefix begins the path of each question.
const Prefix = "/api/2.0/mlflow/"

const (
	who        = "MLflow"
	mostAnswer = 64 << 20 // bytes
	patience   = 20 * time.Second
)

// Client asks one MLflow.
type Client struct {
	url, file string
	workspace string
	urlAt     string
	tokenAt   string
	env       port.Env
	http      *http.Client
}

// New is a client. Nothing is asked yet.
func New(o Options) *Client {
	next := o.Transport
	if next == nil {
		next = dial.Paced(httpx.Transport(httpx.Options{}), cmp.Or(o.Pace, dial.Pace{Window: httpx.Answers, Least: 1, Whole: 4 * httpx.Answers}))
	}
	return &Client{url: strings.TrimRight(o.URL, "/"), file: o.Token, workspace: o.Workspace, urlAt: cmp.Or(o.URLAt, "the tracker's url"), tokenAt: cmp.Or(o.TokenAt, "the tracker's token"), env: o.Env, http: &http.Client{
		Transport:     &httpx.Retry{Next: next, Who: who, Now: o.Env.Now, Log: o.Env.Log, Limit: patience, Sleep: o.Sleep},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }, // a credential goes nowhere else
	}}
}

// Server is one spelling of the address that the server was declared by.
func (c *Client) Server() string { return httpx.Server(c.url) }

// Post sends a question that may change something, and reads the answer into out; nil: whatever it is.
func (c *Client) Post(ctx context.Context, path string, body, out any) error {
	return c.Ask(ctx, http.MethodPost, path, body, out)
}

// Delete takes something away.
func (c *Client) Delete(ctx context.Context, path string, body any) error {
	return c.Ask(ctx, http.MethodDelete, path, body, nil)
}

// Get reads an answer into out.
func (c *Client) Get(ctx context.Context, path string, query map[string]string, out any) error {
	q := url.Values{}
	for k, v := range query {
		q.Set(k, v)
	}
	return c.Ask(ctx, http.MethodGet, path+"?"+q.Encode(), nil, out)
}

// Ask has a question answered: body, as JSON or as bytes that are, is sent, and the answer read into out; nil: whatever it is.
func (c *Client) Ask(ctx context.Context, method, path string, body, out any) error {
	doing, _, _ := strings.Cut(path, "?")
	raw, err := c.send(ctx, method, Prefix+path, doing, body)
	if err != nil || out == nil {
		return err
	}
	if err := json.Unmarshal(raw, out); err != nil {
		return fault.WithHint(fault.New(fault.Invalid, "ask %s for %s: what answers is not its REST API", who, doing), "write in %s where that is, without /api", c.urlAt)
	}
	return nil
}

var release = lazyregexp.New(`^\s*([0-9]{1,4})\.[0-9]`)

// Major is the first number of the server's release; 0: it does not say, or something before it does not let that through.
func (c *Client) Major(ctx context.Context) (int, error) {
	raw, err := c.send(ctx, http.MethodGet, "/version", "its version", nil)
	if err != nil && fault.Of(err) != fault.Transient && fault.Of(err) != fault.Cancelled {
		return 0, nil
	}
	said := release.FindSubmatch(raw)
	if err != nil || said == nil {
		return 0, err
	}
	return strconv.Atoi(string(said[1]))
}

// send has path answered, whose answer is given back as it is.
func (c *Client) send(ctx context.Context, method, path, doing string, body any) ([]byte, error) {
	if err := c.env.MayAsk(c.url); err != nil {
		return nil, err
	}
	var in io.Reader
	if body != nil {
		raw, written := body.([]byte)
		if !written {
			var err error
			if raw, err = json.Marshal(body); err != nil {
				return nil, fault.New(fault.Internal, "ask %s for %s: %w", who, doing, err)
			}
		}
		in = bytes.NewReader(raw)
	}
	req, err := http.NewRequestWithContext(ctx, method, c.url+path, in)
	if err != nil {
		return nil, fault.WithHint(fault.New(fault.Invalid, "ask %s: its url cannot be asked", who), "write %s as https://HOST[/PATH]", c.urlAt)
	}
	req.Header.Set("Accept", "application/json")
	req.Header.Set("User-Agent", "vishwa")
	if c.workspace != "" {
		req.Header.Set("X-MLFLOW-WORKSPACE", c.workspace)
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	if err := c.sign(req); err != nil {
		return nil, err
	}
	resp, err := c.http.Do(req)
	if err != nil {
		err = httpx.Failed(ctx, err)
		return nil, fault.WithHint(fault.New(fault.Of(err), "ask %s at %s: %w", who, req.URL.Host, err), "%s", cmp.Or(fault.HintOf(err), "try again later"))
	}
	defer httpx.Drain(resp)
	raw, err := io.ReadAll(io.LimitReader(resp.Body, mostAnswer+1))
	if err != nil || len(raw) > mostAnswer {
		return nil, fault.WithHint(fault.New(fault.Transient, "ask %s for %s: its answer could not be read to its end", who, doing), "try again when it answers")
	}
	if resp.StatusCode != http.StatusOK {
		return nil, c.refused(doing, resp.StatusCode, raw)
	}
	return raw, nil
}

// sign puts the credential on a request: a bearer token, or user:password. None is none.
func (c *Client) sign(req *http.Request) error {
	if req.URL.User != nil { // a client of HTTP would send it, in the clear too
		return fault.WithHint(fault.New(fault.Denied, "the url of %s holds a user or a password", who), "remove it from %s, and give the file of a credential in %s", c.urlAt, c.tokenAt)
	}
	text, err := token.Read(c.env.Lookup, token.Place{Who: who, File: c.file, Variable: TokenVariable})
	if err != nil || text == "" {
		return err
	}
	if req.URL.Scheme != "https" && !dial.Loopback(req.URL.Hostname()) {
		return fault.WithHint(fault.New(fault.Denied, "%s is at a plain http address, and its credential would go there in the clear", who), "write https:// in %s", c.urlAt)
	}
	if strings.Contains(text, ":") {
		req.Header.Set("Authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte(text)))
		return nil
	}
	req.Header.Set("Authorization", "Bearer "+text)
	return nil
}

var errorCode = lazyregexp.New(`^[A-Z_]{1,64}$`)

// refused is what a status that is an error means, with MLflow's own code for it. Its message is left
// out: it may quote what it was given.
func (c *Client) refused(doing string, status int, raw []byte) error {
	var said struct {
		Code string `json:"error_code"`
	}
	_ = json.Unmarshal(raw, &said)
	if !errorCode.MatchString(said.Code) {
		said.Code = ""
	}
	kind := httpx.KindOf(status)
	switch said.Code {
	case "RESOURCE_ALREADY_EXISTS":
		kind = fault.Conflict
	case "RESOURCE_DOES_NOT_EXIST":
		kind = fault.Missing
	}
	text := fmt.Sprint(status)
	if said.Code != "" {
		text += " " + said.Code
	}
	err := fault.New(kind, "ask %s for %s: it answered %s", who, doing, text)
	switch {
	case said.Code == "FEATURE_DISABLED" && c.workspace != "":
		return fault.WithHint(fault.New(fault.Invalid, "ask %s for %s: it has no workspaces", who, doing), "remove workspace, or begin the server with --enable-workspaces")
	case status >= 300 && status < 400:
		return fault.WithHint(fault.New(fault.Invalid, "ask %s for %s: it answered %d, which leads elsewhere", who, doing, status), "write in %s where its REST API is, not a page that asks who you are", c.urlAt)
	case kind == fault.Denied && c.file != "":
		return fault.WithHint(err, "put a credential that may do it into %s", c.file)
	case kind == fault.Denied:
		return fault.WithHint(err, "put a credential that may do it into %s, or name a file of one in %s", TokenVariable, c.tokenAt)
	case kind == fault.Transient:
		return fault.WithHint(err, "try again; the log of %s says more", who)
	case status == http.StatusNotFound && strings.HasPrefix(doing, "logged-models") && (said.Code == "" || said.Code == "ENDPOINT_NOT_FOUND"):
		return fault.WithHint(fault.New(fault.Invalid, "ask %s for %s: it answered 404: it has no models with files", who, doing), "MLflow 3 or newer is needed for spec.trackers.mlflow.models: remove that, or upgrade the server")
	case status == http.StatusNotFound && said.Code == "":
		return fault.WithHint(fault.New(fault.Invalid, "ask %s for %s: it answered 404: it is older than this needs, or its REST API is elsewhere", who, doing), "MLflow 2.9 or newer is needed, and its address as people open it, without /api")
	}
	return fault.WithHint(err, "the log of %s says more", who)
}

// MostPages bounds a list: more than a million runs, or points of a metric.
const MostPages = 1000

// Paged asks for one page after another until there is no next. A list without an end is an error: what is
// missing on it would be written a second time.
func Paged(what string, ask func(page string) (next string, err error)) error {
	page := ""
	for range MostPages {
		next, err := ask(page)
		if err != nil || next == "" {
			return err
		}
		if next == page {
			break
		}
		page = next
	}
	return fault.WithHint(fault.New(fault.Invalid, "MLflow's list of %s does not end", what), "see what answers at the tracker's url; an experiment of its own, or another prefix, has a shorter list")
}
