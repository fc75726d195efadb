// The ledger of a repository: whose word counts on it, now and then, and which places
// outside of its branch know how far it has come.

package app

import (
	"cmp"
	"context"
	"iter"
	"path/filepath"
	"slices"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/vishwaops/vishwa/reconciler/adapter/gitledger"
	"github.com/vishwaops/vishwa/reconciler/adapter/signer"
	"github.com/vishwaops/vishwa/reconciler/adapter/witness"
	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/engine/ledger"
	"github.com/vishwaops/vishwa/reconciler/engine/trust"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/machine/gitstore"
	"github.com/vishwaops/vishwa/reconciler/pass"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/schemas"
)

// rest is how long the forge is left alone between two checkpoints: GitHub counts what
// an account writes.
const rest = 15 * time.Second

// open is the ledger, with the places of its checkpoints.
func (h *Repository) open(book gitledger.Options, project *schemas.Project, place StoreRef, o Options) (*gitledger.Ledger, error) {
	l, err := gitledger.Open(h.Repo.Place(), book)
	if err != nil {
		return nil, err
	}
	origin := l.Origin()
	book.Memory = filepath.Join(h.Paths.State, "checkpoints", digest.Of([]byte(origin)).Hex()[:32])
	shelf, name, err := place.shelf(o.Env)
	if err != nil {
		return nil, err
	}
	need := project.Ledger.Checkpoints.Required
	if shelf != nil {
		book.Witnesses = append(book.Witnesses, gitledger.Witness{Name: name, Near: place.Away == nil, Required: slices.Contains(need, "store"),
			Place: witness.Bucket(shelf, "checkpoints", origin)})
	} else if slices.Contains(need, "store") {
		return nil, unmet("store", "name a store in spec.store")
	}
	if o.Board != nil {
		book.Witnesses = append(book.Witnesses, gitledger.Witness{Name: "the forge (statuses of the first commit)", Required: slices.Contains(need, "forge"), Brief: true, Rest: rest,
			Place: witness.Forge(o.Board.Statuses, o.Board.At, origin, book.Trusted)})
	} else if slices.Contains(need, "forge") && o.Act && !o.Offline {
		return nil, unmet("forge", "let the controller or vishwa ci act, which log in to the forge")
	}
	if c := project.Ledger.Checkpoints; c.Remote != "" {
		if err := o.Env.MayUse(c.Remote); err != nil && !port.WasUnasked(err) { // offline the ledger asks none
			return nil, err
		}
	}
	side, err := h.side(l, project.Ledger.Checkpoints)
	switch {
	case err != nil:
		return nil, err
	case side != nil:
		side.Required = slices.Contains(need, "ref")
		book.Witnesses = append(book.Witnesses, *side)
	case slices.Contains(need, "ref"):
		return nil, unmet("ref", "name one in spec.ledger.checkpoints.ref, and give the ledger a remote")
	}
	return gitledger.Open(h.Repo.Place(), book)
}

// side is the ref that keeps checkpoints; nil where none does.
func (h *Repository) side(l *gitledger.Ledger, c schemas.Checkpoints) (*gitledger.Witness, error) {
	if c.Ref == "" && c.Remote == "" {
		return nil, nil
	}
	ref := cmp.Or(c.Ref, gitledger.UsualCheckpoints)
	w, err := l.Ref(c.Remote, ref)
	if w == nil || err != nil {
		return nil, err
	}
	return &gitledger.Witness{Name: ref + " of " + cmp.Or(c.Remote, l.Remote()), Place: w}, nil
}

func unmet(place, way string) error {
	return fault.WithHint(fault.New(fault.Invalid, "spec.ledger.checkpoints.required names %s, and there is none", place), "%s, or take %s out of the list", way, place)
}

// StatusBoard is a forge's statuses, and the commit that checkpoints stand beside.
type StatusBoard struct {
	witness.Statuses
	At func(ctx context.Context) (string, error)
}

// verifier trusts the keys of a trust file. Without one nothing verifies, and what is
// there to verify says so.
func verifier(t *trust.Trust) (port.Verifier, error) {
	var keys []signer.Trusted
	if t != nil {
		for name, c := range t.Controllers {
			for role, pem := range c.Keys {
				keys = append(keys, signer.Trusted{Name: name, Role: role, PEM: pem})
			}
		}
	}
	if len(keys) == 0 {
		return noVerifier{}, nil
	}
	return signer.NewVerifier(keys)
}

// commitKeys are the keys that may sign the ledger's commits and checkpoints.
func commitKeys(t *trust.Trust) map[string][]ssh.PublicKey {
	keys := map[string][]ssh.PublicKey{}
	if t != nil {
		for name, c := range t.Controllers {
			keys[name] = []ssh.PublicKey{c.SSH}
		}
	}
	return keys
}

