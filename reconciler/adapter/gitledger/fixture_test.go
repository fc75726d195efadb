// The tests' world: ledgers in repositories made by the real git.

package gitledger

import (
	"fmt"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/vishwaops/vishwa/reconciler/adapter/repo"
	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/engine/ledger"
	"github.com/vishwaops/vishwa/reconciler/machine/gitstore/gittest"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/schemas"
)

// What the tests share with those of other packages.
var (
	git, tryGit = gittest.Git, gittest.TryGit
	write       = gittest.Write
	newRepo     = gittest.NewRepo
	newClones   = gittest.NewClones
	wantFault   = gittest.WantFault
)

func openRepo(t testing.TB, dir string) *repo.Repo {
	t.Helper()
	r, err := repo.Open(dir, repo.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.Close() })
	return r
}

func openLedger(t testing.TB, dir string, change ...func(*Options)) *Ledger {
	t.Helper()
	n := &gittest.Notary{}
	o := Options{
		Signer: n, Verifier: n, Now: time.Now, Trusted: map[string][]ssh.PublicKey{"vishwa": {gittest.SSHKey(t).PublicKey()}},
		SSH: func() (ssh.Signer, error) { return gittest.SSHKey(t), nil },
	}
	for _, f := range change {
		f(&o)
	}
	l, err := Open(openRepo(t, dir).Place(), o)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func key(i int) digest.Digest { return digest.Of(fmt.Append(nil, "key ", i)) }

// trained is an entry of the size that real ones have.
func trained(i int) ledger.Entry {
	code := map[string]digest.Digest{"src/train.py": key(i / 7), "src/features.py": key(3)}
	files := digest.Manifest{{Path: "model.json", Digest: key(i + 1000), Size: 1234}}
	return ledger.Entry{
		Action: ledger.Train, Ref: schemas.Ref{Kind: "training", Name: fmt.Sprintf("enrollment-%d", i%100), Output: "xgboost"},
		Key: key(i), Revision: "0123456789012345678901234567890123456789", Author: "Ada <ada@example.org>",
		Plan: key(1), Policy: key(2), Verdict: "allow", Actor: "controller:vishwa", Reason: fmt.Sprintf("param max_depth %d -> %d", i, i+1),
		MadeBy:  &port.Recipe{Schema: schemas.APIVersion, Kind: "training", Command: []string{"python", "src/train.py"}, Code: code, Env: key(4), Params: map[string]any{"max_depth": float64(i), "estimator": "xgboost"}, Inputs: map[string]digest.Digest{"train": key(5), "test": key(6)}},
		Outputs: ledger.OutputsOf(map[string]port.Artifact{"model": {Name: "model", Digest: files.Digest(), Size: 1234, Files: files}}),
		Metrics: map[string]float64{"test.roc_auc": 0.83, "test.f1": 0.75, "train.roc_auc": 0.9},
		Run:     &ledger.Run{Started: time.Unix(1700000000, 0).UTC(), Finished: time.Unix(1700000060, 0).UTC(), Host: "linux/amd64", Python: "3.11.2", Log: key(i + 5000)},
	}
}

func mustAppend(t testing.TB, l *Ledger, e ledger.Entry) ledger.Entry {
	t.Helper()
	got, err := l.Append(t.Context(), e)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

func mustFacts(t testing.TB, l *Ledger) *ledger.Facts {
	t.Helper()
	f, err := l.Facts(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func verify(t testing.TB, l *Ledger) (ledger.Report, error) {
	t.Helper()
	return ledger.Verify(l.Entries(t.Context(), 0), l.trust(t.Context()), nil)
}
