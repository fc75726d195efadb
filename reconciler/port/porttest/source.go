// What every source of data keeps to, wherever the data is.

package porttest

import (
	"bytes"
	"context"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/port"
)

// Sourced is a source, and the place behind it.
type Sourced struct {
	Source port.Source
	Name   string // of the one file that the place has
	// Write has the place hold just this; nil is nothing at all.
	Write func(t *testing.T, data []byte)
	// Cut has bodies end after n bytes, as a connection does that breaks; below zero, whole again.
	Cut func(n int)
	// Answer has the place answer everything with an HTTP status; zero, as it should.
	// It is nil where there is no protocol to be refused by.
	Answer func(status int)
	// Hang has the place not answer at all until release.
	Hang func() (release func())
	// Secrets stand in the source's address or credentials.
	Secrets []string
}

// Source insists on port.Source's promises. open gives a source of its own.
func Source(t *testing.T, open func(t *testing.T) Sourced) {
	t.Helper()
	for name, law := range map[string]func(*testing.T, Sourced){
		"SameDataSameToken":            sourceSame,
		"OneByteMovesTheToken":         sourceByte,
		"WhatIsSeenIsFetched":          sourceFetched,
		"DataThatMovedIsConflict":      sourceMoved,
		"AbsentIsMissing":              sourceAbsent,
		"AStatusHasItsKind":            sourceStatus,
		"CancellationReturnsAtOnce":    sourceCancelled,
		"AFetchThatWasCutEndsRight":    sourceCut,
		"HalfAFetchIsInvisible":        sourceHalf,
		"TellingGoesForwardToTheTotal": sourceTold,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel() // most of it is waiting between tries
			law(t, open(t))
		})
	}
}

func (s Sourced) inspectSource(t *testing.T) port.Snapshot {
	t.Helper()
	l, err := s.Source.Inspect(t.Context())
	if err != nil {
		t.Fatalf("look: %v", err)
	}
	return l
}

// secret fails where an error tells what it should not.
func (s Sourced) secret(t *testing.T, err error) {
	t.Helper()
	for _, secret := range s.Secrets {
		if err != nil && (strings.Contains(err.Error(), secret) || strings.Contains(fault.HintOf(err), secret)) {
			t.Errorf("the error tells a secret: %v", err)
		}
	}
}

func (s Sourced) has(t *testing.T, dir string, want []byte) {
	t.Helper()
	got := files(t, dir)
	if names := slices.Sorted(maps.Keys(got)); !slices.Equal(names, []string{s.Name}) {
		t.Fatalf("fetched %q, want %q alone", names, s.Name)
	}
	if !bytes.Equal(got[s.Name], want) {
		t.Errorf("fetched %d other bytes than the %d that are there", len(got[s.Name]), len(want))
	}
}

