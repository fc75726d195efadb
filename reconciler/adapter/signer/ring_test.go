// The laws of open keys: opened once a process, again when their files change, and a
// password that does not open them is not tried twice.

package signer

import (
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/port"
)

func TestKeysAreOpenedOnceAProcess(t *testing.T) {
	dir := copied(t)
	var asked atomic.Int32
	var ring Ring
	ask := func() ([]byte, error) { asked.Add(1); return []byte(secret), nil }
	var all sync.WaitGroup
	pairs := make([]*pair, 50)
	for i := range pairs {
		all.Go(func() {
			k := ring.Open(dir, ask)
			if err := k.Ready(t.Context()); err != nil {
				t.Error(err)
			}
			pairs[i], _ = k.pair(t.Context(), port.Build)
		})
	}
	all.Wait()
	for _, p := range pairs {
		if p == nil || p != pairs[0] {
			t.Fatal("a key was opened twice")
		}
	}
	if asked.Load() != 1 {
		t.Errorf("the password was asked for %d times", asked.Load())
	}
	if ring.Open(t.TempDir(), ask) == ring.Open(dir, ask) {
		t.Error("another folder has the same keys")
	}
}

func TestAChangedKeyFileIsOpenedAnew(t *testing.T) {
	dir, other := copied(t), t.TempDir()
	if err := Generate(other, []byte("another one")); err != nil {
		t.Fatal(err)
	}
	pass := []byte(secret)
	var ring Ring
	k := ring.Open(dir, func() ([]byte, error) { return pass, nil })
	was, err := k.pair(t.Context(), port.Build)
	if err != nil {
		t.Fatal(err)
	}
	replace(t, other, dir, keyFile(port.Build))
	if _, err := k.pair(t.Context(), port.Build); fault.Of(err) != fault.Denied {
		t.Errorf("another file, and the former password: %v", err)
	}
	pass = []byte("another one")
	now, err := k.pair(t.Context(), port.Build)
	if err != nil || now.hint == was.hint {
		t.Errorf("the key is the former one: %v", err)
	}
}

// A wrong password costs one opening, however often a pass asks; the right one is
// taken as soon as it is there.
func TestAWrongPasswordIsNotTriedTwice(t *testing.T) {
	pass := []byte("wrong")
	k := Open(copied(t), func() ([]byte, error) { return pass, nil })
	tries := 0
	text, err := os.ReadFile(filepath.Join(k.dir, keyFile(port.Build)))
	if err != nil {
		t.Fatal(err)
	}
	var s slot[*pair]
	open := func(text, password []byte) (*pair, error) { tries++; return k.openPair(text, password) }
	for range 20 {
		if _, err := held(k, &s, keyFile(port.Build), open); fault.Of(err) != fault.Denied {
			t.Fatal(err)
		}
	}
	if tries != 1 {
		t.Errorf("it was tried %d times", tries)
	}
	for _, p := range []string{"wrong again", secret} {
		pass = []byte(p)
		_, err = held(k, &s, keyFile(port.Build), open)
	}
	if err != nil || tries != 3 {
		t.Errorf("after %d tries: %v", tries, err)
	}
	if err := os.WriteFile(filepath.Join(k.dir, keyFile(port.Build)), append(text, '\n'), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := held(k, &s, keyFile(port.Build), open); err != nil || tries != 4 {
		t.Errorf("a file that was touched: %d tries, %v", tries, err)
	}
}

// copied is a folder of keys that a test may change.
func copied(t *testing.T) string {
	t.Helper()
	ours, _ := keys(t)
	dir := t.TempDir()
	for _, r := range Roles {
		replace(t, ours, dir, keyFile(r))
	}
	replace(t, ours, dir, LedgerKey)
	return dir
}

func replace(t *testing.T, from, to, name string) {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(from, name))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(to, name), b, 0o600); err != nil {
		t.Fatal(err)
	}
}
