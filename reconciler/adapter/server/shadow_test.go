// A release is sent requests that another one answers: nobody gets its answers, and nobody waits for them.

package server

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/format/predictions"
	"github.com/vishwaops/vishwa/reconciler/machine/bucket"
	"github.com/vishwaops/vishwa/reconciler/machine/predictionlog"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/reconciler/port/porttest"
)

// twins are a proxy before a release that doubles a number, and another whose answers nobody gets.
type twins struct {
	*trio
	mu   sync.Mutex
	seen []string                                          // what the other was asked
	old  http.HandlerFunc                                  // what the first does; nil: it answers twice the number
	new  func(http.ResponseWriter, *http.Request, float64) // what the other does; nil: the same
}

func newTwins(t *testing.T, how port.Shadow) *twins {
	t.Helper()
	s := &twins{trio: newTrio(t)}
	double := func(w http.ResponseWriter, x float64) { fmt.Fprintf(w, `{"predictions":[%g]}`, 2*x) }
	for _, arm := range []string{armStable, armCanary} {
		end := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			body, _ := io.ReadAll(r.Body)
			var in struct{ Instances []float64 }
			_ = json.Unmarshal(body, &in)
			x := 0.0
			if len(in.Instances) > 0 {
				x = in.Instances[0]
			}
			s.mu.Lock()
			do, old := s.new, s.old
			if arm == armCanary {
				s.seen = append(s.seen, r.Method+" "+r.URL.RequestURI()+" "+r.Header.Get(HeaderShadow)+" "+string(body))
			}
			s.mu.Unlock()
			switch {
			case arm == armCanary && do != nil:
				do(w, r, x)
			case arm == armStable && old != nil:
				old(w, r)
			default:
				double(w, x)
			}
			if arm == armStable && r.Header.Get(HeaderShadow) != "" {
				t.Errorf("who serves is told that it is a shadow")
			}
		}))
		t.Cleanup(end.Close)
		at, err := url.Parse(end.URL)
		if err != nil {
			t.Fatal(err)
		}
		s.gate.seat(s.units[arm], newBackend(at.Host, digest.Of([]byte(arm)), "", (&net.Dialer{}).DialContext))
	}
	s.split(0)
	s.gate.shadow(&how, s.units[armCanary])
	return s
}

