// Who looks at a log sees all of it, whenever it makes way for a new one.

package server

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/vishwaops/vishwa/reconciler/fault"
)

// shared is a buffer that two goroutines use.
type shared struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (s *shared) Write(b []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.buf.Write(b)
}

func (s *shared) text() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.buf.String()
}

func TestALogIsFollowedAcrossFiles(t *testing.T) {
	place := folder(t.TempDir())
	if err := os.MkdirAll(filepath.Dir(place.log("price")), 0o755); err != nil {
		t.Fatal(err)
	}
	out := &logfile{path: place.log("price"), limit: 100}
	defer out.Close()
	line := func(i int) string { return fmt.Sprintf("line %03d of what is served\n", i) }
	for i := range 5 { // one file makes way
		out.Write([]byte(line(i)))
	}
	ctx, stop := context.WithCancel(t.Context())
	seen, ended := &shared{}, make(chan error, 1)
	go func() { ended <- Output(ctx, seen, string(place), "price", true) }()
	want := ""
	for i := range 5 {
		want += line(i)
	}
	for i := 5; ; i++ {
		for deadline := time.Now().Add(30 * time.Second); seen.text() != want; time.Sleep(time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatalf("seen %q, want %q", seen.text(), want)
			}
		}
		if i == 15 {
			break
		}
		out.Write([]byte(line(i)))
		want += line(i)
	}
	stop()
	if err := <-ended; err != nil {
		t.Errorf("ending to look is an error: %v", err)
	}
}

func TestALogLeadsNowhereElse(t *testing.T) {
	place := folder(t.TempDir())
	log := place.log("price")
	if err := os.MkdirAll(filepath.Dir(log), 0o755); err != nil {
		t.Fatal(err)
	}
	secret := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(secret, []byte("hunter2"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{log, log + ".1"} {
		if err := os.Symlink(secret, name); err != nil {
			t.Fatal(err)
		}
		var out strings.Builder
		if err := Output(t.Context(), &out, string(place), "price", false); err == nil || strings.Contains(out.String(), "hunter2") {
			t.Errorf("%s: %q, %v", name, out.String(), err)
		}
		os.Remove(name)
	}
	for _, name := range []string{"other", "../price", ""} {
		if err := Output(t.Context(), &strings.Builder{}, string(place), name, false); err == nil || name == "other" && fault.Of(err) != fault.Missing {
			t.Errorf("%q: %v", name, err)
		}
	}
}
