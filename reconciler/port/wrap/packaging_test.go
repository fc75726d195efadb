// Packages go nowhere else than the machine's owner says.

package wrap

import (
	"context"
	"strings"
	"testing"

	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/port"
)

// noting is a packager that notes where it was asked to go.
type noting struct{ asked []string }

func (n *noting) note(at string) { n.asked = append(n.asked, at) }
func (n *noting) Inspect(_ context.Context, at port.Registry, _ port.Packed, _ []string) (port.PackageState, error) {
	n.note(at.Repository)
	return port.PackageState{}, nil
}
func (n *noting) Push(_ context.Context, p port.Package) (port.Packed, error) {
	n.note(p.At.Repository)
	return port.Packed{}, nil
}
func (n *noting) Publish(_ context.Context, at port.Registry, p port.Packed, _ [][]byte, _ port.PackageTags) (port.Packed, error) {
	n.note(at.Repository)
	return p, nil
}

func TestPackagesGoWhereTheyMay(t *testing.T) {
	for at, want := range map[string]bool{
		"r.example.com/team/price":       true,
		"r.example.com/team/deep/price":  true,
		"r.example.com/one":              true,
		"r.example.com/team":             false,
		"r.example.com/teams/price":      false,
		"r.example.com/one/more":         false,
		"r.example.com.evil/team/price":  false,
		"other.example.com/team/price":   false,
		"r.example.com:444/team/price":   false,
		"r.example.com/other/team/price": false,
	} {
		n := &noting{}
		p := PackagingTo(n, []string{"r.example.com/team/*", "r.example.com/one"})
		place := port.Registry{Repository: at}
		_, looked := p.Inspect(t.Context(), place, port.Packed{}, nil)
		_, pushed := p.Push(t.Context(), port.Package{At: place})
		_, published := p.Publish(t.Context(), place, port.Packed{}, nil, port.PackageTags{})
		for _, err := range []error{looked, pushed, published} {
			if (err == nil) != want || err != nil && (fault.Of(err) != fault.Denied || !strings.Contains(fault.HintOf(err), "controller's file")) {
				t.Errorf("%s: %v", at, err)
			}
		}
		if want && len(n.asked) != 3 || !want && len(n.asked) != 0 {
			t.Errorf("%s was asked for %d times", at, len(n.asked))
		}
	}
	if _, err := PackagingTo(&noting{}, nil).Push(t.Context(), port.Package{At: port.Registry{Repository: "r.example.com/one"}}); fault.Of(err) != fault.Denied {
		t.Errorf("without a name: %v", err)
	}
}
