// Keys are made, kept and used as promised.

package signer

import (
	"bytes"
	"encoding/pem"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"golang.org/x/crypto/ssh"
	"pgregory.net/rapid"

	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/reconciler/port/porttest"
)

const secret = "correct horse battery staple"

func password() ([]byte, error) { return []byte(secret), nil }

// generated is made once: scrypt takes its time.
var generated = sync.OnceValues(func() (dirs [2]string, err error) {
	for i := range dirs {
		if dirs[i], err = os.MkdirTemp("", "vishwa-keys-"); err == nil {
			err = Generate(dirs[i], []byte(secret))
		}
	}
	return dirs, err
})

func TestMain(m *testing.M) {
	code := m.Run()
	if dirs, err := generated(); err == nil {
		os.RemoveAll(dirs[0])
		os.RemoveAll(dirs[1])
	}
	os.Exit(code)
}

// keys are a controller's folder of keys, and another's.
func keys(t testing.TB) (ours, theirs string) {
	t.Helper()
	dirs, err := generated()
	if err != nil {
		t.Fatal(err)
	}
	return dirs[0], dirs[1]
}

func trusted(t testing.TB, dir string) []Trusted {
	t.Helper()
	var out []Trusted
	for _, r := range Roles {
		b, err := os.ReadFile(filepath.Join(dir, publicFile(r)))
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, Trusted{"main", r, b})
	}
	return out
}

func open(t testing.TB) (*Keys, port.Verifier) {
	t.Helper()
	dir, _ := keys(t)
	v, err := NewVerifier(trusted(t, dir))
	if err != nil {
		t.Fatal(err)
	}
	return opened(dir), v
}

// opened are the keys of a folder; they are opened once for all tests.
func opened(dir string) *Keys {
	shared.Lock()
	defer shared.Unlock()
	if shared.keys == nil {
		shared.keys = Open(dir, password)
	}
	return shared.keys
}

var shared struct {
	sync.Mutex
	keys *Keys
}

func TestKeysKeepThePromises(t *testing.T) {
	k, v := open(t)
	_, theirs := keys(t)
	porttest.Signer(t, porttest.Signing{Name: "main", Signer: k, Verifier: v, Foreign: Open(theirs, password), Any: func(t *testing.T, n int, law func(int) error) {
		rapid.Check(t, func(r *rapid.T) {
			if err := law(rapid.IntRange(0, n-1).Draw(r, "n")); err != nil {
				r.Fatal(err)
			}
		})
	}})
}

// TestKeysAreForTheirOwnerAlone: modes, formats, and nothing in the clear.
func TestKeysAreForTheirOwnerAlone(t *testing.T) {
	dir, _ := keys(t)
	files, err := os.ReadDir(dir)
	if err != nil || len(files) != 9 {
		t.Fatalf("%d files, %v", len(files), err)
	}
	for _, f := range files {
		st, _ := f.Info()
		private := strings.HasSuffix(f.Name(), ".key") || f.Name() == LedgerKey
		if want := map[bool]os.FileMode{true: 0o600, false: 0o644}[private]; st.Mode().Perm() != want {
			t.Errorf("%s: mode %v, want %v", f.Name(), st.Mode().Perm(), want)
		}
		text, _ := os.ReadFile(filepath.Join(dir, f.Name()))
		if strings.HasSuffix(f.Name(), ".key") {
			if block, _ := pem.Decode(text); block == nil || block.Type != "ENCRYPTED SIGSTORE PRIVATE KEY" {
				t.Errorf("%s is not in cosign's format", f.Name())
			}
		}
	}
	line, _ := os.ReadFile(filepath.Join(dir, LedgerKey+".pub"))
	public, _, _, _, err := ssh.ParseAuthorizedKey(line)
	if err != nil || public.Type() != ssh.KeyAlgoED25519 {
		t.Fatalf("ledger.pub: %q, %v", line, err)
	}
	k, _ := open(t)
	s, err := k.SSH()
	if err != nil || !bytes.Equal(s.PublicKey().Marshal(), public.Marshal()) {
		t.Errorf("ledger: %v, %v", s, err)
	}
	if tool, err := exec.LookPath("ssh-keygen"); err == nil {
		out, err := exec.Command(tool, "-y", "-P", secret, "-f", filepath.Join(dir, LedgerKey)).Output()
		if err != nil || !bytes.HasPrefix(line, bytes.TrimSpace(out)[:60]) {
			t.Errorf("ssh-keygen reads %q, %v; want %q", out, err, line)
		}
	}
}

