// The approval matrix: what is changed, by whom, who says yes, and in which clone it is
// carried out. The table is the specification; docs/approvals.md shows the same.

package pass

import (
	"context"
	"flag"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/vishwaops/vishwa/reconciler/engine/ledger"
	"github.com/vishwaops/vishwa/reconciler/engine/plan"
	"github.com/vishwaops/vishwa/reconciler/engine/trust"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/port"
)

var update = flag.Bool("update", false, "write what the documentation shows")

const (
	robotKey = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ2m6mYb8PzEgHJQm5mVqhGnuMRa0Uo8YmjYmDRJ8cQ1"
	guardian = "apiVersion: vishwa.dev/v1alpha1\nkind: Trust\ncontrollers: {main: {ssh: " + robotKey + "}}\nprincipals:\n" +
		"  alice: {emails: [alice@example.com], forge: {github: alice}, roles: [approver]}\n" +
		"  bob: {emails: [bob@example.com], forge: {github: bob}, roles: [approver]}\n" +
		"  carol: {emails: [carol@example.com], forge: {github: carol}, roles: [approver]}\n"
	eve = "  eve: {emails: [eve@example.com], forge: {github: eve}, roles: [approver, anyone]}\n"
)

// guardedTree declares deployment/live in production, at a port of its own.
func guardedTree(change ...func(fstest.MapFS)) fstest.MapFS {
	return tree(append([]func(fstest.MapFS){with("trust.yaml", guardian), replaced("production: {}", "production: {approvals: 1, reviews: true}, live: {}"),
		replaced("metadata: {name: s}", "metadata: {name: live}"), replaced("environment: staging", "environment: production"),
		replaced("code: [s.py]}}\n", "code: [s.py], port: 8080}}\n")}, change...)...)
}

// another declares one more deployment.
func another(name, environment string, port int) func(fstest.MapFS) {
	return func(t fstest.MapFS) {
		t["vishwa.yaml"].Data = fmt.Appendf(t["vishwa.yaml"].Data, "---\napiVersion: vishwa.dev/v1alpha1\nkind: Deployment\nmetadata: {name: %s}\nspec:\n  model: model/m\n  environment: %s\n  target: {local: {run: [python, s.py], code: [s.py], port: %d}}\n", name, environment, port)
	}
}

func all(changes ...func(fstest.MapFS)) func(fstest.MapFS) {
	return func(t fstest.MapFS) {
		for _, c := range changes {
			c(t)
		}
	}
}

func undeclared(t fstest.MapFS) {
	text := string(t["vishwa.yaml"].Data)
	i := strings.LastIndex(text, "---\n")
	t["vishwa.yaml"].Data = []byte(text[:i])
}

// The columns: who says yes. Alice writes every change.
var says = []struct {
	who string
	yes []string
}{
	{"nobody", nil}, {"its author", []string{"alice"}}, {"somebody whom it names itself", []string{"eve"}},
	{"one other person", []string{"bob"}}, {"two other people", []string{"bob", "carol"}},
	{"an envelope", []string{anEnvelope}},
}

// anEnvelope stands for an entry that says that an envelope let the merge by, here as somebody would
// write it who wants it to count as an approval.
const anEnvelope = "monitor/m"

// enveloped records that an envelope, and nobody else, says yes to what p does.
func enveloped(t *testing.T, h *Reconciler, p *Proposal, r trust.Request) {
	t.Helper()
	statement, err := r.Statement()
	if err != nil {
		t.Fatal(err)
	}
	e := ledger.Entry{Action: ledger.Approve, Revision: r.Revision, Plan: r.Plan, Policy: r.Policy, Verdict: "allow", Actor: h.Actor.String(),
		Approval: &ledger.Approval{Principal: "bob", Statement: statement}}
	e.ApprovedBy([]ledger.Approver{{Principal: anEnvelope, Class: trust.Envelope}})
	if _, err := h.Ledger.Append(t.Context(), h.stamp(e)); err != nil {
		t.Fatal(err)
	}
}

func written1(author string) port.Hand { return port.Hand{SHA: "c", Author: author, Committer: author} }

const alice = "Alice <alice@example.com>"

var (
	newModel = replaced("auc: 0.9", "auc: 0.95")
	befriend = func(t fstest.MapFS) { t["trust.yaml"].Data = append(t["trust.yaml"].Data, eve...) }
	withEve  = all(newModel, befriend)
)

