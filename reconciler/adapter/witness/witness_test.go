// Places of checkpoints: the newest comes first, others' are not mistaken for ours, and
// what somebody adds takes nothing away.

package witness

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"fmt"
	"slices"
	"strings"
	"testing"

	"golang.org/x/crypto/ssh"

	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/engine/ledger"
	"github.com/vishwaops/vishwa/reconciler/fault"
	place "github.com/vishwaops/vishwa/reconciler/machine/bucket"
)

const origin = "example.org/acme/homes#vishwa/ledger"

func key(t *testing.T) ssh.Signer {
	t.Helper()
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	s, err := ssh.NewSignerFromKey(private)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func noticed(t *testing.T, count int64, s ssh.Signer) []byte {
	t.Helper()
	raw, err := ledger.Notice{Origin: origin, Checkpoint: ledger.Checkpoint{Count: count, Head: digest.Of(fmt.Append(nil, count))}}.Sign("ci", s, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

func TestBucketHasTheNewestFirst(t *testing.T) {
	b, err := place.Dir(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	w, s := Bucket(b, "checkpoints", origin), key(t)
	if got, err := w.Newest(t.Context()); err != nil || len(got) != 0 {
		t.Fatalf("none yet: %d, %v", len(got), err)
	}
	for _, n := range []int64{1, 998, 999, 1000, 1001, 2, 123456789, 7} {
		for range 2 {
			if err := w.Keep(t.Context(), n, noticed(t, n, s)); err != nil {
				t.Fatal(err)
			}
		}
	}
	for n := range int64(20) {
		if err := w.Keep(t.Context(), 100+n, noticed(t, 100+n, s)); err != nil {
			t.Fatal(err)
		}
	}
	got, err := w.Newest(t.Context())
	if err != nil || len(got) != few {
		t.Fatalf("%d, %v", len(got), err)
	}
	var counts []int64
	for _, raw := range got {
		n, err := ledger.ParseNotice(raw)
		if err != nil {
			t.Fatal(err)
		}
		counts = append(counts, n.Count)
	}
	if want := []int64{123456789, 1001, 1000, 999, 998, 119, 118, 117}; !slices.Equal(counts, want) {
		t.Errorf("%v, want %v", counts, want)
	}
	if other, err := Bucket(b, "checkpoints", "another").Newest(t.Context()); err != nil || len(other) != 0 {
		t.Errorf("another ledger's: %d, %v", len(other), err)
	}
	big := bytes.Repeat([]byte("x"), 1<<20)
	if err := w.Keep(t.Context(), 1<<40, big); err != nil {
		t.Fatal(err)
	}
	if got, err = w.Newest(t.Context()); err != nil || len(got[0]) > largest+1 {
		t.Errorf("%d bytes are read, %v", len(got[0]), err)
	}
}

// board is a forge: statuses, the newest first.
type board struct {
	texts []string
	names map[string]int
}

func (b *board) Post(_ context.Context, sha, name, text string) error {
	if len(text) > 140 || sha != "root" {
		return fault.New(fault.Invalid, "%s: %s", sha, text)
	}
	if b.names[name]++; b.names[name] > 1000 {
		return fault.New(fault.Invalid, "too many")
	}
	b.texts = append([]string{text}, b.texts...)
	return nil
}

func (b *board) Posted(_ context.Context, _, _ string) ([]string, error) { return b.texts, nil }

func TestForgeTakesNothingAway(t *testing.T) {
	s, stranger := key(t), key(t)
	keys := map[string][]ssh.PublicKey{"ci": {s.PublicKey()}, "dr": {key(t).PublicKey()}}
	b := &board{names: map[string]int{}}
	w := Forge(b, func(context.Context) (string, error) { return "root", nil }, origin, keys)
	newest := func() int64 {
		t.Helper()
		all, err := w.Newest(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		var best int64
		for _, raw := range all {
			if n, _, err := ledger.OpenNotice(raw, origin, keys); err == nil {
				best = max(best, n.Count)
			}
		}
		return best
	}
	if newest() != 0 {
		t.Error("there is one, and none was kept")
	}
	for n := range int64(1200) {
		if err := w.Keep(t.Context(), n+1, noticed(t, n+1, s)); err != nil {
			t.Fatal(err)
		}
	}
	for range 50 { // somebody says again what was said before, or something of their own
		b.texts = append([]string{b.texts[len(b.texts)-1], "9999999 x y", "hello"}, b.texts...)
	}
	if err := w.Keep(t.Context(), 999999, noticed(t, 999999, stranger)); err != nil {
		t.Fatal(err)
	}
	if got := newest(); got != 1200 {
		t.Errorf("the newest is %d, want 1200", got)
	}
	b.texts = []string{"hello"}
	if _, err := w.Newest(t.Context()); fault.Of(err) != fault.Denied || !strings.Contains(err.Error(), "none is one") {
		t.Errorf("junk alone: %v", err)
	}
	if err := w.Keep(t.Context(), 1, []byte("x")); err == nil {
		t.Error("what is not a checkpoint is kept")
	}
	biggest, err := ledger.Brief(noticed(t, 9999999, s))
	if err != nil || len(biggest) > 140 {
		t.Errorf("%d characters, %v", len(biggest), err)
	}
}
