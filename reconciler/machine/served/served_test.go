// A pod is brought exactly the release that it names, or nothing.

package served

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/engine/attest"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/machine/artifact"
)

// bed is a store that lends by HTTP, a release in it, and a folder of a pod.
type bed struct {
	t      *testing.T
	store  map[string][]byte
	asked  atomic.Int32
	ticket Ticket
	want   digest.Digest
	dir    string
	now    time.Time
}

func newBed(t *testing.T) *bed {
	t.Helper()
	b := &bed{t: t, store: map[string][]byte{}, dir: t.TempDir(), now: time.Now()}
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b.asked.Add(1)
		raw, ok := b.store[strings.TrimPrefix(r.URL.Path, "/")]
		if !ok {
			http.Error(w, "no such key", http.StatusNotFound)
			return
		}
		http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(raw))
	}))
	t.Cleanup(web.Close)
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKIXPublicKey(&key.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	public := pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
	model := digest.Manifest{}
	files := digest.Manifest{}
	b.ticket = Ticket{Version: Version, Read: map[digest.Digest]string{}, Inline: map[digest.Digest][]byte{}, Until: b.now.Add(time.Hour)}
	put := func(raw []byte) digest.Digest {
		d := digest.Of(raw)
		b.store[d.Hex()], b.ticket.Read[d] = raw, web.URL+"/"+d.Hex()
		return d
	}
	for name, text := range map[string]string{"model.json": "weights", "sub/vocabulary.txt": strings.Repeat("word ", 100_000)} {
		f := digest.File{Path: name, Digest: put([]byte(text)), Size: int64(len(text))}
		model = append(model, f)
		f.Path = ModelDir + name
		files = append(files, f)
	}
	slices.SortFunc(model, func(a, b digest.File) int { return strings.Compare(a.Path, b.Path) })
	params := []byte(`{"limit": 3}`)
	files = append(files, digest.File{Path: CodeDir + "serve.py", Digest: put([]byte("print()")), Size: 7}, digest.File{Path: ParamsFile, Digest: digest.Of(params), Size: int64(len(params))})
	b.ticket.Inline[digest.Of(params)] = params
	slices.SortFunc(files, func(a, b digest.File) int { return strings.Compare(a.Path, b.Path) })
	said, err := attest.StateModel("churn", model)
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(fmt.Appendf(nil, "DSSEv1 %d %s %d %s", len(attest.PayloadType), attest.PayloadType, len(said), said))
	sig, err := ecdsa.SignASN1(rand.Reader, key, sum[:])
	if err != nil {
		t.Fatal(err)
	}
	b.release(Release{Version: Version, Ref: "churn", Files: files, Signature: put(attest.Bundle{Payload: said, Sig: sig, Hint: attest.Hint(public)}.Encode()), Keys: []string{string(public)}})
	return b
}

// release makes r what the ticket and the pod are of.
func (b *bed) release(r Release) {
	raw, err := json.Marshal(r)
	if err != nil {
		b.t.Fatal(err)
	}
	b.ticket.Release, b.want = raw, digest.Of(raw)
}

func (b *bed) is() (r Release) {
	if err := json.Unmarshal(b.ticket.Release, &r); err != nil {
		b.t.Fatal(err)
	}
	return r
}

func (b *bed) fetch(ctx context.Context) error {
	return Fetcher{Now: func() time.Time { return b.now }, Log: slog.New(slog.DiscardHandler), Client: http.DefaultClient, Dir: b.dir, Want: b.want,
		Ticket: func() ([]byte, error) { return b.ticket.Pack() }}.Fetch(ctx)
}

func (b *bed) write(name, text string) {
	at := filepath.Join(b.dir, name)
	_ = os.Remove(at)
	if err := errors.Join(os.MkdirAll(filepath.Dir(at), 0o755), os.WriteFile(at, []byte(text), 0o644)); err != nil {
		b.t.Fatal(err)
	}
}

func TestExactlyTheReleaseIsBrought(t *testing.T) {
	b := newBed(t)
	b.write("model/left-over.json", "of another")
	b.write("model/model.json", "of another")
	b.write("elsewhere/x", "y")
	if err := os.Symlink("/etc/passwd", filepath.Join(b.dir, "code-link")); err != nil {
		t.Fatal(err)
	}
	if err := b.fetch(t.Context()); err != nil {
		t.Fatalf("%v (%s)", err, fault.HintOf(err))
	}
	found, err := digest.Walk(os.DirFS(b.dir))
	if err != nil || found.Digest() != b.is().Files.Digest() {
		t.Errorf("there is %v, %v", found, err)
	}
	for _, f := range found {
		if st, err := os.Stat(filepath.Join(b.dir, f.Path)); err != nil || st.Mode().Perm() != 0o444 {
			t.Errorf("%s: %v %v", f.Path, st.Mode(), err)
		}
	}
	// What is there is not brought again, but the signature; what was changed is.
	b.asked.Store(0)
	if err := b.fetch(t.Context()); err != nil || b.asked.Load() != 1 {
		t.Errorf("%v: asked %d times", err, b.asked.Load())
	}
	b.write("code/serve.py", "import spy")
	if err := b.fetch(t.Context()); err != nil || b.asked.Load() != 3 {
		t.Errorf("%v: asked %d times", err, b.asked.Load())
	}
}

