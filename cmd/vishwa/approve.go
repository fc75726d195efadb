// vishwa approve and vishwa retry: what a person says to the controller.

package main

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/agent"

	"github.com/vishwaops/vishwa/reconciler/engine/ledger"
	"github.com/vishwaops/vishwa/reconciler/engine/plan"
	"github.com/vishwaops/vishwa/reconciler/engine/trust"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/pass"
	"github.com/vishwaops/vishwa/schemas"
)

func (a *cli) approveVerb() *cobra.Command {
	var key, out, recorded string
	var other bool
	valid := span(7 * 24 * time.Hour)
	cmd := &cobra.Command{
		Use:   "approve PLAN",
		Short: "Approve a plan's deployments with your own SSH key",
		Long: `Approve a plan's deployments with your own SSH key. The signature covers the digests
of the plan, of every model that it deploys and of the rules in force: any change of
them voids it. Your public key must be a principal's in trust.yaml; an author of the
change cannot approve it.

The approval is recorded on the ledger, which takes the controller's keys. Where you
do not have them, --out FILE writes it to a file, and whoever has them records it
with --record FILE.`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if (recorded == "") == (len(args) == 0) {
				return usage(cmd, fmt.Errorf("give either a PLAN to approve or --record FILE"))
			}
			if recorded != "" {
				return a.recordApproval(cmd, recorded)
			}
			p, err := readPlan(args[0])
			if err != nil {
				return err
			}
			return a.approve(cmd, p, approving{key: key, out: out, valid: time.Duration(valid), other: other})
		},
	}
	cmd.Flags().StringVar(&key, "key", "", "sign with the private key in `FILE`; without it, with the agent's or ~/.ssh/id_ed25519")
	cmd.Flags().StringVar(&out, "out", "", "write the approval to `FILE` and record nothing")
	cmd.Flags().StringVar(&recorded, "record", "", "record the approval that --out wrote to `FILE`")
	cmd.Flags().BoolVar(&other, "other-revision", false, "with --out, sign also a plan of another revision than the newest one here")
	cmd.Flags().Var(&valid, "valid", "how long the approval holds, such as 36h or 2w")
	return cmd
}

type approving struct {
	key, out string
	valid    time.Duration
	other    bool // a plan of another revision than the newest here will do
}

