package gitledger

import (
	"crypto/ed25519"
	"crypto/rand"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/go-git/go-git/v5/plumbing"
	"golang.org/x/crypto/ssh"

	"github.com/vishwaops/vishwa/reconciler/engine/ledger"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/machine/gitchain"
	"github.com/vishwaops/vishwa/reconciler/machine/gitstore"
	"github.com/vishwaops/vishwa/reconciler/machine/gitstore/gittest"
)

// forger rewrites a ledger with the commit key stolen, as the worst case.
type forger struct {
	t *testing.T
	l *Ledger
	b *gitstore.Batch
}

func forge(t *testing.T, dir string) *forger {
	l := openLedger(t, dir)
	return &forger{t, l, l.objects.Batch()}
}

func (f *forger) link(rev string) gitchain.Link {
	f.t.Helper()
	k, err := f.l.objects.Link(plumbing.NewHash(git(f.t, f.l.place.Common, "rev-parse", rev)))
	if err != nil {
		f.t.Fatal(err)
	}
	return k
}

// file is the blob at path in rev.
func (f *forger) file(rev, path string) []byte {
	f.t.Helper()
	b, err := f.l.objects.Read(plumbing.BlobObject, plumbing.NewHash(git(f.t, f.l.place.Common, "rev-parse", rev+":"+path)))
	if err != nil {
		f.t.Fatal(err)
	}
	return b
}

// commit makes c the head of the ledger, signed, after edit saw its raw bytes.
func (f *forger) commit(c ledger.Commit, edit func(raw string) string) {
	f.t.Helper()
	c.Signature = ""
	sig, err := gitstore.SignCommit(c, gittest.SSHKey(f.t))
	if err != nil {
		f.t.Fatal(err)
	}
	c.Signature = sig
	raw := c.String()
	if edit != nil {
		raw = edit(raw)
	}
	h := f.b.Add(plumbing.CommitObject, []byte(raw))
	if err := f.b.Save(); err != nil {
		f.t.Fatal(err)
	}
	git(f.t, f.l.place.Common, "update-ref", "refs/heads/vishwa/ledger", h.String())
}

func (f *forger) put(root, path string, blob []byte) string {
	f.t.Helper()
	h, err := f.b.PutFile(plumbing.NewHash(root), path, f.b.Add(plumbing.BlobObject, blob))
	if err != nil {
		f.t.Fatal(err)
	}
	return h.String()
}

// TestTamperingIsNamed: whatever is done to the branch, verify and facts name the first bad entry.
func TestTamperingIsNamed(t *testing.T) {
	for name, c := range map[string]struct {
		tamper func(f *forger)
		words  []string
	}{
		"entry edited": {func(f *forger) {
			k := f.link("vishwa/ledger")
			k.Commit.Tree = f.put(k.Commit.Tree, ledger.Path(2), []byte(strings.Replace(string(f.file("vishwa/ledger", ledger.Path(2))), "A", "B", 1)))
			f.commit(k.Commit, nil)
		}, []string{"entry 2"}},
		"entries swapped": {func(f *forger) {
			k := f.link("vishwa/ledger")
			two, three := f.file("vishwa/ledger", ledger.Path(2)), f.file("vishwa/ledger", ledger.Path(3))
			k.Commit.Tree = f.put(f.put(k.Commit.Tree, ledger.Path(2), three), ledger.Path(3), two)
			f.commit(k.Commit, nil)
		}, []string{"entry 2"}},
		"entry dropped from the middle": {func(f *forger) {
			k, base := f.link("vishwa/ledger"), f.link("vishwa/ledger~2")
			k.Commit.Parent = base.ID.String()
			k.Commit.Tree = f.put(base.Commit.Tree, ledger.Path(2), f.file("vishwa/ledger", ledger.Path(3)))
			f.commit(k.Commit, nil)
		}, []string{"entry 2", "number 3"}},
		"message says another thing": {func(f *forger) {
			k := f.link("vishwa/ledger")
			k.Commit.Message = strings.Replace(k.Commit.Message, "Vishwa-Action: train", "Vishwa-Action: deploy", 1)
			f.commit(k.Commit, nil)
		}, []string{"entry 3", "Vishwa-Action: deploy"}},
		"header twice": {func(f *forger) {
			k := f.link("vishwa/ledger")
			f.commit(k.Commit, func(raw string) string { return "tree " + k.Commit.Tree + "\n" + raw })
		}, []string{"entry 3"}},
		"two parents": {func(f *forger) {
			k := f.link("vishwa/ledger")
			f.commit(k.Commit, func(raw string) string {
				return strings.Replace(raw, "\nauthor", "\nparent "+k.Commit.Parent+"\nauthor", 1)
			})
		}, []string{"entry 3"}},
		"two signatures": {func(f *forger) {
			k := f.link("vishwa/ledger")
			f.commit(k.Commit, func(raw string) string {
				_, sig, _ := strings.Cut(raw, "\ngpgsig ")
				sig, _, _ = strings.Cut(sig, "\n\n")
				return strings.Replace(raw, "\n\n", "\ngpgsig "+sig+"\n\n", 1)
			})
		}, []string{"entry 3", "gpgsig"}},
		"commit not signed": {func(f *forger) {
			k := f.link("vishwa/ledger")
			f.commit(k.Commit, func(string) string { return k.Commit.Signed })
		}, []string{"entry 3", "not signed"}},
		"commit changed after it was signed": {func(f *forger) {
			k := f.link("vishwa/ledger")
			f.commit(k.Commit, func(raw string) string { return strings.Replace(raw, "author Vishwa", "author Somebody", 1) })
		}, []string{"entry 3", "signature"}},
		"a file among the entries": {func(f *forger) {
			k := f.link("vishwa/ledger")
			k.Commit.Tree = f.put(k.Commit.Tree, "entries/000/evil", []byte("x"))
			f.commit(k.Commit, nil)
		}, []string{"entry 3", "exactly the entries"}},
		"a file beside the entries": {func(f *forger) {
			k := f.link("vishwa/ledger")
			k.Commit.Tree = f.put(k.Commit.Tree, "evil/x", []byte("x"))
			f.commit(k.Commit, nil)
		}, []string{"entry 3", "evil"}},
		"a second genesis chain": {func(f *forger) {
			k := f.link("vishwa/ledger")
			k.Commit.Parent = ""
			f.commit(k.Commit, nil)
		}, []string{"entry 0"}},
	} {
		t.Run(name, func(t *testing.T) {
			dir := newRepo(t)
			l := openLedger(t, dir)
			for i := range 3 {
				mustAppend(t, l, trained(i))
			}
			c.tamper(forge(t, dir))
			_, err := verify(t, openLedger(t, dir))
			wantFault(t, err, fault.Corrupt, c.words...)
			_, err = openLedger(t, dir).Facts(t.Context())
			wantFault(t, err, fault.Corrupt, c.words...)
			if fault.HintOf(err) == "" {
				t.Error("no way out")
			}
			_, err = l.Facts(t.Context()) // it has believed the head before
			wantFault(t, err, fault.Corrupt)
		})
	}
}