// The rows: what is changed, in what commit. The cells say whether it is let through, a
// column each: "x" held, "." let through.
var matrix = []struct {
	what   string
	hand   port.Hand
	change func(fstest.MapFS)
	cells  string
}{
	{"a new model for production", written1(alice), newModel, "xxx.."},
	{"a new model, and its own approver in trust.yaml", written1(alice), withEve, "xxx.."},
	{"a new deployment in production", written1(alice), all(befriend, another("live2", "production", 8081)), "xxx.."},
	{"a new deployment in production, spelt another way", written1(alice), all(befriend, replaced("live: {}", "pr0duction: {reviews: true}"), another("live2", "pr0duction", 8081)), "xxx.."},
	{"the deployment renamed", written1(alice), all(befriend, replaced("metadata: {name: live}", "metadata: {name: live2}")), "xxx.."},
	{"the deployment renamed, at another address", written1(alice), all(befriend, replaced("metadata: {name: live}", "metadata: {name: live2}"), replaced("8080", "8081")), "xxx.."},
	{"the deployment at another address", written1(alice), all(befriend, replaced("8080", "8081")), "xxx.."},
	{"the deployment called staging", written1(alice), all(befriend, replaced("environment: production", "environment: staging")), "xxx.."},
	{"the deployment taken away", written1(alice), all(befriend, undeclared), "xxx.."},
	{"the environment renamed, to one that asks nobody", written1(alice), all(withEve, replaced("environment: production", "environment: live")), "xxx.."},
	{"deployment and environment renamed, at the same address", written1(alice), all(befriend, replaced("metadata: {name: live}", "metadata: {name: live2}"), replaced("environment: production", "environment: live")), "xxx.."},
	{"approvals lowered to 0", written1(alice), all(withEve, replaced("approvals: 1", "approvals: 0")), "xxx.."},
	{"approvals raised to 2", written1(alice), all(withEve, replaced("approvals: 1", "approvals: 2")), "xxxx."},
	{"another role asked for, that only a new person has", written1(alice), all(withEve, replaced("approvals: 1", "approvals: 1, roles: [anyone]")), "xxxxx"},
	{"another trust file", written1(alice), all(newModel, with("other.yaml", guardian+eve), replaced("environments:", "trust: other.yaml, environments:")), "xxx.."},
	{"everybody but a new person leaves the trust file", written1(alice), all(newModel, with("trust.yaml", strings.SplitAfter(guardian, "principals:\n")[0]+eve)), "xxxxx"},
	{"an unknown author", written1("CI <bot@ci.invalid>"), withEve, "xxxx."},
	{"an author with an alias behind a plus", written1("Alice <alice+ci@example.com>"), withEve, "xxxx."},
	{"an unknown committer", port.Hand{SHA: "c", Author: alice, Committer: "CI <bot@ci.invalid>"}, withEve, "xxxx."},
	{"an unknown co-author", port.Hand{SHA: "c", Author: alice, Committer: alice, With: []string{"Dan <dan@example.com>"}}, withEve, "xxxx."},
	{"an unknown author whom the change makes a principal", written1("CI <bot@ci.invalid>"), all(withEve, func(t fstest.MapFS) {
		t["trust.yaml"].Data = append(t["trust.yaml"].Data, "  ci: {emails: [bot@ci.invalid]}\n"...)
	}), "xxxx."},
	{"an unknown author, where the change says that other will do", written1("CI <bot@ci.invalid>"), all(withEve, replaced("approvals: 1", "approvals: 1, unknownAuthors: other")), "xxxx."},
	{"an unknown author, where the change says refuse", written1("CI <bot@ci.invalid>"), all(withEve, replaced("approvals: 1", "approvals: 1, unknownAuthors: refuse")), "xxxxx"},
	{"a merge by GitHub's own button", port.Hand{SHA: "c", Author: "alice <7+alice@users.noreply.github.com>", Committer: "GitHub <noreply@github.com>"}, withEve, "xxx.."},
	{"a commit that a controller signed", port.Hand{SHA: "c", Author: "Vishwa <vishwa@localhost>", Committer: "Vishwa <vishwa@localhost>", Key: wire(robotKey), For: []string{"github:alice"}}, withEve, "xxx.."},
	{"a commit in a controller's name, unsigned", port.Hand{SHA: "c", Author: "Vishwa <vishwa@localhost>", Committer: "Vishwa <vishwa@localhost>", For: []string{"github:alice"}}, withEve, "xxxx."},
	{"a deployment that nobody guards", written1(alice), all(befriend, another("try", "staging", 8082)), "....."},
	{"one that nobody guards, at the address of production", written1(alice), all(befriend, another("try", "staging", 8080), replaced("port: 8080", "port: 8083")), "xxx.."},
}

