// Package gauge reads what other programs measure of what is served.
package gauge

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/prometheus/client_golang/api"
	prometheus "github.com/prometheus/client_golang/api/prometheus/v1"
	"github.com/prometheus/common/model"

	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/harmless"
	"github.com/vishwaops/vishwa/reconciler/machine/dial"
	"github.com/vishwaops/vishwa/reconciler/machine/httpx"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/schemas"
)

// Options are the caller's.
type Options struct {
	Env   port.Env
	Allow []string      // private hosts and networks that may be asked
	Wait  time.Duration // for an answer; zero: 30 seconds
}

const (
	mostAnswer = 4 << 20 // bytes
	points     = 60      // of a range
)

type server struct {
	o    Options
	spec schemas.PrometheusGauge
	api  prometheus.API
	host string

	token string // that is never said
}

// Prometheus asks a server one question.
func Prometheus(spec schemas.PrometheusGauge, o Options) (port.Gauge, error) {
	u, err := url.Parse(spec.URL)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" || u.User != nil {
		return nil, fault.WithHint(fault.New(fault.Invalid, "the server's address cannot be read"), "write it as https://host/path, without a password")
	}
	if err := o.Env.MayAsk(spec.URL); err != nil {
		return nil, err
	}
	g, err := dial.NewGuard(u.Hostname(), o.Allow)
	if err != nil {
		return nil, err
	}
	token := ""
	if spec.Token != "" {
		if err := o.Env.MaySend(spec.Token, spec.URL); err != nil {
			return nil, err
		}
		if token, _ = o.Env.Lookup(spec.Token); token == "" {
			return nil, fault.WithHint(fault.New(fault.Denied, "%s is not set", spec.Token), "set it to the token of %s", u.Host)
		}
	}
	if o.Wait == 0 {
		o.Wait = 30 * time.Second
	}
	client, err := api.NewClient(api.Config{Address: spec.URL, Client: &http.Client{
		Transport:     bounded{httpx.Transport(httpx.Options{Dial: g.Dial, Header: o.Wait}), token},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}})
	if err != nil {
		return nil, fault.WithHint(fault.New(fault.Invalid, "the server's address cannot be read"), "write it as https://HOST[/PATH]")
	}
	return &server{o, spec, prometheus.NewAPI(client), u.Host, token}, nil
}

// bounded sends the token and cuts what never ends.
type bounded struct {
	http.RoundTripper
	token string
}

func (b bounded) RoundTrip(req *http.Request) (*http.Response, error) {
	if b.token != "" {
		req = req.Clone(req.Context())
		req.Header.Set("Authorization", "Bearer "+b.token)
	}
	res, err := b.RoundTripper.RoundTrip(req)
	if err == nil {
		res.Body = struct {
			io.Reader
			io.Closer
		}{io.LimitReader(res.Body, mostAnswer), res.Body}
	}
	return res, err
}

func (s *server) Measure(ctx context.Context) ([]port.Measurement, error) {
	asked, cancel := context.WithTimeout(ctx, s.o.Wait)
	defer cancel()
	m := port.Measurement{What: s.spec.Query}
	now := s.o.Env.Now()
	value, _, err := s.api.Query(asked, s.spec.Query, now)
	if err != nil {
		return nil, s.fault(ctx, err)
	}
	x, there, err := s.one(value)
	if err != nil {
		return nil, err
	}
	if !there { // nothing was measured, which is not 0
		return []port.Measurement{m}, nil
	}
	m.N, m.Value = 1, &x
	if m.Alarm = s.out(x); !m.Alarm || s.spec.For == "" {
		return []port.Measurement{m}, nil
	}
	long := s.spec.For.Or(time.Minute)
	past, _, err := s.api.QueryRange(asked, s.spec.Query, prometheus.Range{Start: now.Add(-long), End: now, Step: max(long/points, time.Second)})
	if err != nil {
		return nil, s.fault(ctx, err)
	}
	series, ok := past.(model.Matrix)
	if !ok || len(series) != 1 {
		return nil, fault.WithHint(fault.New(fault.Invalid, "%s: over %s the query has %d series", s.host, long, len(series)), "aggregate it to one series, such as with sum or max")
	}
	m.N = int64(len(series[0].Values))
	for _, p := range series[0].Values {
		m.Alarm = m.Alarm && s.out(float64(p.Value))
	}
	first := now
	if len(series[0].Values) > 0 {
		first = series[0].Values[0].Timestamp.Time()
	}
	m.Alarm = m.Alarm && !first.After(now.Add(-long).Add(2*max(long/points, time.Second))) // it must have been so all the time
	return []port.Measurement{m}, nil
}

