// A real engine with somebody between who can take it away, and how its containers are asked.

package docker

import (
	"bytes"
	"crypto/rand"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/moby/moby/client"

	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/reconciler/port/porttest/enginetest"
	"github.com/vishwaops/vishwa/schemas"
)

// between stands between a launcher and its engine.
type between struct {
	Socket string
	asked  atomic.Int64
	away   atomic.Bool
	server *httptest.Server
}

func newBetween(t testing.TB, engine *enginetest.DockerEngine) *between {
	t.Helper()
	dir, err := os.MkdirTemp("", "vishwa") // a socket's path is short
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	b := &between{Socket: filepath.Join(dir, "s")}
	c := engine.Client()
	proxy := &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(&url.URL{Scheme: "http", Host: "docker"})
		}, Transport: c.Transport, FlushInterval: -1,
	}
	l, err := net.Listen("unix", b.Socket)
	if err != nil {
		t.Fatal(err)
	}
	b.server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if b.away.Load() {
			if conn, _, err := w.(http.Hijacker).Hijack(); err == nil {
				conn.Close()
			}
			return
		}
		b.asked.Add(1)
		proxy.ServeHTTP(w, r)
	}))
	b.server.Listener.Close()
	b.server.Listener = l
	b.server.Start()
	t.Cleanup(func() { b.server.CloseClientConnections(); b.server.Close(); c.CloseIdleConnections() })
	return b
}

func (b *between) outage() (end func()) {
	b.away.Store(true)
	b.server.CloseClientConnections()
	return func() { b.away.Store(false) }
}

// engineClient speaks with the engine as its users do.
func engineClient(t testing.TB, e *enginetest.DockerEngine) *client.Client {
	t.Helper()
	c, err := client.New(client.WithHost(e.Host))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// inside runs a script in a container, as its own user.
func inside(t *testing.T, c *client.Client, id, script string) string {
	t.Helper()
	made, err := c.ExecCreate(t.Context(), id, client.ExecCreateOptions{Cmd: []string{"sh", "-c", script}, AttachStdout: true, AttachStderr: true, TTY: true})
	if err != nil {
		t.Fatal(err)
	}
	at, err := c.ExecAttach(t.Context(), made.ID, client.ExecAttachOptions{TTY: true})
	if err != nil {
		t.Fatal(err)
	}
	defer at.Close()
	out, err := io.ReadAll(at.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return strings.ReplaceAll(string(out), "\r\n", "\n")
}

// living counts the processes of a container by its control group.
func living(t *testing.T, id string) int {
	t.Helper()
	all, err := filepath.Glob("/proc/[0-9]*/cgroup")
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, file := range all {
		if raw, _ := os.ReadFile(file); bytes.Contains(raw, []byte(id)) {
			n++
		}
	}
	return n
}

func remove(t *testing.T, c *client.Client, id string) {
	if _, err := c.ContainerRemove(bare(t), id, client.ContainerRemoveOptions{Force: true, RemoveVolumes: true}); err != nil {
		t.Error(err)
	}
}

// shown is what the engine shows of a container to whoever may ask it.
func shown(t *testing.T, c *client.Client, id string) string {
	t.Helper()
	in, err := c.ContainerInspect(t.Context(), id, client.ContainerInspectOptions{})
	if err != nil {
		t.Fatal(err)
	}
	top, err := c.ContainerTop(t.Context(), id, client.ContainerTopOptions{Arguments: []string{"auxww"}})
	if err != nil {
		t.Fatal(err)
	}
	return string(in.Raw) + fmt.Sprint(top.Processes) + inside(t, c, id, "cat /proc/1/environ /proc/1/cmdline")
}

func logs(t *testing.T, c *client.Client, id string) string {
	t.Helper()
	r, err := c.ContainerLogs(t.Context(), id, client.ContainerLogsOptions{ShowStdout: true, ShowStderr: true})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	raw, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	var out []byte
	for len(raw) > 8 {
		n := 8 + int(raw[4])<<24 + int(raw[5])<<16 + int(raw[6])<<8 + int(raw[7])
		out, raw = append(out, raw[8:n]...), raw[n:]
	}
	return string(out)
}

// BenchmarkDockerBeside is a container that does nothing, from submitting to knowing its end
// and having it taken away, as a task alone and as a whole run with its worker, by turns with
// docker run --rm of the same: what else the machine does slows all. The medians count, and hold a run to 1.3 times and 0.3 s.
func BenchmarkDockerBeside(b *testing.B) {
	if os.Getenv("VISHWA_REAL") == "" {
		b.Skip("needs a real engine: make test-docker begins one")
	}
	engine := enginetest.Docker(b)
	image := enginetest.Python(b)
	l := launcherOn(b, engine.Socket)
	ours := func() {
		id, err := l.Launch(b.Context(), someTask(image, "true"))
		var s port.TaskStatus
		for err == nil && s.Phase != port.TaskEnded {
			s, err = l.Await(b.Context(), id, s)
		}
		if err == nil {
			err = l.Remove(b.Context(), id)
		}
		if err != nil || s.Cause != "" {
			b.Fatal(s, err)
		}
	}
	theirs := func() {
		if out, err := exec.CommandContext(b.Context(), "docker", "--host", engine.Host, "run", "--rm", "--network", "none", image, "true").CombinedOutput(); err != nil {
			b.Fatalf("docker run: %v: %s", err, out)
		}
	}
	r := newRuns(b, engine, image)
	whole := func() {
		job := port.Job{Key: digest.Of([]byte(rand.Text())), Ref: schemas.Ref{Kind: schemas.KindTransform, Name: "bench"}, Command: []string{"true"}, Network: schemas.Network{schemas.NetworkNone}}
		run, err := r.Start(b.Context(), job)
		for err == nil && run.State != port.Done {
			run, err = r.Wait(b.Context(), job.Key, run.State, 0)
		}
		if err != nil || run.Result.Cause != "" {
			b.Fatal(run.Result, err)
		}
	}
	ours() // fetches the image
	took := map[string][]float64{}
	for b.Loop() {
		for what, do := range map[string]func(){"task": ours, "run": whole, "docker-run": theirs} {
			begun := time.Now()
			do()
			took[what] = append(took[what], time.Since(begun).Seconds())
		}
	}
	median := map[string]float64{}
	for what, t := range took {
		slices.Sort(t)
		median[what] = t[len(t)/2]
		b.ReportMetric(median[what], what+"-s")
	}
	if most := median["docker-run"]*1.3 + 0.3; median["run"] > most {
		b.Errorf("a run takes %.2f s, and may take %.2f", median["run"], most)
	}
}