// LedgerTrust is whose word counts when the ledger is replayed.
func (h *Repository) LedgerTrust(ctx context.Context) (ledger.Trust, error) {
	out, err := signatures(ctx, h.Trust)
	if err != nil {
		return out, err
	}
	out.Stands, out.Then = h.Trust.ControllerStands, h.then
	out.Approval = func(a ledger.Approval) error {
		signed := trust.Signed{Statement: a.Statement, Signature: a.Signature}
		r, err := signed.Read()
		if err != nil {
			return err
		}
		// Whose word counts is what the approved revision says: people come and go.
		// Whether it counted for the plan was decided then.
		t := h.Trust
		if then := h.trustAt(ctx, r.Revision); then != nil {
			t = then
		}
		if t == nil {
			return fault.WithHint(fault.New(fault.Denied, "no trust file says whose approval counts"), "have trust.yaml in the repository: vishwa keys generate writes it, and vishwa keys trust adds keys that exist")
		}
		_, err = t.Check(signed, r.Want, trust.Authors{}, r.Time)
		return err
	}
	return out, nil
}

// Notice is a signed checkpoint of this ledger, by a controller that is trusted.
func (h *Repository) Notice(raw []byte) (ledger.Notice, error) {
	n, by, err := ledger.OpenNotice(raw, h.GitLedger.Origin(), commitKeys(h.Trust))
	if err != nil {
		return n, err
	}
	if err := h.Trust.ControllerStands(by, n.Count-1, n.Time); err != nil {
		return n, fault.WithHint(fault.New(fault.Denied, "read checkpoint: it is signed by controller %s, which %w", by, err), "find out who uses the keys of that controller; a checkpoint by one whose term goes on counts")
	}
	return n, nil
}

// signatures checks them by the keys of t.
func signatures(ctx context.Context, t *trust.Trust) (ledger.Trust, error) {
	v, err := verifier(t)
	if err != nil {
		return ledger.Trust{}, err
	}
	keys := commitKeys(t)
	return ledger.Trust{
		Bundle: func(bundle []byte) ([]byte, port.Identity, error) { return v.Verify(ctx, bundle) },
		Commit: func(c ledger.Commit) (string, error) {
			if len(keys) == 0 {
				return "", untrusting()
			}
			return gitstore.VerifyCommit(c, keys)
		},
	}, nil
}

// trustAt is the trust file of a revision; nil where it cannot be had.
func (h *Repository) trustAt(ctx context.Context, revision string) *trust.Trust {
	tree, err := h.Repo.Open(ctx, revision)
	if err != nil {
		return nil
	}
	_, t, err := pass.Settings(tree)
	if err != nil {
		return nil
	}
	return t
}

// then is the trust as of an entry's revision, for entries of controllers that the
// trust file names no more. That revision is what the entry says of itself: by this
// alone it does not count, see ledger.Replay.
func (h *Repository) then(e ledger.Entry) *ledger.Trust {
	ctx := context.Background() // reads objects of this clone
	t := h.trustAt(ctx, e.Revision)
	if t == nil {
		return nil
	}
	out, err := signatures(ctx, t)
	if err != nil {
		return nil
	}
	return &out
}

// Entries are those of the ledger as it was looked at last, oldest first.
func (h *Repository) Entries(ctx context.Context) iter.Seq2[ledger.Entry, error] {
	return h.entriesFrom(ctx, 0)
}

// Releases are the deploy entries of a deployment, oldest first, of the ledger as it is now.
func (h *Repository) Releases(ctx context.Context, ref schemas.Ref) ([]ledger.Entry, error) {
	return h.recordedOf(ctx, ref, ledger.Deploy)
}

// Suspensions are what was recorded of a ref's suspensions and their ends, oldest first, of the ledger as it is now.
func (h *Repository) Suspensions(ctx context.Context, ref schemas.Ref) ([]ledger.Entry, error) {
	return h.recordedOf(ctx, ref, ledger.Suspend, ledger.Resume)
}

func (h *Repository) recordedOf(ctx context.Context, ref schemas.Ref, actions ...ledger.Action) (out []ledger.Entry, err error) {
	if _, err := h.GitLedger.Facts(ctx); err != nil { // fetched, and verified as far as it is new
		return nil, err
	}
	for e, err := range h.Entries(ctx) {
		if err != nil {
			return nil, err
		}
		if slices.Contains(actions, e.Action) && e.Ref == ref && e.PullRequest == nil {
			out = append(out, e)
		}
	}
	return out, nil
}

func (h *Repository) entriesFrom(ctx context.Context, from int64) iter.Seq2[ledger.Entry, error] {
	return func(yield func(ledger.Entry, error) bool) {
		for r, err := range ledger.ReadAhead(h.GitLedger.Entries(ctx, from)) {
			if err == nil {
				err = r.Err
			}
			if !yield(r.Entry, err) || err != nil {
				return
			}
		}
	}
}
