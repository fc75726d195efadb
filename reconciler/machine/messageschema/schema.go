// Package messageschema gets the schemas by which the messages of a topic are read: from a file of
// the repository, or from a schema registry as Confluent's answers.
package messageschema

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"io/fs"
	"path"
	"strings"

	"github.com/bufbuild/protocompile"
	"github.com/bufbuild/protocompile/linker"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/format/message"
)

// maxSchema is how many bytes a schema may have, and maxReferences how many it may refer to.
const (
	maxSchema     = 1 << 20
	maxReferences = 100
)

// Decoder writes a message as JSON behind out.
type Decoder interface {
	Append(out, message []byte) ([]byte, error)
}

// Format is how messages are encoded.
type Format string

const (
	JSON     Format = "json"
	Avro     Format = "avro"
	Protobuf Format = "protobuf"
)

// FromFile reads the schema at name, and tells the digest of it and of what it imports. of is the
// message of a Protobuf file; without it, the first.
func FromFile(ctx context.Context, tree fs.FS, format Format, name, of string) (Decoder, digest.Digest, error) {
	b, err := readSchema(tree, name)
	if err != nil {
		return nil, "", err
	}
	if format == Avro {
		d, err := message.ParseAvro(b)
		if err != nil {
			return nil, "", about(name, err)
		}
		return d, digest.Of(b), nil
	}
	read := &reading{from: func(p string) ([]byte, error) {
		if p == name {
			return b, nil
		}
		got, err := readSchema(tree, path.Join(path.Dir(name), p)) // beside it, or from the top
		if err != nil {
			got, err = readSchema(tree, p)
		}
		return got, err
	}}
	file, err := read.compile(ctx, name)
	if err != nil {
		return nil, "", about(name, err)
	}
	typ := firstMessage(file)
	if of != "" {
		typ, _ = file.FindDescriptorByName(protoreflect.FullName(of)).(protoreflect.MessageDescriptor)
	}
	if typ == nil {
		return nil, "", fault.WithHint(fault.New(fault.Invalid, "%s declares no message %s", name, of), "name one that it declares, with its package")
	}
	return message.NewProtobuf(typ), read.digest(string(typ.FullName())), nil
}

func about(name string, err error) error {
	return fault.WithHint(fault.New(fault.Of(err), "%s: %w", name, err), "%s", fault.HintOf(err))
}

func readSchema(tree fs.FS, name string) ([]byte, error) {
	if tree == nil || !fs.ValidPath(name) {
		return nil, fault.WithHint(fault.New(fault.Invalid, "%q is not a file of the repository", name), "give a path from the root of the repository, without ..")
	}
	f, err := tree.Open(name)
	if err != nil {
		return nil, fault.WithHint(fault.New(fault.Missing, "read the schema %s: %w", name, err), "correct the path, or add the file")
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxSchema+1))
	if err != nil {
		return nil, fault.WithHint(fault.New(fault.Missing, "read the schema %s: %w", name, err), "correct the path of the schema in the declaration, or add the file")
	}
	if len(b) > maxSchema {
		return nil, fault.WithHint(fault.New(fault.Invalid, "the schema %s has more than %d bytes", name, maxSchema), "part it")
	}
	return b, nil
}

// reading compiles a file of Protobuf, and remembers what it was made of.
type reading struct {
	from func(name string) ([]byte, error)
	seen []string
}

func (r *reading) compile(ctx context.Context, name string) (file linker.File, err error) {
	defer func() { // the compiler is given what others wrote
		if p := recover(); p != nil {
			err = fault.WithHint(fault.New(fault.Invalid, "the schema cannot be compiled: %v", p), "correct the schema where it is registered, or its file")
		}
	}()
	compiler := protocompile.Compiler{
		MaxParallelism: 1,
		Resolver: protocompile.WithStandardImports(&protocompile.SourceResolver{Accessor: func(p string) (io.ReadCloser, error) {
			b, err := r.from(p)
			if err != nil {
				return nil, err
			}
			if len(r.seen) > maxReferences {
				return nil, fault.WithHint(fault.New(fault.Invalid, "the schema refers to more than %d others", maxReferences), "write the schema with fewer references")
			}
			r.seen = append(r.seen, p+" "+string(digest.Of(b)))
			return io.NopCloser(bytes.NewReader(b)), nil
		}}),
	}
	files, err := compiler.Compile(ctx, name)
	if err != nil {
		if ctx.Err() != nil {
			return nil, fault.New(fault.Cancelled, "compile the schema: %w", ctx.Err())
		}
		return nil, fault.WithHint(fault.New(fault.Invalid, "the schema cannot be compiled: %w", err), "correct the schema, or what it imports")
	}
	return files[0], nil
}

// digest is of all that the message is read by.
func (r *reading) digest(message string) digest.Digest {
	return digest.Of([]byte(strings.Join(append(r.seen, message), "\n")))
}

func firstMessage(f protoreflect.FileDescriptor) protoreflect.MessageDescriptor {
	if f.Messages().Len() == 0 {
		return nil
	}
	return f.Messages().Get(0)
}

// valid writes JSON as it is, on one line.
type valid struct{}

func (valid) Append(out, b []byte) ([]byte, error) {
	buf := bytes.NewBuffer(out)
	if err := json.Compact(buf, b); err != nil {
		return nil, fault.WithHint(fault.New(fault.Invalid, "the message is no JSON: %w", err), "see what its producer writes")
	}
	return buf.Bytes(), nil
}

// OfJSON checks messages that are JSON, and writes each on one line.
var OfJSON Decoder = valid{}
