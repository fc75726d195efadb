// Bodies that are sent to harm, and what a log costs the requests beside it.

package server

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/vishwaops/vishwa/reconciler/format/predictions"
	"github.com/vishwaops/vishwa/reconciler/machine/predictionlog"
	"github.com/vishwaops/vishwa/schemas"
)

// Bodies that never end, that say nothing or that lie take their bounded part, and hinder nobody.
func TestHostileBodiesNeitherHarmNorHinder(t *testing.T) {
	s := newStage(t)
	l := s.apply(s.logging("1", schemas.PredictionLog{Every: "50ms", Bodies: true}))
	endless := func() *http.Request {
		r, _ := http.NewRequest(http.MethodPost, l.URL+"/count", io.LimitReader(zeros{}, 1<<30))
		return r
	}
	if a, err := http.DefaultClient.Do(endless()); err == nil {
		if a.Body.Close(); a.StatusCode != http.StatusRequestEntityTooLarge {
			t.Errorf("a body of 1 GiB: %s", a.Status)
		}
	}
	deep := `{"instances":` + strings.Repeat("[", 60_000)
	for _, body := range []string{"", "\x00\xff", deep, `{"instances":[` + strings.Repeat(`{"a":1},`, 9000) + `{}]}`, strings.Repeat("x", 3<<20)} {
		if status, _ := s.ask(l, "/count", body); status != 200 {
			t.Errorf("%d bytes: %d", len(body), status)
		}
	}
	s.ask(l, "/echo", `{"instances":[{"x":1}],"predictions":[1]}`, "X-Request-Id", "last")
	s.until("the log goes on", func() bool { return slices.Contains(s.rows("id"), "last") })
	for _, row := range s.rows("request") {
		if len(row) > 64<<10 {
			t.Errorf("a body of %d bytes is kept", len(row))
		}
	}
	if o := s.observe("one"); o.Log.Lost > 0 || o.Log.Error != "" {
		t.Errorf("%+v", o.Log)
	}
}

type zeros struct{}

func TestARequestsIDIsFoundWithoutReadingItAll(t *testing.T) {
	for body, want := range map[string]string{
		`{"id":"42","inputs":[]}`: "42", `{"inputs":[{"id":"no"}],"id" : 7 }`: "7", `{"a":"\"id\":\"x\"","id":"y\"z"}`: `y"z`,
		`["id",{"id":"no"}]`: "", `{"id":null}`: "", `{"id":{"a":1}}`: "", `{"id":"cut`: "", `{"id`: "", "": "", `{"id":`: "", `"id":"x"`: "",
	} {
		if got := predictions.RequestID([]byte(body)); got != want {
			t.Errorf("%s: %q, want %q", body, got, want)
		}
	}
}

// beside is a proxy before a server that answers a prediction, with a log or without.
func beside(b *testing.B, logs bool) (*httptest.Server, *predictionlog.Log) {
	back := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		fmt.Fprint(w, `{"outputs":[{"name":"probability","shape":[1],"datatype":"FP64","data":[0.25]}]}`)
	}))
	b.Cleanup(back.Close)
	at, _ := url.Parse(back.URL)
	g := newGate()
	p := newProxy(g, func() time.Duration { return time.Second }, func() (time.Duration, Limits) { return time.Minute, Limits{}.filled() }, testEnv().Log)
	u := &instance{gate: g}
	g.point(u)
	g.seat(u, newBackend(at.Host, "sha256:k", "sha256:m", (&net.Dialer{}).DialContext))
	var log *predictionlog.Log
	if logs {
		var err error
		if log, err = predictionlog.Open(predictionlog.Options{Dir: b.TempDir(), Secret: []byte("s"), Every: time.Second}); err != nil {
			b.Fatal(err)
		}
		b.Cleanup(log.Close)
		p.logs.Store(log)
	}
	front := httptest.NewServer(p)
	b.Cleanup(front.Close)
	return front, log
}

// BenchmarkPredictionLog asks two proxies in turn at 2,000 requests a second each, one with a
// log, and tells what the log adds.
func BenchmarkPredictionLog(b *testing.B) {
	without, _ := beside(b, false)
	with, log := beside(b, true)
	question := `{"inputs":[` + strings.TrimSuffix(strings.Repeat(`{"name":"a","shape":[1],"datatype":"FP64","data":[12.5]},`, 10), ",") + `]}`
	took := [2][]time.Duration{}
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 64}}
	const senders, rate = 16, 2000
	n := 4000 * b.N // two seconds and more: what is measured is the tail
	type result struct {
		which int
		took  time.Duration
		err   error
	}
	results := make(chan result, 1<<16)
	ticks := make(chan int, 1<<16)
	for range senders {
		go func() {
			for which := range ticks {
				began := time.Now()
				a, err := client.Post([]string{without.URL, with.URL}[which], "application/json", strings.NewReader(question))
				if err == nil {
					_, err = io.Copy(io.Discard, a.Body)
					a.Body.Close()
				}
				results <- result{which, time.Since(began), err}
			}
		}()
	}
	b.ResetTimer()
	go func() {
		defer close(ticks)
		began := time.Now()
		for i := range 2 * n {
			if due := began.Add(time.Duration(i) * time.Second / (2 * rate)); time.Until(due) > time.Millisecond {
				time.Sleep(time.Until(due))
			}
			ticks <- i % 2
		}
	}()
	for range 2 * n {
		r := <-results
		if r.err != nil {
			b.Fatal(r.err)
		}
		took[r.which] = append(took[r.which], r.took)
	}
	b.StopTimer()
	at := func(which int, q float64) float64 {
		slices.Sort(took[which])
		return float64(took[which][int(float64(len(took[which])-1)*q)].Nanoseconds()) / 1e3
	}
	for _, q := range []float64{0.5, 0.99} {
		b.ReportMetric(at(0, q), fmt.Sprintf("without-p%g-µs", q*100))
		b.ReportMetric(at(1, q), fmt.Sprintf("with-p%g-µs", q*100))
	}
	if err := log.Flush(b.Context()); err != nil {
		b.Fatal(err)
	}
	if c := log.Counts(); c.Rows != int64(n) || c.Dropped > 0 {
		b.Fatalf("%d requests: %+v", n, c)
	}
}
