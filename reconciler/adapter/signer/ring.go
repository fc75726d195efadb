// A process that works on many repositories with one controller's keys opens them once:
// each opening takes a third of a second and 64 MiB.

package signer

import (
	"sync"

	"github.com/sigstore/cosign/v2/pkg/cosign"
	"github.com/sigstore/sigstore/pkg/signature"
)

// Unlock reads the file of a private key with its password.
type Unlock func(file, password []byte) (signature.SignerVerifier, error)

func unlock(file, password []byte) (signature.SignerVerifier, error) {
	return cosign.LoadPrivateKey(file, password, nil)
}

// Ring holds the keys of folders open for as long as the process runs. The zero value
// is ready, and safe for use by several goroutines.
type Ring struct {
	Unlock Unlock // nil: cosign's

	mu      sync.Mutex
	opening sync.Mutex // one key at a time, whichever folder it is in
	held    map[string]*Keys
}

// Open gives the keys in dir, the same to all who ask; the password is asked for as who
// asked first said. A nil Ring gives each their own.
func (r *Ring) Open(dir string, password func() ([]byte, error)) *Keys {
	if r == nil {
		return Open(dir, password)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.held == nil {
		r.held = map[string]*Keys{}
	}
	k := r.held[dir]
	if k == nil {
		k = within(dir, password, &r.opening)
		if r.Unlock != nil {
			k.load = r.Unlock
		}
		r.held[dir] = k
	}
	return k
}