func (a *cli) approve(cmd *cobra.Command, p plan.Plan, how approving) error {
	if p.Revision == "" {
		return fault.WithHint(fault.New(fault.Invalid, "the plan previews a work tree that is not committed"), "commit, and run vishwa plan --out again")
	}
	models, err := pass.Want(p)
	if err != nil {
		return err
	}
	mode := acting
	if how.out != "" {
		mode = reading
	}
	s, err := a.open(cmd.Context(), mode)
	if mode == acting && fault.Of(err) == fault.Missing {
		return fault.WithHint(err, "write the approval to a file: --out FILE. Whoever has the keys records it with vishwa approve --record FILE")
	}
	if err != nil {
		return err
	}
	defer s.close()
	_, in, err := s.Head(cmd.Context())
	if err != nil {
		return err
	}
	if in.Trust == nil {
		return fault.WithHint(fault.New(fault.Missing, "the repository has no trust.yaml: nobody's approval can count"), "add one that names the principals and their keys")
	}
	var w *pass.Snapshot
	if how.out == "" {
		if p, w, err = a.derived(cmd, s, p); err != nil {
			return err
		}
	} else {
		fmt.Fprintln(a.err, "This is the plan in the file. You sign its steps, inputs and models, not the explanations.")
	}
	if err := a.showPlan(p, "text", false); err != nil {
		return err
	}
	if how.out != "" {
		if err := a.ofNow(cmd.Context(), s, p.Revision, how.other); err != nil {
			return err
		}
	}
	signer, closeAgent, err := a.signer(how.key, in.Trust)
	if err != nil {
		return err
	}
	defer closeAgent()
	who, ok := in.Trust.PrincipalOf(signer.PublicKey())
	if !ok {
		return fault.WithHint(fault.New(fault.Denied, "the key %s is not a principal's in trust.yaml", ssh.FingerprintSHA256(signer.PublicKey())), "have it added to trust.yaml in a reviewed commit, or give another --key")
	}
	r := trust.Request{Want: trust.Want{Plan: p.Digest(), Policy: p.Policy, Models: models},
		Revision: p.Revision, Principal: who, Time: a.now(), Expires: a.now().Add(how.valid)}
	if r.After, err = newest(cmd.Context(), s, w); err != nil {
		return err
	}
	signed, err := trust.Sign(r, signer, rand.Reader)
	if err != nil {
		return err
	}
	if how.out != "" {
		raw, err := json.MarshalIndent(signed, "", "  ")
		if err != nil {
			return fault.New(fault.Internal, "encode approval: %w", err)
		}
		if err := os.WriteFile(how.out, append(raw, '\n'), 0o644); err != nil {
			return fault.WithHint(fault.New(fault.Invalid, "write approval: %w", err), "name a file that this user may write: --out FILE")
		}
		fmt.Fprintf(a.out, "%s approves plan %s; record it with vishwa approve --record %s\n", who, p.Digest().Short(), how.out)
		return nil
	}
	err = a.append(cmd, s, w, signed)
	if k := fault.Of(err); fault.HintOf(err) == "" && (k == fault.Invalid || k == fault.Denied || k == fault.Conflict) {
		return fault.WithHint(err, "have whoever gave it make it anew: vishwa approve PLAN --out FILE; one that was changed afterwards does not count")
	}
	return err
}

// ofNow has the person say yes where a plan is of another revision than the one that is
// here, or than the newest that the others have: it is not what apply would do now.
func (a *cli) ofNow(ctx context.Context, s *station, revision string, other bool) error {
	if _, err := s.Ledger.Facts(ctx); err != nil { // which has the remote say what is newest there
		return err
	}
	head, err := s.Repo.Head(ctx)
	if err != nil {
		return err
	}
	what := fmt.Sprintf("the plan is of revision %s, and %s is checked out", short7(revision), short7(head.SHA))
	if head.SHA == revision {
		at, err := s.Repo.Standing(ctx, revision, s.GitLedger.Keeping())
		if err != nil || at.Remote == "" || !at.On || at.Tip {
			return err
		}
		what = fmt.Sprintf("revision %s is older than %s of %s", short7(revision), at.Tracked, at.Remote)
	}
	all := []aside{{what, "have vishwa plan --out run again at the newest revision, and look at what it says"}}
	_, err = a.agree(all, assent{other, "approve", "--other-revision", "Sign it all the same?"})
	return err
}

// newest is the place on the ledger after which somebody approves.
func newest(ctx context.Context, s *station, w *pass.Snapshot) (*trust.Position, error) {
	if w != nil {
		return pass.Newest(w.Facts), nil
	}
	facts, err := s.Ledger.Facts(ctx)
	if err != nil {
		return nil, err
	}
	return pass.Newest(facts), nil
}

// derived is the plan that the world asks for, where it is the one in the file: a
// person signs what is so, not what a file says of itself.
func (a *cli) derived(cmd *cobra.Command, s *station, file plan.Plan) (plan.Plan, *pass.Snapshot, error) {
	rev, in, err := s.Head(cmd.Context())
	if err != nil {
		return file, nil, err
	}
	w, err := pass.Observe(cmd.Context(), in, rev, s.Observers)
	if err != nil {
		return file, nil, err
	}
	s.WorkData = nil // what data is like beside its pointers, plan and apply tell
	now, err := s.Plan(cmd.Context(), w, pass.ApplyOptions{Targets: file.Targets})
	if err != nil {
		return file, nil, err
	}
	if now.Digest() != file.Digest() {
		return file, nil, fault.WithHint(fault.New(fault.Conflict, "the plan is out of date:\n  %s", strings.Join(plan.Diff(file, now), "\n  ")),
			"run vishwa plan --out again, and look at what it says now")
	}
	return now, w, nil
}

