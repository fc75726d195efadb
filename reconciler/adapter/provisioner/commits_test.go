// A module's repository does not choose which commit is meant.

package provisioner

import (
	"fmt"
	"strings"
	"testing"

	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/machine/gitstore/gittest"
	"github.com/vishwaops/vishwa/reconciler/port"
)

func TestAModuleOfACommitIsNoBranchOfThatName(t *testing.T) {
	real(t)
	dir := gittest.NewRepo(t)
	commit := func(output string) string {
		gittest.Write(t, dir, "main.tf", output)
		gittest.Write(t, dir, "sub/main.tf", output)
		gittest.Git(t, dir, "add", "-A")
		gittest.Git(t, dir, "commit", "-q", "-m", "x")
		return gittest.Git(t, dir, "rev-parse", "HEAD")
	}
	reviewed := commit("output \"x\" { value = 1 }\n")
	commit("output \"x\" { value = 2 }\n")
	stack := port.Infrastructure{Name: "net", Source: module(fmt.Sprintf("module \"a\" { source = \"git::file://%s?ref=%s\" }\nmodule \"b\" { source = \"git::file://%[1]s//sub?ref=%[2]s\" }\n", dir, reviewed))}
	// The second of one repository is a copy of the first, without its history.
	if _, err := Terraform(at(t.TempDir(), world(nil))).Diff(t.Context(), stack); err != nil {
		t.Fatal(err)
	}
	gittest.Git(t, dir, "branch", reviewed, "HEAD")
	gittest.Git(t, dir, "symbolic-ref", "HEAD", "refs/heads/"+reviewed)
	_, err := Terraform(at(t.TempDir(), world(nil))).Diff(t.Context(), stack)
	if fault.Of(err) != fault.Denied || !strings.Contains(err.Error(), "is named by commit "+reviewed[:12]) || !strings.Contains(err.Error(), "refs/heads/"+reviewed) {
		t.Errorf("the repository's own branch is called as the commit is: %v", err)
	}
}
