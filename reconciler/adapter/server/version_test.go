// Records and hosts of another version of vishwa: what is not understood is not served as something else.

package server

import (
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"os"
	"strings"
	"testing"

	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/machine/sandbox"
	"github.com/vishwaops/vishwa/reconciler/machine/seal"
	"github.com/vishwaops/vishwa/reconciler/port"
)

// contained is a starter that settles, and begins nothing.
type contained struct{ port.Starter }

func (contained) Settle(port.Release) (json.RawMessage, error) { return json.RawMessage(`{}`), nil }
func (contained) Fetch(context.Context, json.RawMessage) error { return nil }

// A host that knows no starters serves on what it serves, and makes way for an order that needs one.
func TestAHostWithoutStartersMakesWayForWhatNeedsOne(t *testing.T) {
	s := newStage(t)
	s.server.(*local).cfg.Starters = map[string]port.Starter{port.TargetDocker: contained{}}
	if err := os.MkdirAll(s.dir, 0o700); err != nil {
		t.Fatal(err)
	}
	held, err := sandbox.Lock(t.Context(), folder(s.dir).path(hostLock))
	if err != nil {
		t.Fatal(err)
	}
	l, err := listenFolder(s.dir, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	var old http.Server
	var mux http.ServeMux
	took := make(chan demand, 10)
	mux.HandleFunc("GET "+protocol, func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, `{"health":"ready"}`) })
	mux.HandleFunc("PUT "+protocol, func(w http.ResponseWriter, r *http.Request) {
		var d demand
		if json.NewDecoder(r.Body).Decode(&d) == nil {
			took <- d
		}
		io.WriteString(w, `{"health":"ready"}`)
	})
	mux.HandleFunc("DELETE "+protocol+"{$}", func(w http.ResponseWriter, _ *http.Request) {
		io.WriteString(w, "{}")
		go func() { old.Shutdown(context.Background()); held.Close() }()
	})
	old.Handler = &mux
	go old.Serve(l)
	s.apply(s.release("one", "1"))
	if d := <-took; d.Order.Name != "one" || d.Order.Starter != "" {
		t.Errorf("it was asked for %+v", d.Order)
	}
	r := s.release("two", "1")
	r.Docker, r.Local = &port.DockerRelease{Hosted: r.Local.Hosted}, nil
	// The host of this test knows none either, and says so: the old one was never asked.
	if _, err := s.server.Apply(t.Context(), r); err == nil || !strings.Contains(err.Error(), "target docker is not known here") {
		t.Errorf("applied: %v", err)
	}
	if len(took) > 0 {
		t.Errorf("the old host was asked for %+v", <-took)
	}
}

// An order for a starter has nothing that a vishwa without starters would run.
func TestAnOrderForAStarterIsNoProcess(t *testing.T) {
	o := order{Name: "one", Folder: "r-1", Starter: "docker", Run: []string{"serve"}, Settled: json.RawMessage(`{"image":"i"}`), Laid: digest.Manifest{{Path: "model/m", Digest: digest.Of(nil)}}}
	if err := o.check(); err != nil {
		t.Fatal(err)
	}
	raw, err := json.Marshal(o)
	if err != nil {
		t.Fatal(err)
	}
	var before struct{ Command []string }
	if err := json.Unmarshal(raw, &before); err != nil || len(before.Command) > 0 {
		t.Errorf("a vishwa before would run %q, %v", before.Command, err)
	}
	for name, change := range map[string]func(*order){
		"with a command, too": func(o *order) { o.Command = []string{"evil"} },
		"without its command": func(o *order) { o.Run = nil },
		"without a word":      func(o *order) { o.Settled = nil },
		"of no starter":       func(o *order) { o.Starter = "" },
	} {
		c := o
		if change(&c); c.check() == nil {
			t.Errorf("%s: it is taken", name)
		}
	}
	place := folder(t.TempDir())
	key, err := seal.KeyOf(make([]byte, 32))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(place.served("one"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := place.write(key, o); err != nil {
		t.Fatal(err)
	}
	if was, err := place.readOrder(key, "one"); err != nil || !o.alike(was) {
		t.Errorf("it is read as %+v, %v", was, err)
	}
	was := o
	was.Settled = json.RawMessage(`{"image":"j"}`)
	if o.alike(was) {
		t.Error("another image is the same")
	}
}
