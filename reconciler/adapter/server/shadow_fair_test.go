// What is sent twice is chosen by nobody who asks, and takes no room from others.

package server

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/reconciler/port/porttest"
)

// TestOneClientTakesNoMoreOfAShadowThanIsLeftForOthers: what takes long and is of one client, or of programs of this machine, which are not
// told from one another, keeps nobody else's requests from being compared.
func TestOneClientTakesNoMoreOfAShadowThanIsLeftForOthers(t *testing.T) {
	for name, who := range map[string]string{"a client": "192.0.2.1", "this machine": ""} {
		t.Run(name, func(t *testing.T) {
			s := newTwins(t, port.Shadow{Percent: 100})
			release := make(chan struct{})
			defer close(release)
			s.new = func(w http.ResponseWriter, r *http.Request, x float64) {
				if x != 0 {
					select {
					case <-release:
					case <-r.Context().Done():
					}
				}
				fmt.Fprint(w, `{"predictions":[0]}`)
			}
			s.from(t, "192.0.2.2", 0)
			s.pairs(1)
			for range 2 * shadowsAtOnce {
				s.from(t, who, 1)
			}
			porttest.Until(t, 20*time.Second, "what has no room is dropped", func() bool { return s.gate.mirrors().seen().Dropped == 3*shadowsAtOnce/2 }, nil)
			for i := range 5 {
				s.from(t, "192.0.2.2", 0)
				s.pairs(int64(i + 2))
			}
			if p := s.gate.mirrors().seen(); p.Pairs != 6 || p.Dropped != 3*shadowsAtOnce/2 {
				t.Errorf("%+v", p)
			}
		})
	}
}

// from asks for x as who does; "" is a program of this machine.
func (s *twins) from(t *testing.T, who string, x int) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.front.URL+"/predict", strings.NewReader(fmt.Sprintf(`{"instances":[%d]}`, x)))
	if err != nil {
		t.Fatal(err)
	}
	if who != "" {
		r.Header.Set("X-Forwarded-For", who)
	}
	a, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	a.Body.Close()
}

// TestANewReleaseDoesNotChooseWhatIsCompared: what cannot be read of its answers differs, and what the old one answers so is counted.
func TestANewReleaseDoesNotChooseWhatIsCompared(t *testing.T) {
	s := newTwins(t, port.Shadow{Percent: 100})
	var asked []string
	s.new = func(w http.ResponseWriter, r *http.Request, x float64) {
		s.mu.Lock()
		asked = append(asked, r.Header.Get("Accept-Encoding"))
		s.mu.Unlock()
		switch x {
		case 0:
			w.Header().Set("Content-Encoding", "x")
		case 1:
			w.Header().Set("Content-Encoding", "gzip")
		case 2:
			fmt.Fprint(w, strings.Repeat(" ", mostLogged))
		}
		fmt.Fprintf(w, `{"predictions":[%g]}`, 2*x)
	}
	for i := range 4 {
		s.asks("POST", "/predict", fmt.Sprintf(`{"instances":[%d]}`, i))
	}
	if p := s.pairs(4); p.Compared != 4 || p.Differ != 3 || p.Unread != 0 {
		t.Errorf("%+v", p)
	}
	s.mu.Lock()
	s.old = func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Encoding", "br")
		fmt.Fprint(w, "packed")
	}
	s.mu.Unlock()
	s.asks("POST", "/predict", `{"instances":[3]}`)
	if p := s.pairs(5); p.Compared != 4 || p.Unread != 1 || p.Taken != 5 {
		t.Errorf("the old one cannot be read: %+v", p)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, how := range asked { // the client of this test asks for gzip
		if how != "gzip" {
			t.Errorf("it was asked for %q", how)
		}
	}
	for asked, want := range map[string]string{"": "identity", "br, GZIP;q=0.5": "gzip", "gzip;q=0, br": "identity", "deflate,br": "identity"} {
		if got := readable([]string{asked}); got != want {
			t.Errorf("of %q, %q may be answered", asked, got)
		}
	}
}

