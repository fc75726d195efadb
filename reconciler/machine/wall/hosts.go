// Which hosts are meant by a list of them.

package wall

import (
	"net"
	"strings"
)

// Reaches tells whether address, host:port, is one of hosts. A host *.example.com:443
// is every name below example.com.
func Reaches(hosts []string, address string) bool {
	name, port, err := net.SplitHostPort(address)
	if err != nil {
		return false
	}
	name = strings.TrimSuffix(strings.ToLower(name), ".")
	for _, h := range hosts {
		declared, p, err := net.SplitHostPort(h)
		if err != nil || p != port {
			continue
		}
		declared = strings.TrimSuffix(strings.ToLower(declared), ".")
		if below, ok := strings.CutPrefix(declared, "*."); name == declared || ok && strings.HasSuffix(name, "."+below) {
			return true
		}
	}
	return false
}
