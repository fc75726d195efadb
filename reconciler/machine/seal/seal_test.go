// What a seal promises: only its own body, for its own purpose, by its own key.

package seal

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"pgregory.net/rapid"

	"github.com/vishwaops/vishwa/reconciler/fault"
)

func key(t interface{ Fatal(...any) }, b byte) Key {
	k, err := KeyOf(bytes.Repeat([]byte{b}, size))
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// Whatever is changed of a sealed file, its purpose or its key, it does not open.
func TestASealHoldsForItsBodyItsPurposeAndItsKey(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		body := rapid.SliceOfN(rapid.Byte(), 0, 200).Draw(t, "body")
		purpose := rapid.String().Draw(t, "purpose")
		k := key(t, 1)
		raw := k.Wrap(purpose, body)
		if got, err := k.Open(purpose, raw); err != nil || !bytes.Equal(got, body) {
			t.Fatalf("opened: %q %v", got, err)
		}
		other := rapid.String().Filter(func(s string) bool { return s != purpose }).Draw(t, "other purpose")
		if _, err := k.Open(other, raw); fault.Of(err) != fault.Corrupt {
			t.Fatalf("for another purpose: %v", err)
		}
		if _, err := key(t, 2).Open(purpose, raw); fault.Of(err) != fault.Corrupt {
			t.Fatalf("by another key: %v", err)
		}
		bad := bytes.Clone(raw)
		bad[rapid.IntRange(0, len(bad)-1).Draw(t, "at")] ^= 1 << rapid.IntRange(0, 7).Draw(t, "bit")
		if got, err := k.Open(purpose, bad); fault.Of(err) != fault.Corrupt {
			t.Fatalf("with a flipped bit: %q %v", got, err)
		}
		if _, err := k.Open(purpose, raw[:rapid.IntRange(0, len(raw)-1).Draw(t, "cut")]); fault.Of(err) != fault.Corrupt {
			t.Fatalf("cut: %v", err)
		}
		if _, err := k.Open(purpose, append(raw, 0)); fault.Of(err) != fault.Corrupt {
			t.Fatalf("longer: %v", err)
		}
	})
}

// No token opens or makes a seal, and none serves two purposes.
func TestTokensAreApart(t *testing.T) {
	k := key(t, 1)
	if k.Token("a") == k.Token("b") || k.Token("a") == key(t, 2).Token("a") || len(k.Token("a")) != 64 {
		t.Fatal("tokens are not apart")
	}
	if !k.Knows("a", k.Token("a")) || k.Knows("a", k.Token("b")) || k.Knows("a", "") || (Key{}).Knows("a", "") {
		t.Fatal("tokens are not told apart")
	}
	if strings.Contains(string(k.Wrap("a", nil)), k.Token("a")) {
		t.Fatal("a sealed file tells a token")
	}
}

func TestWhatHasNoSealSaysSo(t *testing.T) {
	k := key(t, 1)
	for raw, want := range map[string]string{
		"":                                    "no seal",
		`{"name":"one"}`:                      "no seal",
		string(k.Wrap("b", nil)):              "does not hold",
		head + strings.Repeat("x", 64) + "\n": "does not hold",
	} {
		_, err := k.Open("a", []byte(raw))
		if fault.Of(err) != fault.Corrupt || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", raw, err)
		}
	}
	if _, err := (Key{}).Open("a", k.Wrap("a", nil)); err == nil {
		t.Error("no key opened a file")
	}
}

func TestAKeyIsNotPrinted(t *testing.T) {
	k := key(t, 'S')
	for _, verb := range []string{"%v", "%+v", "%#v", "%s"} {
		if said := fmt.Sprintf(verb, k); strings.Contains(said, "SS") || strings.Contains(said, "83") {
			t.Errorf("%s prints %s", verb, said)
		}
	}
}

func FuzzOpen(f *testing.F) {
	k := key(f, 1)
	f.Add([]byte(nil))
	f.Add(k.Wrap("b", []byte("body")))
	f.Fuzz(func(t *testing.T, raw []byte) {
		if _, err := k.Open("a", raw); err == nil {
			t.Fatalf("opened %q", raw)
		}
	})
}

