// What a thousand idle repositories cost one controller: its own part, with sites
// in memory, and all of it, with real ls-remotes of a server in another process.

package controller

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/go-git/go-git/v5/config"
	"github.com/go-git/go-git/v5/plumbing/format/pktline"
	store "github.com/go-git/go-git/v5/storage/memory"

	git "github.com/go-git/go-git/v5"
)

const (
	idleRepositories = 1000
	serverVariable   = "VISHWA_BENCH_SERVER"
)

func TestMain(m *testing.M) {
	if os.Getenv(serverVariable) != "" {
		advertise()
		return
	}
	os.Exit(m.Run())
}

// advertise serves the refs of any repository over smart HTTP, until its input ends.
func advertise() {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	var body strings.Builder
	e := pktline.NewEncoder(&body)
	_ = e.EncodeString("# service=git-upload-pack\n")
	_ = e.Flush()
	_ = e.EncodeString("0000000000000000000000000000000000000001 HEAD\x00symref=HEAD:refs/heads/main agent=bench\n")
	_ = e.EncodeString("0000000000000000000000000000000000000001 refs/heads/main\n")
	_ = e.EncodeString("0000000000000000000000000000000000000002 refs/heads/vishwa/ledger\n")
	for n := range 20 {
		_ = e.EncodeString(fmt.Sprintf("%040x refs/pull/%d/head\n", n+3, n+1))
	}
	_ = e.Flush()
	go func() {
		_ = http.Serve(l, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/x-git-upload-pack-advertisement")
			_, _ = io.WriteString(w, body.String())
		}))
	}()
	fmt.Println(l.Addr())
	_, _ = io.Copy(io.Discard, os.Stdin)
}

// remote is a site whose Refs is a real ls-remote.
type remote struct {
	*fake
	url string
}

func (r remote) Refs(ctx context.Context) (Refs, error) {
	list, err := git.NewRemote(store.NewStorage(), &config.RemoteConfig{Name: "origin", URLs: []string{r.url}}).ListContext(ctx, &git.ListOptions{})
	if err != nil {
		return Refs{}, err
	}
	refs := Refs{Branches: map[string]string{}, Pulls: map[int]string{}}
	for _, ref := range list {
		name := ref.Name().String()
		if name == "refs/heads/main" {
			refs.Branches["main"] = ref.Hash().String()
		}
		if n, err := strconv.Atoi(strings.TrimSuffix(strings.TrimPrefix(name, "refs/pull/"), "/head")); err == nil {
			refs.Pulls[n] = ref.Hash().String()
		}
	}
	r.mu.Lock()
	r.looks++
	r.mu.Unlock()
	return refs, nil
}

// idle measures a controller of repositories at rest: the tick is made shorter by a
// factor, and the processor's time is told as that of a tick of 60 s.
func idle(b *testing.B, tick time.Duration, sites []Repository, looks func() int) {
	for b.Loop() {
		c := New(Options{Config: Config{Listen: "127.0.0.1:0", Poll: tick, Sweep: 10 * tick, Webhook: Webhook{Off: true}, State: b.TempDir()}, Sites: sites})
		ctx, stop := context.WithCancel(context.Background())
		ended := make(chan error, 1)
		go func() { ended <- c.Run(ctx) }()
		for before := looks(); looks() < before+3*len(sites); { // first passes and sweeps are over
			time.Sleep(10 * time.Millisecond)
		}
		cpu, before := processor(), looks()
		for looks() < before+3*len(sites) {
			time.Sleep(10 * time.Millisecond)
		}
		used, ticks := processor()-cpu, float64(looks()-before)/float64(len(sites))
		b.ReportMetric(used.Seconds()/ticks/60*100, "core-%@60s")
		b.ReportMetric(float64(used.Microseconds())/float64(looks()-before), "µs/look")
		b.ReportMetric(resident(b), "MiB-peak")
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		b.ReportMetric(float64(m.HeapInuse+m.StackInuse)/(1<<20), "MiB-in-use")
		stop()
		if err := <-ended; err != nil {
			b.Fatal(err)
		}
	}
}

func processor() time.Duration {
	var u syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// resident is the most memory that the process held, in MiB.
func resident(b *testing.B) float64 {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return float64(u.Maxrss) / 1024
}

// BenchmarkIdleOwn is the controller's own part.
func BenchmarkIdleOwn(b *testing.B) {
	var sites []Repository
	var fakes []*fake
	for n := range idleRepositories {
		f := newFake(fmt.Sprint("example.org/", n))
		for p := range 20 {
			f.refs.Pulls[p+1] = fmt.Sprintf("%040x", p)
		}
		sites, fakes = append(sites, f), append(fakes, f)
	}
	idle(b, time.Second, sites, func() (n int) {
		for _, f := range fakes {
			n += f.looked()
		}
		return n
	})
}

// BenchmarkIdleRemote is all of it, with ls-remotes over HTTP.
func BenchmarkIdleRemote(b *testing.B) {
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), serverVariable+"=1")
	in, err := cmd.StdinPipe()
	if err != nil {
		b.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		b.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	defer func() { _ = in.Close(); _ = cmd.Wait() }()
	address, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		b.Fatal(err)
	}
	var sites []Repository
	var fakes []*fake
	for n := range idleRepositories {
		f := newFake(fmt.Sprint("example.org/", n))
		sites, fakes = append(sites, remote{f, fmt.Sprintf("http://%s/a/%d.git", strings.TrimSpace(address), n)}), append(fakes, f)
	}
	idle(b, 3*time.Second, sites, func() (n int) {
		for _, f := range fakes {
			n += f.looked()
		}
		return n
	})
}