func wire(text string) []byte {
	key, _, _, _, err := ssh.ParseAuthorizedKey([]byte(text))
	if err != nil {
		panic(err)
	}
	return key.Marshal()
}

// clones are where the change is carried out.
var clones = []struct {
	name string
	of   func(t *testing.T, h *Reconciler, w *town) *Reconciler
}{
	{"the clone that released before", func(_ *testing.T, h *Reconciler, _ *town) *Reconciler { return h }},
	{"a fresh clone", func(t *testing.T, h *Reconciler, w *town) *Reconciler {
		t.Helper()
		raw, err := w.facts.Encode()
		if err != nil {
			t.Fatal(err)
		}
		facts, err := ledger.Decode(raw)
		if err != nil {
			t.Fatal(err)
		}
		w.facts = *facts
		fresh := *h
		fresh.Worktree = nil
		return &fresh
	}},
}

// yes has people approve, below the pull request that alice opened, what h would do now;
// what does not count is turned down.
func yes(t *testing.T, h *Reconciler, who []string) {
	t.Helper()
	below := *h
	h = &below
	h.PullRequest = &ledger.PullRequest{Pull: 7, Head: two, Base: one, By: "github:alice"}
	rev, in, err := h.Head(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for i, name := range who {
		p, err := h.Review(t.Context(), in, rev)
		if err != nil {
			t.Fatal(err)
		}
		models, err := Want(p.Plan)
		if err != nil {
			continue
		}
		r := trust.Request{Want: trust.Want{Plan: p.Plan.Digest(), Policy: p.Plan.Policy, Models: models}, Revision: rev.SHA, Principal: name,
			Time: time.Now(), Expires: time.Now().Add(time.Hour), Review: &trust.Review{Forge: "github", Login: name, What: "review", ID: int64(i), Pull: 7}}
		if name == anEnvelope {
			r.Principal, r.Review.Login = "bob", "bob" // it says that it is bob's
			enveloped(t, h, p, r)
			continue
		}
		_, err = h.Assert(t.Context(), p, r)
		switch fault.Of(err) {
		case fault.Denied, fault.Conflict:
		default:
			if err != nil {
				t.Fatal(err)
			}
		}
	}
}

// pass carries out what is tracked, and tells whether a deployment is held.
func pass(t *testing.T, h *Reconciler) (held []string) {
	t.Helper()
	got, err := h.Apply(t.Context(), ApplyOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range got.Outcomes {
		if s.Ref.Kind == "deployment" && s.End != "done" && s.End != "kept" {
			held = append(held, s.Ref.String()+": "+s.Text)
		}
	}
	return held
}

// settledHouse has production released, with bob's approval of what alice wrote.
func settledHouse(t *testing.T) (*Reconciler, *town) {
	t.Helper()
	h, w := newHouse(guardedTree())
	h.Hands = written(alice)
	pass(t, h)
	yes(t, h, []string{"bob"})
	if held := pass(t, h); len(held) > 0 {
		t.Fatal("production cannot be released at all: ", held)
	}
	return h, w
}

// cellOf is the cell of a column: an envelope is as if nobody had said yes.
func cellOf(cells string, i int) byte {
	if i >= len(cells) {
		return cells[0]
	}
	return cells[i]
}

func TestApprovalMatrix(t *testing.T) {
	h, w := settledHouse(t)
	was := w.served["live"].Key
	for _, row := range matrix {
		made := w.copy() // what a cell begins with: the change is committed, and what it makes is made
		carry := made.house(h)
		carry.commit(made, two, guardedTree(row.change))
		carry.Hands = func(context.Context, string, string) ([]port.Hand, error) { return []port.Hand{row.hand}, nil }
		if held := pass(t, carry); len(held) == 0 != (row.cells[0] == '.') || row.cells[0] == 'x' && made.served["live"].Key != was {
			t.Errorf("%s: at first held: %q", row.what, held)
		}
		for i, say := range says {
			clone, cell := clones[i%len(clones)], cellOf(row.cells, i)
			t.Run(row.what+"/"+say.who+"/"+clone.name, func(t *testing.T) {
				w := made.copy()
				h := clone.of(t, w.house(carry), w)
				yes(t, h, say.yes)
				held := pass(t, h)
				if want := cell == 'x'; (len(held) > 0) != want {
					t.Errorf("held: %q", held)
				}
				if cell == 'x' && w.served["live"].Key != was {
					t.Error("production does not serve any more what it served")
				}
			})
		}
	}
}

// copy is a town that goes on by itself.
func (w *town) copy() *town {
	c := &town{head: w.head, trees: maps.Clone(w.trees), bytes: maps.Clone(w.bytes), runs: maps.Clone(w.runs), served: maps.Clone(w.served), least: maps.Clone(w.least), level: w.level}
	c.facts = *w.facts.Clone()
	return c
}

// house is h in the town w.
func (w *town) house(h *Reconciler) *Reconciler {
	c := *h
	c.Observers, c.Store, c.Runner = Observers{Repo: w, Ledger: w, Server: host{w}}, shelf{w}, engine{w}
	c.Signer = ModelSigner{Store: shelf{w}, Sign: notary{}.model, Verifier: notary{}}
	return &c
}

func TestApprovalMatrixIsDocumented(t *testing.T) {
	var b strings.Builder
	b.WriteString("| Alice changes |")
	for _, s := range says {
		b.WriteString(" " + s.who + " |")
	}
	b.WriteString("\n|---|" + strings.Repeat("---|", len(says)) + "\n")
	for _, row := range matrix {
		b.WriteString("| " + row.what + " |")
		for i := range says {
			b.WriteString(map[byte]string{'x': " held |", '.': " **goes** |"}[cellOf(row.cells, i)])
		}
		b.WriteString("\n")
	}
	const path, begin, end = "../../docs/approvals.md", "<!-- matrix: go test ./reconciler/pass -run Documented -update -->\n", "<!-- end of matrix -->"
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	head, rest, ok := strings.Cut(string(raw), begin)
	_, tail, ok2 := strings.Cut(rest, end)
	if !ok || !ok2 {
		t.Fatalf("%s has no place for the matrix", path)
	}
	want := head + begin + b.String() + end + tail
	if want == string(raw) {
		return
	}
	if !*update {
		t.Fatalf("%s shows another matrix: go test ./reconciler/pass -run Documented -update", path)
	}
	if err := os.WriteFile(path, []byte(want), 0o644); err != nil {
		t.Fatal(err)
	}
}

// TestAPullRequestIsHeldByTheSameMatrix: what is shown in a pull request is what holds it.
func TestAPullRequestIsHeldByTheSameMatrix(t *testing.T) {
	house, town := settledHouse(t)
	for _, row := range matrix {
		for _, i := range []int{0, 3} { // an envelope is as nobody: words of it are passed over
			say := says[i]
			t.Run(row.what+"/"+say.who, func(t *testing.T) {
				w := town.copy()
				h := w.house(house)
				h.Hands = func(_ context.Context, _, _ string) ([]port.Hand, error) { return []port.Hand{row.hand}, nil }
				apart, p := pulled(t, h, w, guardedTree(row.change))
				apart.PullRequest.By = "github:alice"
				make7(t, apart, p)
				p, err := apart.Review(t.Context(), p.World.Intent, p.World.Revision)
				if err != nil {
					t.Fatal(err)
				}
				for j, name := range say.yes {
					models, err := Want(p.Plan)
					if err != nil {
						t.Fatal(err)
					}
					_, _ = apart.Assert(t.Context(), p, trust.Request{Want: trust.Want{Plan: p.Plan.Digest(), Policy: p.Plan.Policy, Models: models}, Revision: head, Principal: name,
						Time: time.Now(), Expires: time.Now().Add(time.Hour), Review: &trust.Review{Forge: "github", Login: name, What: "review", ID: int64(j), Pull: 7}})
					if p, err = apart.Review(t.Context(), p.World.Intent, p.World.Revision); err != nil {
						t.Fatal(err)
					}
				}
				held := slices.ContainsFunc(p.Plan.Work(), func(s plan.Step) bool { return s.Ref.Kind == "deployment" && s.Held != "" })
				// What the change says of its own guards counts from the merge on.
				relaxed := strings.Contains(row.what, "raised") || strings.Contains(row.what, "another role") || strings.Contains(row.what, "leaves the trust") || strings.Contains(row.what, "says refuse")
				if want := row.cells[i] == 'x'; held != want && !(relaxed && !held && say.who != "nobody") {
					t.Errorf("held: %v, want %v", held, want)
				}
			})
		}
	}
}