func (a *cli) recordApproval(cmd *cobra.Command, path string) error {
	raw, err := os.ReadFile(path)
	if err != nil {
		return fault.WithHint(fault.New(fault.Missing, "read approval: %w", err), "make one with vishwa approve PLAN --out %s", path)
	}
	var signed trust.Signed
	if err := json.Unmarshal(raw, &signed); err != nil {
		return fault.WithHint(fault.New(fault.Invalid, "%s is not an approval: %w", path, err), "make one with vishwa approve PLAN --out %s", path)
	}
	s, err := a.open(cmd.Context(), acting)
	if err != nil {
		return err
	}
	defer s.close()
	rev, in, err := s.Head(cmd.Context())
	if err != nil {
		return err
	}
	w, err := pass.Observe(cmd.Context(), in, rev, s.Observers)
	if err != nil {
		return err
	}
	return a.append(cmd, s, w, signed)
}

// append records an approval that holds now, and refuses one that does not.
func (a *cli) append(cmd *cobra.Command, s *station, w *pass.Snapshot, signed trust.Signed) error {
	ctx := cmd.Context()
	r, err := signed.Read()
	if err != nil {
		return err
	}
	rev := w.Revision
	if rev.SHA != r.Revision {
		return fault.WithHint(fault.New(fault.Conflict, "the approval is of revision %s, and the branch is at %s", short7(r.Revision), short7(rev.SHA)), "run vishwa plan --out again, and approve that")
	}
	if r.Review != nil {
		return fault.WithHint(fault.New(fault.Denied, "the approval is not signed: only the controller records what a forge asserts"), "sign one with vishwa approve PLAN")
	}
	if len(r.Models) == 0 {
		return fault.WithHint(fault.New(fault.Invalid, "the approval names no model: there is nothing that it approves"), "make one with vishwa approve PLAN")
	}
	if err := w.Placed(signed, w.Facts.Count, a.now()); err != nil {
		return err
	}
	var by trust.Approver
	for ref := range r.Models {
		if by, err = s.Approver(ctx, w, ref, signed, r.Want); err != nil {
			return err
		}
	}
	e := ledger.Entry{
		Action: ledger.Approve, Revision: r.Revision, Author: rev.Author, Plan: r.Plan, Policy: r.Policy, Verdict: "allow",
		Actor:    "principal:" + by.Principal,
		Approval: &ledger.Approval{Principal: by.Principal, Statement: signed.Statement, Signature: signed.Signature},
	}
	e.ApprovedBy([]ledger.Approver{{Principal: by.Principal, Class: by.Class}})
	if e, err = s.Ledger.Append(ctx, e); err != nil {
		return err
	}
	fmt.Fprintf(a.out, "%s approves plan %s until %s (entry %d).\n", by.Principal, r.Plan.Short(), r.Expires.UTC().Format(time.RFC3339), e.Seq)
	return nil
}

// agentAnswers is how long an agent may take to say which keys it has; to sign, it may ask a person.
const agentAnswers = 10 * time.Second

// agentKeys are the keys of the agent at the other end of conn; of one that hangs there are none.
func agentKeys(conn net.Conn, within time.Duration) []ssh.Signer {
	if conn.SetDeadline(time.Now().Add(within)) != nil {
		return nil
	}
	signers, err := agent.NewClient(conn).Signers()
	if err != nil || conn.SetDeadline(time.Time{}) != nil {
		return nil
	}
	return signers
}

