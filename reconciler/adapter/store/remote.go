// A store that machines share: a bucket has everything, and a folder of this machine has
// what was put or read here, so that it crosses the network once.

package store

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"

	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/machine/artifact"
	"github.com/vishwaops/vishwa/reconciler/port"
)

// On keeps content in bucket, as objects that are named sha256/<2>/<62 hex digits>, with
// near before it: a store of this machine, made by Dir. What the bucket has counts; what
// only near has is put there when it is put again.
func On(bucket port.Bucket, near port.Store) port.Store {
	return &shared{bucket: bucket, near: near}
}

type shared struct {
	bucket port.Bucket
	near   port.Store
	there  sync.Map // digests that the bucket was seen to have: nothing is ever taken away
}

// Key is the name of content in a bucket.
func Key(name digest.Digest) string {
	h := name.Hex()
	return "sha256/" + h[:2] + "/" + h[2:]
}

// Has asks the bucket: others must be able to have it.
func (s *shared) Has(ctx context.Context, name digest.Digest) (bool, error) {
	name, err := digest.Parse(string(name))
	if err != nil {
		return false, fault.New(fault.Invalid, "look into store: %w", err)
	}
	if err := ctx.Err(); err != nil {
		return false, err
	}
	if _, seen := s.there.Load(name); seen {
		return true, nil
	}
	_, err = s.bucket.Stat(ctx, Key(name))
	switch {
	case err == nil:
		s.there.Store(name, true)
		return true, nil
	case fault.Of(err) == fault.Missing:
		return false, nil
	}
	return false, fmt.Errorf("look into store: %w", err)
}

// Put hashes on the way to near, where it is checked again on the way out: an object is
// named by its bytes, so they are known before they are sent.
func (s *shared) Put(ctx context.Context, r io.Reader) (digest.Digest, int64, error) {
	name, size, err := s.near.Put(ctx, r)
	if err == nil {
		err = s.send(ctx, name, size)
	}
	if err != nil {
		return "", 0, err
	}
	return name, size, nil
}

// TakeFile has near take the file, and sends it from there.
func (s *shared) TakeFile(ctx context.Context, f *os.File) (digest.Digest, int64, bool, error) {
	near, can := s.near.(artifact.FileTaker)
	if !can {
		return "", 0, false, nil
	}
	name, size, taken, err := near.TakeFile(ctx, f)
	if err == nil && taken {
		err = s.send(ctx, name, size)
	}
	return name, size, taken, err
}

// send puts what near has into the bucket, where it is not there.
func (s *shared) send(ctx context.Context, name digest.Digest, size int64) error {
	if has, err := s.Has(ctx, name); err != nil || has {
		return err
	}
	in, err := s.near.Get(ctx, name)
	if err != nil {
		return err
	}
	defer in.Close()
	at, ok := in.(io.ReaderAt)
	if !ok {
		return fault.New(fault.Internal, "write store: %s cannot be read at any place", name)
	}
	put := func() (port.Object, error) { return s.bucket.Put(ctx, Key(name), at, size) }
	if h, holds := s.bucket.(port.NamedPutter); holds {
		put = func() (port.Object, error) { return h.PutNamed(ctx, Key(name), at, size, name) }
	}
	if _, err := put(); err != nil {
		return fmt.Errorf("write store: %w", err)
	}
	s.there.Store(name, true)
	return nil
}

// TestWrite puts the empty content, which the bucket keeps as the content that it is: it
// is not asked to delete, which a place of artifacts need not let.
func (s *shared) TestWrite(ctx context.Context) error {
	if t, ok := s.near.(port.WriteTester); ok {
		if err := t.TestWrite(ctx); err != nil {
			return err
		}
	}
	if _, err := s.bucket.Put(ctx, Key(digest.Of(nil)), bytes.NewReader(nil), 0); err != nil {
		return fmt.Errorf("write store: %w", err)
	}
	return nil
}

// Get reads from near, having brought it there: what came and is not what it is named is
// Corrupt, and is not kept.
func (s *shared) Get(ctx context.Context, name digest.Digest) (io.ReadCloser, error) {
	in, err := s.near.Get(ctx, name)
	if err == nil || fault.Of(err) != fault.Missing {
		return in, err
	}
	name, err = digest.Parse(string(name))
	if err != nil {
		return nil, fault.New(fault.Invalid, "read store: %w", err)
	}
	body, _, err := s.bucket.Get(ctx, Key(name), port.All)
	if fault.Of(err) == fault.Missing && err != nil && !errors.Is(err, port.ErrAbsent) {
		return nil, fault.WithHint(fault.New(fault.Missing, "%s is not in the store", name), "restore it from a copy, or run vishwa apply, which makes it again where a step needs it")
	}
	if err != nil {
		return nil, fmt.Errorf("read store: %s: %w", name, err)
	}
	defer body.Close()
	got, _, err := s.near.Put(ctx, body)
	if err != nil {
		return nil, fmt.Errorf("read store: %w", err)
	}
	if got != name {
		return nil, fault.WithHint(fault.New(fault.Corrupt, "%s: its bytes in the store are %s", name, got.Short()),
			"remove the object %s; then restore it from a copy, or run vishwa apply, which makes it again where a step needs it", Key(name))
	}
	s.there.Store(name, true)
	return s.near.Get(ctx, name)
}
