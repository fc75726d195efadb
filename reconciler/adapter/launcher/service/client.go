// How a tool is asked: its credentials read anew each time, its bad hours ridden out, and
// nothing of what it answers shown that may quote what it was given.

package service

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/harmless"
	"github.com/vishwaops/vishwa/reconciler/machine/httpx"
	"github.com/vishwaops/vishwa/reconciler/machine/token"
	"github.com/vishwaops/vishwa/reconciler/port"
)

// Options are what a launcher of this package is made of.
type Options struct {
	Env port.Env
	// Transport asks the tool; nil is the usual way.
	Transport http.RoundTripper
	pace      time.Duration // zero is the usual one; tests are in more of a hurry
}

const mostAnswer = 64 << 20 // bytes

// client asks one tool.
type client struct {
	who, url       string
	file, variable string // where the token is
	env            port.Env
	http           *http.Client
	// signed puts the token on a request.
	signed func(req *http.Request, token string)
	// more is put on each request besides; nil is nothing.
	more func(req *http.Request)
}

func newClient(who, at, file, variable string, o Options) *client {
	next := o.Transport
	if next == nil {
		next = httpx.Transport(httpx.Options{})
	}
	return &client{
		who: who, url: strings.TrimRight(at, "/"), file: file, variable: variable, env: o.Env,
		http: &http.Client{
			Transport:     &httpx.Retry{Next: next, Who: who, Now: o.Env.Now, Log: o.Env.Log, Limit: time.Minute},
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }, // a token goes nowhere else
		},
		signed: func(req *http.Request, token string) { req.Header.Set("Authorization", "Bearer "+token) },
	}
}

// token is read each time: it may be renewed while a run is under way.
func (c *client) token() (string, error) {
	return token.Read(c.env.Lookup, token.Place{Who: c.who, File: c.file, Variable: c.variable})
}

// do asks, and has the answer whatever its status is; an error is of the way there and back.
func (c *client) do(ctx context.Context, method, path string, body any) (int, []byte, error) {
	if err := c.env.MayAsk(c.url); err != nil {
		return 0, nil, err
	}
	token, err := c.token()
	if err != nil {
		return 0, nil, err
	}
	return c.doAs(ctx, token, method, path, body)
}

// doAs is do with another token; "" is none.
func (c *client) doAs(ctx context.Context, token, method, path string, body any) (int, []byte, error) {
	var in io.Reader
	kind := "application/json"
	if form, is := body.(url.Values); is {
		in, kind = strings.NewReader(form.Encode()), "application/x-www-form-urlencoded"
	} else if body != nil {
		raw, err := json.Marshal(body)
		if err != nil {
			return 0, nil, err
		}
		in = bytes.NewReader(raw)
	}
	req, err := http.NewRequestWithContext(ctx, method, c.url+path, in)
	if err != nil {
		return 0, nil, fault.WithHint(fault.New(fault.Invalid, "ask %s: its url cannot be asked", c.who), "write the runner's url as https://HOST[/PATH]")
	}
	req.Header.Set("Accept", "application/json")
	if body != nil {
		req.Header.Set("Content-Type", kind)
	}
	if token != "" {
		c.signed(req, token)
	}
	if c.more != nil {
		c.more(req)
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return 0, nil, c.lost(ctx, err)
	}
	defer httpx.Drain(resp)
	raw, err := io.ReadAll(io.LimitReader(resp.Body, mostAnswer+1))
	if err != nil {
		return 0, nil, c.lost(ctx, err)
	}
	if len(raw) > mostAnswer {
		return 0, nil, fault.WithHint(fault.New(fault.Transient, "%s answered more than %d bytes", c.who, mostAnswer), "see that the runner's url is that of its REST API")
	}
	return resp.StatusCode, raw, nil
}

func (c *client) lost(ctx context.Context, err error) error {
	err = httpx.Failed(ctx, err)
	return fault.WithHint(fault.New(fault.Of(err), "ask %s at %s: %w", c.who, c.url, err), "%s", fault.HintOf(err))
}

// refused is what a status that is an error means. What the tool said is left out: it may
// quote the ticket.
func (c *client) refused(doing string, code int) error {
	err := fault.New(httpx.KindOf(code), "%s: %s answered %d", doing, c.who, code)
	switch {
	case code >= 300 && code < 400:
		return fault.WithHint(fault.New(fault.Invalid, "%s: %s answered %d, which leads elsewhere", doing, c.who, code), "write in the runner's url where its REST API is, not a page that asks who you are")
	case fault.Of(err) == fault.Denied && c.file != "":
		return fault.WithHint(err, "put a token that may do it into %s", c.file)
	case fault.Of(err) == fault.Denied:
		return fault.WithHint(err, "put a token that may do it into %s, or name a file as the runner's token", c.variable)
	case fault.Of(err) == fault.Transient:
		return fault.WithHint(err, "try again; the log of %s says more", c.who)
	}
	return fault.WithHint(err, "the log of %s says more", c.who)
}

// found reads the answer to a question for what may not be there.
func (c *client) found(doing string, code int, raw []byte, err error, out any) (there bool, _ error) {
	switch {
	case err != nil:
		return false, fmt.Errorf("%s: %w", doing, err)
	case code == http.StatusNotFound:
		return false, nil
	case code != http.StatusOK:
		return false, c.refused(doing, code)
	}
	return true, c.decodeAnswer(doing, raw, out)
}

// gone reads the answer to who ended what may be gone already; a tool may lead to a page then.
func (c *client) gone(doing string, code int, err error) error {
	switch {
	case err != nil:
		return fmt.Errorf("%s: %w", doing, err)
	case code >= 200 && code < 300 || code == http.StatusFound || code == http.StatusNotFound:
		return nil
	}
	return c.refused(doing, code)
}

// decodeAnswer takes an answer of JSON.
func (c *client) decodeAnswer(doing string, raw []byte, out any) error {
	if err := json.Unmarshal(raw, out); err != nil {
		return fault.WithHint(fault.New(fault.Invalid, "%s: what %s has answered is not %s's REST API", doing, c.url, c.who), "write in the runner's url where that is")
	}
	return nil
}

// withWords adds to how a task ended the last word of its worker in what it printed, which may hold
// anything else: where it never came to write into the store, that says why.
func withWords(s port.TaskStatus, printed string) port.TaskStatus {
	lines := strings.Split(printed, "\n")
	for _, line := range slices.Backward(lines) {
		if strings.HasPrefix(line, "vishwa-worker: ") || strings.HasPrefix(line, "vishwa: ") {
			s.Reason += ": " + harmless.Said(line)
			break
		}
	}
	return s
}
