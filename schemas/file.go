// One file: its bounds, and its YAML documents one after another.

package schemas

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/vishwaops/vishwa/reconciler/format/lfs"
	"github.com/vishwaops/vishwa/reconciler/format/yamlpos"
)

// documents reads a file of declarations. Its path has been looked at before.
func (r *repository) documents(ctx context.Context, file string) ([]*document, *Problem) {
	text, wrong := r.contents(file)
	if wrong != "" {
		return nil, &Problem{Pos: Position{File: file}, Message: wrong}
	}
	return documents(ctx, file, text)
}

func (r *repository) contents(file string) ([]byte, string) {
	e := r.seen[file]
	switch {
	case e.err != nil:
		return nil, fmt.Sprintf("cannot be read: %s; make it readable", cause(e.err))
	case e.link != "":
		return nil, fmt.Sprintf("%s is a symbolic link, which is not followed; put the file there itself", e.link)
	case e.mode.IsDir():
		return nil, "is a folder; put a file there"
	case !e.mode.IsRegular():
		return nil, "is not a regular file; put one there"
	case e.size > maxBytes:
		return nil, tooLarge
	}
	b, err := r.head(file, e.size, maxBytes+1)
	switch {
	case err != nil:
		return nil, fmt.Sprintf("cannot be read: %s; make it readable", cause(err))
	case len(b) > maxBytes:
		return nil, tooLarge
	}
	if _, is := lfs.Parse(b); is {
		return nil, lfs.NotTheFile + "; " + lfs.Way(file)
	}
	return b, ""
}

const tooLarge = "is larger than 4 MiB; split it"

// documents reads the documents of a file's text. Where the text is no YAML, those
// before the error are returned with it.
func documents(ctx context.Context, file string, text []byte) ([]*document, *Problem) {
	at := func(line, column int, format string, args ...any) *Problem {
		return &Problem{Pos: Position{File: file, Line: line, Column: column}, Message: fmt.Sprintf(format, args...)}
	}
	all, wrong := yamlpos.Read(text, maxNodes)
	if wrong != nil {
		return nil, at(wrong.Line, wrong.Column, "%s", wrong.Message)
	}
	var out []*document
	told, values := 0, 0
	for ctx.Err() == nil {
		root, err := all.Next()
		switch {
		case errors.Is(err, io.EOF) && len(out) == 0:
			return nil, at(1, 1, "declares nothing; write apiVersion, kind, metadata and spec, or remove the file")
		case errors.Is(err, io.EOF):
			return out, nil
		case errors.As(err, &wrong):
			return out, at(wrong.Line, wrong.Column, "%s", wrong.Message)
		case len(out) >= MaxDeclarations:
			return out, at(root.Line, root.Column, "holds more than %d documents, and a repository declares no more; declare fewer", MaxDeclarations)
		case told >= MaxProblems || values > maxValues:
			return out, nil // what is told is enough, or too much is declared: both are said of the repository
		case root.ShortTag() != "!!null": // two separators in a row are common, and harmless
			d := readDocument(file, root)
			told, values = told+len(d.problems), values+len(d.places)
			out = append(out, d)
		}
	}
	return nil, nil
}
