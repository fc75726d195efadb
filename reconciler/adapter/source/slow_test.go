// Web servers that hold the line: they are given up, and honest slow ones are not.

package source

import (
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/machine/dial"
	"github.com/vishwaops/vishwa/schemas"
)

// each has write called now and then, until the client is gone or write is done.
func each(w http.ResponseWriter, r *http.Request, every time.Duration, write func() bool) {
	for write() {
		w.(http.Flusher).Flush()
		select {
		case <-r.Context().Done():
			return
		case <-time.After(every):
		}
	}
}

func TestAServerThatHoldsTheLineIsGivenUp(t *testing.T) {
	drip := func(text string) func(http.ResponseWriter) func() bool {
		return func(w http.ResponseWriter) func() bool {
			return func() bool { _, err := io.WriteString(w, text); return err == nil }
		}
	}
	for name, c := range map[string]struct {
		head  map[string]string
		write func(http.ResponseWriter) func() bool
		comes bool
	}{
		"by the byte": {map[string]string{"Content-Length": "100000"}, drip("x"), false},
		"stops":       {map[string]string{"Content-Length": "100000"}, drip(""), false},
		"is slow": {map[string]string{"Content-Length": "6000"}, func(w http.ResponseWriter) func() bool {
			left := 12
			return func() bool { left--; _, _ = io.WriteString(w, strings.Repeat("x", 500)); return left > 0 }
		}, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			url := serve(t, func(w http.ResponseWriter, r *http.Request) {
				for k, v := range c.head {
					w.Header().Set(k, v)
				}
				if r.Method != http.MethodHead { // there is no tag and no date: all of it is read
					each(w, r, 60*time.Millisecond, c.write(w))
				}
			})
			s, err := Open(schemas.DataSource{HTTP: &schemas.HTTP{URL: url + "/data.csv"}},
				Options{Allow: []string{"127.0.0.0/8"}, Env: env(nil), Pace: dial.Pace{Window: 400 * time.Millisecond, Least: 500}})
			if err != nil {
				t.Fatal(err)
			}
			began := time.Now()
			look, err := s.Inspect(t.Context())
			if c.comes {
				if err != nil || strconv.FormatInt(look.Files[0].Size, 10) != c.head["Content-Length"] {
					t.Errorf("it is seen as %v, %v", look.Files, err)
				}
				return
			}
			wantKind(t, err, fault.Transient)
			if took := time.Since(began); took > 10*time.Second || fault.HintOf(err) == "" {
				t.Errorf("it took %s: %v", took, err)
			}
		})
	}
}
