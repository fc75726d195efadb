// Approvals: one that holds, and every way not to.

package trust

import (
	"bytes"
	"crypto/rand"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hiddeco/sshsig"
	"golang.org/x/crypto/ssh"
	"pgregory.net/rapid"

	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/schemas"
)

var (
	noon  = time.Date(2026, 3, 3, 12, 0, 0, 0, time.UTC)
	model = schemas.Ref{Kind: "model", Name: "enrollment"}
)

func wanted() Want {
	return Want{digest.Of([]byte("plan")), digest.Of([]byte("policy")), map[schemas.Ref]digest.Digest{model: digest.Of([]byte("model"))}}
}

func request() Request {
	return Request{Want: wanted(), Revision: "0123abc", Principal: "asha", Time: noon, Expires: noon.Add(24 * time.Hour)}
}

// people are a trust file's keys.
type people struct {
	trust                          *Trust
	asha, second, ben, ci, unknown ssh.Signer
}

func meet(t testing.TB) people {
	t.Helper()
	p := people{asha: signer(t), second: signer(t), ben: signer(t), ci: signer(t), unknown: signer(t)}
	text := top + fmt.Sprintf("principals:\n  asha: {emails: [asha@example.org], ssh: [%q, %q], forge: {github: asha-r}, roles: [approver]}\n"+
		"  ben: {ssh: [%q], roles: [approver]}\ncontrollers:\n  ci: {ssh: %q}\n", public(p.asha), public(p.second), public(p.ben), public(p.ci))
	var problems []schemas.Problem
	if p.trust, problems = Load([]byte(text), "trust.yaml"); p.trust == nil {
		t.Fatal(problems)
	}
	return p
}

// by are the authors of a change that these have written.
func (p people) by(authors ...string) Authors {
	var hands []port.Hand
	for _, a := range authors {
		hands = append(hands, port.Hand{SHA: "1", Author: a, Committer: a})
	}
	return p.trust.Authors(hands)
}

