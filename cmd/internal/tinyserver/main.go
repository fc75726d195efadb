// Command tinyserver is what tests have served: a small program that starts in no time, and is not watched for races as the tests are.
//
//	tinyserver tiny VERSION HOW...    a server of the Open Inference Protocol that behaves as asked
//	tinyserver serve VERSION HOW...   answers VERSION to everything
//	tinyserver runtime                serve, as the model in MODEL_DIR says
//	tinyserver echo                   answers what the model in MODEL_DIR holds; one that says unreadable cannot be loaded
//	tinyserver files                  the files of the model in VISHWA_MODEL_DIR
//	tinyserver fetch WANT DIR         what the worker does in a pod, with the ticket where a double of a cluster has mounted it
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
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
	"time"

	"github.com/vishwaops/vishwa/reconciler/machine/served"
)

func main() {
	err := errors.New("want tiny or serve with a VERSION, runtime, or fetch with a digest and a folder")
	switch {
	case len(os.Args) == 4 && os.Args[1] == "fetch":
		ticket := filepath.Join(os.Getenv("MOUNT_VISHWA_TICKET"), served.TicketName)
		os.Exit(served.FetchMain(context.Background(), ticket, os.Args[2], os.Args[3]))
	case len(os.Args) > 2 && os.Args[1] == "tiny":
		err = tiny(os.Args[2], os.Args[3:])
	case len(os.Args) > 2 && os.Args[1] == "serve":
		err = serve(os.Args[2], os.Args[3:])
	case len(os.Args) == 2 && os.Args[1] == "runtime":
		raw, none := os.ReadFile(filepath.Join(os.Getenv("MODEL_DIR"), "model.json"))
		words := strings.Fields(string(raw))
		if none != nil || len(words) < 3 {
			fmt.Fprintln(os.Stderr, "no model:", none)
			os.Exit(4)
		}
		err = serve(words[2], words[3:])
	case len(os.Args) == 2 && os.Args[1] == "echo":
		raw, none := os.ReadFile(filepath.Join(os.Getenv("MODEL_DIR"), "model.json"))
		if none != nil || strings.Contains(string(raw), "unreadable") {
			fmt.Fprintln(os.Stderr, "cannot load the model:", none)
			os.Exit(3)
		}
		err = serve(string(raw), nil)
	case len(os.Args) == 2 && os.Args[1] == "files":
		err = http.ListenAndServe(address(), http.FileServer(http.Dir(os.Getenv("VISHWA_MODEL_DIR"))))
	}
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}

// address is where who began it says.
func address() string { return "127.0.0.1:" + os.Getenv("VISHWA_PORT") }

// serve is what pods run.
func serve(version string, how []string) error {
	if strings.Join(how, " ") == "exit" {
		fmt.Fprintln(os.Stderr, "cannot load the model: no such column")
		os.Exit(3)
	}
	var asked atomic.Int64
	return http.ListenAndServe(address(), http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.Join(how, " ") == "never" || strings.Join(how, " ") == "flaps" && asked.Add(1)%3 == 0 {
			http.Error(w, "not yet", http.StatusServiceUnavailable)
			return
		}
		if r.URL.Path == "/inside" {
			model, _ := os.ReadFile(filepath.Join(os.Getenv("VISHWA_MODEL_DIR"), "model.json"))
			input, _ := os.ReadFile(os.Getenv("VISHWA_INPUT_SERVING"))
			params, _ := os.ReadFile(os.Getenv("VISHWA_PARAMS"))
			fmt.Fprintf(w, "model %s\ninput %s\nparams %s\npassed %s-%s\n", model, input, params, os.Getenv("DECLARED"), os.Getenv("UNDECLARED"))
			return
		}
		fmt.Fprint(w, version)
	}))
}

// tiny serves version, behaving as asked.
func tiny(version string, how []string) error {
	fmt.Println("tiny", version, "on", os.Getenv("VISHWA_PORT"))
	b := behaviour{version: version, asked: func() {}}
	ahead := time.Duration(0)
	for _, h := range how {
		mode, arg, _ := strings.Cut(h, "=")
		switch mode {
		case "exit":
			fmt.Println("cannot load the model: no such column")
			os.Exit(3)
		case "never":
			b.sick.Store(true)
		case "die": // once it was found ready, however slow the machine
			b.asked = func() { time.AfterFunc(delay(arg), func() { fmt.Println("dying as asked"); os.Exit(9) }) }
		case "sicken":
			b.asked = func() { time.AfterFunc(delay(arg), func() { b.sick.Store(true) }) }
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
	routes := b.routes()
	s := &http.Server{Addr: address(), Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if ahead != 0 {
			w.Header().Set("Date", time.Now().Add(ahead).UTC().Format(http.TimeFormat))
		}
		routes.ServeHTTP(w, r)
	})}
	return s.ListenAndServe()
}

// behaviour is that of a tiny server.
type behaviour struct {
	version string
	sick    atomic.Bool
	first   sync.Once
	asked   func() // when it is first found ready
}

func (b *behaviour) routes() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("/v2/health/ready", func(w http.ResponseWriter, _ *http.Request) {
		if b.sick.Load() {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		b.first.Do(b.asked)
	})
	mux.HandleFunc("/version", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, b.version) })
	mux.HandleFunc("/pid", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, os.Getpid()) })
	mux.HandleFunc("/crash", func(http.ResponseWriter, *http.Request) { fmt.Println("crashing as asked"); os.Exit(7) })
	mux.HandleFunc("/sicken", func(http.ResponseWriter, *http.Request) { b.sick.Store(true) })
	mux.HandleFunc("/echo", func(w http.ResponseWriter, r *http.Request) { io.Copy(w, r.Body) })
	mux.HandleFunc("/slow", func(w http.ResponseWriter, r *http.Request) {
		time.Sleep(delay(r.URL.Query().Get("for")))
		fmt.Fprint(w, b.version)
	})
	bodies(mux)
	return mux
}

// bodies are answers that take long, or never end.
func bodies(mux *http.ServeMux) {
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