// signer is the person's key: a file, or the agent's key that trust.yaml knows.
func (a *cli) signer(path string, t *trust.Trust) (ssh.Signer, func(), error) {
	none := func() {}
	if path == "" {
		if sock, ok := a.lookup("SSH_AUTH_SOCK"); ok {
			if conn, err := net.Dial("unix", sock); err == nil {
				for _, s := range agentKeys(conn, agentAnswers) {
					if _, ok := t.PrincipalOf(s.PublicKey()); ok {
						return s, func() { conn.Close() }, nil
					}
				}
				conn.Close()
			}
		}
		home, _ := a.lookup("HOME")
		path = filepath.Join(home, ".ssh", "id_ed25519")
	}
	raw, err := os.ReadFile(path)
	if err != nil {
		return nil, none, fault.WithHint(fault.New(fault.Missing, "read your SSH key: %w", err), "give its file with --key")
	}
	signer, err := ssh.ParsePrivateKey(raw)
	if _, locked := err.(*ssh.PassphraseMissingError); locked {
		pass, perr := a.secret("VISHWA_SSH_PASSPHRASE", "Passphrase of "+path)
		if perr != nil {
			return nil, none, perr
		}
		signer, err = ssh.ParsePrivateKeyWithPassphrase(raw, pass)
	}
	if err != nil {
		return nil, none, fault.WithHint(fault.New(fault.Denied, "open the SSH key %s: %s", path, strings.TrimPrefix(err.Error(), "ssh: ")), "check the passphrase, and that the file is a private key")
	}
	return signer, none, nil
}

func (a *cli) retryVerb() *cobra.Command {
	var reason string
	cmd := &cobra.Command{
		Use:   "retry REF",
		Short: "Let a failed run that is held be tried again",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			refs, err := parseRefs(cmd, args)
			if err != nil {
				return err
			}
			return a.retry(cmd, refs[0], reason)
		},
	}
	cmd.Flags().StringVar(&reason, "reason", "", "why, for the ledger")
	return cmd
}

func (a *cli) retry(cmd *cobra.Command, ref schemas.Ref, reason string) error {
	ctx := cmd.Context()
	s, err := a.open(ctx, acting)
	if err != nil {
		return err
	}
	defer s.close()
	rev, in, err := s.Head(ctx)
	if err != nil {
		return err
	}
	w, err := pass.Observe(ctx, in, rev, s.Observers)
	if err != nil {
		return err
	}
	p := plan.Compute(w.Graph, w.Observed)
	if !slices.ContainsFunc(p.Steps, func(st plan.Step) bool { return st.Ref == ref || st.Ref.Whole() == ref }) {
		return notDeclared(ref, w)
	}
	done, err := s.Retry(ctx, w, p, ref, reason)
	for _, e := range done {
		fmt.Fprintf(a.out, "%s may be tried again (entry %d); run vishwa apply.\n", e.Ref, e.Seq)
	}
	if err == nil && len(done) == 0 {
		err = fault.WithHint(fault.New(fault.Invalid, "%s has not failed: there is nothing to try again", ref), "vishwa plan says what its state is")
	}
	return err
}

// notDeclared says that ref is not declared, and where its record is if it once was.
func notDeclared(ref schemas.Ref, w *pass.Snapshot) error {
	for was := range w.Facts.Latest {
		if was == ref || was.Whole() == ref {
			return fault.WithHint(fault.New(fault.Missing, "%s is no longer declared", ref), "its record is kept: vishwa explain %s", ref)
		}
	}
	return undeclared(ref, w.Intent)
}

func undeclared(ref schemas.Ref, in *pass.Intent) error {
	var names []string
	for _, n := range in.Graph.Nodes {
		names = append(names, n.Ref.Whole().String())
	}
	err := fault.New(fault.Missing, "%s is not declared", ref)
	if near := schemas.Nearest(ref.String(), names); near != "" {
		return fault.WithHint(err, "did you mean %s?", near)
	}
	return fault.WithHint(err, "vishwa plan -v lists what is")
}