func sign(t testing.TB, r Request, s ssh.Signer) Signed {
	t.Helper()
	got, err := Sign(r, s, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

func TestApprovalHolds(t *testing.T) {
	p := meet(t)
	for _, key := range []ssh.Signer{p.asha, p.second} {
		got, err := p.trust.Check(sign(t, request(), key), wanted(), p.by("Ben <ben@example.org>"), noon.Add(time.Hour))
		if err != nil || got.Principal != "asha" || got.Class != Signature || !slices.Equal(got.Roles, []string{"approver"}) {
			t.Errorf("%+v, %v", got, err)
		}
	}
}

func TestApprovalDoesNotHold(t *testing.T) {
	p := meet(t)
	other := digest.Of([]byte("other"))
	otherNamespace := func() Signed {
		s := sign(t, request(), p.asha)
		sig, err := sshsig.Sign(bytes.NewReader(s.Statement), p.asha, sshsig.HashSHA512, "git")
		if err != nil {
			t.Fatal(err)
		}
		s.Signature = string(sshsig.Armor(sig))
		return s
	}
	change := func(f func(*Request)) Signed { r := request(); f(&r); return sign(t, r, p.asha) }
	text := func(f func(string) string) Signed {
		s := sign(t, request(), p.asha)
		s.Statement = []byte(f(string(s.Statement)))
		return s
	}
	armored := func(f func(string) string) Signed {
		s := sign(t, request(), p.asha)
		s.Signature = f(s.Signature)
		return s
	}
	for name, c := range map[string]struct {
		signed   Signed
		excluded string
		kind     fault.Kind
		want     string
	}{
		"key of nobody":         {sign(t, request(), p.unknown), "", fault.Denied, "not a principal's"},
		"key of a controller":   {sign(t, request(), p.ci), "", fault.Denied, "controller"},
		"key of somebody else":  {sign(t, request(), p.ben), "", fault.Denied, "the key is ben's"},
		"the author":            {sign(t, request(), p.asha), "Asha R <asha@example.org>", fault.Denied, "is an author"},
		"the author, shouting":  {sign(t, request(), p.asha), "x <ASHA@Example.ORG>", fault.Denied, "is an author"},
		"the author's second":   {sign(t, request(), p.second), "Asha <asha@example.org>", fault.Denied, "is an author"},
		"the author by address": {sign(t, request(), p.asha), "asha@example.org", fault.Denied, "is an author"},
		"the author, hidden":    {sign(t, request(), p.asha), "A <1234+Asha-R@users.noreply.github.com>", fault.Denied, "is an author"},
		"expired":               {change(func(r *Request) { r.Expires = noon.Add(time.Minute) }), "", fault.Denied, "expired"},
		"from the future":       {change(func(r *Request) { r.Time = noon.Add(2 * time.Hour) }), "", fault.Denied, "future"},
		"another plan":          {change(func(r *Request) { r.Plan = other }), "", fault.Conflict, "plan"},
		"another policy":        {change(func(r *Request) { r.Policy = other }), "", fault.Conflict, "policy"},
		"another model":         {change(func(r *Request) { r.Models = map[schemas.Ref]digest.Digest{model: other} }), "", fault.Conflict, "model/enrollment"},
		"no model":              {change(func(r *Request) { r.Models = nil }), "", fault.Conflict, "model/enrollment"},
		"one model more": {change(func(r *Request) {
			r.Models = map[schemas.Ref]digest.Digest{model: wanted().Models[model], {Kind: "model", Name: "b"}: other}
		}), "", fault.Conflict, "model/b"},
		"signed for Git":      {otherNamespace(), "", fault.Denied, "git"},
		"statement changed":   {text(func(s string) string { return strings.Replace(s, "0123abc", "0123abd", 1) }), "", fault.Denied, "does not hold"},
		"statement respaced":  {text(func(s string) string { return strings.Replace(s, ":", ": ", 1) }), "", fault.Invalid, "canonical"},
		"field twice":         {text(func(s string) string { return strings.Replace(s, "{", `{"principal":"ben",`, 1) }), "", fault.Invalid, "canonical"},
		"something behind":    {text(func(s string) string { return s + "{}" }), "", fault.Invalid, "canonical"},
		"unknown field":       {text(func(s string) string { return strings.Replace(s, "{", `{"x":1,`, 1) }), "", fault.Newer, "unknown field"},
		"another schema":      {text(func(s string) string { return strings.Replace(s, "approval/v1", "approval/v2", 1) }), "", fault.Newer, "schema"},
		"no statement":        {text(func(string) string { return "" }), "", fault.Invalid, "read approval"},
		"no signature":        {armored(func(string) string { return "" }), "", fault.Invalid, "armored"},
		"two signatures":      {armored(func(s string) string { return s + s }), "", fault.Invalid, "armored"},
		"signature cut short": {armored(func(s string) string { return s[:80] + "\n-----END SSH SIGNATURE-----" }), "", fault.Invalid, "signature"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := p.trust.Check(c.signed, wanted(), p.by(c.excluded), noon.Add(time.Hour))
			if err == nil {
				t.Fatal("it holds")
			}
			if fault.Of(err) != c.kind || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%s: %v; want %s, with %q", fault.Of(err), err, c.kind, c.want)
			}
		})
	}
}

