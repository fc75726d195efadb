// An approval is a person's signature, by their own SSH key, over the digests of
// what is approved; or, weaker, what a forge asserts that a person said there. Any
// change of plan, policy or model has other digests, and so voids it.

package trust

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"strings"
	"time"

	"github.com/hiddeco/sshsig"
	"golang.org/x/crypto/ssh"

	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/schemas"
)

// Namespace sets approvals apart from every other use of an SSH key:
// `ssh-keygen -Y verify -n vishwa-approval` accepts them, Git does not.
const Namespace = "vishwa-approval"

// statementSchema is the version of what is signed.
const statementSchema = "vishwa.dev/approval/v1"

// Want is what must be approved: the very plan, under the very rules, releasing
// the very models.
type Want struct {
	Plan   digest.Digest                 `json:"plan"`
	Policy digest.Digest                 `json:"policy"`
	Models map[schemas.Ref]digest.Digest `json:"models"`
}

// Request is what a person approves, until when. Times count to the second.
type Request struct {
	Want
	Revision  string
	Principal string
	Time      time.Time
	Expires   time.Time
	After     *Position // the newest entry when it was given; nil: before approvals said so
	Review    *Review   // set: not signed, a forge asserts it
}

// Position is a place on the ledger. A ledger that does not go through it is not the
// one that somebody approved on.
type Position struct {
	Seq   int64         `json:"seq"`
	Entry digest.Digest `json:"entry"` // of the entry's bundle
}

// Review is where on a forge somebody approved.
type Review struct {
	Forge string `json:"forge"` // github
	Login string `json:"login"` // lower case
	What  string `json:"what"`  // review or comment
	ID    int64  `json:"id"`
	Pull  int    `json:"pull"`
}

// Signed is an approval as it is recorded.
type Signed struct {
	Statement []byte // canonical JSON
	Signature string // armored SSH signature (OpenSSH's PROTOCOL.sshsig); none for what a forge asserts
}

type statement struct {
	Schema string `json:"schema"`
	Want
	Revision  string    `json:"revision"`
	Principal string    `json:"principal"`
	Time      string    `json:"time"`
	Expires   string    `json:"expires"`
	After     *Position `json:"after,omitempty"`
	Review    *Review   `json:"review,omitempty"`
}

// Statement is the bytes that are signed: canonical JSON.
func (r Request) Statement() ([]byte, error) {
	switch {
	case r.Principal == "":
		return nil, fault.New(fault.Invalid, "state approval: no principal")
	case !r.Expires.After(r.Time):
		return nil, fault.WithHint(fault.New(fault.Invalid, "state approval: it expires before it begins"), "choose a longer validity")
	}
	named := []digest.Digest{r.Plan, r.Policy}
	if r.After != nil {
		named = append(named, r.After.Entry)
		if r.After.Seq < 0 {
			return nil, fault.New(fault.Invalid, "state approval: %d is not a number of an entry", r.After.Seq)
		}
	}
	for _, d := range named {
		if _, err := digest.Parse(string(d)); err != nil {
			return nil, fault.New(fault.Invalid, "state approval: %w", err)
		}
	}
	models := r.Models
	if models == nil {
		models = map[schemas.Ref]digest.Digest{}
	}
	return digest.Canonical(statement{
		Schema: statementSchema, Want: Want{r.Plan, r.Policy, models},
		Revision: r.Revision, Principal: r.Principal,
		Time: r.Time.UTC().Format(time.RFC3339), Expires: r.Expires.UTC().Format(time.RFC3339), After: r.After, Review: r.Review,
	})
}

// Sign states r and signs it.
func Sign(r Request, signer ssh.Signer, rand io.Reader) (Signed, error) {
	text, err := r.Statement()
	if err != nil {
		return Signed{}, err
	}
	sig, err := sshsig.SignWithRand(bytes.NewReader(text), rand, signer, sshsig.HashSHA512, Namespace)
	if err != nil {
		return Signed{}, fault.WithHint(fault.New(fault.Denied, "sign approval: %w", err), "unlock the key, or have the agent hold it (ssh-add -l lists what it holds), or give another --key")
	}
	return Signed{text, string(sshsig.Armor(sig))}, nil
}

// Read takes a signed statement apart, without believing it. Bytes that are not
// exactly what Statement makes are refused, so that no two readers see two things.
func (s Signed) Read() (Request, error) {
	r, err := s.readRequest()
	return r, fault.Advise(err, again)
}

// again is what to do about an approval that does not count as it is.
const again = "have whoever gave it approve again (vishwa approve PLAN); an approval that was changed afterwards does not count"

func (s Signed) readRequest() (Request, error) {
	var st statement
	dec := json.NewDecoder(bytes.NewReader(s.Statement))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&st); err != nil && strings.Contains(err.Error(), "unknown field") {
		return Request{}, newer("this one does not know all that it says (%w)", err)
	} else if err != nil {
		return Request{}, fault.New(fault.Invalid, "read approval: %w", err)
	}
	if st.Schema != statementSchema && strings.HasPrefix(st.Schema, "vishwa.dev/approval/v") {
		return Request{}, newer("its schema is %s", st.Schema)
	}
	if st.Schema != statementSchema {
		return Request{}, fault.New(fault.Invalid, "read approval: its schema is %q, not %s", st.Schema, statementSchema)
	}
	r := Request{Want: st.Want, Revision: st.Revision, Principal: st.Principal, After: st.After, Review: st.Review}
	var err1, err2 error
	r.Time, err1 = time.Parse(time.RFC3339, st.Time)
	r.Expires, err2 = time.Parse(time.RFC3339, st.Expires)
	if err := errors.Join(err1, err2); err != nil {
		return Request{}, fault.New(fault.Invalid, "read approval: %w", err)
	}
	same, err := r.Statement()
	if err != nil {
		return Request{}, err
	}
	if !bytes.Equal(same, s.Statement) {
		return Request{}, fault.New(fault.Invalid, "read approval: it is not in canonical form")
	}
	return r, nil
}

func newer(format string, args ...any) error {
	return fault.WithHint(fault.New(fault.Newer, "read approval: it was written by a newer vishwa: "+format, args...),
		"upgrade this vishwa to the version that wrote it, or approve again with this one")
}

// signature reads the armored signature, and nothing around it.
func (s Signed) signature() (*sshsig.Signature, error) {
	text := strings.TrimSpace(s.Signature)
	if !strings.HasPrefix(text, "-----BEGIN "+sshsig.PEMType+"-----") || strings.Count(text, "-----BEGIN ") != 1 ||
		!strings.HasSuffix(text, "-----END "+sshsig.PEMType+"-----") {
		return nil, fault.New(fault.Invalid, "read approval: its signature is not one armored SSH signature")
	}
	sig, err := sshsig.Unarmor([]byte(text))
	if err != nil {
		return nil, fault.New(fault.Invalid, "read approval: its signature: %w", err)
	}
	return sig, nil
}
