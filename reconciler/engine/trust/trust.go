// Package trust says who may approve and which controllers may sign: it reads
// trust.yaml, which maps people to keys, addresses, forge logins and roles, and it
// checks approvals against it. It is pure. No setting accepts "any identity".
package trust

import (
	"bytes"
	"fmt"
	"maps"
	"slices"
	"strings"

	"golang.org/x/crypto/ssh"

	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/schemas"
)

// Kind is what trust.yaml calls itself.
const Kind = "Trust"

// Trust is a checked trust.yaml. No key stands under two names in it, and no
// address under two principals.
type Trust struct {
	Principals  map[string]Principal
	Controllers map[string]Controller

	digest digest.Digest
	people map[string]string // marshalled SSH public key -> principal
	robots map[string]string // marshalled SSH public key -> controller
}

// Principal is a person.
type Principal struct {
	Emails []string // lower case
	Keys   []ssh.PublicKey
	Forge  map[string]string // forge -> login, lower case: {"github": "asha"}
	Roles  []string
	Term
}

// Controller is a running Vishwa.
type Controller struct {
	SSH  ssh.PublicKey        // signs the ledger's commits
	Keys map[port.Role][]byte // PEM of an ECDSA P-256 public key a role, as it is hashed for port.Identity.Key
	Term
}

// Load reads trust.yaml; file is its path in the repository, for positions. All
// problems are reported at once, and a Trust is returned only where there is none.
func Load(b []byte, file string) (*Trust, []schemas.Problem) {
	r := &reader{file: file}
	t := &Trust{
		Principals: map[string]Principal{}, Controllers: map[string]Controller{},
		digest: digest.Of(b), people: map[string]string{}, robots: map[string]string{},
	}
	if root := r.document(b); root != nil {
		r.trust(root, t)
	}
	if len(r.problems) > 0 {
		slices.SortStableFunc(r.problems, func(a, b schemas.Problem) int {
			if a.Pos.Line != b.Pos.Line {
				return a.Pos.Line - b.Pos.Line
			}
			return a.Pos.Column - b.Pos.Column
		})
		return nil, r.problems
	}
	return t, nil
}

// Digest names the file's bytes.
func (t *Trust) Digest() digest.Digest { return t.digest }

// AllowedSigners is what Git's gpg.ssh.allowedSignersFile wants in order to check
// the ledger's commits: the controllers' SSH keys, for that use only.
func (t *Trust) AllowedSigners() []byte {
	var out bytes.Buffer
	for _, name := range slices.Sorted(maps.Keys(t.Controllers)) {
		fmt.Fprintf(&out, "%s namespaces=\"git\" %s", name, ssh.MarshalAuthorizedKey(t.Controllers[name].SSH))
	}
	return out.Bytes()
}

// ApprovalSigners is what `ssh-keygen -Y verify -n vishwa-approval -f` wants in
// order to check an approval without Vishwa: the principals' SSH keys.
func (t *Trust) ApprovalSigners() []byte {
	var out bytes.Buffer
	for _, name := range slices.Sorted(maps.Keys(t.Principals)) {
		for _, k := range t.Principals[name].Keys {
			fmt.Fprintf(&out, "%s namespaces=%q %s", name, Namespace, ssh.MarshalAuthorizedKey(k))
		}
	}
	return out.Bytes()
}

// PrincipalOf tells whose key k is.
func (t *Trust) PrincipalOf(k ssh.PublicKey) (string, bool) {
	name, ok := t.people[string(k.Marshal())]
	return name, ok
}

// Controls tells whether key, as SSH writes it on the wire, is a controller's.
func (t *Trust) Controls(key []byte) bool {
	_, is := t.robots[string(key)]
	return is
}

// ByLogin tells who has a login on a forge. Logins do not tell case apart.
func (t *Trust) ByLogin(forge, login string) (string, bool) {
	for name, p := range t.Principals {
		if login != "" && p.Forge[forge] == strings.ToLower(login) {
			return name, true
		}
	}
	return "", false
}