func (s *twins) asks(method, path, body string) (int, string) {
	s.t.Helper()
	r, err := http.NewRequestWithContext(s.t.Context(), method, s.front.URL+path, strings.NewReader(body))
	if err != nil {
		s.t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set(HeaderShadow, "mine")
	a, err := http.DefaultClient.Do(r)
	if err != nil {
		s.t.Fatal(err)
	}
	defer a.Body.Close()
	text, err := io.ReadAll(a.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	return a.StatusCode, string(text)
}

// pairs waits until n requests were sent twice.
func (s *twins) pairs(n int64) port.Pairs {
	s.t.Helper()
	porttest.Until(s.t, 20*time.Second, fmt.Sprintf("%d pairs", n), func() bool { return s.gate.mirrors().seen().Pairs >= n }, nil)
	return *s.gate.mirrors().seen()
}

// TestAShadowAnswersNobody: the same requests come to it, what it makes of them is counted, and who asks gets the old release's answer.
func TestAShadowAnswersNobody(t *testing.T) {
	s := newTwins(t, port.Shadow{Percent: 100, Tolerance: 0.5, Slower: time.Minute})
	for i := range 20 {
		if code, text := s.asks("POST", "/v1/models/m:predict?a=b", fmt.Sprintf(`{"instances":[%d]}`, i)); code != 200 || text != fmt.Sprintf(`{"predictions":[%d]}`, 2*i) {
			t.Fatalf("%d: %d %s", i, code, text)
		}
	}
	if p := s.pairs(20); p.Compared != 20 || p.Differ != 0 || p.Failed != 0 || p.Numbers != 20 || p.Took <= 0 || p.OldTook <= 0 || p.Answered != 20 {
		t.Errorf("the same answers: %+v", p)
	}
	s.mu.Lock()
	if len(s.seen) != 20 || !slices.Contains(s.seen, `POST /v1/models/m:predict?a=b 1 {"instances":[7]}`) {
		t.Errorf("it was asked %q", s.seen)
	}
	s.new = func(w http.ResponseWriter, _ *http.Request, x float64) {
		switch {
		case x < 5:
			fmt.Fprintf(w, `{"predictions":[%g]}`, 2*x+0.25) // within its tolerance
		case x < 10:
			fmt.Fprintf(w, `{"predictions":[%g]}`, 2*x+4)
		case x < 15:
			w.WriteHeader(http.StatusInternalServerError)
		default:
			w.WriteHeader(http.StatusUnprocessableEntity)
		}
	}
	s.mu.Unlock()
	for i := range 20 {
		if code, text := s.asks("POST", "/predict", fmt.Sprintf(`{"instances":[%d]}`, i)); code != 200 || text != fmt.Sprintf(`{"predictions":[%d]}`, 2*i) {
			t.Fatalf("%d: %d %s", i, code, text)
		}
	}
	if p := s.pairs(40); p.Compared != 35 || p.Differ != 10 || p.Failed != 5 || p.Farthest != 4 || p.Distance != 5*0.25+5*4 {
		t.Errorf("other answers: %+v", p)
	}
	if c := s.counted(armCanary); c != "0 of 0" {
		t.Errorf("it is counted among who answers: %s", c)
	}
}

// TestAShadowIsNotWaitedFor: one that hangs holds nobody up, takes a bounded number of requests, and what has no room is counted.
func TestAShadowIsNotWaitedFor(t *testing.T) {
	s := newTwins(t, port.Shadow{Percent: 100})
	release := make(chan struct{})
	s.new = func(w http.ResponseWriter, r *http.Request, _ float64) {
		select {
		case <-release:
		case <-r.Context().Done():
		}
	}
	began := time.Now()
	for i := range 3 * shadowsAtOnce {
		if code, _ := s.asks("POST", "/predict", fmt.Sprintf(`{"instances":[%d]}`, i)); code != 200 {
			t.Fatalf("%d: %d", i, code)
		}
	}
	if took := time.Since(began); took > shadowWithin/2 {
		t.Errorf("it took %s", took)
	}
	if p := s.gate.mirrors().seen(); p.Dropped != 2*shadowsAtOnce || p.Pairs != 0 {
		t.Errorf("%+v", p)
	}
	close(release)
	s.pairs(shadowsAtOnce)
	s.ends[armStable].Close()

	gone := newTwins(t, port.Shadow{Percent: 100})
	gone.gate.seat(gone.units[armCanary], nil) // it has ended, and is begun anew
	gone.asks("POST", "/predict", `{"instances":[1]}`)
	if p := gone.pairs(1); p.Failed != 1 || p.Compared != 0 {
		t.Errorf("one that does not run: %+v", p)
	}
}

// TestOnlyRequestsForPredictionsAreSentTwice: what may change something is not, unless the declaration names its path.
func TestOnlyRequestsForPredictionsAreSentTwice(t *testing.T) {
	s := newTwins(t, port.Shadow{Percent: 100})
	for _, r := range [][2]string{{"PUT", "/predict"}, {"DELETE", "/predict"}, {"PATCH", "/infer"}, {"POST", "/orders"}, {"POST", "/v2/repository/models/m/load"}, {"GET", "/v2/health/ready"}, {"POST", "/predict/"}} {
		s.asks(r[0], r[1], `{"instances":[1]}`)
	}
	s.asks("POST", "/predict", `{"instances":[1],"x":"`+strings.Repeat("x", held)+`"}`) // too large to be held
	s.asks("POST", "/v2/models/m/infer", `{"instances":[2]}`)
	s.asks("GET", "/score?x=2", "")
	if p := s.pairs(2); p.Unfit != 1 || p.Pairs != 2 {
		t.Errorf("%+v", p)
	}
	s.mu.Lock()
	slices.Sort(s.seen)
	if want := []string{"GET /score?x=2 1 ", `POST /v2/models/m/infer 1 {"instances":[2]}`}; !slices.Equal(s.seen, want) {
		t.Errorf("it was asked %q", s.seen)
	}
	s.mu.Unlock()

	named := newTwins(t, port.Shadow{Percent: 100, Paths: []string{"/price", "/v9/*"}})
	for _, path := range []string{"/predict", "/prices", "/price", "/v9/x", "/v9"} {
		named.asks("POST", path, `{"instances":[1]}`)
	}
	named.pairs(2)
	named.mu.Lock()
	if len(named.seen) != 2 {
		t.Errorf("it was asked %q", named.seen)
	}
	named.mu.Unlock()
}

// TestWhoHangsUpAfterTheAnswerIsSeen: most clients do at once; and who does before it says nothing of either release.
func TestWhoHangsUpAfterTheAnswerIsSeen(t *testing.T) {
	s := newTwins(t, port.Shadow{Percent: 100})
	const n = 200
	for i := range n {
		if i%8 == 0 {
			s.pairs(int64(i)) // so that each has room, however busy the machine is
		}
		c, err := net.Dial("tcp", strings.TrimPrefix(s.front.URL, "http://"))
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(c, "POST /predict HTTP/1.1\r\nHost: x\r\nContent-Length: 17\r\n\r\n{\"instances\":[1]}")
		buf := make([]byte, 4096)
		for got := ""; !strings.Contains(got, "[2]"); {
			k, err := c.Read(buf)
			if err != nil {
				t.Fatal(err)
			}
			got += string(buf[:k])
		}
		c.Close()
	}
	if p := s.pairs(n); p.Pairs != n || p.OldFailed != 0 || p.Differ != 0 {
		t.Errorf("%+v", p)
	}
	s.old = func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, s.front.URL+"/predict", strings.NewReader(`{"instances":[1]}`))
	if err != nil {
		t.Fatal(err)
	}
	if a, err := http.DefaultClient.Do(r); err == nil {
		a.Body.Close()
		t.Fatal("it was answered")
	}
	s.mu.Lock()
	s.old = nil
	s.mu.Unlock()
	s.asks("POST", "/predict", `{"instances":[1]}`)
	if p := s.pairs(n + 1); p.Pairs != n+1 || p.OldFailed != 0 {
		t.Errorf("who went away: %+v", p)
	}
}

// TestAnAnswerThatBreaksOffIsNotCompared: what the old release did not finish says nothing of the new one.
func TestAnAnswerThatBreaksOffIsNotCompared(t *testing.T) {
	s := newTwins(t, port.Shadow{Percent: 100})
	s.old = func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprint(w, `{"predictions":[`)
		_ = http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	}
	if a, err := http.Post(s.front.URL+"/predict", "application/json", strings.NewReader(`{"instances":[1]}`)); err == nil {
		_, err = io.ReadAll(a.Body)
		a.Body.Close()
		if err == nil {
			t.Fatal("it did not break off")
		}
	}
	s.mu.Lock()
	s.old = nil
	s.mu.Unlock()
	s.asks("POST", "/predict", `{"instances":[1]}`)
	if p := s.pairs(1); p.Pairs != 1 || p.Differ != 0 {
		t.Errorf("%+v", p)
	}
}

