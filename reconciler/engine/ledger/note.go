// A note tells a checkpoint outside of the ledger branch, so that whoever can write
// the branch cannot take back what was on it. Its form is C2SP's: a signed note
// (https://c2sp.org/signed-note) whose text is a checkpoint
// (https://c2sp.org/tlog-checkpoint). The hash that it names is the newest entry's
// digest: the ledger is a chain, and no tree.

package ledger

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/hiddeco/sshsig"
	"golang.org/x/crypto/ssh"

	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/fault"
)

// Notice is a checkpoint, and what it is one of.
type Notice struct {
	Origin string // whose ledger it is, as OriginOf has it
	Checkpoint
	Commit string    // that carries the newest entry; "" where the note does not say
	Time   time.Time // when it was written, as its writer claims; zero where the note does not say
}

const (
	maxNote       = 8 << 10 // bytes of a note
	maxSignatures = 16
	noteMark      = "— " // begins a signature line

	kindEd25519 = 0x01 // C2SP's signature types
	kindOther   = 0xff
	// otherKind says what a signature of kindOther is: an SSH signature under noteNamespace.
	otherKind     = "vishwa.dev/sshsig/v1\n"
	noteNamespace = "vishwa-checkpoint"
)

// OriginOf names the ledger on branch of a repository, which is its remote in one
// spelling and without credentials.
func OriginOf(repository, branch string) string {
	o := repository + "#" + branch
	for _, r := range o {
		if r <= ' ' || r > '~' {
			return digest.Of([]byte(o)).Hex() + "#ledger"
		}
	}
	return o
}

// Text is what is signed.
func (n Notice) Text() string {
	sum, _ := hex.DecodeString(n.Head.Hex())
	text := n.Origin + "\n" + strconv.FormatInt(n.Count, 10) + "\n" + base64.StdEncoding.EncodeToString(sum) + "\n"
	if n.Commit != "" {
		text += "commit " + n.Commit + "\n"
	}
	if !n.Time.IsZero() {
		text += "time " + n.Time.UTC().Format(time.RFC3339) + "\n"
	}
	return text
}

// Sign is the note signed by key, which belongs to the controller name.
func (n Notice) Sign(name string, key ssh.Signer, rand io.Reader) ([]byte, error) {
	text := n.Text()
	if back, err := ParseText(text); err != nil || back.Text() != text {
		return nil, fault.New(fault.Internal, "sign checkpoint: %q cannot be read back: %w", text, err)
	}
	if !noteName(name) {
		return nil, fault.New(fault.Invalid, "sign checkpoint: %q is not a name of a key", name)
	}
	var sig []byte
	if key.PublicKey().Type() == ssh.KeyAlgoED25519 {
		s, err := key.Sign(rand, []byte(text))
		if err != nil {
			return nil, fault.New(fault.Denied, "sign checkpoint: %w", err)
		}
		sig = s.Blob
	} else {
		s, err := sshsig.SignWithRand(strings.NewReader(text), rand, key, sshsig.HashSHA512, noteNamespace)
		if err != nil {
			return nil, fault.New(fault.Denied, "sign checkpoint: %w", err)
		}
		sig = s.Marshal()
	}
	return n.signed(name, noteKey(name, key.PublicKey()), sig), nil
}

// noteKey is the id of a key in a note.
func noteKey(name string, key ssh.PublicKey) (id [4]byte) {
	b := []byte(name + "\n")
	if k, ok := edwards(key); ok {
		b = append(append(b, kindEd25519), k...)
	} else {
		b = append(append(append(b, kindOther), otherKind...), key.Marshal()...)
	}
	sum := sha256.Sum256(b)
	copy(id[:], sum[:])
	return id
}

func edwards(key ssh.PublicKey) (ed25519.PublicKey, bool) {
	c, ok := key.(ssh.CryptoPublicKey)
	if !ok || key.Type() != ssh.KeyAlgoED25519 {
		return nil, false
	}
	k, ok := c.CryptoPublicKey().(ed25519.PublicKey)
	return k, ok
}

// ParseNotice reads a note without believing it.
func ParseNotice(raw []byte) (Notice, error) {
	n, _, err := parseNote(raw)
	return n, err
}

type noteSignature struct {
	name string
	id   [4]byte
	sig  []byte
}