// files reads all that is visible below dir: what begins with a dot is being made.
func files(t *testing.T, dir string) map[string][]byte {
	t.Helper()
	out := map[string][]byte{}
	err := filepath.WalkDir(dir, func(p string, e fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case e.IsDir() && p != dir && strings.HasPrefix(e.Name(), "."):
			return fs.SkipDir
		case e.IsDir():
			return nil
		}
		name, _ := filepath.Rel(dir, p)
		out[filepath.ToSlash(name)], err = os.ReadFile(p)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func sourceSame(t *testing.T, s Sourced) {
	s.Write(t, bytesOf(4096, 1))
	first, second := s.inspectSource(t).Token, s.inspectSource(t).Token
	if first != second || first == "" {
		t.Errorf("the token went from %q to %q", first, second)
	}
}

func sourceByte(t *testing.T, s Sourced) {
	b := bytesOf(4096, 1)
	s.Write(t, b)
	was := s.inspectSource(t).Token
	b[2048] ^= 1
	s.Write(t, b)
	if now := s.inspectSource(t).Token; now == was {
		t.Errorf("the token stayed %q", now)
	}
}

func sourceFetched(t *testing.T, s Sourced) {
	for _, n := range sizes {
		want := bytesOf(n, 2)
		s.Write(t, want)
		dir := t.TempDir()
		if err := s.Source.Fetch(t.Context(), s.inspectSource(t), dir, nil); err != nil {
			t.Fatalf("fetch %d bytes: %v", n, err)
		}
		s.has(t, dir, want)
	}
}

func sourceMoved(t *testing.T, s Sourced) {
	b := bytesOf(4096, 3)
	s.Write(t, b)
	look := s.inspectSource(t)
	for name, now := range map[string][]byte{"one byte": flipped(b), "shorter": b[:4095], "longer": bytesOf(8192, 3), "gone": nil} {
		t.Run(name, func(t *testing.T) {
			s.Write(t, now)
			dir := t.TempDir()
			err := s.Source.Fetch(t.Context(), look, dir, nil)
			if k := fault.Of(err); err == nil || k != fault.Conflict && (k != fault.Missing || now != nil) {
				t.Errorf("got error %v of kind %v, want %v", err, k, fault.Conflict)
			}
			if got := files(t, dir); len(got) > 0 {
				t.Errorf("%d files of other data stand in the folder", len(got))
			}
			s.secret(t, err)
		})
	}
}

func flipped(b []byte) []byte {
	b = bytes.Clone(b)
	b[len(b)/2] ^= 1
	return b
}

func sourceAbsent(t *testing.T, s Sourced) {
	s.Write(t, nil)
	_, err := s.Source.Inspect(t.Context())
	wantKind(t, err, fault.Missing)
	s.secret(t, err)
}

func sourceStatus(t *testing.T, s Sourced) {
	if s.Answer == nil {
		return // nobody to refuse
	}
	s.Write(t, bytesOf(100, 4))
	look := s.inspectSource(t)
	for status, want := range map[int]fault.Kind{
		401: fault.Denied, 403: fault.Denied, 429: fault.Transient, 500: fault.Transient, 502: fault.Transient, 503: fault.Transient, 504: fault.Transient,
	} {
		s.Answer(status)
		_, err := s.Source.Inspect(t.Context())
		wantKind(t, err, want)
		s.secret(t, err)
	}
	for status, want := range map[int]fault.Kind{403: fault.Denied, 503: fault.Transient} {
		s.Answer(status)
		err := s.Source.Fetch(t.Context(), look, t.TempDir(), nil)
		wantKind(t, err, want)
		s.secret(t, err)
	}
}

func sourceCancelled(t *testing.T, s Sourced) {
	s.Write(t, bytesOf(1<<20, 5))
	look := s.inspectSource(t)
	for name, do := range map[string]func(context.Context) error{
		"look":  func(ctx context.Context) error { _, err := s.Source.Inspect(ctx); return err },
		"fetch": func(ctx context.Context) error { return s.Source.Fetch(ctx, look, t.TempDir(), nil) },
	} {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		wantKind(t, do(ctx), fault.Cancelled)

		release := s.Hang()
		ctx, cancel = context.WithTimeout(t.Context(), 50*time.Millisecond)
		done := make(chan error, 1)
		go func() { done <- do(ctx) }()
		select {
		case err := <-done:
			if fault.Of(err) != fault.Cancelled {
				t.Errorf("%s: got error %v, want %v", name, err, fault.Cancelled)
			}
			s.secret(t, err)
		case <-time.After(10 * time.Second):
			t.Errorf("%s goes on after it was cancelled", name)
		}
		release()
		cancel()
	}
}

func sourceCut(t *testing.T, s Sourced) {
	want := bytesOf(3<<20, 6)
	s.Write(t, want)
	look, dir := s.inspectSource(t), t.TempDir()
	for _, n := range []int{0, 1, 1 << 20} {
		ctx, cancel := context.WithCancel(t.Context())
		var last atomic.Int64
		s.Cut(n)
		err := s.Source.Fetch(ctx, look, dir, func(done, _ int64) {
			if last.Swap(done) >= 2<<20 { // it goes on by itself; here it is not to
				cancel()
			}
		})
		cancel()
		if err != nil && fault.Of(err) != fault.Transient && fault.Of(err) != fault.Cancelled {
			t.Errorf("cut after %d bytes: %v of kind %v", n, err, fault.Of(err))
		}
		s.secret(t, err)
		if err == nil { // as much as was let through made it whole
			dir = t.TempDir()
		}
	}
	s.Cut(-1)
	if err := s.Source.Fetch(t.Context(), look, dir, nil); err != nil {
		t.Fatal(err)
	}
	s.has(t, dir, want)
}

func sourceHalf(t *testing.T, s Sourced) {
	s.Write(t, bytesOf(2<<20, 7))
	look, dir := s.inspectSource(t), t.TempDir()
	ctx, cancel := context.WithCancel(t.Context())
	err := s.Source.Fetch(ctx, look, dir, func(int64, int64) { cancel() })
	if err == nil {
		t.Skip("all of it had come before it could be cancelled")
	}
	if got := files(t, dir); len(got) > 0 {
		t.Errorf("%d files stand in the folder", len(got))
	}
}

func sourceTold(t *testing.T, s Sourced) {
	const n = 2 << 20
	s.Write(t, bytesOf(n, 8))
	var last, total int64
	err := s.Source.Fetch(t.Context(), s.inspectSource(t), t.TempDir(), func(done, of int64) {
		if done < last {
			t.Errorf("told %d after %d", done, last)
		}
		last, total = done, of
	})
	if err != nil || last != n || total != n && total != -1 {
		t.Errorf("told %d of %d, want all %d: %v", last, total, n, err)
	}
}
