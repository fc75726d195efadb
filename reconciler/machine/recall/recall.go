// Package recall remembers what files of a checkout hold, so that those that have not changed need not be read: what was read
// of a file stands as long as its size, its times and its inode do, as with Git's own index. What is remembered leads to keys, and is sealed.
// So is what is kept on a Shelf: what took long to find, by the digest of all that it comes from.
package recall

import (
	"bytes"
	"encoding/binary"
	"errors"
	"os"
	"path/filepath"
	"time"
	"unsafe"

	"github.com/vishwaops/vishwa/reconciler/machine/dvccache"
	"github.com/vishwaops/vishwa/reconciler/machine/seal"
)

// File is what a file held when it stood as Stamp says.
type File struct {
	dvccache.Stamp
	Git    [20]byte // Git's name of its bytes
	SHA256 [32]byte
}

// Known is what is remembered of files, by path.
type Known map[string]File

// coarse is how far apart the times of a file system may be that has no fractions of a second, twice over.
const coarse = 2 * time.Second

// Settled tells whether a file that stood so when its reading began can be told from one that was written afterwards: one that was
// written so shortly before that both have one time is not remembered.
func Settled(at dvccache.Stamp, began time.Time) bool {
	if at.MTime%int64(time.Second) == 0 && at.CTime%int64(time.Second) == 0 {
		began = began.Add(-coarse)
	}
	return at.Settled(began)
}

const (
	magic = "recalled files 2\n"
	fixed = 2 + 4*8 + 20 + 32 // of a file, before its path
)

// Memory is where what is known is kept from one reading to the next. The zero Memory is none.
type Memory struct {
	Path string
	Seal string // the file of the key that seals it
}

// purpose says of a memory which it is: that of another checkout does not open.
func (m Memory) purpose() string { return "recalled files " + filepath.Base(m.Path) }

// Load is what is remembered. What cannot be read, or was not sealed here, is nothing: files are then read again.
func (m Memory) Load() Known {
	raw, err := os.ReadFile(m.Path)
	if err != nil {
		return nil
	}
	key, err := seal.Load(m.Seal)
	if err != nil {
		return nil
	}
	b, err := key.Open(m.purpose(), raw)
	if err != nil || len(b) < len(magic)+4 || !bytes.HasPrefix(b, []byte(magic)) {
		return nil
	}
	b = b[len(magic):]
	n := int(binary.LittleEndian.Uint32(b))
	if b = b[4:]; n > len(b)/fixed {
		return nil
	}
	known := make(Known, n)
	for range n {
		if len(b) < fixed {
			return nil
		}
		var f File
		size := int(binary.LittleEndian.Uint16(b))
		f.Size, f.MTime = int64(binary.LittleEndian.Uint64(b[2:])), int64(binary.LittleEndian.Uint64(b[10:]))
		f.CTime, f.Inode = int64(binary.LittleEndian.Uint64(b[18:])), binary.LittleEndian.Uint64(b[26:])
		copy(f.Git[:], b[34:])
		copy(f.SHA256[:], b[54:])
		if b = b[fixed:]; len(b) < size {
			return nil
		}
		known[unsafe.String(unsafe.SliceData(b), size)] = f // nobody writes to b
		b = b[size:]
	}
	return known
}

// Save writes k down, whole or not at all. It holds nothing that cannot be had again, and need not be on the disk.
func (m Memory) Save(k Known) (err error) {
	key, err := seal.Load(m.Seal)
	if err != nil {
		return err
	}
	path := m.Path
	b := append(make([]byte, 0, len(magic)+4+len(k)*(fixed+40)), magic...)
	b = binary.LittleEndian.AppendUint32(b, uint32(len(k)))
	for name, f := range k {
		if len(name) > 1<<16-1 {
			return errors.New("remember files: a path is too long")
		}
		b = binary.LittleEndian.AppendUint16(b, uint16(len(name)))
		for _, n := range []uint64{uint64(f.Size), uint64(f.MTime), uint64(f.CTime), f.Inode} {
			b = binary.LittleEndian.AppendUint64(b, n)
		}
		b = append(append(append(b, f.Git[:]...), f.SHA256[:]...), name...)
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(path), "new-")
	if err != nil {
		return err
	}
	_, err = f.Write(key.Wrap(m.purpose(), b))
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		_ = os.Remove(f.Name())
	}
	return err
}
