// The tests' world: remotes made by the real git, and ledgers on them.

package mirror

import (
	"fmt"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/vishwaops/vishwa/reconciler/adapter/gitledger"
	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/engine/ledger"
	"github.com/vishwaops/vishwa/reconciler/machine/gitremote"
	"github.com/vishwaops/vishwa/reconciler/machine/gitstore"
	"github.com/vishwaops/vishwa/reconciler/machine/gitstore/gittest"
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

// openLedger is the ledger of the clone in dir.
func openLedger(t testing.TB, dir string, change ...func(*gitledger.Options)) *gitledger.Ledger {
	t.Helper()
	n := &gittest.Notary{}
	o := gitledger.Options{Signer: n, Verifier: n, Now: time.Now, SSH: func() (ssh.Signer, error) { return gittest.SSHKey(t), nil }}
	for _, f := range change {
		f(&o)
	}
	place, err := gitstore.Find(dir)
	if err != nil {
		t.Fatal(err)
	}
	place.Remote, place.Own = "origin", &gitremote.Clone{Dir: dir, Git: place.Common}
	l, err := gitledger.Open(place, o)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// trained is an entry to be recorded.
func trained(i int) ledger.Entry {
	return ledger.Entry{
		Action: ledger.Train, Ref: schemas.Ref{Kind: "training", Name: "enrollment"}, Key: digest.Of(fmt.Append(nil, "key ", i)),
		Revision: "0123456789012345678901234567890123456789", Verdict: "allow", Actor: "controller:vishwa", Reason: "never made",
	}
}

func mustAppend(t testing.TB, l *gitledger.Ledger, e ledger.Entry) ledger.Entry {
	t.Helper()
	got, err := l.Append(t.Context(), e)
	if err != nil {
		t.Fatal(err)
	}
	return got
}
