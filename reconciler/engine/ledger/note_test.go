// Notes: what is signed is what is read, a second reader agrees, and nothing else is let in.

package ledger

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"runtime"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"
	"golang.org/x/mod/sumdb/note"

	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/fault"
)

func noteSigners(t testing.TB) (ed, other ssh.Signer) {
	t.Helper()
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	big, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	if ed, err = ssh.NewSignerFromKey(private); err != nil {
		t.Fatal(err)
	}
	if other, err = ssh.NewSignerFromKey(big); err != nil {
		t.Fatal(err)
	}
	return ed, other
}

var pointed = Notice{
	Origin:     OriginOf("github.com/acme/churn", "vishwa/ledger"),
	Checkpoint: Checkpoint{Count: 41, Head: digest.Of([]byte("entry 40"))},
	Commit:     strings.Repeat("a", 40), Time: time.Date(2026, 3, 3, 12, 0, 0, 0, time.UTC),
}

// TestNoteIsReadAsItWasSigned: with every kind of key, and by another program's reader too.
func TestNoteIsReadAsItWasSigned(t *testing.T) {
	ed, other := noteSigners(t)
	for name, key := range map[string]ssh.Signer{"ed25519": ed, "rsa": other} {
		raw, err := pointed.Sign("ci", key, rand.Reader)
		if err != nil {
			t.Fatal(name, err)
		}
		got, by, err := OpenNotice(raw, pointed.Origin, map[string][]ssh.PublicKey{"ci": {key.PublicKey()}, "dr": {ed.PublicKey()}})
		if err != nil || got != pointed || by != "ci" {
			t.Errorf("%s: %+v by %s, %v", name, got, by, err)
		}
	}
	public, _ := edwards(ed.PublicKey())
	text, err := note.NewEd25519VerifierKey("ci", public)
	if err != nil {
		t.Fatal(err)
	}
	verifier, err := note.NewVerifier(text)
	if err != nil {
		t.Fatal(err)
	}
	raw, _ := pointed.Sign("ci", ed, rand.Reader)
	if n, err := note.Open(raw, note.VerifierList(verifier)); err != nil || n.Text != pointed.Text() {
		t.Errorf("golang.org/x/mod/sumdb/note reads %+v, %v", n, err)
	}
}

// TestNoteLetsNothingElseIn: one byte, another origin, another's key, another name, none.
func TestNoteLetsNothingElseIn(t *testing.T) {
	ed, other := noteSigners(t)
	for name, key := range map[string]ssh.Signer{"ed25519": ed, "rsa": other} {
		keys := map[string][]ssh.PublicKey{"ci": {key.PublicKey()}}
		raw, err := pointed.Sign("ci", key, rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		for i := range raw {
			cut := append(bytes.Clone(raw[:i]), raw[i+1:]...)
			flip := bytes.Clone(raw)
			flip[i] ^= 1
			for what, b := range map[string][]byte{"cut": cut, "flipped": flip} {
				if _, _, err := OpenNotice(b, pointed.Origin, keys); err == nil {
					t.Fatalf("%s: byte %d %s, and it opens: %q", name, i, what, b)
				}
			}
		}
		if _, _, err := OpenNotice(raw, "elsewhere#vishwa/ledger", keys); fault.Of(err) != fault.Denied {
			t.Error("another ledger's:", err)
		}
		if _, _, err := OpenNotice(raw, pointed.Origin, map[string][]ssh.PublicKey{"dr": {key.PublicKey()}}); fault.Of(err) != fault.Denied {
			t.Error("under another name:", err)
		}
		if _, _, err := OpenNotice(raw, pointed.Origin, nil); fault.Of(err) != fault.Denied {
			t.Error("nobody is trusted:", err)
		}
	}
}

// TestOriginsAreOneLine: whatever a remote is called, its note can be read back.
func TestOriginsAreOneLine(t *testing.T) {
	ed, _ := noteSigners(t)
	for _, where := range []string{"file:/srv/a b.git", "file:/srv/\n\n1", "é", ""} {
		n := pointed
		n.Origin = OriginOf(where, "vishwa/ledger")
		raw, err := n.Sign("ci", ed, rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := ParseNotice(raw); err != nil || got != n {
			t.Errorf("%q: %+v, %v", where, got, err)
		}
	}
	if OriginOf("a b", "x") == OriginOf("a c", "x") {
		t.Error("two ledgers have one origin")
	}
}

// FuzzNote: whatever stands in a place of checkpoints, reading it neither fails
// badly nor takes more memory than the bound lets it, and what is read has one spelling.
func FuzzNote(f *testing.F) {
	ed, other := noteSigners(f)
	keys := map[string][]ssh.PublicKey{"ci": {ed.PublicKey(), other.PublicKey()}}
	for _, k := range []ssh.Signer{ed, other} {
		raw, err := pointed.Sign("ci", k, rand.Reader)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(raw)
	}
	short, err := Notice{Origin: "o", Checkpoint: pointed.Checkpoint}.Sign("ci", ed, rand.Reader)
	if err != nil {
		f.Fatal(err)
	}
	line, err := Brief(short)
	if err != nil {
		f.Fatal(err)
	}
	f.Add([]byte(line))
	f.Add([]byte("o\n1\n\n\n— a b\n"))
	f.Add(bytes.Repeat([]byte("— "), 40000))
	f.Fuzz(func(t *testing.T, raw []byte) {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		n, sigs, err := parseNote(raw)
		for _, b := range Unbrief(string(raw), "o", keys) {
			if back, _, err := parseNote(b); err == nil && back.Count >= 1 {
				if text, err := Brief(b); err == nil && text != string(raw) {
					t.Errorf("%q is the brief of %q", raw, text)
				}
			}
		}
		runtime.ReadMemStats(&after)
		if grown := after.TotalAlloc - before.TotalAlloc; grown > 1<<20 {
			t.Errorf("%d bytes took %d", len(raw), grown)
		}
		if err != nil {
			return
		}
		if len(raw) > maxNote || len(sigs) == 0 || len(sigs) > maxSignatures || n.Count < 1 {
			t.Errorf("let in: %+v", n)
		}
		if !strings.HasPrefix(string(raw), n.Text()+"\n") {
			t.Errorf("%q was read as %q", raw, n.Text())
		}
		if got, _, err := OpenNotice(raw, n.Origin, keys); err == nil && got != n {
			t.Errorf("%+v opened as %+v", n, got)
		}
	})
}