func TestWhatDoesNotHoldServesNothing(t *testing.T) {
	for name, c := range map[string]struct {
		how   func(b *bed)
		kind  fault.Kind
		words string
	}{
		"another release in the ticket": {func(b *bed) { want := b.want; r := b.is(); r.Ref = "theirs"; b.release(r); b.want = want }, fault.Denied, "somebody changed the Secret"},
		"a file more than was signed": {func(b *bed) {
			r := b.is()
			r.Files = append(r.Files[:2:2], append(digest.Manifest{{Path: ModelDir + "more.bin", Digest: r.Files[0].Digest, Size: r.Files[0].Size}}, r.Files[2:]...)...)
			b.release(r)
		}, fault.Denied, "more.bin: is not part of the signed model"},
		"no key":              {func(b *bed) { r := b.is(); r.Keys = nil; b.release(r) }, fault.Denied, "not trusted"},
		"no signature":        {func(b *bed) { r := b.is(); delete(b.store, r.Signature.Hex()); b.release(r) }, fault.Missing, "signature"},
		"other bytes":         {func(b *bed) { b.store[b.is().Model()[0].Digest.Hex()] = []byte("wEights") }, fault.Corrupt, "not what they are named"},
		"fewer bytes":         {func(b *bed) { b.store[b.is().Model()[1].Digest.Hex()] = []byte("word") }, fault.Corrupt, "not what they are named"},
		"a file that is gone": {func(b *bed) { delete(b.store, b.is().Model()[0].Digest.Hex()) }, fault.Missing, "model.json"},
		"other bytes in the ticket": {func(b *bed) {
			for d := range b.ticket.Inline {
				b.ticket.Inline[d] = []byte(`{"limit": 9}`)
			}
		}, fault.Corrupt, "in the ticket"},
		"a way out of its folder": {func(b *bed) { r := b.is(); r.Files[0].Path = "../code/serve.py"; b.release(r) }, fault.Corrupt, "the files of the release"},
		"another version":         {func(b *bed) { r := b.is(); r.Version = 9; b.release(r) }, fault.Invalid, "version 9"},
		"what was lent has ended": {func(b *bed) { b.now = b.ticket.Until.Add(time.Minute); clear(b.store) }, fault.Transient, "ended at"},
	} {
		b := newBed(t)
		c.how(b)
		err := b.fetch(t.Context())
		if err == nil || fault.Of(err) != c.kind || !strings.Contains(err.Error()+fault.HintOf(err), c.words) {
			t.Errorf("%s: %v (%v; %s), want %v with %q", name, err, fault.Of(err), fault.HintOf(err), c.kind, c.words)
		}
		if err != nil && strings.Contains(err.Error()+fault.HintOf(err), "http") {
			t.Errorf("%s: it tells an address: %v", name, err)
		}
	}
}

func FuzzATicketIsReadOrRefused(f *testing.F) {
	raw, err := Ticket{Version: Version, Release: []byte(`{"version":1,"files":[]}`)}.Pack()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(raw)
	f.Add([]byte("x"))
	f.Fuzz(func(t *testing.T, raw []byte) {
		if _, r, err := ReadTicket(raw, digest.Of([]byte(`{"version":1,"files":[]}`))); err == nil && r.Version != Version {
			t.Errorf("read %+v", r)
		}
	})
}

// TestAFetchTellsByItsExitThatItsLoanEnded: Kubernetes keeps the code, and the words may be of whoever answers for the store.
func TestAFetchTellsByItsExitThatItsLoanEnded(t *testing.T) {
	gone := fault.New(fault.Missing, "the store answers 403")
	f := Fetcher{Now: func() time.Time { return time.Unix(100, 0) }}
	for until, want := range map[int64]int{50: Lapsed, 150: Hopeless} {
		if got := exitOf(f.ended(Ticket{Until: time.Unix(until, 0)}, gone)); got != want {
			t.Errorf("until %d: %d, want %d", until, got, want)
		}
	}
	for _, full := range []error{syscall.ENOSPC, syscall.EDQUOT} {
		if got := exitOf(fmt.Errorf("bring model.bin: %w", artifact.Disk(&fs.PathError{Op: "write", Path: "model.bin", Err: full}, "/vishwa/release"))); got != Full {
			t.Errorf("%v: exit code %d", full, got)
		}
	}
	if got := exitOf(fault.New(fault.Transient, "what this pod may read of the store ended, it says")); got != Again {
		t.Errorf("words: %d", got)
	}
}
