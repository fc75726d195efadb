package httpx

import "testing"

// TestAServerHasOneSpelling: what is signed of it holds for all of them, and for no other server.
func TestAServerHasOneSpelling(t *testing.T) {
	for declared, want := range map[string]string{
		"https://server.example.com":            "https://server.example.com",
		"HTTPS://Server.Example.com.:443/":      "https://server.example.com",
		"http://server.example.com:80//team/":   "http://server.example.com/team",
		"http://server.example.com:443/Team/./": "http://server.example.com:443/Team",
		"http://[::1]:5000/":                    "http://[::1]:5000",
	} {
		if got := Server(declared); got != want {
			t.Errorf("%s is %s, not %s", declared, got, want)
		}
	}
}