func TestRequestThatSaysNothingIsNotSigned(t *testing.T) {
	for name, f := range map[string]func(*Request){
		"no plan": func(r *Request) { r.Plan = "" }, "no policy": func(r *Request) { r.Policy = "" },
		"no person": func(r *Request) { r.Principal = "" }, "no time": func(r *Request) { r.Expires = r.Time },
	} {
		r := request()
		f(&r)
		if _, err := Sign(r, signer(t), rand.Reader); fault.Of(err) != fault.Invalid {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestOnePersonCountsOnce(t *testing.T) {
	got := Count([]Approver{
		{"asha", []string{"approver"}, Signature}, {"asha", []string{"owner"}, Signature},
		{"ben", []string{"reader"}, Signature}, {"cy", []string{"approver"}, Forge},
	}, []string{"approver", "owner"}, false)
	if got != 1 {
		t.Errorf("counted %d", got)
	}
}

func TestApprovalReadsBackWhatWasStated(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := Request{
			Want:     Want{Plan: digest.Of(rapid.SliceOf(rapid.Byte()).Draw(t, "plan")), Policy: digest.Of(nil), Models: map[schemas.Ref]digest.Digest{}},
			Revision: rapid.StringMatching(`[ -~é]{0,40}`).Draw(t, "revision"), Principal: rapid.StringMatching(`[a-z"\\é]{1,20}`).Draw(t, "principal"),
			Time: time.Unix(rapid.Int64Range(0, 4e9).Draw(t, "time"), 0).UTC(),
		}
		r.Expires = r.Time.Add(time.Duration(rapid.IntRange(1, 1e6).Draw(t, "valid")) * time.Second)
		if rapid.Bool().Draw(t, "placed") {
			r.After = &Position{rapid.Int64Range(0, 1<<40).Draw(t, "seq"), digest.Of(nil)}
		}
		for range rapid.IntRange(0, 3).Draw(t, "models") {
			r.Models[schemas.Ref{Kind: "model", Name: rapid.StringMatching(`[a-z]{1,9}`).Draw(t, "name")}] = digest.Of(nil)
		}
		text, err := r.Statement()
		if err != nil {
			t.Fatal(err)
		}
		back, err := Signed{Statement: text}.Read()
		if err != nil {
			t.Fatal(err)
		}
		again, _ := back.Statement()
		if !bytes.Equal(text, again) || !back.Expires.Equal(r.Expires) || back.Principal != r.Principal || len(back.Models) != len(r.Models) {
			t.Fatalf("%+v became %+v", r, back)
		}
	})
}

// TestRealSSHKeygenAccepts: what Sign makes, OpenSSH verifies, and the other way round.
func TestRealSSHKeygenAccepts(t *testing.T) {
	keygen, err := exec.LookPath("ssh-keygen")
	if err != nil {
		const how = "ssh-keygen is not here; install openssh-client (apt-get install openssh-client)"
		if os.Getenv("CI") != "" {
			t.Fatal(how)
		}
		t.Skip(how)
	}
	dir := t.TempDir()
	for _, kind := range [][]string{{"-t", "ed25519"}, {"-t", "ecdsa", "-b", "256"}, {"-t", "rsa", "-b", "2048"}} {
		t.Run(kind[1], func(t *testing.T) {
			file := filepath.Join(dir, kind[1])
			if out, err := exec.Command(keygen, append([]string{"-q", "-N", "", "-f", file}, kind...)...).CombinedOutput(); err != nil {
				t.Fatalf("%v: %s", err, out)
			}
			pub, _ := os.ReadFile(file + ".pub")
			private, _ := os.ReadFile(file)
			s, err := ssh.ParsePrivateKey(private)
			if err != nil {
				t.Fatal(err)
			}
			tr, problems := Load([]byte(top+fmt.Sprintf("principals:\n  asha: {ssh: [%q]}\n", strings.TrimSpace(string(pub)))), "trust.yaml")
			if tr == nil {
				t.Fatal(problems)
			}
			ours := sign(t, request(), s)
			write := func(name string, b []byte) string {
				p := filepath.Join(dir, kind[1]+name)
				if err := os.WriteFile(p, b, 0o600); err != nil {
					t.Fatal(err)
				}
				return p
			}
			signers, sig := write(".signers", tr.ApprovalSigners()), write(".sig", []byte(ours.Signature))
			verify := exec.Command(keygen, "-Y", "verify", "-f", signers, "-I", "asha", "-n", "vishwa-approval", "-s", sig)
			verify.Stdin = bytes.NewReader(ours.Statement)
			if out, err := verify.CombinedOutput(); err != nil {
				t.Errorf("ssh-keygen refuses: %v: %s", err, out)
			}
			make := exec.Command(keygen, "-Y", "sign", "-f", file, "-n", "vishwa-approval")
			make.Stdin = bytes.NewReader(ours.Statement)
			theirs, err := make.Output()
			if err != nil {
				t.Fatal(err)
			}
			if _, err := tr.Check(Signed{ours.Statement, string(theirs)}, wanted(), Authors{}, noon); err != nil {
				t.Errorf("what ssh-keygen signed is refused: %v", err)
			}
		})
	}
}

// FuzzCheck: no bytes but the signed ones hold.
func FuzzCheck(f *testing.F) {
	p := meet(f)
	good := sign(f, request(), p.asha)
	f.Add(good.Statement, good.Signature)
	f.Add([]byte("{}"), "-----BEGIN SSH SIGNATURE-----\n-----END SSH SIGNATURE-----")
	f.Fuzz(func(t *testing.T, statement []byte, signature string) {
		_, err := p.trust.Check(Signed{statement, signature}, wanted(), Authors{}, noon)
		if err == nil && !bytes.Equal(statement, good.Statement) {
			t.Errorf("holds: %q", statement)
		}
	})
}
