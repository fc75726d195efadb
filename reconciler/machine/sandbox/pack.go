// Environments as one object: what was installed once is unpacked elsewhere, where the same
// interpreter is, instead of being installed again. Whose pack is believed is the affair of
// whoever hands it in; here it is held to its form, to its name and to its folder.

package sandbox

import (
	"archive/tar"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"

	"github.com/klauspost/compress/zstd"

	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/fault"
)

// packHead is what a pack says of itself, in its first entry.
type packHead struct {
	Name   digest.Digest `json:"name"` // of the environment: lock and interpreter
	Dir    string        `json:"dir"`  // where it was made: an environment holds its own path
	Python string        `json:"python"`
}

// packName is the first entry, which no environment has.
const packName = "vishwa-environment.json"

// mostHead bounds the first entry, in bytes, and what follows the last.
const mostHead = 64 << 10

// entrySize is what an entry takes of a disk beside what it holds: without it, a small pack fills a disk with empty files.
const entrySize = 4 << 10

// Pack writes an environment as a tar archive, compressed by zstd.
func Pack(ctx context.Context, e Environment, to io.Writer) error {
	if e.Bin == "" {
		return fault.New(fault.Invalid, "pack environment: there is none")
	}
	dir := filepath.Dir(e.Bin)
	head, err := json.Marshal(packHead{Name: e.Digest, Dir: dir, Python: e.Python})
	if err != nil {
		return fmt.Errorf("pack environment: %w", err)
	}
	small, err := zstd.NewWriter(to, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderConcurrency(runtime.GOMAXPROCS(0)))
	if err != nil {
		return fmt.Errorf("pack environment: %w", err)
	}
	out := tar.NewWriter(small)
	err = out.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: packName, Mode: 0o644, Size: int64(len(head))})
	if err == nil {
		_, err = out.Write(head)
	}
	if err == nil {
		err = filepath.WalkDir(dir, func(p string, d fs.DirEntry, err error) error {
			if err = errors.Join(err, ctx.Err()); err != nil || p == dir {
				return err
			}
			return packEntry(out, p, p[len(dir)+1:], d)
		})
	}
	if err = errors.Join(err, out.Close(), small.Close()); err != nil {
		return fmt.Errorf("pack environment: %w", err)
	}
	return nil
}

func packEntry(out *tar.Writer, path, rel string, d fs.DirEntry) error {
	info, err := d.Info()
	if err != nil {
		return err
	}
	h := &tar.Header{Name: filepath.ToSlash(rel), Mode: int64(info.Mode().Perm()), ModTime: info.ModTime(), Format: tar.FormatPAX}
	switch {
	case d.IsDir():
		h.Typeflag, h.Name = tar.TypeDir, h.Name+"/"
		return out.WriteHeader(h)
	case info.Mode()&fs.ModeSymlink != 0:
		h.Typeflag = tar.TypeSymlink
		if h.Linkname, err = os.Readlink(path); err != nil {
			return err
		}
		return out.WriteHeader(h)
	case !info.Mode().IsRegular():
		return fault.New(fault.Invalid, "%s is neither a file, a folder nor a link", rel)
	}
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	h.Typeflag, h.Size = tar.TypeReg, info.Size()
	if err := out.WriteHeader(h); err != nil {
		return err
	}
	_, err = io.Copy(out, f)
	return err
}

// unpack lays out a pack as the environment of this name in dir, which must not be there.
// most bounds what it may fill, in bytes. All of in is read before it says that all is well,
// so that whoever checks the bytes on the way has seen them.
func unpack(ctx context.Context, in io.Reader, name digest.Digest, dir string, most int64) error {
	small, err := zstd.NewReader(in, zstd.WithDecoderMaxWindow(64<<20), zstd.WithDecoderConcurrency(min(4, runtime.GOMAXPROCS(0))))
	if err != nil {
		return err
	}
	defer small.Close()
	from := tar.NewReader(small)
	if err := readHead(from, name, dir); err != nil {
		return err
	}
	if err := os.Mkdir(dir, 0o755); err != nil {
		return err
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer root.Close()
	for {
		h, err := from.Next()
		if err == io.EOF {
			break
		}
		if err = errors.Join(err, ctx.Err()); err != nil {
			return err
		}
		if most -= entrySize; most < h.Size {
			return fault.New(fault.Invalid, "it holds more than its limit of disk")
		}
		most -= h.Size
		if err := unpackEntry(root, from, h); err != nil {
			return err
		}
	}
	if n, err := io.Copy(io.Discard, io.LimitReader(small, mostHead+1)); err != nil {
		return err
	} else if n > mostHead { // whoever unpacks it without end is kept from everything else
		return fault.New(fault.Corrupt, "it does not end after its last entry")
	}
	_, err = io.Copy(io.Discard, in)
	return err
}

func readHead(from *tar.Reader, name digest.Digest, dir string) error {
	h, err := from.Next()
	if err != nil {
		return err
	}
	var head packHead
	if h.Name != packName || h.Size > mostHead {
		return fault.New(fault.Corrupt, "it does not begin with %s", packName)
	}
	raw, err := io.ReadAll(from)
	if err == nil {
		err = json.Unmarshal(raw, &head)
	}
	switch {
	case err != nil:
		return err
	case head.Name != name:
		return fault.New(fault.Missing, "it is for another interpreter, or of another lock")
	case head.Dir != dir:
		return fault.New(fault.Missing, "it was made for another folder")
	}
	return nil
}

// unpackEntry makes one entry below root, through no link that leads out of it.
func unpackEntry(root *os.Root, from io.Reader, h *tar.Header) error {
	name, mode := filepath.FromSlash(h.Name), fs.FileMode(h.Mode).Perm()
	if !filepath.IsLocal(name) {
		return fault.New(fault.Corrupt, "its entry %q leads out of it", h.Name)
	}
	switch h.Typeflag {
	case tar.TypeDir:
		return root.Mkdir(filepath.Clean(name), mode|0o700)
	case tar.TypeSymlink:
		return root.Symlink(h.Linkname, name)
	case tar.TypeReg:
	default:
		return fault.New(fault.Corrupt, "its entry %q is neither a file, a folder nor a link", h.Name)
	}
	f, err := root.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, mode)
	if err != nil {
		return err
	}
	_, err = io.Copy(f, from)
	// The interpreter takes compiled modules whose sources are as old as they say.
	return errors.Join(err, f.Chmod(mode), f.Close(), root.Chtimes(name, h.ModTime, h.ModTime))
}
