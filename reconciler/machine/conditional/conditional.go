// Package conditional keeps small files in a bucket where several write to them: a file is written over nothing that was not read, so that
// two who write at once both find what the other wrote.
package conditional

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"io"
	"io/fs"
	"path"
	"strings"

	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/port"
)

// ErrOvertaken is in the error of a Write where somebody else wrote since the file was read.
var ErrOvertaken = errors.New("somebody else changed it meanwhile")

// Files are those below a key of a bucket. They are for one goroutine.
type Files struct {
	in   bucket
	at   string
	seen map[string]string // tags of what was read or written, by name; "" is that there was nothing
}

type bucket interface {
	port.Bucket
	port.ConditionalPutter
}

// Below are the files below a key; a bucket that knows no conditions is Invalid.
func Below(b port.Bucket, at string) (*Files, error) {
	in, ok := b.(bucket)
	if !ok {
		return nil, fault.WithHint(fault.New(fault.Invalid, "a store of this kind knows no conditional writes"), "declare spec.store.s3 of the Project, or use a folder in its place")
	}
	return &Files{in, at, map[string]string{}}, nil
}

func (f *Files) key(name string) string { return path.Join(f.at, name) }

// Read reads a whole file, up to so many bytes; where there is none, the error is fs.ErrNotExist.
func (f *Files) Read(ctx context.Context, name string, most int64) ([]byte, error) {
	body, o, err := f.in.Get(ctx, f.key(name), port.All)
	if err != nil && fault.Of(err) == fault.Missing && !errors.Is(err, port.ErrAbsent) {
		f.seen[name] = ""
		return nil, fs.ErrNotExist
	}
	if err != nil {
		return nil, err
	}
	defer body.Close()
	raw, err := io.ReadAll(io.LimitReader(body, most))
	if err == nil {
		f.seen[name] = o.ETag
	}
	return raw, err
}

// Has tells whether there is anything under a name: a file, or what is below it.
func (f *Files) Has(ctx context.Context, name string) (bool, error) {
	for o, err := range f.in.List(ctx, f.key(name)) {
		if err != nil {
			return false, err
		}
		if rest := strings.TrimPrefix(o.Key, f.key(name)); rest == "" || rest[0] == '/' {
			return true, nil
		}
	}
	return false, nil
}

// Write writes over what was read, and over nothing else; a file that was not read is not there.
func (f *Files) Write(ctx context.Context, name string, content []byte) error {
	was := f.seen[name]
	o, err := f.in.PutIf(ctx, f.key(name), bytes.NewReader(content), int64(len(content)), was)
	if err == nil {
		f.seen[name] = o.ETag
		return nil
	}
	if fault.Of(err) != fault.Conflict {
		return err
	}
	// The answer to what was sent may have been lost: it is sent again then, and finds itself there.
	if there, more := f.Read(ctx, name, int64(len(content))+1); more == nil && bytes.Equal(there, content) {
		return nil
	}
	f.seen[name] = was
	return fault.WithHint(fault.New(fault.Conflict, "write %s in the store: %w", name, errors.Join(ErrOvertaken, err)), "run the command again: it uses what is there now")
}

// Remove removes a file that is still what was read or written; one that is not there is no error. It looks just before it removes: not every
// server of S3 knows a removal with a condition, so that what is written between the two goes.
func (f *Files) Remove(ctx context.Context, name string) error {
	there, err := f.in.Stat(ctx, f.key(name))
	switch {
	case err != nil && fault.Of(err) == fault.Missing && !errors.Is(err, port.ErrAbsent):
		f.seen[name] = ""
		return nil
	case err != nil:
		return err
	case there.ETag != f.seen[name]:
		return fault.WithHint(fault.New(fault.Conflict, "remove %s from the store: %w", name, ErrOvertaken), "run the command again: it uses what is there now")
	}
	if err := f.in.Delete(ctx, f.key(name)); err != nil {
		return err
	}
	f.seen[name] = ""
	return nil
}

// probe begins the name of what is written to see what the bucket's server does.
const probe = ".vishwa-probe-"

// Holds tells whether the bucket's server writes over nothing where it is asked to: one that does not is Invalid, as it would lose what others
// write.
func (f *Files) Holds(ctx context.Context) error {
	key, text := f.key(probe+rand.Text()), []byte("written to see whether it is written over\n") // nobody else tries with this one
	_, err := f.in.PutIf(ctx, key, bytes.NewReader(text), int64(len(text)), "")
	if err != nil {
		return err
	}
	if _, err = f.in.PutIf(ctx, key, bytes.NewReader(text), int64(len(text)), ""); err == nil {
		err = fault.WithHint(fault.New(fault.Invalid, "the store's server writes over what is there though it is asked not to (If-None-Match), and would lose what others write"),
			"use a server of S3 that knows conditional writes, or a folder in its place")
	} else if fault.Of(err) == fault.Conflict {
		err = nil
	}
	if more := f.in.Delete(ctx, key); err == nil {
		err = more
	}
	return err
}
