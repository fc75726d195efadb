// What a worker is lent ends before its run does: whoever asks how the run stands lends it anew.

package runner_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/vishwaops/vishwa/reconciler/adapter/runner"
	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/reconciler/port/porttest"
)

// lendingWeb lends a folder by requests that end, as S3 does whose credentials end.
type lendingWeb struct {
	port.Bucket
	dir     string
	url     string
	life    time.Duration
	refused atomic.Int32
	anew    atomic.Bool // somebody asked for what signs anew
	// before and after are told what is written; nil: nobody is. Where before says so, it is not taken.
	before func(key string) bool
	after  func(key string)
}

func newLendingWeb(t *testing.T, of port.Bucket, dir string, life time.Duration) *lendingWeb {
	w := &lendingWeb{Bucket: of, dir: dir, life: life}
	server := httptest.NewServer(w)
	t.Cleanup(server.Close)
	w.url = server.URL
	return w
}

func (w *lendingWeb) Lend(_ context.Context, loan port.Loan) (port.Grant, error) {
	until := time.Now().Add(w.life)
	w.anew.Store(loan.Anew)
	if loan.Until.Before(until) {
		until = loan.Until
	}
	ends := strconv.FormatInt(until.UnixNano(), 10)
	g := port.Grant{Read: map[string]string{}, Until: until, Write: port.WriteGrant{URL: w.url, Fields: map[string]string{"until": ends, "below": loan.Write}, Prefix: loan.Write}}
	for _, k := range loan.Read {
		g.Read[k] = w.url + "/" + k + "?until=" + ends
	}
	return g, nil
}

// ended tells whether a request came too late.
func (w *lendingWeb) ended(until string) bool {
	n, err := strconv.ParseInt(until, 10, 64)
	late := err != nil || time.Now().UnixNano() > n
	if late {
		w.refused.Add(1)
	}
	return late
}

func (w *lendingWeb) ServeHTTP(rw http.ResponseWriter, req *http.Request) {
	if req.Method == http.MethodGet {
		if w.ended(req.URL.Query().Get("until")) {
			http.Error(rw, "expired", http.StatusForbidden)
			return
		}
		http.ServeFile(rw, req, filepath.Join(w.dir, filepath.FromSlash(path.Clean(req.URL.Path))))
		return
	}
	form, err := req.MultipartReader()
	if err != nil {
		http.Error(rw, err.Error(), http.StatusBadRequest)
		return
	}
	fields := map[string]string{}
	for {
		part, err := form.NextPart()
		if err != nil {
			http.Error(rw, err.Error(), http.StatusBadRequest)
			return
		}
		if part.FormName() != "file" {
			raw, _ := io.ReadAll(part)
			fields[part.FormName()] = string(raw)
			continue
		}
		if w.ended(fields["until"]) || !strings.HasPrefix(fields["key"], fields["below"]) {
			http.Error(rw, "expired", http.StatusForbidden)
			return
		}
		if w.before != nil && w.before(fields["key"]) {
			http.Error(rw, "not now", http.StatusServiceUnavailable)
			return
		}
		raw, _ := io.ReadAll(part)
		if _, err := w.Put(req.Context(), fields["key"], bytes.NewReader(raw), int64(len(raw))); err != nil {
			http.Error(rw, err.Error(), http.StatusInternalServerError)
		}
		if w.after != nil {
			w.after(fields["key"])
		}
		return
	}
}

// TestWhatAWorkerIsLentIsLentAnew: twice over, and what it makes after that is kept.
func TestWhatAWorkerIsLentIsLentAnew(t *testing.T) {
	b := newRemoteBench(t)
	web := newLendingWeb(t, b.cfg.Shelf.(porttest.LendingDir).Bucket, filepath.Join(b.state, "store"), 3*time.Second)
	b.cfg.Shelf = web
	b.Runner = runner.Remote(b.cfg)
	job := b.job(`while [ ! -e '` + b.state + `/go' ]; do sleep 0.02; done; echo made > "$VISHWA_OUTPUT_MADE"`)
	job.Outputs = map[string]string{"made": "made"}
	if _, err := b.Start(t.Context(), job); err != nil {
		t.Fatal(err)
	}
	first := time.Now().Add(web.life)
	for n := 1; n <= 2; n++ {
		await(t, fmt.Sprintf("renewal %d is there", n), func() bool {
			if _, err := b.Poll(t.Context(), job.Key); err != nil {
				t.Fatal(err)
			}
			files, _ := filepath.Glob(filepath.Join(b.state, "store", "staging", "*", "*", fmt.Sprintf("renewal.%d.json", n)))
			return len(files) == 1
		})
	}
	await(t, "what was lent first has ended", func() bool { _, _ = b.Poll(t.Context(), job.Key); return time.Now().After(first) })
	if err := os.WriteFile(filepath.Join(b.state, "go"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	run := porttest.AwaitRun(t, b, job.Key, porttest.IsDone)
	if run.Result.Cause != "" || run.Result.Outputs["made"].Digest != digest.Of([]byte("made\n")) {
		t.Errorf("%+v", run.Result)
	}
	if n := web.refused.Load(); n > 0 {
		t.Errorf("%d requests came too late", n)
	}
	if left := b.left(t); len(left) > 0 {
		t.Errorf("left are %v", left)
	}
}
