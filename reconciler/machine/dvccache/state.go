// What is known of files of the work tree, so that unchanged ones need not be read:
// a file's sums stand as long as its size, times and inode do.

package dvccache

import (
	"bufio"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"time"
	"unsafe"

	"github.com/zeebo/xxh3"

	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/format/dvc"
)

// Stamp is how a file stood when it was read.
type Stamp struct {
	Size         int64 // bytes
	MTime, CTime int64 // nanoseconds since 1970
	Inode        uint64
}

// FileState is what a file was when it stood as Stamp says. Without a stamp it holds for now,
// and is not remembered.
type FileState struct {
	Stamp
	Sum [48]byte // MD5, SHA-256
}

// Sums are the names in k.
func (k FileState) Sums() Sum {
	return Sum{k.oid(), digest.FromSum(k.Sum[16:]), k.Size}
}

func (k FileState) oid() dvc.OID { return dvc.OID(hex.EncodeToString(k.Sum[:16])) }

// Whole tells whether both sums are known: of what is linked to the cache, it is the MD5.
func (k FileState) Whole() bool { return [32]byte(k.Sum[16:]) != [32]byte{} }

// Is tells whether k is the content that DVC calls oid.
func (k FileState) Is(oid dvc.OID) bool {
	named, ok := key(oid)
	return ok && [16]byte(k.Sum[:16]) == named
}

// Know is the memory of a file.
func Know(at Stamp, s Sum) (k FileState, ok bool) {
	k.Stamp = at
	if n, err := hex.Decode(k.Sum[:16], []byte(s.OID)); err != nil || n != 16 {
		return k, false
	}
	n, err := hex.Decode(k.Sum[16:], []byte(s.SHA256.Hex()))
	return k, err == nil && n == 32
}

// Memory is what is known of the files of one output, by path. It is made for a
// million of them: what it holds of one is found by a hash of its path.
type Memory struct {
	Tree  dvc.OID // of all of them together; "" is unknown
	at    map[uint64]int32
	paths []string
	known []FileState
}

// NewMemory has room for n files.
func NewMemory(n int) *Memory {
	return &Memory{at: make(map[uint64]int32, n), paths: make([]string, 0, n), known: make([]FileState, 0, n)}
}

// Len is how many files are known.
func (m *Memory) Len() int { return len(m.at) }

// Get is what is known of the file at path.
func (m *Memory) Get(path string) (FileState, bool) {
	i, ok := m.at[xxh3.HashString(path)]
	if !ok || m.paths[i] != path { // two paths may have one hash, though nobody will see it
		return FileState{}, false
	}
	return m.known[i], true
}

// Put remembers k of the file at path, in place of what was known.
func (m *Memory) Put(path string, k FileState) {
	h := xxh3.HashString(path)
	if i, ok := m.at[h]; ok {
		m.paths[i], m.known[i] = path, k
		return
	}
	m.at[h] = int32(len(m.paths))
	m.paths, m.known = append(m.paths, path), append(m.known, k)
}

// All yields what is known, in no order.
func (m *Memory) All() iter.Seq2[string, FileState] {
	return func(yield func(string, FileState) bool) {
		for _, i := range m.at {
			if !yield(m.paths[i], m.known[i]) {
				return
			}
		}
	}
}

// Forget lets the file at path go.
func (m *Memory) Forget(path string) {
	if _, ok := m.Get(path); ok {
		delete(m.at, xxh3.HashString(path))
	}
}

const memoryMagic = "vishwa data state 1\n"

// granularity is how far apart two writes may be and have one time: what was
// written so shortly before it was read is read again.
const granularity = 20 * time.Millisecond

// Settled tells whether a file that was read at began can be told from one that is
// written afterwards.
func (s Stamp) Settled(began time.Time) bool {
	limit := began.Add(-granularity).UnixNano()
	return s.MTime < limit && s.CTime < limit
}

// LoadMemory reads the memory at path. One that cannot be read is empty: files are
// then read again.
func LoadMemory(path string) *Memory {
	f, err := os.Open(path)
	if err != nil {
		return NewMemory(0)
	}
	defer f.Close()
	m := &Memory{}
	if err := m.readStates(f); err != nil {
		return NewMemory(0)
	}
	return m
}

