package execute

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"syscall"
	"testing"

	"github.com/vishwaops/vishwa/reconciler/fault"
)

// TestAnErrorIsToldWithoutWhereThingsAre: of what the operating system refused its name is left, and all else as it is.
func TestAnErrorIsToldWithoutWhereThingsAre(t *testing.T) {
	at := func(path string) error { return &fs.PathError{Op: "open", Path: path, Err: syscall.EACCES} }
	for want, err := range map[string]error{
		"read infra/main.tf: no":                                     fmt.Errorf("read infra/main.tf: no"),
		"open infra/main.tf: permission denied":                      at("infra/main.tf"),
		"stack db: open db: permission denied":                       fault.WithHint(fault.New(fault.Internal, "stack db: %w", fmt.Errorf("%w", at("/srv/a b/db"))), "x"),
		"open x: permission denied\nopen a: permission denied":       errors.Join(at("/srv/a/x"), at("/srv/a")),
		"rename a b: permission denied":                              &os.LinkError{Op: "rename", Old: "/srv/a", New: "/srv/b", Err: syscall.EACCES},
		"look at https://example.com/srv: open c: permission denied": fault.New(fault.Internal, "look at https://example.com/srv: %w", at("/srv/x/c")),
	} {
		if got := WithoutPaths(err); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}
