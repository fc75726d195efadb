// Package porttest holds one conformance suite a port: what the port's comments
// promise, insisted upon. An adapter's test runs the suite of its port, against a
// double of the tool's protocol and, where it is installed, on the real program.
package porttest

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"testing/iotest"

	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/port"
)

// Store insists on port.Store's promises. open gives an empty store, and a way
// to change one byte of what it keeps under a digest behind its back.
func Store(t *testing.T, open func(t *testing.T) (s port.Store, tamper func(d digest.Digest))) {
	t.Helper()
	for name, law := range map[string]func(*testing.T, port.Store, func(digest.Digest)){
		"WhatIsPutIsGot":             storeRoundTrip,
		"PuttingTwiceIsOnce":         storeTwice,
		"PuttingTogetherIsOnce":      storeTogether,
		"AbsentIsMissing":            storeAbsent,
		"TamperingIsCorrupt":         storeTampering,
		"HalfAPutIsInvisible":        storeHalf,
		"CancellationReturnsAtOnce":  storeCancelled,
		"ANameThatIsNoneIsRefused":   storeNoName,
		"ReadersDoNotDisturbAReader": storeReaders,
		"AWriteTestLeavesNothing":    storeWriteTest,
	} {
		t.Run(name, func(t *testing.T) {
			s, tamper := open(t)
			law(t, s, tamper)
		})
	}
}

// sizes lie around the buffers that implementations are likely to use.
var sizes = []int{0, 1, 4095, 4096, 256<<10 - 1, 256 << 10, 256<<10 + 1, 3<<20 + 7}

func bytesOf(n int, seed uint64) []byte {
	b := make([]byte, n)
	r := rand.New(rand.NewPCG(seed, uint64(n)))
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	return b
}

func storePut(t *testing.T, s port.Store, b []byte) digest.Digest {
	t.Helper()
	d, n, err := s.Put(t.Context(), bytes.NewReader(b))
	if err != nil {
		t.Fatalf("put %d bytes: %v", len(b), err)
	}
	if d != digest.Of(b) || n != int64(len(b)) {
		t.Fatalf("put %d bytes: got %s of %d bytes, want %s", len(b), d, n, digest.Of(b))
	}
	return d
}

// storeGet reads in three ways that take different paths through a reader.
func storeGet(t *testing.T, s port.Store, d digest.Digest) map[string]func() ([]byte, error) {
	read := func(how func(io.Reader) ([]byte, error)) func() ([]byte, error) {
		return func() ([]byte, error) {
			r, err := s.Get(t.Context(), d)
			if err != nil {
				return nil, err
			}
			defer r.Close()
			return how(r)
		}
	}
	return map[string]func() ([]byte, error){
		"whole":      read(io.ReadAll),
		"half bytes": read(func(r io.Reader) ([]byte, error) { return io.ReadAll(iotest.HalfReader(r)) }),
		"copied": read(func(r io.Reader) ([]byte, error) {
			var b bytes.Buffer
			_, err := io.Copy(struct{ io.Writer }{&b}, r)
			return b.Bytes(), err
		}),
		"copied from the middle": read(func(r io.Reader) ([]byte, error) {
			b := new(bytes.Buffer)
			if _, err := io.CopyN(b, r, 1); err != nil && err != io.EOF {
				return nil, err
			}
			_, err := io.Copy(struct{ io.Writer }{b}, r)
			return b.Bytes(), err
		}),
	}
}

func storeRoundTrip(t *testing.T, s port.Store, _ func(digest.Digest)) {
	for _, n := range sizes {
		want := bytesOf(n, 1)
		d := storePut(t, s, want)
		if ok, err := s.Has(t.Context(), d); !ok || err != nil {
			t.Errorf("%d bytes: has = %v, %v after put", n, ok, err)
		}
		for how, get := range storeGet(t, s, d) {
			if got, err := get(); err != nil || !bytes.Equal(got, want) {
				t.Errorf("%d bytes, read %s: got %d bytes, %v", n, how, len(got), err)
			}
		}
	}
}

func storeTwice(t *testing.T, s port.Store, _ func(digest.Digest)) {
	b := bytesOf(5000, 2)
	if first, again := storePut(t, s, b), storePut(t, s, b); first != again {
		t.Error("the same bytes have two names")
	}
	if got, err := storeGet(t, s, digest.Of(b))["whole"](); err != nil || !bytes.Equal(got, b) {
		t.Errorf("after the second put: got %d bytes, %v", len(got), err)
	}
}

func storeTogether(t *testing.T, s port.Store, _ func(digest.Digest)) {
	b := bytesOf(300<<10, 3)
	var wg sync.WaitGroup
	for range 16 {
		wg.Go(func() {
			if d, _, err := s.Put(t.Context(), bytes.NewReader(b)); err != nil || d != digest.Of(b) {
				t.Errorf("put: %s, %v", d, err)
			}
		})
	}
	wg.Wait()
	if got, err := storeGet(t, s, digest.Of(b))["copied"](); err != nil || !bytes.Equal(got, b) {
		t.Errorf("got %d bytes, %v", len(got), err)
	}
}

