// Package seal tells what this installation wrote itself from what was put in its
// place: small files carry a MAC by a key that nothing that is run or served can
// read. It guards files that stay on one machine; what others are to verify is
// signed instead (package signer).
package seal

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"

	"github.com/vishwaops/vishwa/reconciler/fault"
)

// head begins a sealed file: the line is head, the MAC in 64 hexadecimal digits and
// a line feed; the body follows as it is.
const head = "vishwa-seal-v1 hmac-sha256 "

const headLen = len(head) + 2*sha256.Size + 1

// Key seals and opens. The zero Key is none: it opens nothing, and to seal with it
// is a fault of the program.
type Key struct{ secret []byte }

// KeyOf is a key of these bytes, at least 32 of them, for tests and for keys that
// come over a pipe.
func KeyOf(secret []byte) (Key, error) {
	if len(secret) < size {
		return Key{}, fault.WithHint(fault.New(fault.Invalid, "a sealing key has %d bytes, not %d or more", len(secret), size), "make one: openssl rand -hex 32")
	}
	return Key{bytes.Clone(secret)}, nil
}

// Derive is a key of its own for one purpose, of which the others say nothing.
func (k Key) Derive(purpose string) Key { return Key{k.sum("derive", purpose, nil)} }

// None tells whether k is the zero Key.
func (k Key) None() bool { return len(k.secret) == 0 }

// String keeps the secret out of logs.
func (Key) String() string { return "seal.Key" }

// GoString keeps the secret out of logs.
func (Key) GoString() string { return "seal.Key" }

// Wrap is body with its seal. purpose says what the file is and where it stands,
// so that one sealed file is not taken for another: "release enrollment-staging".
func (k Key) Wrap(purpose string, body []byte) []byte {
	out := make([]byte, 0, headLen+len(body))
	out = append(out, head...)
	out = hex.AppendEncode(out, k.mac(purpose, body))
	out = append(out, '\n')
	return append(out, body...)
}

// Open is the body of what Wrap made for the same purpose. Whatever else raw is,
// the error is Corrupt and says whether there was a seal at all.
func (k Key) Open(purpose string, raw []byte) ([]byte, error) {
	if k.None() {
		return nil, fault.New(fault.Internal, "open %s: no sealing key", purpose)
	}
	if !Sealed(raw) {
		return nil, fault.New(fault.Corrupt, "open %s: it carries no seal of this installation", purpose)
	}
	body := raw[headLen:]
	if !hmac.Equal(raw[len(head):headLen-1], hex.AppendEncode(nil, k.mac(purpose, body))) {
		return nil, fault.New(fault.Corrupt, "open %s: its seal does not hold: somebody else wrote or moved it", purpose)
	}
	return body, nil
}

// Sealed tells whether raw has the form of a sealed file, not whether its seal holds.
func Sealed(raw []byte) bool {
	return len(raw) >= headLen && bytes.HasPrefix(raw, []byte(head)) && raw[headLen-1] == '\n'
}

// Token is a secret that only who holds the key can know, another one a purpose.
func (k Key) Token(purpose string) string {
	return hex.EncodeToString(k.sum("token", purpose, nil))
}

// Name tells this installation from others, and nothing of the key.
func (k Key) Name() string { return hex.EncodeToString(k.sum("name", "installation", nil)[:8]) }

// Knows compares a token in constant time.
func (k Key) Knows(purpose, token string) bool {
	return !k.None() && hmac.Equal([]byte(token), []byte(k.Token(purpose)))
}

func (k Key) mac(purpose string, body []byte) []byte { return k.sum("file", purpose, body) }

// sum is HMAC-SHA256 of body by a key of its own for each use and purpose
// (RFC 2104), derived by HMAC as well, so that none of them says anything of another.
func (k Key) sum(use, purpose string, body []byte) []byte {
	if k.None() {
		panic("seal: used without a key")
	}
	own := hmac.New(sha256.New, k.secret)
	own.Write([]byte("vishwa seal v1\x00" + use + "\x00" + purpose))
	h := hmac.New(sha256.New, own.Sum(nil))
	h.Write(body)
	return h.Sum(nil)
}