// TestStrangersCommitIsRefused: a commit signed by a key that is not trusted is no entry.
func TestStrangersCommitIsRefused(t *testing.T) {
	dir := newRepo(t)
	l := openLedger(t, dir)
	mustAppend(t, l, trained(1))
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	other, err := ssh.NewSignerFromKey(private)
	if err != nil {
		t.Fatal(err)
	}
	strict := openLedger(t, dir, func(o *Options) { o.Trusted = map[string][]ssh.PublicKey{"vishwa": {other.PublicKey()}} })
	_, err = strict.Facts(t.Context())
	wantFault(t, err, fault.Corrupt, "entry 0", "not trusted")
}

// TestCutTailShows: entries missing at the end show to whoever noted a
// checkpoint, and to whoever has seen them.
func TestCutTailShows(t *testing.T) {
	dir := newRepo(t)
	cache := t.TempDir()
	cached := func(o *Options) { o.CacheDir = cache }
	l := openLedger(t, dir, cached)
	for i := range 70 {
		mustAppend(t, l, trained(i))
	}
	f := mustFacts(t, l)
	point := ledger.Checkpoint{Count: f.Count, Head: f.Head}
	was := git(t, dir, "rev-parse", "vishwa/ledger")
	git(t, dir, "update-ref", "refs/heads/vishwa/ledger", "vishwa/ledger~1")
	is := git(t, dir, "rev-parse", "vishwa/ledger")

	_, err := ledger.Verify(l.Entries(t.Context(), 0), l.trust(t.Context()), &point)
	wantFault(t, err, fault.Corrupt, "entry 70", "cut")
	for _, again := range []*Ledger{l, openLedger(t, dir, cached)} {
		_, err = again.Facts(t.Context())
		wantFault(t, err, fault.Corrupt, "rewritten", was, is)
	}
	if _, err := verify(t, openLedger(t, dir)); err != nil {
		t.Errorf("what is left is a good chain: %v", err)
	}
}

// TestRewrittenRemote: a remote ledger that was replaced is Corrupt, with both heads, and nothing here moves.
func TestRewrittenRemote(t *testing.T) {
	remote, clones := newClones(t, 2)
	l := openLedger(t, clones[0])
	mustAppend(t, l, trained(1))
	was := git(t, remote, "rev-parse", "vishwa/ledger")
	git(t, remote, "update-ref", "-d", "refs/heads/vishwa/ledger")
	_, err := l.Facts(t.Context())
	wantFault(t, err, fault.Corrupt, "rewritten", was)
	mustAppend(t, openLedger(t, clones[1]), trained(2))
	for _, again := range []*Ledger{l, openLedger(t, clones[0])} {
		_, err = again.Facts(t.Context())
		wantFault(t, err, fault.Corrupt, "rewritten", was, git(t, remote, "rev-parse", "vishwa/ledger"))
		_, err = again.Append(t.Context(), trained(3))
		wantFault(t, err, fault.Corrupt, "rewritten")
	}
	if got := git(t, clones[0], "rev-parse", "vishwa/ledger"); got != was {
		t.Errorf("the local ledger moved to %s", got)
	}
}

// TestDamagedObject: a ledger object whose bytes were changed on disk is Corrupt.
func TestDamagedObject(t *testing.T) {
	dir := newRepo(t)
	l := openLedger(t, dir)
	mustAppend(t, l, trained(1))
	a := git(t, dir, "rev-parse", "vishwa/ledger:"+ledger.Path(1))
	b := git(t, dir, "rev-parse", "vishwa/ledger:"+ledger.Path(0))
	at := func(h string) string { return filepath.Join(dir, ".git/objects", h[:2], h[2:]) }
	if err := os.Rename(at(b), at(a)); err != nil {
		t.Fatal(err)
	}
	_, err := openLedger(t, dir).Facts(t.Context())
	if k := fault.Of(err); k != fault.Corrupt {
		t.Errorf("%s: %v, want corrupt", k, err)
	}
}
