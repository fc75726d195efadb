// The key's file: made once, by whoever comes first, and refused where another user
// could have read or written it.

package seal

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"github.com/vishwaops/vishwa/reconciler/fault"
)

// size of a key in bytes.
const size = 32

// Load reads the key at path. Where there is none it makes one, and the folder for
// it; of several processes that do so at once, all get the same. The file has mode
// 0600 and its folder 0700, both of this user, or the error is Denied.
func Load(path string) (Key, error) {
	k, err := readKey(path)
	if !errors.Is(err, fs.ErrNotExist) {
		return k, err
	}
	secret := make([]byte, size)
	_, _ = rand.Read(secret) // never fails
	if err := create(path, secret); err != nil {
		return Key{}, fault.WithHint(fault.New(fault.Internal, "make the sealing key: %w", err), "make %s writable for this user, and see that its disk is not full", filepath.Dir(path))
	}
	return readKey(path)
}

// Plant has k be the key at path, so that Load gives it. Another one that is there stays, and that is a Conflict: what it
// sealed could be read no more.
func Plant(path string, k Key) error {
	if len(k.secret) != size {
		return fault.New(fault.Internal, "the sealing key to be put at %s has %d bytes, not %d", path, len(k.secret), size)
	}
	if _, err := os.Lstat(path); errors.Is(err, fs.ErrNotExist) {
		if err := create(path, k.secret); err != nil {
			return fault.WithHint(fault.New(fault.Internal, "put the sealing key in place: %w", err), "make %s writable for this user, and see that its disk is not full", filepath.Dir(path))
		}
	}
	there, err := readKey(path)
	if err != nil {
		return err
	}
	if there.Name() != k.Name() {
		return fault.WithHint(fault.New(fault.Conflict, "what is in %s was sealed by another key than the one that is given", filepath.Dir(filepath.Dir(path))),
			"give the former key again, or none; or wait until no run is under way, and remove %s", path)
	}
	return nil
}

// readKey is the key at path; an error that is fs.ErrNotExist says that there is none.
func readKey(path string) (Key, error) {
	const fresh = "if nobody else can have read or written it, fix that with chmod and chown; otherwise remove it: vishwa makes another, and lays out anew what it sealed"
	dir, err := os.Lstat(filepath.Dir(path))
	if err != nil {
		return Key{}, fmt.Errorf("read the sealing key: %w", err)
	}
	if !dir.IsDir() {
		return Key{}, fault.WithHint(fault.New(fault.Denied, "the sealing key's folder %s is not a folder", filepath.Dir(path)), "remove it")
	}
	if err := own(filepath.Dir(path), dir, 0o700); err != nil {
		return Key{}, fault.WithHint(err, fresh)
	}
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0)
	switch {
	case errors.Is(err, syscall.ELOOP):
		return Key{}, fault.WithHint(fault.New(fault.Denied, "the sealing key %s is a symbolic link", path), "remove it: vishwa makes a key of its own")
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return Key{}, fault.WithHint(fault.New(fault.Denied, "read the sealing key: %w", err), fresh)
	case err != nil:
		return Key{}, fmt.Errorf("read the sealing key: %w", err)
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return Key{}, fault.New(fault.Internal, "read the sealing key: %w", err)
	}
	if !st.Mode().IsRegular() {
		return Key{}, fault.WithHint(fault.New(fault.Denied, "the sealing key %s is not a regular file", path), "remove it: vishwa makes a key of its own")
	}
	if err := own(path, st, 0o600); err != nil {
		return Key{}, fault.WithHint(err, fresh)
	}
	raw, err := io.ReadAll(io.LimitReader(f, size+1))
	if err != nil {
		return Key{}, fault.New(fault.Internal, "read the sealing key: %w", err)
	}
	if len(raw) != size {
		return Key{}, fault.WithHint(fault.New(fault.Corrupt, "the sealing key %s has %d bytes, not %d", path, st.Size(), size), "remove it: vishwa makes another, and lays out anew what it sealed")
	}
	return KeyOf(raw)
}

// own refuses what is not this user's, or has another mode.
func own(path string, st fs.FileInfo, mode fs.FileMode) error {
	if at, ok := st.Sys().(*syscall.Stat_t); ok && int64(at.Uid) != int64(os.Geteuid()) {
		return fault.New(fault.Denied, "%s belongs to user %d, and this is user %d", path, at.Uid, os.Geteuid())
	}
	if got := st.Mode().Perm(); got != mode {
		return fault.New(fault.Denied, "%s has mode %04o, not %04o", path, got, mode)
	}
	return nil
}

// create puts a key at path, where nobody else has just done so.
func create(path string, secret []byte) error {
	dir := filepath.Dir(path)
	if err := os.MkdirAll(filepath.Dir(dir), 0o700); err != nil {
		return err
	}
	if err := os.Mkdir(dir, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	tmp, err := os.CreateTemp(dir, ".partial-") // of mode 0600
	if err != nil {
		return err
	}
	defer os.Remove(tmp.Name())
	_, err = tmp.Write(secret)
	if err == nil {
		err = tmp.Sync()
	}
	if cerr := tmp.Close(); err == nil {
		err = cerr
	}
	if err == nil {
		err = os.Link(tmp.Name(), path) // whole or not at all, and never in place of another's
	}
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	return err
}
