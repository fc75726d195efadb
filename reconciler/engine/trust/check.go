// Checking an approval: whose key it is, whether that person may approve this
// change, and whether what they approved is what is about to be done.

package trust

import (
	"bytes"
	"slices"
	"strings"
	"time"

	"github.com/hiddeco/sshsig"
	"golang.org/x/crypto/ssh"

	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/fault"
)

// Class says how strong an approval is.
type Class string

const (
	Signature Class = "signature" // by the person's own key
	Forge     Class = "forge"     // as a forge asserts
	Envelope  Class = "envelope"  // a declared envelope, for a merge: it is no person's, and counts before no guard
)

// Approver is a person whose approval holds.
type Approver struct {
	Principal string   `json:"principal"`
	Roles     []string `json:"roles"`
	Class     Class    `json:"class"`
}

// skew is how far in the future an approval's time may lie: clocks differ.
const skew = 5 * time.Minute

// Check tells who approved, where the approval holds for want at now. Authors had a
// hand in the change: nobody approves their own. Every reason not to hold is an error.
func (t *Trust) Check(s Signed, want Want, authors Authors, now time.Time) (Approver, error) {
	a, err := t.check(s, want, authors, now)
	return a, fault.Advise(err, again)
}

func (t *Trust) check(s Signed, want Want, authors Authors, now time.Time) (Approver, error) {
	r, err := s.Read()
	if err != nil {
		return Approver{}, err
	}
	who, class, err := t.who(s, r)
	if err != nil {
		return Approver{}, err
	}
	if r.Principal != who {
		return Approver{}, fault.New(fault.Denied, "check approval: it says that %s approves, and the key is %s's", r.Principal, who)
	}
	p := t.Principals[who]
	if how, wrote := authors.People[who]; wrote {
		return Approver{}, fault.WithHint(fault.New(fault.Denied, "check approval: %s is an author of the change (%s)", who, how),
			"ask somebody else to approve")
	}
	if r.Time.After(now.Add(skew)) {
		return Approver{}, fault.WithHint(fault.New(fault.Denied, "check approval: %s's approval is dated %s, which is in the future", who, r.Time.Format(time.RFC3339)),
			"correct the clock and approve again")
	}
	if !r.Expires.After(now) {
		return Approver{}, fault.WithHint(fault.New(fault.Denied, "check approval: %s's approval expired at %s", who, r.Expires.Format(time.RFC3339)),
			"approve again")
	}
	if err := r.covers(want, who); err != nil {
		return Approver{}, fault.WithHint(err, "look at the new plan, and approve it if it is right")
	}
	return Approver{Principal: who, Roles: slices.Clone(p.Roles), Class: class}, nil
}

// who approved, and how strong the word is: the owner of the key, or the principal
// whose login a forge asserts. One is never taken for the other.
func (t *Trust) who(s Signed, r Request) (string, Class, error) {
	if r.Review == nil {
		who, err := t.signer(s)
		return who, Signature, err
	}
	if s.Signature != "" {
		return "", "", fault.New(fault.Invalid, "check approval: it is signed, and says that a forge asserts it")
	}
	who, ok := t.ByLogin(r.Review.Forge, r.Review.Login)
	if !ok {
		return "", "", fault.WithHint(fault.New(fault.Denied, "check approval: %s login %s is not a principal's", r.Review.Forge, r.Review.Login),
			"add the login to trust.yaml, by a reviewed change")
	}
	return who, Forge, nil
}

// signer is the principal whose key made the signature.
func (t *Trust) signer(s Signed) (string, error) {
	sig, err := s.signature()
	if err != nil {
		return "", err
	}
	if name, is := t.robots[string(sig.PublicKey.Marshal())]; is {
		return "", fault.WithHint(fault.New(fault.Denied, "check approval: the key is controller %s's; a controller never approves", name),
			"approve with a person's own key")
	}
	name, known := t.PrincipalOf(sig.PublicKey)
	if !known {
		return "", fault.WithHint(fault.New(fault.Denied, "check approval: the key %s is not a principal's", ssh.FingerprintSHA256(sig.PublicKey)),
			"add the public key to trust.yaml, by a reviewed change")
	}
	if sig.Namespace != Namespace {
		return "", fault.New(fault.Denied, "check approval: the signature is for %q, not %s", sig.Namespace, Namespace)
	}
	if err := sshsig.Verify(bytes.NewReader(s.Statement), sig, sig.PublicKey, sig.HashAlgorithm, Namespace); err != nil {
		return "", fault.New(fault.Denied, "check approval: the signature by %s's key does not hold: %w", name, err)
	}
	return name, nil
}

// covers tells whether what was approved is exactly want.
func (r Request) covers(want Want, who string) error {
	differ := func(what string, got, want digest.Digest) error {
		return fault.New(fault.Conflict, "check approval: %s approved %s %s, and it is now %s", who, what, or(got), or(want))
	}
	if r.Plan != want.Plan {
		return differ("plan", r.Plan, want.Plan)
	}
	if r.Policy != want.Policy {
		return differ("policy", r.Policy, want.Policy)
	}
	for ref, d := range want.Models {
		if r.Models[ref] != d {
			return differ(ref.String(), r.Models[ref], d)
		}
	}
	for ref, d := range r.Models {
		if _, still := want.Models[ref]; !still {
			return differ(ref.String(), d, "")
		}
	}
	return nil
}

func or(d digest.Digest) string {
	if d == "" {
		return "none"
	}
	return d.Short()
}

// wrote tells whether author is this person, by any of their addresses, or by the
// address that GitHub gives those who hide theirs.
func (p Principal) wrote(author string) bool {
	email := address(author)
	if slices.Contains(p.Emails, email) {
		return true
	}
	login, hidden := strings.CutSuffix(email, "@users.noreply.github.com")
	if _, name, numbered := strings.Cut(login, "+"); numbered {
		login = name
	}
	return hidden && login != "" && login == p.Forge["github"]
}

// Count is how many people approved by signature, or on the forge too where reviews
// count, in one of roles: several keys, or several approvals, of one person count once.
func Count(approvers []Approver, roles []string, reviews bool) int {
	people := map[string]bool{}
	for _, a := range approvers {
		if (reviews || a.Class == Signature) && slices.ContainsFunc(a.Roles, func(r string) bool { return slices.Contains(roles, r) }) {
			people[a.Principal] = true
		}
	}
	return len(people)
}
