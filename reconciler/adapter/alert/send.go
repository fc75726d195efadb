// Package alert tells people of incidents: by a webhook, in Slack's form or a general one, through
// Alertmanager, and as an issue of the forge. Addresses are of the controller's file, whose owner
// names them; no declaration does.
package alert

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net"
	"net/http"
	"net/url"
	"time"

	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/machine/httpx"
	"github.com/vishwaops/vishwa/reconciler/port"
)

// wait is how long a receiver may take to answer.
const wait = 15 * time.Second

// Address is where a receiver is, as its owner wrote it down.
type Address struct {
	URL   func() (string, error) // it may be a secret by itself
	Token func() (string, error) // sent as a bearer; nil: none is
	Env   port.Env               // tells whether anybody is to be asked
}

// sender posts JSON. Its errors name the host alone: an address of Slack is a secret by itself.
type sender struct {
	at   Address
	http *http.Client
}

func newSender(at Address) sender {
	return sender{at, &http.Client{
		Timeout: wait, Transport: httpx.Transport(httpx.Options{Header: wait, PerHost: 1}),
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }, // a token goes nowhere else
	}}
}

// post sends body to the address, with below behind its path.
func (s sender) post(ctx context.Context, below string, body any, headers map[string]string) error {
	text, err := s.at.URL()
	if err != nil {
		return err
	}
	u, err := url.Parse(text)
	if err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" {
		return fault.WithHint(fault.New(fault.Invalid, "the address of the receiver cannot be read"), "write https://host/path")
	}
	if below != "" {
		u = u.JoinPath(below)
	}
	if err := s.at.Env.MayAsk(u.Scheme + "://" + u.Host); err != nil {
		return err
	}
	raw, err := json.Marshal(body)
	if err != nil {
		return fault.New(fault.Internal, "encode the alert: %w", err)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, u.String(), bytes.NewReader(raw))
	if err != nil {
		return fault.WithHint(fault.New(fault.Invalid, "the address of the receiver cannot be read"), "write it as https://HOST/PATH, in the file or the variable that spec.alerts names")
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("User-Agent", "vishwa")
	for name, value := range headers {
		req.Header.Set(name, value)
	}
	if s.at.Token != nil {
		token, err := s.at.Token()
		if err != nil {
			return err
		}
		req.Header.Set("Authorization", "Bearer "+token)
	}
	resp, err := s.http.Do(req)
	if err != nil {
		return s.unanswered(ctx, u.Host, err)
	}
	httpx.Drain(resp)
	return answered(u.Host, resp.StatusCode)
}

func (s sender) unanswered(ctx context.Context, host string, err error) error {
	if ctx.Err() != nil {
		return fault.New(fault.Cancelled, "tell %s: %w", host, context.Cause(ctx))
	}
	why := "it does not answer"
	var dns *net.DNSError
	switch {
	case errors.As(err, &dns):
		why = "its name cannot be found"
	case errors.Is(err, context.DeadlineExceeded):
		why = "no answer within " + wait.String()
	}
	return fault.WithHint(fault.New(fault.Transient, "tell %s: %s", host, why), "see to the receiver; it is notified again")
}

// answered classes an answer. Its text is the receiver's own, and is not shown.
func answered(host string, status int) error {
	switch {
	case status < 300:
		return nil
	case status == http.StatusUnauthorized, status == http.StatusForbidden:
		return fault.WithHint(fault.New(fault.Denied, "tell %s: it answers %d", host, status), "correct the secret that the controller's file names")
	case status == http.StatusTooManyRequests, status == http.StatusRequestTimeout, status >= 500:
		return fault.WithHint(fault.New(fault.Transient, "tell %s: it answers %d", host, status), "see to the receiver; it is notified again")
	}
	return fault.WithHint(fault.New(fault.Invalid, "tell %s: it answers %d", host, status), "correct the address in the controller's file")
}

// state is began or over.
func state(a port.Alert) string {
	if a.Over.IsZero() {
		return "began"
	}
	return "over"
}
