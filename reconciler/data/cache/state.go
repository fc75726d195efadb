// What is known of files of the work tree, so that unchanged ones need not be read:
// a file's sums stand as long as its size, times and inode do.
package cache

import (
	"bufio"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/dvc"
)

// Stamp is how a file stood when it was read.
type Stamp struct {
	Size         int64 // bytes
	MTime, CTime int64 // nanoseconds since 1970
	Inode        uint64
}

// Known is what a file was when it stood as Stamp says.
type Known struct {
	Stamp
	Sum [48]byte // MD5, SHA-256
}

// Sums are the names in k.
func (k Known) Sums() Sum {
	return Sum{dvc.OID(hex.EncodeToString(k.Sum[:16])), digest.FromSum(k.Sum[16:]), k.Size}
}

// Know is the memory of a file.
func Know(at Stamp, s Sum) (k Known, ok bool) {
	k.Stamp = at
	if n, err := hex.Decode(k.Sum[:16], []byte(s.OID)); err != nil || n != 16 {
		return k, false
	}
	n, err := hex.Decode(k.Sum[16:], []byte(s.SHA256.Hex()))
	return k, err == nil && n == 32
}

// Memory is what is known of the files of one output, by path.
type Memory struct {
	Tree  dvc.OID // of all of them together; "" is unknown
	Files map[string]Known
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
	m := &Memory{Files: map[string]Known{}}
	f, err := os.Open(path)
	if err != nil {
		return m
	}
	defer f.Close()
	if err := m.read(f); err != nil {
		return &Memory{Files: map[string]Known{}}
	}
	return m
}

func (m *Memory) read(f *os.File) error {
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
	m.Tree, m.Files = dvc.OID(tree), make(map[string]Known, n.Files)
	var fixed [82]byte
	for range n.Files {
		if _, err := io.ReadFull(in, fixed[:]); err != nil {
			return err
		}
		var k Known
		k.Size, k.MTime = int64(binary.LittleEndian.Uint64(fixed[2:])), int64(binary.LittleEndian.Uint64(fixed[10:]))
		k.CTime, k.Inode = int64(binary.LittleEndian.Uint64(fixed[18:])), binary.LittleEndian.Uint64(fixed[26:])
		copy(k.Sum[:], fixed[34:])
		name := make([]byte, binary.LittleEndian.Uint16(fixed[:]))
		if _, err := io.ReadFull(in, name); err != nil {
			return err
		}
		m.Files[string(name)] = k
	}
	want := sum.Sum32()
	var got uint32
	if err := binary.Read(r, binary.LittleEndian, &got); err != nil || got != want {
		return errors.New("the state is damaged")
	}
	return nil
}

// Save writes the memory to path, whole or not at all. It holds nothing that cannot
// be had again, and need not be on the disk.
func (m *Memory) Save(path string) (err error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return fmt.Errorf("save state: %w", err)
	}
	f, err := os.CreateTemp(filepath.Dir(path), ".state-")
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
	buf := append([]byte(memoryMagic), make([]byte, 8)...)
	binary.LittleEndian.PutUint32(buf[len(memoryMagic):], uint32(len(m.Tree)))
	binary.LittleEndian.PutUint32(buf[len(memoryMagic)+4:], uint32(len(m.Files)))
	buf = append(buf, m.Tree...)
	for name, k := range m.Files {
		if len(name) > 1<<16-1 {
			return fmt.Errorf("save state: the path %.40q… is too long: %w", name, fs.ErrInvalid)
		}
		buf = binary.LittleEndian.AppendUint16(buf, uint16(len(name)))
		buf = binary.LittleEndian.AppendUint64(buf, uint64(k.Size))
		buf = binary.LittleEndian.AppendUint64(buf, uint64(k.MTime))
		buf = binary.LittleEndian.AppendUint64(buf, uint64(k.CTime))
		buf = binary.LittleEndian.AppendUint64(buf, k.Inode)
		buf = append(append(buf, k.Sum[:]...), name...)
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