func (m *Memory) readStates(f *os.File) error {
	sum := crc32.NewIEEE()
	r := bufio.NewReaderSize(f, 1<<20)
	in := io.TeeReader(r, sum)
	head := make([]byte, len(memoryMagic))
	if _, err := io.ReadFull(in, head); err != nil || string(head) != memoryMagic {
		return errors.New("no state")
	}
	var n struct{ Tree, Files uint32 }
	if err := binary.Read(in, binary.LittleEndian, &n); err != nil || n.Tree > 64 {
		return fmt.Errorf("read state: %w", err)
	}
	tree := make([]byte, n.Tree)
	if _, err := io.ReadFull(in, tree); err != nil {
		return err
	}
	st, err := f.Stat()
	if err != nil || int64(n.Files)*82 > st.Size() {
		return errors.New("the state is cut short")
	}
	*m = *NewMemory(int(n.Files))
	m.Tree = dvc.OID(tree)
	var fixed [82]byte
	var names []byte // many paths in one piece
	for range n.Files {
		if _, err := io.ReadFull(in, fixed[:]); err != nil {
			return err
		}
		var k FileState
		k.Size, k.MTime = int64(binary.LittleEndian.Uint64(fixed[2:])), int64(binary.LittleEndian.Uint64(fixed[10:]))
		k.CTime, k.Inode = int64(binary.LittleEndian.Uint64(fixed[18:])), binary.LittleEndian.Uint64(fixed[26:])
		copy(k.Sum[:], fixed[34:])
		size := int(binary.LittleEndian.Uint16(fixed[:]))
		if cap(names)-len(names) < size {
			names = make([]byte, 0, max(1<<16, size))
		}
		name := names[len(names) : len(names)+size]
		names = names[:len(names)+size]
		if _, err := io.ReadFull(in, name); err != nil {
			return err
		}
		m.Put(unsafe.String(unsafe.SliceData(name), size), k) // nobody writes to it any more
	}
	want := sum.Sum32()
	var got uint32
	if err := binary.Read(r, binary.LittleEndian, &got); err != nil || got != want {
		return errors.New("the state is damaged")
	}
	return nil
}

// Save is Remember of all that is known.
func (m *Memory) Save(path string) error {
	kept := make([]int32, 0, len(m.at))
	for _, i := range m.at {
		kept = append(kept, i)
	}
	return Remember(path, m.Tree, len(kept), func(i int) (string, FileState) { return m.paths[kept[i]], m.known[kept[i]] })
}

// Remember writes what is known of n files, which are tree together, to path: whole or
// not at all. It holds nothing that cannot be had again, and need not be on the disk.
func Remember(path string, tree dvc.OID, n int, file func(i int) (string, FileState)) (err error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return fmt.Errorf("save state: %w", err)
	}
	f, err := os.CreateTemp(filepath.Dir(path), Draft())
	if err != nil {
		return fmt.Errorf("save state: %w", err)
	}
	defer func() {
		if err != nil {
			_ = os.Remove(f.Name())
		}
	}()
	w := bufio.NewWriterSize(f, 1<<20)
	sum := crc32.NewIEEE()
	out := io.MultiWriter(w, sum)
	count := 0
	for i := range n {
		if _, k := file(i); k.Inode != 0 { // what holds for now alone is left out
			count++
		}
	}
	buf := append([]byte(memoryMagic), make([]byte, 8)...)
	binary.LittleEndian.PutUint32(buf[len(memoryMagic):], uint32(len(tree)))
	binary.LittleEndian.PutUint32(buf[len(memoryMagic)+4:], uint32(count))
	buf = append(buf, tree...)
	for i := range n {
		name, k := file(i)
		if k.Inode == 0 {
			continue
		}
		if len(name) > 1<<16-1 {
			return fmt.Errorf("save state: the path %.40q… is too long: %w", name, fs.ErrInvalid)
		}
		buf = k.row(buf, name)
		if len(buf) > 1<<16 {
			if _, err := out.Write(buf); err != nil {
				return fmt.Errorf("save state: %w", err)
			}
			buf = buf[:0]
		}
	}
	if _, err := out.Write(buf); err != nil {
		return fmt.Errorf("save state: %w", err)
	}
	if err := binary.Write(w, binary.LittleEndian, sum.Sum32()); err != nil {
		return fmt.Errorf("save state: %w", err)
	}
	if err := errors.Join(w.Flush(), f.Close()); err != nil {
		return fmt.Errorf("save state: %w", err)
	}
	return os.Rename(f.Name(), path)
}

// row appends what is known of the file name.
func (k FileState) row(b []byte, name string) []byte {
	b = binary.LittleEndian.AppendUint16(b, uint16(len(name)))
	b = binary.LittleEndian.AppendUint64(b, uint64(k.Size))
	b = binary.LittleEndian.AppendUint64(b, uint64(k.MTime))
	b = binary.LittleEndian.AppendUint64(b, uint64(k.CTime))
	b = binary.LittleEndian.AppendUint64(b, k.Inode)
	return append(append(b, k.Sum[:]...), name...)
}
