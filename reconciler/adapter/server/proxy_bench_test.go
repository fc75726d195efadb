// What the public port costs a question, and a release its way to the traffic.

package server

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/vishwaops/vishwa/reconciler/machine/wall"
	"github.com/vishwaops/vishwa/reconciler/port"
	turns "github.com/vishwaops/vishwa/reconciler/port/porttest/beside"
)

// begun is a stage for a benchmark, at the usual pace.
func begun(b *testing.B) *stage {
	dir := b.TempDir()
	s := &stage{t: &testing.T{}, dir: dir, store: memory{}}
	s.server = Local(Config{Env: testEnv(), Store: s.store, Dir: dir, Seal: sealOf(dir), Wall: wall.Policy{Level: wall.None}})
	return s
}

// stock serves target through a ReverseProxy of the standard library, on a port that it prints. It keeps as many connections as
// clients ask at a time: as it comes it keeps two, and has a new one made for most questions.
func stock(target string) error {
	to, err := url.Parse(target)
	if err != nil {
		return err
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	fmt.Println("http://" + l.Addr().String())
	proxy := &httputil.ReverseProxy{
		Rewrite:   func(r *httputil.ProxyRequest) { r.SetURL(to); r.SetXForwarded() },
		Transport: &http.Transport{MaxIdleConnsPerHost: 64},
		ErrorLog:  slog.NewLogLogger(slog.DiscardHandler, slog.LevelWarn),
	}
	return http.Serve(l, proxy) //nolint:gosec // as it comes, without time-outs
}

// asked is a process that is put questions, at a URL of its own.
type asked struct {
	name string
	url  string
	pid  int
}

// side asks n questions of 1,000 bytes, eight at a time. The processor time is that of who answers alone.
func (a asked) side(b *testing.B, n int) turns.Side {
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 64}}
	question := bytes.Repeat([]byte("x"), 1000)
	return turns.Side{Name: a.name, Run: func() turns.Cost {
		before, began := used(b, a.pid), time.Now()
		var next atomic.Int64
		var all sync.WaitGroup
		for range 8 {
			all.Go(func() {
				for next.Add(1) <= int64(n) {
					answer, err := client.Post(a.url+"/echo", "application/json", bytes.NewReader(question))
					if err != nil {
						b.Error(err)
						return
					}
					_, _ = io.Copy(io.Discard, answer.Body)
					answer.Body.Close()
					if answer.StatusCode != http.StatusOK {
						b.Errorf("%s answers %s", a.name, answer.Status)
						return
					}
				}
			})
		}
		all.Wait()
		return turns.Cost{Wall: time.Since(began), CPU: used(b, a.pid) - before}
	}}
}

// used is the processor time of a process.
func used(b *testing.B, pid int) time.Duration {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		b.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(text), ") ")
	fields := strings.Fields(rest)
	ticks := 0
	for _, i := range []int{11, 12} { // user and system, in hundredths of a second (proc(5))
		n, err := strconv.Atoi(fields[i])
		if err != nil {
			b.Fatal(err)
		}
		ticks += n
	}
	return time.Duration(ticks) * 10 * time.Millisecond
}

// BenchmarkProxy puts questions through the public port, through a ReverseProxy of the standard library, and to the served process.
func BenchmarkProxy(b *testing.B) {
	s := begun(b)
	l, err := s.server.Apply(context.Background(), s.release("bench", "1"))
	if err != nil {
		b.Fatal(err)
	}
	defer s.server.Apply(context.Background(), port.Release{Name: "bench"})
	pid, err := strconv.Atoi(s.get(l, "/pid"))
	if err != nil {
		b.Fatal(err)
	}
	environ, err := os.ReadFile(fmt.Sprintf("/proc/%d/environ", pid))
	if err != nil {
		b.Fatal(err)
	}
	direct := asked{name: "the served process itself", pid: pid}
	for v := range strings.SplitSeq(string(environ), "\x00") {
		if p, ok := strings.CutPrefix(v, "VISHWA_PORT="); ok {
			direct.url = "http://127.0.0.1:" + p
		}
	}
	cmd := exec.Command(testEnv().Self, "stock", direct.url)
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = cmd.Process.Kill(); _ = cmd.Wait() }()
	at, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		b.Fatal(err)
	}
	n := turns.Size(20_000)
	peer := asked{"a stock ReverseProxy", strings.TrimSpace(at), cmd.Process.Pid}.side(b, n)
	peer.Goals = map[string]float64{"wall-ratio": 0.95}
	turns.Compare(b, turns.Case{Work: fmt.Sprintf("%d questions", n), Ours: asked{"vishwa", l.URL, s.hostPID()}.side(b, n), Others: []turns.Side{peer, direct.side(b, n)}})
}

// BenchmarkDeploy is from a release to when it has the traffic for good, at the usual pace: the process answers at once.
func BenchmarkDeploy(b *testing.B) {
	s := begun(b)
	version := 0
	ours := turns.Side{Name: "vishwa", Run: func() turns.Cost {
		version++
		r, before := s.release("bench", strconv.Itoa(version)), time.Duration(0)
		if pid := s.hostPID(); pid != 0 {
			before = used(b, pid)
		}
		began := time.Now()
		if _, err := s.server.Apply(context.Background(), r); err != nil {
			b.Fatal(err)
		}
		return turns.Cost{Wall: time.Since(began), CPU: used(b, s.hostPID()) - before}
	}}
	defer s.server.Apply(context.Background(), port.Release{Name: "bench"})
	turns.Compare(b, turns.Case{Work: "a new release", Ours: ours})
}