func (s *server) out(x float64) bool {
	return s.spec.Min != nil && x < *s.spec.Min || s.spec.Max != nil && x > *s.spec.Max
}

// one is the only number of an answer; false: it has none.
func (s *server) one(v model.Value) (x float64, there bool, err error) {
	switch v := v.(type) {
	case *model.Scalar:
		x = float64(v.Value)
	case model.Vector:
		if len(v) == 0 {
			return 0, false, nil
		}
		if len(v) > 1 {
			return 0, false, fault.WithHint(fault.New(fault.Invalid, "%s: the query has %d series, and a gauge shows one number", s.host, len(v)), "aggregate it to one series, such as with sum or max")
		}
		if v[0].Histogram != nil {
			return 0, false, fault.WithHint(fault.New(fault.Invalid, "%s: the query has a histogram, and a gauge shows one number", s.host), "take a quantile of it, such as with histogram_quantile")
		}
		x = float64(v[0].Value)
	default:
		return 0, false, fault.WithHint(fault.New(fault.Invalid, "%s: the query has a %s, and a gauge shows one number", s.host, v.Type()), "aggregate over the range, such as with avg_over_time")
	}
	if math.IsNaN(x) || math.IsInf(x, 0) {
		return 0, false, fault.WithHint(fault.New(fault.Invalid, "%s: the query's value is not a number (%v)", s.host, x), "write the query so that it has no value where nothing was measured")
	}
	return x, true, nil
}

// word is a text of the server, safe to show.
func (s *server) word(text string, most int) string {
	text = text[:min(len(text), most)]
	if s.token != "" {
		text = strings.ReplaceAll(text, s.token, "***")
	}
	return harmless.Line(strings.TrimSpace(strings.ToValidUTF8(text, "")))
}

// fault classes what went wrong, without what the address may hold.
func (s *server) fault(ctx context.Context, err error) error {
	var said *prometheus.Error
	switch {
	case ctx.Err() != nil:
		return fault.New(fault.Cancelled, "ask %s: %w", s.host, context.Cause(ctx))
	case errors.As(err, &said):
		// Both are the server's own words: it may say the token that it was sent, or what steers a terminal.
		text := fmt.Sprintf("%s: %s: %.200s", s.host, s.word(string(said.Type), 40), s.word(said.Msg, 1<<12))
		switch said.Type {
		case prometheus.ErrBadData, prometheus.ErrExec, prometheus.ErrBadResponse:
			return fault.WithHint(fault.New(fault.Invalid, "%s", text), "correct the query, or the server's address")
		case prometheus.ErrClient:
			if strings.Contains(said.Msg, "401") || strings.Contains(said.Msg, "403") {
				return fault.WithHint(fault.New(fault.Denied, "%s", text), "name the variable of a token that may query")
			}
			return fault.WithHint(fault.New(fault.Invalid, "%s", text), "correct the server's address")
		}
		return fault.WithHint(fault.New(fault.Transient, "%s", text), "see to the server; it is asked again")
	case fault.Of(err) == fault.Denied:
		return fault.WithHint(fault.New(fault.Denied, "ask %s: it is not a public address", s.host), "if it is meant: --allow %s, or allow: in the controller's file", s.host)
	case errors.Is(err, context.DeadlineExceeded):
		return fault.WithHint(fault.New(fault.Transient, "ask %s: no answer within %s", s.host, s.o.Wait), "see to the server; it is asked again")
	}
	if errors.As(err, new(*url.Error)) || errors.Is(err, io.ErrUnexpectedEOF) {
		return fault.WithHint(fault.New(fault.Transient, "ask %s: it does not answer", s.host), "see to the server; it is asked again")
	}
	return fault.WithHint(fault.New(fault.Invalid, "%s: its answer cannot be read as one of Prometheus", s.host), "correct the query, or the server's address")
}