// However many ask at once, there is one key, and nobody but its user reads it.
func TestAllGetTheSameKey(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state", "seal", "key")
	var mu sync.Mutex
	tokens := map[string]bool{}
	var all sync.WaitGroup
	for range 16 {
		all.Go(func() {
			k, err := Load(path)
			if err != nil {
				t.Error(err)
				return
			}
			mu.Lock()
			defer mu.Unlock()
			tokens[k.Token("x")] = true
		})
	}
	all.Wait()
	if len(tokens) != 1 {
		t.Fatalf("%d keys", len(tokens))
	}
	for p, mode := range map[string]os.FileMode{path: 0o600, filepath.Dir(path): 0o700} {
		if st, err := os.Stat(p); err != nil || st.Mode().Perm() != mode {
			t.Errorf("%s: %v %v", p, st, err)
		}
	}
	if left, _ := os.ReadDir(filepath.Dir(path)); len(left) != 1 {
		t.Errorf("left: %v", left)
	}
}

func TestAKeyThatOthersCouldReachIsRefused(t *testing.T) {
	for name, c := range map[string]struct {
		spoil func(path string) error
		kind  fault.Kind
	}{
		"others may read it":         {func(p string) error { return os.Chmod(p, 0o644) }, fault.Denied},
		"its group may write it":     {func(p string) error { return os.Chmod(p, 0o620) }, fault.Denied},
		"others may list its folder": {func(p string) error { return os.Chmod(filepath.Dir(p), 0o755) }, fault.Denied},
		"it was cut":                 {func(p string) error { return os.Truncate(p, 16) }, fault.Corrupt},
		"it is empty":                {func(p string) error { return os.Truncate(p, 0) }, fault.Corrupt},
		"it is longer":               {func(p string) error { return os.Truncate(p, 33) }, fault.Corrupt},
		"it is a link":               {func(p string) error { return orNil(os.Rename(p, p+"2"), os.Symlink(p+"2", p)) }, fault.Denied},
		"it is a folder":             {func(p string) error { return orNil(os.Remove(p), os.Mkdir(p, 0o600)) }, fault.Denied},
		"its folder is a link": {func(p string) error {
			d := filepath.Dir(p)
			return orNil(os.Rename(d, d+"2"), os.Symlink(d+"2", d))
		}, fault.Denied},
		"its folder is a file": {func(p string) error {
			return orNil(os.RemoveAll(filepath.Dir(p)), os.WriteFile(filepath.Dir(p), nil, 0o700))
		}, fault.Denied},
		"another user owns it": {func(p string) error {
			if os.Geteuid() != 0 {
				return os.Chmod(p, 0o666) // only root can give it away
			}
			return os.Chown(p, 12345, -1)
		}, fault.Denied},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "seal", "key")
			if _, err := Load(path); err != nil {
				t.Fatal(err)
			}
			if err := c.spoil(path); err != nil {
				t.Fatal(err)
			}
			k, err := Load(path)
			if fault.Of(err) != c.kind || !k.None() || fault.HintOf(err) == "" {
				t.Fatalf("%v (%s, %q)", err, fault.Of(err), fault.HintOf(err))
			}
		})
	}
}

func orNil(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// TestAKeyThatIsGivenStandsOrIsRefused: it is put where there is none, found again, and takes no other's place.
func TestAKeyThatIsGivenStandsOrIsRefused(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state", "seal", "key")
	given, err := KeyOf([]byte(strings.Repeat("g", 64)))
	if err != nil {
		t.Fatal(err)
	}
	if err := Plant(path, given); err == nil {
		t.Error("a key of another size is put in place")
	}
	one, other := given.Derive("one"), given.Derive("other")
	for range 2 {
		if err := Plant(path, one); err != nil {
			t.Fatal(err)
		}
	}
	if k, err := Load(path); err != nil || k.Name() != one.Name() {
		t.Errorf("the key that is there is not the one that was given: %v", err)
	}
	if err := Plant(path, other); fault.Of(err) != fault.Conflict || fault.HintOf(err) == "" {
		t.Errorf("another key takes its place: %v", err)
	}
	if err := os.Chmod(path, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := Plant(path, one); fault.Of(err) != fault.Denied {
		t.Errorf("a key that others can read stands: %v", err)
	}
}