// TestNothingIsOverwritten: whichever file is there, it stays and nothing joins it.
func TestNothingIsOverwritten(t *testing.T) {
	for _, name := range []string{"build.key", "refuse.pub", "ledger", TrustedRootFile} {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, name), []byte("mine"), 0o600); err != nil {
			t.Fatal(err)
		}
		err := Generate(dir, []byte(secret))
		if fault.Of(err) != fault.Conflict || !strings.Contains(err.Error(), dir) || !strings.Contains(fault.HintOf(err), "vishwa keys trust") || fault.HintOf(err) == "" {
			t.Errorf("%s: got %v", name, err)
		}
		left, _ := os.ReadDir(dir)
		if b, _ := os.ReadFile(filepath.Join(dir, name)); string(b) != "mine" || len(left) != 1 {
			t.Errorf("%s: now %q among %d files", name, b, len(left))
		}
	}
	if err := Generate(t.TempDir(), nil); fault.Of(err) != fault.Invalid {
		t.Errorf("empty password: %v", err)
	}
}

// TestAKeyThatDoesNotOpenIsSaid: which file, what to do, and no word of the password.
func TestAKeyThatDoesNotOpenIsSaid(t *testing.T) {
	ours, _ := keys(t)
	const wrong = "hunter2-very-wrong"
	bad := t.TempDir()
	for _, name := range []string{"build.key", "ledger"} {
		if err := os.WriteFile(filepath.Join(bad, name), []byte("no key at all"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	asked := errors.New("nobody there to ask")
	for name, c := range map[string]struct {
		keys *Keys
		want fault.Kind
	}{
		"wrong password": {Open(ours, func() ([]byte, error) { return []byte(wrong), nil }), fault.Denied},
		"empty password": {Open(ours, func() ([]byte, error) { return nil, nil }), fault.Denied},
		"lost key":       {Open(t.TempDir(), password), fault.Missing},
		"damaged key":    {Open(bad, password), fault.Corrupt},
		"nobody to ask":  {Open(ours, func() ([]byte, error) { return nil, asked }), fault.Internal},
	} {
		_, err := c.keys.Sign(t.Context(), port.Build, []byte(frame))
		_, ssherr := c.keys.SSH()
		for file, err := range map[string]error{"build.key": err, "ledger": ssherr} {
			if fault.Of(err) != c.want || !strings.Contains(err.Error(), file) {
				t.Errorf("%s: %v of kind %v, want %v that names %s", name, err, fault.Of(err), c.want, file)
			}
			if c.want != fault.Internal && fault.HintOf(err) == "" {
				t.Errorf("%s: no way out", name)
			}
			if text := err.Error() + fault.HintOf(err); strings.Contains(text, wrong) || strings.Contains(text, "/") {
				t.Errorf("%s: the error says too much: %s", name, text)
			}
		}
	}
}

// TestADamagedKeyIsFoundBeforeWorkBegins: one that is cut short or empty without its password, and one whose bytes were changed
// where its role is asked for.
func TestADamagedKeyIsFoundBeforeWorkBegins(t *testing.T) {
	ours, _ := keys(t)
	good, err := os.ReadFile(filepath.Join(ours, "build.key"))
	if err != nil {
		t.Fatal(err)
	}
	changed := bytes.Clone(good)
	at := bytes.LastIndexByte(bytes.TrimSpace(changed[:bytes.LastIndex(changed, []byte("-----END"))]), '\n') - 5 // among the base64 of what is sealed
	if changed[at] == 'A' {
		changed[at] = 'B'
	} else {
		changed[at] = 'A'
	}
	for name, c := range map[string]struct {
		text  []byte
		roles []port.Role
		bad   bool
	}{
		"whole":                         {good, nil, false},
		"whole, and opened":             {good, []port.Role{port.Build}, false},
		"empty":                         {nil, nil, true},
		"cut short":                     {good[:len(good)/2], nil, true},
		"another file":                  {[]byte("no key at all"), nil, true},
		"changed, and its role is used": {changed, []port.Role{port.Build}, true},
	} {
		dir := t.TempDir()
		if err := os.CopyFS(dir, os.DirFS(ours)); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, "build.key"), c.text, 0o600); err != nil {
			t.Fatal(err)
		}
		err := Open(dir, password).Usable(t.Context(), c.roles...)
		if (err != nil) != c.bad || c.bad && (!strings.Contains(err.Error(), "build.key") || fault.HintOf(err) == "") {
			t.Errorf("%s: %v (%s)", name, err, fault.HintOf(err))
		}
	}
}

const frame = `{"_type":"https://in-toto.io/Statement/v1","predicateType":"https://example.com/v1","subject":[{"name":"x"}]}`

// TestThePasswordIsAskedForOnce: by whatever number of goroutines, and never for nothing.
func TestThePasswordIsAskedForOnce(t *testing.T) {
	ours, _ := keys(t)
	var asked atomic.Int32
	k := Open(ours, func() ([]byte, error) { asked.Add(1); return []byte(secret), nil })
	if asked.Load() != 0 {
		t.Fatal("asked before anything is signed")
	}
	var wg sync.WaitGroup
	for i := range 12 {
		wg.Go(func() {
			if _, err := k.Sign(t.Context(), Roles[i%2], []byte(frame)); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if _, err := k.SSH(); err != nil {
		t.Error(err)
	}
	if n := asked.Load(); n != 1 {
		t.Errorf("asked %d times", n)
	}
}

// TestOnlyListedKeysAreTrusted: a list that would trust everybody, nobody, or one
// key as two, is no list.
func TestOnlyListedKeysAreTrusted(t *testing.T) {
	ours, _ := keys(t)
	good := trusted(t, ours)
	p384 := "-----BEGIN PUBLIC KEY-----\nMHYwEAYHKoZIzj0CAQYFK4EEACIDYgAEqpK7fTPWDnFTXNGHZb9vhK/7KVFRXJC4\nO0C2Ez4vUcOBzzVJ6SrDaScwC8V5JBJ8HyVJ1LSIJQBxyhmM7p5JnyWU0pH5HWQ5\n-----END PUBLIC KEY-----\n"
	private, err := os.ReadFile(filepath.Join(ours, "build.key"))
	if err != nil {
		t.Fatal(err)
	}
	for name, list := range map[string][]Trusted{
		"none":            nil,
		"no PEM":          {{"main", port.Build, []byte("any")}},
		"empty PEM":       {{"main", port.Build, nil}},
		"no name":         {{"", port.Build, good[0].PEM}},
		"no role":         {{"main", "", good[0].PEM}},
		"unknown role":    {{"main", "any", good[0].PEM}},
		"another curve":   {{"main", port.Build, []byte(p384)}},
		"private key":     {{"main", port.Build, private}},
		"one as two":      {good[0], {"main", port.Deploy, good[0].PEM}},
		"one of two":      {good[0], {"other", port.Build, good[0].PEM}},
		"ledger's key":    {{"main", port.Build, []byte("ssh-ed25519 AAAA")}},
		"two in one file": {{"main", port.Build, append(bytes.Clone(good[0].PEM), good[1].PEM...)}},
	} {
		v, err := NewVerifier(list)
		if v != nil || fault.Of(err) != fault.Invalid || fault.HintOf(err) == "" {
			t.Errorf("%s: %v, %v of kind %v", name, v, err, fault.Of(err))
		}
	}
}

// FuzzVerify: whatever is called a bundle, it is denied or it is ours.
func FuzzVerify(f *testing.F) {
	k, v := open(f)
	good, err := k.Sign(f.Context(), port.Build, []byte(frame))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Add([]byte(`{"dsseEnvelope":{"payload":"","payloadType":"application/vnd.in-toto+json","signatures":[{"sig":""}]},"mediaType":"` + mediaType + `","verificationMaterial":{"publicKey":{"hint":""}}}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		if _, _, err := v.Verify(t.Context(), raw); err == nil && !bytes.Equal(raw, good) {
			t.Errorf("verified %q", raw)
		} else if err != nil && fault.Of(err) != fault.Denied {
			t.Errorf("%v of kind %v", err, fault.Of(err))
		}
	})
}

func BenchmarkVerify(b *testing.B) {
	k, v := open(b)
	big := strings.Replace(frame, `"name":"x"`, `"name":"`+strings.Repeat("x", 3000)+`"`, 1)
	bundle, err := k.Sign(b.Context(), port.Build, []byte(big))
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if _, _, err := v.Verify(b.Context(), bundle); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkSign(b *testing.B) {
	k, _ := open(b)
	for b.Loop() {
		if _, err := k.Sign(b.Context(), port.Build, []byte(frame)); err != nil {
			b.Fatal(err)
		}
	}
}
