// What port.Signer and port.Verifier promise together.

package porttest

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/port"
)

// Signing is a signer, the verifier that trusts it as Name in all roles, and a
// signer of the same kind that it does not trust.
type Signing struct {
	Name     string
	Signer   port.Signer
	Verifier port.Verifier
	Foreign  port.Signer
	// Any has a law hold of any number below n. Whoever runs the suite draws them: rapid sets up all of Unicode in each
	// program that links it, and programs that others of these suites begin are the tests themselves.
	Any func(t *testing.T, n int, law func(i int) error)
}

// Signer insists on the promises of port.Signer and port.Verifier.
func Signer(t *testing.T, s Signing) {
	t.Helper()
	t.Run("WhatIsSignedIsVerified", s.roundTrip)
	t.Run("AForeignKeyIsDenied", s.foreign)
	t.Run("AFlippedBitIsDenied", s.flipped)
	t.Run("AnExchangedPartIsDenied", s.exchanged)
	t.Run("AnotherSpellingIsDenied", s.spelling)
	t.Run("AStatementThatMeansTwoThingsIsNotSigned", s.ambiguous)
	t.Run("ABundleThatIsNoneIsDenied", s.noBundle)
	t.Run("CancellationReturnsAtOnce", s.cancelled)
}

var roles = []port.Role{port.Build, port.Deploy, port.Refuse}

// A statement with what JSON writers like to disagree on.
const statement = `{"_type":"https://in-toto.io/Statement/v1","predicate":{"html":"<a>&","n":1.0e3,"text":"\u00e9 \u2028"},` +
	`"predicateType":"https://example.com/v1","subject":[{"digest":{"sha256":"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},"name":"nothing"}]}`

func (s Signing) sign(t *testing.T, role port.Role, statement string) []byte {
	t.Helper()
	b, err := s.Signer.Sign(t.Context(), role, []byte(statement))
	if err != nil {
		t.Fatalf("sign as %s: %v", role, err)
	}
	return b
}

func (s Signing) roundTrip(t *testing.T) {
	keys := map[string]port.Role{}
	for _, role := range roles {
		got, by, err := s.Verifier.Verify(t.Context(), s.sign(t, role, statement))
		if err != nil || string(got) != statement {
			t.Fatalf("%s: got %q, %v", role, got, err)
		}
		if by.Name != s.Name || by.Role != role || len(by.Key) != 64 {
			t.Errorf("%s: signed by %+v", role, by)
		}
		if other, ok := keys[by.Key]; ok {
			t.Errorf("%s and %s are one key", other, role)
		}
		keys[by.Key] = role
	}
	if _, err := s.Signer.Sign(t.Context(), "", []byte(statement)); err == nil {
		t.Error("a role that there is not has a key")
	}
}

func (s Signing) denied(t *testing.T, what string, bundle []byte) {
	t.Helper()
	got, by, err := s.Verifier.Verify(t.Context(), bundle)
	if fault.Of(err) != fault.Denied || got != nil || by != (port.Identity{}) {
		t.Errorf("%s: got %q by %+v, error %v of kind %v; want Denied and nothing else", what, got, by, err, fault.Of(err))
	}
}

func (s Signing) foreign(t *testing.T) {
	b, err := s.Foreign.Sign(t.Context(), port.Build, []byte(statement))
	if err != nil {
		t.Fatal(err)
	}
	s.denied(t, "foreign key", b)

	// With the trusted key's name on it, too.
	theirs, ours := parse(t, b), parse(t, s.sign(t, port.Build, statement))
	theirs["verificationMaterial"] = ours["verificationMaterial"]
	s.denied(t, "foreign key under a trusted name", encode(t, theirs))
}

