// The cache of folded facts: a file a clone, keyed by the head commit that the
// facts were folded at. It also remembers which head was last believed, so that
// a ledger rewritten since then shows.

package gitledger

import (
	"bytes"
	"encoding/hex"
	"errors"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"

	"github.com/go-git/go-git/v5/plumbing"

	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/engine/ledger"
	"github.com/vishwaops/vishwa/reconciler/fault"
)

// saveEvery is how many entries the cache may lag behind, and saveBytes how much of them: writing it costs as
// much as verifying some dozens, and one entry may tell of a folder of a hundred thousand files.
const (
	saveEvery = 64
	saveBytes = 256 << 10
)

// cacheName tells this clone from any other, also from one that stood at the
// same place before: it is drawn once and kept in the repository.
func (l *Ledger) cacheName() string {
	name := l.cloneName()
	if name == "" {
		return ""
	}
	return digest.Of([]byte(name + "\n" + l.branch.String())).Hex()[:32]
}

// cloneName is drawn for this clone; "" where it cannot be kept.
func (l *Ledger) cloneName() string {
	file := filepath.Join(l.place.Common, "vishwa", "clone")
	b, err := os.ReadFile(file)
	name := string(bytes.TrimSpace(b))
	if raw, bad := hex.DecodeString(name); err == nil && bad == nil && len(raw) == 16 {
		return name
	}
	raw := make([]byte, 16)
	for i := range raw {
		raw[i] = byte(rand.Uint32())
	}
	name = hex.EncodeToString(raw)
	if err := writeFile(file, []byte(name+"\n")); err != nil {
		return ""
	}
	return name
}

// load takes in the cache; one that cannot be read is as none.
func (l *Ledger) load() error {
	if l.loaded || l.opts.CacheDir == "" {
		return nil
	}
	l.loaded = true
	b, err := os.ReadFile(l.cacheFile())
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fault.WithHint(fault.New(fault.Internal, "read ledger cache: %w", err), "let this user read and write the folder of that file, or remove the file: it is made again")
	}
	head, body, ok := bytes.Cut(b, []byte("\n"))
	if !ok || !plumbing.IsHash(string(head)) {
		return nil
	}
	f, err := ledger.Decode(body)
	if err != nil {
		return nil //nolint:nilerr // written by another version, or damaged: it is folded anew
	}
	l.facts, l.at, l.saved, l.size = f, plumbing.NewHash(string(head)), f.Count, len(b)
	return nil
}

// save writes the cache where it lags behind.
func (l *Ledger) save() error {
	if l.opts.CacheDir == "" || l.facts.Count-l.saved < saveEvery && l.behind < max(saveBytes, l.size/saveEvery) {
		return nil
	}
	b, err := l.facts.Encode()
	if err != nil {
		return fault.New(fault.Internal, "write ledger cache: %w", err)
	}
	if err := writeFile(l.cacheFile(), append([]byte(l.at.String()+"\n"), b...)); err != nil {
		return fault.WithHint(fault.New(fault.Internal, "write ledger cache: %w", err), "free some space, or make the cache folder writable")
	}
	l.saved, l.size, l.behind = l.facts.Count, len(b), 0
	return nil
}

// writeFile writes all of a file or nothing.
func writeFile(name string, b []byte) error {
	if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(name), ".new-*")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	_, err = f.Write(b)
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	return os.Rename(f.Name(), name)
}