func storeAbsent(t *testing.T, s port.Store, _ func(digest.Digest)) {
	d := digest.Of([]byte("never put"))
	if ok, err := s.Has(t.Context(), d); ok || err != nil {
		t.Errorf("has = %v, %v", ok, err)
	}
	_, err := s.Get(t.Context(), d)
	wantKind(t, err, fault.Missing)
	if err != nil && !strings.Contains(err.Error(), d.Hex()) {
		t.Errorf("%q does not name %s", err, d)
	}
}

func storeTampering(t *testing.T, s port.Store, tamper func(digest.Digest)) {
	for _, n := range []int{1, 4096, 256 << 10, 1<<20 + 1} {
		b := bytesOf(n, 4)
		d := storePut(t, s, b)
		tamper(d)
		for how, get := range storeGet(t, s, d) {
			_, err := get()
			if wantKind(t, err, fault.Corrupt); err != nil && !strings.Contains(err.Error(), d.Hex()) {
				t.Errorf("%d bytes, read %s: %q does not name %s", n, how, err, d)
			}
		}
		storePut(t, s, b)
		if got, err := storeGet(t, s, d)["whole"](); err != nil || !bytes.Equal(got, b) {
			t.Errorf("%d bytes: putting the right bytes again does not heal: %v", n, err)
		}
	}
}

func storeHalf(t *testing.T, s port.Store, _ func(digest.Digest)) {
	for _, n := range sizes {
		half := bytesOf(n, 5)
		lost := errors.New("the line is lost")
		_, _, err := s.Put(t.Context(), io.MultiReader(bytes.NewReader(half), iotest.ErrReader(lost)))
		if !errors.Is(err, lost) {
			t.Errorf("%d bytes, then an error: put says %v", n, err)
		}
		if ok, err := s.Has(t.Context(), digest.Of(half)); ok || err != nil {
			t.Errorf("%d bytes of half a put can be seen (%v)", n, err)
		}
	}
}

func storeCancelled(t *testing.T, s port.Store, _ func(digest.Digest)) {
	d := storePut(t, s, []byte("there"))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := s.Has(ctx, d)
	wantKind(t, err, fault.Cancelled)
	r, err := s.Get(ctx, d)
	if err == nil {
		_, err = io.ReadAll(r)
		r.Close()
	}
	wantKind(t, err, fault.Cancelled)
	_, _, err = s.Put(ctx, strings.NewReader("late"))
	wantKind(t, err, fault.Cancelled)

	ctx, cancel = context.WithCancel(t.Context())
	_, _, err = s.Put(ctx, &endless{stop: cancel, after: 8}) // returns only where it heeds ctx
	wantKind(t, err, fault.Cancelled)
}

func storeNoName(t *testing.T, s port.Store, _ func(digest.Digest)) {
	for _, d := range []digest.Digest{"", "sha256:", "sha256:zz", "../../etc/passwd", digest.Digest(strings.Repeat("A", 64))} {
		if ok, err := s.Has(t.Context(), d); ok || err == nil {
			t.Errorf("has(%q) = %v, %v", d, ok, err)
		}
		if r, err := s.Get(t.Context(), d); err == nil {
			r.Close()
			t.Errorf("get(%q) is fine", d)
		}
	}
}

func storeReaders(t *testing.T, s port.Store, _ func(digest.Digest)) {
	b := bytesOf(1<<20, 6)
	d := storePut(t, s, b)
	slow, err := s.Get(t.Context(), d)
	if err != nil {
		t.Fatal(err)
	}
	defer slow.Close()
	head := make([]byte, 10)
	if _, err := io.ReadFull(slow, head); err != nil {
		t.Fatal(err)
	}
	storePut(t, s, b)
	if got, err := storeGet(t, s, d)["whole"](); err != nil || !bytes.Equal(got, b) {
		t.Errorf("second reader: %d bytes, %v", len(got), err)
	}
	rest, err := io.ReadAll(slow)
	if err != nil || !bytes.Equal(append(head, rest...), b) {
		t.Errorf("first reader: %d bytes, %v", len(head)+len(rest), err)
	}
}

// endless never ends, and calls stop after some reads.
type endless struct {
	stop  func()
	after int
}

func (e *endless) Read(p []byte) (int, error) {
	if e.after--; e.after <= 0 {
		e.stop()
	}
	return len(p), nil
}

func wantKind(t *testing.T, err error, want fault.Kind) {
	t.Helper()
	if err == nil || fault.Of(err) != want {
		t.Errorf("got error %v of kind %v, want %v", err, fault.Of(err), want)
	}
}

func storeWriteTest(t *testing.T, s port.Store, _ func(digest.Digest)) {
	tester, ok := s.(port.WriteTester)
	if !ok {
		t.Fatal("the store cannot tell whether it may be written to")
	}
	d := storePut(t, s, bytesOf(4096, 99))
	for range 2 {
		if err := tester.TestWrite(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if b, err := storeGet(t, s, d)["whole"](); err != nil || !bytes.Equal(b, bytesOf(4096, 99)) {
		t.Errorf("what was there is another now: %v", err)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if err := tester.TestWrite(ended); err == nil {
		t.Error("a test that was cancelled says that the store may be written to")
	}
}
