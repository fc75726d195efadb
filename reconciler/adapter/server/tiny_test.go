// The test binary is three programs: the tests, the serving host that they begin,
// and a tiny Open Inference Protocol server for the host to serve.

package server

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/vishwaops/vishwa/reconciler/port"
)

func TestMain(m *testing.M) {
	switch {
	case len(os.Args) == 4 && os.Args[1] == "host":
		if err := Host(context.Background(), os.Args[2], os.Args[3], testEnv(), nil); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	case len(os.Args) == 3 && os.Args[1] == "apply":
		if err := applyElsewhere(os.Args[2]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	case len(os.Args) == 3 && os.Args[1] == "stock":
		fmt.Fprintln(os.Stderr, stock(os.Args[2]))
		os.Exit(1)
	case len(os.Args) >= 3 && os.Args[1] == "tiny":
		tiny(os.Args[2], os.Args[3:])
	}
	os.Exit(m.Run())
}

func testEnv() port.Env {
	self, err := os.Executable()
	if err != nil {
		panic(err)
	}
	return port.Env{Now: time.Now, Log: slog.New(slog.DiscardHandler), Lookup: os.LookupEnv, Self: self}
}

// tiny serves version, behaving as asked.
func tiny(version string, how []string) {
	fmt.Println("tiny", version, "on", os.Getenv("VISHWA_PORT"))
	var sick atomic.Bool
	var first sync.Once
	asked := func() {}
	ahead := time.Duration(0)
	for _, h := range how {
		mode, arg, _ := strings.Cut(h, "=")
		switch mode {
		case "exit":
			fmt.Println("cannot load the model: no such column")
			os.Exit(3)
		case "never":
			sick.Store(true)
		case "die": // once it was found ready, however slow the machine
			asked = func() { time.AfterFunc(delay(arg), func() { fmt.Println("dying as asked"); os.Exit(9) }) }
		case "sicken":
			asked = func() { time.AfterFunc(delay(arg), func() { sick.Store(true) }) }
		case "once": // a file that says it has been here: it works the first time alone
			if _, err := os.Stat(arg); err == nil {
				fmt.Println("not a second time")
				os.Exit(4)
			}
			os.WriteFile(arg, nil, 0o600)
		case "clock": // by which its clock is off
			ahead, _ = time.ParseDuration(arg)
		case "child":
			grandchild(arg)
		case "deaf":
			signal.Ignore(syscall.SIGTERM)
		}
	}
	mux := http.NewServeMux()
	mux.HandleFunc("/v2/health/ready", func(w http.ResponseWriter, _ *http.Request) {
		if sick.Load() {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		first.Do(asked)
	})
	mux.HandleFunc("/version", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, version) })
	mux.HandleFunc("/pid", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, os.Getpid()) })
	mux.HandleFunc("/crash", func(http.ResponseWriter, *http.Request) { fmt.Println("crashing as asked"); os.Exit(7) })
	mux.HandleFunc("/sicken", func(http.ResponseWriter, *http.Request) { sick.Store(true) })
	mux.HandleFunc("/echo", func(w http.ResponseWriter, r *http.Request) { io.Copy(w, r.Body) })
	mux.HandleFunc("/slow", func(w http.ResponseWriter, r *http.Request) {
		time.Sleep(delay(r.URL.Query().Get("for")))
		fmt.Fprint(w, version)
	})
	mux.HandleFunc("/stream", func(w http.ResponseWriter, r *http.Request) {
		for i := range 3 {
			fmt.Fprintf(w, "%d\n", i)
			w.(http.Flusher).Flush()
			time.Sleep(200 * time.Millisecond)
		}
	})
	mux.HandleFunc("/count", func(w http.ResponseWriter, r *http.Request) {
		n, err := io.Copy(io.Discard, r.Body)
		if err == nil {
			fmt.Fprint(w, n)
		}
	})
	mux.HandleFunc("/big", func(w http.ResponseWriter, _ *http.Request) {
		for piece := make([]byte, 64<<10); ; {
			if _, err := w.Write(piece); err != nil {
				return
			}
		}
	})
	mux.HandleFunc("/upgrade", func(w http.ResponseWriter, r *http.Request) {
		c, rw, err := http.NewResponseController(w).Hijack()
		if err != nil {
			return
		}
		defer c.Close()
		fmt.Fprint(rw, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: shout\r\n\r\n")
		rw.Flush()
		for line, err := rw.ReadString('\n'); err == nil; line, err = rw.ReadString('\n') {
			fmt.Fprint(rw, strings.ToUpper(line))
			rw.Flush()
		}
	})
	mux.HandleFunc("/world", func(w http.ResponseWriter, _ *http.Request) { json.NewEncoder(w).Encode(world()) })
	s := &http.Server{Addr: "127.0.0.1:" + os.Getenv("VISHWA_PORT"), Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if ahead != 0 {
			w.Header().Set("Date", time.Now().Add(ahead).UTC().Format(http.TimeFormat))
		}
		mux.ServeHTTP(w, r)
	})}
	fmt.Println(s.ListenAndServe())
	os.Exit(1)
}

// world is all that a served process knows: its variables, and the files below its folder.
func world() map[string]string {
	all := map[string]string{}
	for _, v := range os.Environ() {
		name, value, _ := strings.Cut(v, "=")
		all[name] = value
	}
	wd, _ := os.Getwd()
	filepath.WalkDir(filepath.Dir(wd), func(p string, d os.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() {
			raw, _ := os.ReadFile(p)
			st, _ := os.Stat(p)
			rel, _ := filepath.Rel(filepath.Dir(wd), p)
			all[rel] = st.Mode().String() + " " + string(raw)
		}
		return nil
	})
	return all
}

func grandchild(pidfile string) {
	c := exec.Command("sh", "-c", "trap '' TERM; while :; do sleep 1; done")
	if err := c.Start(); err != nil {
		panic(err)
	}
	os.WriteFile(pidfile, []byte(strconv.Itoa(c.Process.Pid)), 0o600)
}

func delay(s string) time.Duration {
	d, err := time.ParseDuration(s)
	if err != nil {
		panic(err)
	}
	return d
}

// shout speaks the upgraded protocol of /upgrade.
func shout(t *testing.T, addr string) (say func(string) string, hangUp func()) {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	fmt.Fprintf(c, "GET /upgrade HTTP/1.1\r\nHost: %s\r\nConnection: Upgrade\r\nUpgrade: shout\r\n\r\n", addr)
	in := bufio.NewReader(c)
	a, err := http.ReadResponse(in, nil)
	if err != nil || a.StatusCode != http.StatusSwitchingProtocols || a.Header.Get(HeaderRelease) == "" {
		t.Fatalf("upgrade: %v %+v", err, a)
	}
	return func(s string) string {
		fmt.Fprintln(c, s)
		c.SetReadDeadline(time.Now().Add(5 * time.Second))
		line, err := in.ReadString('\n')
		if err != nil {
			return err.Error()
		}
		return strings.TrimSpace(line)
	}, func() { c.Close() }
}