func (s Signing) flipped(t *testing.T) {
	good := s.sign(t, port.Build, statement)
	s.Any(t, len(good)*8, func(bit int) error {
		bad := bytes.Clone(good)
		bad[bit/8] ^= 1 << (bit % 8)
		if got, _, err := s.Verifier.Verify(t.Context(), bad); fault.Of(err) != fault.Denied || got != nil {
			return fmt.Errorf("byte %d bit %d of %q: got %q, %v", bit/8, bit%8, bad, got, err)
		}
		return nil
	})
	b := parse(t, good)
	envelope := b["dsseEnvelope"].(map[string]any)
	sig := envelope["signatures"].([]any)[0].(map[string]any)
	for name, at := range map[string]struct {
		in  map[string]any
		key string
	}{"payload": {envelope, "payload"}, "signature": {sig, "sig"}} {
		was := at.in[at.key].(string)
		raw, err := base64.StdEncoding.DecodeString(was)
		if err != nil {
			t.Fatal(err)
		}
		for bit := range len(raw) * 8 {
			raw[bit/8] ^= 1 << (bit % 8)
			at.in[at.key] = base64.StdEncoding.EncodeToString(raw)
			s.denied(t, name, encode(t, b))
			raw[bit/8] ^= 1 << (bit % 8)
		}
		at.in[at.key] = was
	}
}

func (s Signing) exchanged(t *testing.T) {
	other := strings.Replace(statement, `"nothing"`, `"another"`, 1)
	for _, part := range []string{"dsseEnvelope", "verificationMaterial"} {
		b := parse(t, s.sign(t, port.Build, statement))
		b[part] = parse(t, s.sign(t, port.Deploy, other))[part]
		s.denied(t, part+" of another bundle", encode(t, b))
	}
	b, c := parse(t, s.sign(t, port.Build, statement)), parse(t, s.sign(t, port.Build, other))
	b["dsseEnvelope"].(map[string]any)["signatures"] = c["dsseEnvelope"].(map[string]any)["signatures"]
	s.denied(t, "signature of another statement", encode(t, b))
	b["dsseEnvelope"].(map[string]any)["signatures"] = []any{}
	s.denied(t, "no signature", encode(t, b))
}

func (s Signing) spelling(t *testing.T) {
	good := string(s.sign(t, port.Build, statement))
	head := strings.TrimPrefix(good, "{")
	for name, bad := range map[string]string{
		"white space":        " " + good,
		"a line after it":    good + "\n",
		"something after it": good + good,
		"a key twice":        `{"mediaType":"x",` + head,
		"an unread field":    `{"also":1,` + head,
		"another case":       strings.Replace(good, `"dsseEnvelope"`, `"DSSEEnvelope"`, 1),
		"another type":       strings.Replace(good, "v0.3", "v0.2", 1),
		"another payload":    strings.Replace(good, "in-toto+json", "in-toto+xml", 1),
	} {
		if bad == good {
			t.Fatalf("%s: the bundle is not spelled as the test thinks: %s", name, good)
		}
		s.denied(t, name, []byte(bad))
	}
}

func (s Signing) ambiguous(t *testing.T) {
	for name, bad := range map[string]string{
		"key twice":         strings.Replace(statement, `"html"`, `"n":2,"html"`, 1),
		"key twice, quoted": strings.Replace(statement, `"html"`, `"\u006e":2,"html"`, 1),
		"subject twice":     strings.Replace(statement, `"predicate"`, `"subject":[],"predicate"`, 1),
		"no subject":        `{"_type":"https://in-toto.io/Statement/v1","subject":[],"predicateType":"https://example.com/v1"}`,
		"another type":      strings.Replace(statement, "Statement/v1", "Statement/v0.1", 1),
		"trailing data":     statement + "{}",
		"not JSON":          "statement",
		"empty":             "",
	} {
		if _, err := s.Signer.Sign(t.Context(), port.Build, []byte(bad)); fault.Of(err) != fault.Invalid {
			t.Errorf("%s: %v of kind %v, want Invalid", name, err, fault.Of(err))
		}
	}
}

func (s Signing) noBundle(t *testing.T) {
	for _, bad := range []string{"", "{}", "null", "[]", `"x"`, "{", `{"dsseEnvelope":null}`, strings.Repeat("[", 1<<16)} {
		s.denied(t, bad[:min(len(bad), 20)], []byte(bad))
	}
}

func (s Signing) cancelled(t *testing.T) {
	b := s.sign(t, port.Build, statement)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := s.Signer.Sign(ctx, port.Build, []byte(statement))
	wantKind(t, err, fault.Cancelled)
	_, _, err = s.Verifier.Verify(ctx, b)
	wantKind(t, err, fault.Cancelled)
}

func parse(t *testing.T, b []byte) (v map[string]any) {
	t.Helper()
	if err := json.Unmarshal(b, &v); err != nil {
		t.Fatal(err)
	}
	return v
}

func encode(t *testing.T, v any) []byte {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return b
}
