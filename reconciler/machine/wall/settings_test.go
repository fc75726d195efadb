// What the owner of a machine writes.

package wall

import "testing"

func TestSizesAreRead(t *testing.T) {
	for text, want := range map[string]int64{"1": 1, "512Mi": 512 << 20, "16Gi": 16 << 30, "16GiB": 16 << 30, "2G": 2_000_000_000, "1.5Ki": 1536, "7B": 7,
		"": -1, "Gi": -1, "-1Gi": -1, "1i": -1, "1iB": -1, "1GG": -1, "1GiBB": -1, "1 Gi": -1, "NaN": -1, "Inf": -1, "1e3": 1000, "99999999999T": -1, "0": -1} {
		got, err := ParseSize(text)
		if want < 0 && err == nil || want >= 0 && (err != nil || got != want) {
			t.Errorf("%q is read as %d, %v; want %d", text, got, err, want)
		}
	}
}

func TestOnlyDeclaredHostsAreReached(t *testing.T) {
	hosts := []string{"pypi.org:443", "*.example.com:8443", "[2001:db8::1]:443", "10.0.0.1:80"}
	for address, want := range map[string]bool{
		"pypi.org:443": true, "PyPI.org:443": true, "pypi.org.:443": true, "pypi.org:80": false, "xpypi.org:443": false, "pypi.org.evil.com:443": false,
		"a.example.com:8443": true, "a.b.example.com:8443": true, "example.com:8443": false, "xexample.com:8443": false, "[2001:db8::1]:443": true,
		"10.0.0.1:80": true, "167772161:80": false, "pypi.org": false, "": false, ":443": false, "user@pypi.org:443": false, "pypi.org:0443": false,
	} {
		if got := Reaches(hosts, address); got != want {
			t.Errorf("%s: %t, want %t", address, got, want)
		}
	}
}
