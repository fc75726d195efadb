// Where the containers of an engine over the network are asked.

package dockerengine

import (
	"net/netip"
	"testing"

	"github.com/vishwaops/vishwa/reconciler/fault"
)

// A name leads where its owner says: requests go neither to this machine itself by it, nor to what is of the link alone.
func TestANameDoesNotLeadToThisMachine(t *testing.T) {
	for _, c := range []struct{ name, at, want string }{
		{"gpu.example.com", "10.0.0.5", "10.0.0.5"},
		{"gpu.example.com", "2001:db8::5", "2001:db8::5"},
		{"gpu.example.com", "127.0.0.1", ""},
		{"gpu.example.com", "127.0.1.1", ""},
		{"gpu.example.com", "::1", ""},
		{"gpu.example.com", "0.0.0.0", ""},
		{"gpu.example.com", "::", ""},
		{"gpu.example.com", "169.254.169.254", ""},
		{"gpu.example.com", "fe80::1", ""},
		{"gpu.example.com", "224.0.0.1", ""},
		{"localhost.example.com", "127.0.0.1", ""},
		{"localhost", "127.0.0.1", "127.0.0.1"},
		{"localhost", "::1", "127.0.0.1"},
		{"127.0.0.1", "127.0.0.1", "127.0.0.1"},
		{"127.0.0.7", "127.0.0.7", "127.0.0.1"},
		{"169.254.7.7", "169.254.7.7", "169.254.7.7"},
	} {
		at, err := publishAt(c.name, netip.MustParseAddr(c.at))
		if c.want == "" && (err == nil || fault.Of(err) != fault.Denied) || c.want != "" && (err != nil || at.String() != c.want) {
			t.Errorf("%s at %s: %s, %v", c.name, c.at, at, err)
		}
	}
}