func parseNote(raw []byte) (Notice, []noteSignature, error) {
	bad := func(format string, args ...any) (Notice, []noteSignature, error) {
		return Notice{}, nil, fault.New(fault.Invalid, "read checkpoint: "+format, args...)
	}
	if len(raw) > maxNote {
		return bad("%d bytes are more than %d", len(raw), maxNote)
	}
	if !utf8.Valid(raw) {
		return bad("it is not text")
	}
	text, signed, ok := strings.Cut(string(raw), "\n\n")
	if !ok {
		return bad("it has no signature")
	}
	n, err := ParseText(text + "\n")
	if err != nil {
		return bad("%w", err)
	}
	var sigs []noteSignature
	for line := range strings.Lines(signed) {
		rest, ok := strings.CutPrefix(line, noteMark)
		name, encoded, two := strings.Cut(strings.TrimSuffix(rest, "\n"), " ")
		b, err := base64.StdEncoding.Strict().DecodeString(encoded)
		if !ok || !two || !strings.HasSuffix(line, "\n") || !noteName(name) || err != nil || len(b) < 5 || len(sigs) == maxSignatures {
			return bad("its signature lines are malformed, or too many")
		}
		s := noteSignature{name: name, sig: b[4:]}
		copy(s.id[:], b)
		sigs = append(sigs, s)
	}
	if len(sigs) == 0 {
		return bad("it has no signature")
	}
	return n, sigs, nil
}

func noteName(name string) bool {
	return name != "" && !strings.ContainsFunc(name, func(r rune) bool { return r <= ' ' || r == '+' || r > '~' })
}

// ParseText reads what Text writes, and nothing else.
func ParseText(text string) (Notice, error) {
	lines := strings.Split(strings.TrimSuffix(text, "\n"), "\n")
	if len(lines) < 3 || lines[0] == "" {
		return Notice{}, fmt.Errorf("it is not an origin, a count and a hash")
	}
	n := Notice{Origin: lines[0]}
	var err error
	if n.Count, err = strconv.ParseInt(lines[1], 10, 64); err != nil || n.Count < 1 {
		return Notice{}, fmt.Errorf("%.20q is not a count of entries", lines[1])
	}
	sum, err := base64.StdEncoding.Strict().DecodeString(lines[2])
	if err != nil || len(sum) != sha256.Size {
		return Notice{}, fmt.Errorf("%.60q is not a SHA-256", lines[2])
	}
	n.Head = digest.FromSum(sum)
	for _, line := range lines[3:] {
		if id, ok := strings.CutPrefix(line, "commit "); ok && gitID.MatchString(id) {
			n.Commit = id
		}
		if at, ok := strings.CutPrefix(line, "time "); ok {
			if n.Time, err = time.Parse(time.RFC3339, at); err != nil {
				return Notice{}, fmt.Errorf("%.40q is not a time", at)
			}
		}
	}
	if n.Text() != text {
		return Notice{}, fmt.Errorf("it has more than one spelling")
	}
	return n, nil
}

// OpenNotice is the note in raw, where it is of origin's ledger and one of keys, by the
// names of their controllers, signed it. Whatever else raw is, is Denied or Invalid.
func OpenNotice(raw []byte, origin string, keys map[string][]ssh.PublicKey) (Notice, string, error) {
	n, sigs, err := parseNote(raw)
	if err != nil {
		return Notice{}, "", err
	}
	if n.Origin != origin {
		return Notice{}, "", fault.WithHint(fault.New(fault.Denied, "read checkpoint: it is of the ledger %s, not %s", n.Origin, origin), "have each ledger keep its checkpoints at a place of its own: spec.ledger.checkpoints in vishwa.yaml")
	}
	text := n.Text()
	for _, s := range sigs {
		for _, name := range slices.Sorted(maps.Keys(keys)) {
			for _, k := range keys[name] {
				if s.name == name && s.id == noteKey(name, k) && s.holds(text, k) {
					return n, name, nil
				}
			}
		}
	}
	return Notice{}, "", fault.WithHint(fault.New(fault.Denied, "read checkpoint: no trusted controller's key signed it (it names %s)", sigs[0].name), "if the controller is new, get the commit that adds its key to trust.yaml (git pull); else find out who wrote it there")
}

func (s noteSignature) holds(text string, k ssh.PublicKey) bool {
	if e, ok := edwards(k); ok {
		return len(s.sig) == ed25519.SignatureSize && ed25519.Verify(e, []byte(text), s.sig)
	}
	sig, err := sshsig.ParseSignature(s.sig)
	return err == nil && bytes.Equal(sig.PublicKey.Marshal(), k.Marshal()) &&
		sshsig.Verify(strings.NewReader(text), sig, k, sig.HashAlgorithm, noteNamespace) == nil
}
