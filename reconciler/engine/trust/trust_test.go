// trust.yaml: what is read, and everything that must not be let in.

package trust

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"strings"
	"testing"

	"golang.org/x/crypto/ssh"

	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/port"
)

func signer(t testing.TB) ssh.Signer {
	t.Helper()
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	s, err := ssh.NewSignerFromKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func rsaSigner(t testing.TB, bits int) ssh.Signer {
	t.Helper()
	t.Setenv("GODEBUG", "rsa1024min=0")
	key, err := rsa.GenerateKey(rand.Reader, bits)
	if err != nil {
		t.Fatal(err)
	}
	s, err := ssh.NewSignerFromKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func public(s ssh.Signer) string {
	return strings.TrimSpace(string(ssh.MarshalAuthorizedKey(s.PublicKey())))
}

// pemOf is a new public key as PEM, indented to stand in YAML.
func pemOf(t testing.TB, curve elliptic.Curve) string {
	t.Helper()
	key, err := ecdsa.GenerateKey(curve, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKIXPublicKey(&key.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	text := string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))
	return "|\n        " + strings.ReplaceAll(strings.TrimSpace(text), "\n", "\n        ")
}

const top = "apiVersion: vishwa.dev/v1alpha1\nkind: Trust\n"

func TestTrustIsReadWhole(t *testing.T) {
	asha, second, ci := signer(t), signer(t), signer(t)
	build := pemOf(t, elliptic.P256())
	text := top + fmt.Sprintf(`principals:
  asha:
    emails: [Asha@Example.org, asha@home.example]
    ssh: ["%s asha@laptop", "%s"]
    forge: {github: Asha-R}
    roles: [approver, owner]
  ben: {}
controllers:
  ci:
    ssh: %q
    keys:
      build: %s
      deploy: %s
`, public(asha), public(second), public(ci), build, pemOf(t, elliptic.P256()))
	tr, problems := Load([]byte(text), "trust.yaml")
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	p := tr.Principals["asha"]
	if len(p.Keys) != 2 || p.Emails[0] != "asha@example.org" || p.Forge["github"] != "asha-r" || len(p.Roles) != 2 {
		t.Errorf("%+v", p)
	}
	if name, ok := tr.PrincipalOf(second.PublicKey()); !ok || name != "asha" {
		t.Errorf("second key is %q", name)
	}
	want := strings.ReplaceAll(strings.TrimPrefix(build, "|\n        "), "\n        ", "\n") + "\n"
	if got := string(tr.Controllers["ci"].Keys[port.Build]); got != want {
		t.Errorf("build key is\n%s, want\n%s", got, want)
	}
	if tr.Digest() != digest.Of([]byte(text)) {
		t.Error("the digest does not name the file")
	}
	if got, want := string(tr.AllowedSigners()), "ci namespaces=\"git\" "+public(ci)+"\n"; got != want {
		t.Errorf("allowed signers are %q, want %q", got, want)
	}
}

func TestTrustRefusesWhatIsUnsafe(t *testing.T) {
	k, other := public(signer(t)), public(signer(t))
	p256 := pemOf(t, elliptic.P256())
	person := func(name, rest string) string { return "  " + name + ":\n    " + rest + "\n" }
	for name, c := range map[string]struct{ text, want string }{
		"nothing":                  {"", "trust.yaml:1:1: is empty"},
		"not YAML":                 {"a: [", "is not YAML"},
		"a list":                   {"- a", "is not a mapping"},
		"two documents":            {top + "---\n" + top, "more than one document"},
		"no version":               {"kind: Trust\n", "apiVersion: is missing"},
		"another version":          {"apiVersion: v2\nkind: Trust\n", "trust.yaml:1:13: apiVersion"},
		"another kind":             {"apiVersion: vishwa.dev/v1alpha1\nkind: Model\n", "trust.yaml:2:7: kind"},
		"unknown field":            {top + "principles: {}\n", "trust.yaml:3:1: principles: is not a field here"},
		"unknown person field":     {top + "principals:\n" + person("asha", "mail: [a@b]"), "trust.yaml:5:5: principals.asha.mail"},
		"field twice":              {top + "kind: Trust\n", "is given twice"},
		"alias":                    {top + "principals: &x\n  asha: {}\ncontrollers: *x\n", "alias"},
		"a name with a star":       {top + "principals:\n" + person("'*'", "roles: [approver]"), "not a name"},
		"a name with a comma":      {top + "principals:\n" + person("'a,b'", "roles: [approver]"), "not a name"},
		"no address":               {top + "principals:\n" + person("asha", "emails: [nobody]"), "trust.yaml:5:14: principals.asha.emails[0]"},
		"address twice":            {top + "principals:\n" + person("asha", "emails: [a@b.c]") + person("ben", "emails: [A@B.C]"), "is already listed under principal asha"},
		"login twice":              {top + "principals:\n" + person("asha", "forge: {github: x}") + person("ben", "forge: {github: X}"), "is already listed under principal asha"},
		"key twice":                {top + "principals:\n" + person("asha", "ssh: ['"+k+"']") + person("ben", "ssh: ['"+k+" other comment']"), "trust.yaml:7:11: principals.ben.ssh[0]: this key is already listed under principal asha"},
		"key of a controller":      {top + "principals:\n" + person("asha", "ssh: ['"+k+"']") + "controllers:\n" + person("ci", "ssh: "+k), "is already listed under principal asha"},
		"key in two roles":         {top + "controllers:\n  ci:\n    ssh: " + k + "\n    keys:\n      build: " + p256 + "\n      refuse: " + p256 + "\n", "is already listed under controller ci as build"},
		"no key":                   {top + "principals:\n" + person("asha", "ssh: [nonsense]"), "not an SSH public key"},
		"key with an option":       {top + "principals:\n" + person("asha", "ssh: ['cert-authority "+k+"']"), "carries the option"},
		"two keys in one":          {top + "principals:\n    asha:\n      ssh:\n      - |\n        " + k + "\n        " + other + "\n", "more than one key"},
		"private key":              {top + "principals:\n" + person("asha", "ssh: ['-----BEGIN OPENSSH PRIVATE KEY-----']"), "private key"},
		"weak RSA":                 {top + "principals:\n" + person("asha", "ssh: ['"+public(rsaSigner(t, 1024))+"']"), "RSA key of 1024 bits"},
		"keys not a list":          {top + "principals:\n" + person("asha", "ssh: "+k), "is not a list"},
		"controller unsigned":      {top + "controllers:\n" + person("ci", "keys: {}"), "controllers.ci.ssh: is missing"},
		"another role":             {top + "controllers:\n  ci:\n    ssh: " + k + "\n    keys:\n      approve: " + p256 + "\n", "controllers.ci.keys.approve"},
		"another curve":            {top + "controllers:\n  ci:\n    ssh: " + k + "\n    keys:\n      build: " + pemOf(t, elliptic.P384()) + "\n", "not an ECDSA P-256 key"},
		"no PEM":                   {top + "controllers:\n  ci:\n    ssh: " + k + "\n    keys:\n      build: hello\n", "not PEM"},
		"a login that is a number": {top + "principals:\n" + person("asha", "forge: {github: 12}"), "is not a string"},
		"too large":                {top + strings.Repeat("#", maxFile), "larger than"},
	} {
		t.Run(name, func(t *testing.T) {
			tr, problems := Load([]byte(c.text), "trust.yaml")
			if tr != nil || len(problems) == 0 {
				t.Fatal("it is let in")
			}
			var all []string
			for _, p := range problems {
				all = append(all, p.Error())
			}
			if text := strings.Join(all, "\n"); !strings.Contains(text, c.want) {
				t.Errorf("%s\ndoes not say %q", text, c.want)
			}
		})
	}
}

func TestAllProblemsAreReportedAtOnce(t *testing.T) {
	_, problems := Load([]byte(top+"x: 1\nprincipals:\n  asha: {emails: [a, b], ssh: [c]}\n"), "trust.yaml")
	if len(problems) != 4 {
		t.Errorf("%v", problems)
	}
	for i := 1; i < len(problems); i++ {
		if problems[i].Pos.Line < problems[i-1].Pos.Line {
			t.Errorf("not in the order of the file: %v", problems)
		}
	}
}

// FuzzLoad: whatever the bytes, there is a Trust or a problem with a place, never both.
func FuzzLoad(f *testing.F) {
	f.Add([]byte(top + "principals:\n  asha:\n    emails: [a@b.c]\n    ssh: ['" + public(signer(f)) + "']\n"))
	f.Add([]byte(top + "controllers:\n  ci:\n    ssh: " + public(signer(f)) + "\n    keys:\n      build: " + pemOf(f, elliptic.P256()) + "\n"))
	f.Add([]byte("a: &x [*x]"))
	f.Fuzz(func(t *testing.T, b []byte) {
		tr, problems := Load(b, "trust.yaml")
		if (tr == nil) != (len(problems) > 0) {
			t.Fatalf("%v, %v", tr, problems)
		}
		for _, p := range problems {
			if p.Pos.Line < 1 || p.Message == "" {
				t.Errorf("%+v", p)
			}
		}
	})
}