// TestWhatTheOldReleaseDoesNotTakeShowsNothing: anybody can send what both refuse, and what one alone fails at.
func TestWhatTheOldReleaseDoesNotTakeShowsNothing(t *testing.T) {
	s := newTwins(t, port.Shadow{Percent: 100, Slower: time.Nanosecond})
	refuse := func(w http.ResponseWriter, status int) { w.WriteHeader(status) }
	s.old = func(w http.ResponseWriter, _ *http.Request) { refuse(w, http.StatusNotFound) }
	s.new = func(w http.ResponseWriter, _ *http.Request, _ float64) { refuse(w, http.StatusNotFound) }
	for i := range 20 {
		s.asks("GET", "/predict", "")
		s.pairs(int64(i + 1))
	}
	s.mu.Lock()
	s.old = func(w http.ResponseWriter, _ *http.Request) { refuse(w, http.StatusInternalServerError) }
	s.mu.Unlock()
	s.asks("POST", "/predict", `{"instances":[1]}`)
	s.pairs(21)
	s.mu.Lock()
	s.new = nil
	s.mu.Unlock()
	s.asks("POST", "/predict", `{"instances":[1]}`)
	if p := s.pairs(22); p.Taken != 0 || p.Failed != 0 || p.OldFailed != 2 || p.Slower != 0 || p.Compared != 0 || p.Answered != 0 {
		t.Errorf("%+v", p)
	}
	s.mu.Lock()
	s.old, s.new = nil, func(w http.ResponseWriter, _ *http.Request, _ float64) { refuse(w, http.StatusBadGateway) }
	s.mu.Unlock()
	s.asks("POST", "/predict", `{"instances":[1]}`)
	if p := s.pairs(23); p.Taken != 1 || p.Failed != 1 || p.Compared != 0 {
		t.Errorf("what the old one takes: %+v", p)
	}
}

// TestNoPathIsTakenForAnotherOne: what a program may clean or decode to something else is not sent a second time.
func TestNoPathIsTakenForAnotherOne(t *testing.T) {
	all := port.Shadow{Percent: 100}
	models := port.Shadow{Percent: 100, Paths: []string{"/v2/models/*", "/a price", "/c*"}}
	for _, c := range []struct {
		how  port.Shadow
		path string
		want bool
	}{
		{all, "/predict", true}, {all, "/v1/models/m/versions/3:predict", true}, {all, "/v2/models/a%20b/infer", true}, {all, "/v1/projects/p/endpoints/7:predict", true},
		{all, "/models/%C3%A4/predict", true}, {all, "/v2/models/m.1/infer", true}, {all, "/v1/models/m:predict?a=../b%2fc", true},
		{all, "/orders/7%2Fpredict", false}, {all, "/orders/7%2fpredict", false}, {all, "/items/x:predict", false}, {all, "/v1/models/m%3apredict", false},
		{all, "/orders/7;/predict", false}, {all, "/orders/../predict", false}, {all, "/orders/./predict", false}, {all, "//orders/predict", false},
		{all, "/orders//predict", false}, {all, "/orders%3f/predict", false}, {all, "/orders%23/predict", false}, {all, "/orders/%2e%2e/predict", false},
		{all, "/orders/%252e%252e/predict", false}, {all, "/orders%5c/predict", false}, {all, "/orders%00/predict", false}, {all, "/orders%3b/predict", false},
		{models, "/v2/models/m", true}, {models, "/v2/models/m/versions/2/infer", true}, {models, "/v2/models/", true}, {models, "/a%20price", true}, {models, "/c", true},
		{models, "/v2/models/../../admin/reset", false}, {models, "/v2/models/%2e%2e/admin", false}, {models, "/v2/models/..%2fadmin", false},
		{models, "/v2/models//admin", false}, {models, "/v2/models/..;/admin", false}, {models, "/v2%2Fmodels/m", false}, {models, "/v2/models/*", true},
	} {
		r, err := http.ReadRequest(bufio.NewReader(strings.NewReader("POST " + c.path + " HTTP/1.1\r\nHost: x\r\n\r\n")))
		if err != nil {
			t.Fatal(err)
		}
		if got := shadowed(c.how, r); got != c.want {
			t.Errorf("%s with %q: %t", c.path, c.how.Paths, got)
		}
	}
}

// TestNobodyElseSaysThatARequestIsAShadows: by whatever name a program takes for the header's.
func TestNobodyElseSaysThatARequestIsAShadows(t *testing.T) {
	s := newTwins(t, port.Shadow{Percent: 100})
	var mine []string
	s.old = func(_ http.ResponseWriter, r *http.Request) {
		for name := range r.Header {
			if strings.Contains(strings.ToLower(name), "vishwa") {
				mine = append(mine, name)
			}
		}
		for name := range r.Trailer {
			mine = append(mine, name)
		}
	}
	c, err := net.Dial("tcp", strings.TrimPrefix(s.front.URL, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	fmt.Fprint(c, "POST /predict HTTP/1.1\r\nHost: x\r\nX-Vishwa-Shadow: 1\r\nX_Vishwa_Shadow: 1\r\nx-vishwa_shadow: 1\r\nX.Vishwa-Shadow: 1\r\nX_VISHWA_Release: 1\r\n"+
		"X-Vishwa-Note: 1\r\nTransfer-Encoding: chunked\r\nTrailer: X_Vishwa_Shadow\r\nConnection: close\r\n\r\n2\r\n{}\r\n0\r\nX_Vishwa_Shadow: 1\r\n\r\n")
	if _, err := io.ReadAll(c); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(mine, []string{"X-Vishwa-Note"}) {
		t.Errorf("the old release is told %q", mine)
	}
}
