// What a division of the requests costs.

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

	"github.com/vishwaops/vishwa/reconciler/digest"
)

// BenchmarkSplit asks a server and a proxy that divides the requests between two of them, in turn at 2,000 requests a
// second each, and tells what the proxy adds.
func BenchmarkSplit(b *testing.B) {
	answer := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		fmt.Fprint(w, `{"outputs":[{"name":"probability","shape":[1],"datatype":"FP64","data":[0.25]}]}`)
	})
	g := newGate()
	var units []*instance
	direct := httptest.NewServer(answer)
	defer direct.Close()
	for i := range 2 {
		back := httptest.NewServer(answer)
		defer back.Close()
		at, err := url.Parse(back.URL)
		if err != nil {
			b.Fatal(err)
		}
		u := &instance{gate: g}
		g.seat(u, newBackend(at.Host, digest.Of(fmt.Append(nil, i)), "", (&net.Dialer{}).DialContext))
		units = append(units, u)
	}
	g.point(units[0])
	g.split([]part{{units[1], armCanary, 50}})
	front := httptest.NewServer(newProxy(g, func() time.Duration { return time.Second }, func() (time.Duration, Limits) { return time.Minute, Limits{}.filled() }, testEnv().Log))
	defer front.Close()
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 64}}
	question := `{"inputs":[{"name":"a","shape":[1],"datatype":"FP64","data":[12.5]}]}`
	ask := func(at string) time.Duration {
		began := time.Now()
		a, err := client.Post(at, "application/json", strings.NewReader(question))
		if err != nil {
			b.Error(err)
			return 0
		}
		defer a.Body.Close()
		if _, err := io.Copy(io.Discard, a.Body); err != nil {
			b.Error(err)
		}
		return time.Since(began)
	}
	const senders, each = 8, 500
	took := [2][]time.Duration{}
	for b.Loop() {
		results := make(chan [2]time.Duration)
		for range senders {
			go func() {
				tick := time.NewTicker(time.Second * senders / 2000)
				defer tick.Stop()
				for range each {
					<-tick.C
					results <- [2]time.Duration{ask(direct.URL), ask(front.URL)}
				}
			}()
		}
		for range senders * each {
			r := <-results
			took[0], took[1] = append(took[0], r[0]), append(took[1], r[1])
		}
	}
	var p50, p99 [2]float64
	for i, name := range []string{"direct", "split"} {
		slices.Sort(took[i])
		p50[i], p99[i] = took[i][len(took[i])/2].Seconds()*1000, took[i][len(took[i])*99/100].Seconds()*1000
		b.ReportMetric(p50[i], name+"-p50-ms")
		b.ReportMetric(p99[i], name+"-p99-ms")
	}
	b.ReportMetric(p50[1]-p50[0], "added-p50-ms")
	b.ReportMetric(p99[1]-p99[0], "added-p99-ms")
	b.ReportMetric(0.3, "added-p99-ms-goal")
}
