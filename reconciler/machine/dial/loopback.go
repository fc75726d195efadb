// Which names mean this machine: what is sent there crosses no network, and may go without TLS.

package dial

import (
	"net/netip"
	"strings"
)

// Loopback tells whether a host's name says this machine: localhost, or a loopback address. Nothing is
// looked up; who connects to a name looks at the address that it has.
func Loopback(host string) bool {
	a, err := netip.ParseAddr(strings.TrimSuffix(strings.TrimPrefix(host, "["), "]"))
	return err == nil && a.Unmap().IsLoopback() || strings.EqualFold(host, "localhost")
}