// TestTheRowsOfAShadowAreTheirOwn: each has the id of the row of the answer that was given, and who reads the log does not meet it
// unless it is asked for.
func TestTheRowsOfAShadowAreTheirOwn(t *testing.T) {
	s := newTwins(t, port.Shadow{Percent: 100})
	s.new = func(w http.ResponseWriter, _ *http.Request, x float64) { fmt.Fprintf(w, `{"predictions":[%g]}`, 3*x) }
	dir := t.TempDir()
	log, err := predictionlog.Open(predictionlog.Options{Dir: dir, Secret: []byte("s"), Every: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	s.proxy.logs.Store(log)
	s.asks("POST", "/predict", `{"instances":[1],"id":"a"}`)
	s.asks("POST", "/predict", `{"instances":[2]}`)
	s.asks("POST", "/predict", `{"instances":[3],"x":"`+strings.Repeat("x", soughtIn)+`","id":"c"}`)
	s.pairs(3)
	log.Close()
	objects, err := bucket.Dir(dir)
	if err != nil {
		t.Fatal(err)
	}
	read := func(q predictionlog.Query) (map[string][]string, predictionlog.Report) {
		r := predictionlog.Read(t.Context(), objects, q)
		defer r.Close()
		out := map[string][]string{} // id -> arm prediction
		for {
			row, err := r.Next()
			if errors.Is(err, io.EOF) {
				return out, r.Report()
			}
			if err != nil {
				t.Fatal(err)
			}
			cell := func(name string) string { return string(row.Cells[slices.Index(r.Columns(), name)]) }
			id := cell(predictions.ColumnID)
			out[id] = append(out[id], cell(predictions.ColumnArm)+" "+cell(predictions.ColumnPrediction))
			slices.Sort(out[id])
		}
	}
	plain, report := read(predictionlog.Query{})
	if len(plain) != 3 || report.Rows != 3 || report.Shadow != 0 || report.ShadowParts != 1 || report.Duplicates != 0 || !slices.Equal(plain["a"], []string{"stable 2"}) {
		t.Errorf("read without it: %v, %+v", plain, report)
	}
	all, _ := read(predictionlog.Query{Shadow: true})
	if len(all) != 3 || !slices.Equal(all["a"], []string{"shadow 3", "stable 2"}) || !slices.Equal(all["c"], []string{"shadow 9", "stable 6"}) {
		t.Errorf("read with it: %v", all)
	}
}

// TestAShadowGoesOnAfterACrash: with what was seen of it, and until its share is none.
func TestAShadowGoesOnAfterACrash(t *testing.T) {
	s := newStage(t)
	one, two := s.release("one", "1"), s.release("one", "2")
	l := s.apply(one)
	try := s.server.(port.Splitter)
	shadow := port.Part{Shadow: &port.Shadow{Percent: 100, Paths: []string{"/version"}}}
	if _, err := try.Split(t.Context(), two, port.Part{Shadow: &port.Shadow{Percent: 101}}); fault.Of(err) != fault.Invalid {
		t.Errorf("more than all requests: %v", err)
	}
	if _, err := try.Split(t.Context(), two, shadow); err != nil {
		t.Fatal(err)
	}
	ask := func(n int) port.Pairs {
		t.Helper()
		was := s.observe("one").Beside.Pairs.Pairs
		if by := s.answers(l, "/version", n); by["1"] != n {
			t.Fatalf("it answers: %v", by)
		}
		s.until("it was sent twice", func() bool { return s.observe("one").Beside.Pairs.Pairs >= was+int64(n) })
		return *s.observe("one").Beside.Pairs
	}
	if p := ask(20); p.Differ != 20 || s.observe("one").Beside.Shadow != 100 {
		t.Fatalf("%+v", p)
	}
	time.Sleep(2 * countsEvery)
	s.killHost()
	l = s.apply(one)
	s.until("what is tried is back", func() bool {
		b := s.observe("one").Beside
		return b != nil && b.Health == port.Ready && b.Shadow == 100 && b.Pairs.Pairs >= 20
	})
	if p := ask(5); p.Pairs < 25 {
		t.Errorf("after a crash it counts anew: %+v", p)
	}
	if live, err := try.Split(t.Context(), two, port.Part{Weight: 10}); err != nil || live.Beside.Shadow != 0 || live.Beside.Pairs == nil || live.Beside.Pairs.Pairs < 25 {
		t.Errorf("it has requests of its own: %+v, %v", live.Beside, err)
	}
	s.join(two, true)
	if by := s.answers(l, "/version", 10); by["2"] != 10 {
		t.Errorf("promoted: %v", by)
	}
}

// TestAFaultOfAComparisonEndsNothing: it is said and counted, and whoever asks next is answered.
func TestAFaultOfAComparisonEndsNothing(t *testing.T) {
	s := newTwins(t, port.Shadow{Percent: 100})
	var said strings.Builder
	m := s.gate.mirrors()
	broken := &twin{m: m, log: slog.New(slog.NewTextHandler(&said, nil)), out: httptest.NewRequest(http.MethodPost, "/predict", nil)} // it is sent to nobody
	over := make(chan struct{})
	fault.Go(func() { broken.send(nil) }, func(err error) {
		defer close(over)
		broken.survive(err)
	})
	<-over
	if p := m.seen(); p.Unread != 1 || !strings.Contains(said.String(), "/predict") {
		t.Errorf("%+v, %s", p, said.String())
	}
	if code, _ := s.asks("POST", "/predict", `{"instances":[1]}`); code != 200 {
		t.Errorf("the next one: %d", code)
	}
}
