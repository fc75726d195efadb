// Data that DVC keeps, for this repository or another: found by its pointer in the
// tree, read from the repository's remote, and held against its MD5 name.

package source

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"strings"

	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/format/dvc"
	"github.com/vishwaops/vishwa/reconciler/machine/download"
	"github.com/vishwaops/vishwa/reconciler/machine/dvccache"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/schemas"
)

// largest is how many bytes of a directory's manifest are read: some ten million files.
const largest = 1 << 30

// tracked is what DVC keeps at a path of a repository.
type tracked struct {
	o   Options
	src schemas.DVC
	at  string // src.Path, clean
}

func openTracked(src schemas.DVC, o Options) (port.Source, error) {
	at := path.Clean(src.Path)
	switch {
	case !fs.ValidPath(at) || at == ".":
		return nil, fault.WithHint(fault.New(fault.Invalid, "path %s is not a path of an output", download.Quoted(src.Path)), "give it relative to the repository's root, such as data/raw for data/raw.dvc")
	case src.Repo == "" && o.Tree == nil, src.Repo != "" && o.Clone == nil, o.Remote == nil:
		return nil, fault.WithHint(fault.New(fault.Internal, "dvc source %s: no repository or no remote can be opened", download.Quoted(src.Path)), "run it in the clone of the repository that declares the dataset, and see that .dvc/config is there")
	}
	return &tracked{o, src, at}, nil
}

// output is a pointer's word on some data, and the remote that has it.
type output struct {
	dvc.Out
	sub    string // what is meant of a directory; "" is all
	name   string // of the data
	commit string // of another repository
	remote port.Objects
}

func (s *tracked) Inspect(ctx context.Context) (port.Snapshot, error) {
	out, err := s.output(ctx)
	if err != nil {
		return port.Snapshot{}, s.wrapped("look at", err)
	}
	files, err := s.files(ctx, out)
	if err != nil {
		return port.Snapshot{}, s.wrapped("look at", err)
	}
	if err := download.CheckNames(files); err != nil {
		return port.Snapshot{}, s.wrapped("look at", err)
	}
	return s.o.snapshotOf(files, out.token()), nil
}

// token does not hold the commit: another one may have the same data.
func (o *output) token() string {
	t := "dvc:" + string(o.OID)
	if o.sub != "" {
		t += "/" + o.sub
	}
	return t
}

func (s *tracked) wrapped(verb string, err error) error {
	if s.src.Repo == "" {
		return fmt.Errorf("%s %s: %w", verb, s.at, err)
	}
	return fmt.Errorf("%s %s of %s: %w", verb, s.at, where(s.src.Repo), err)
}

// output reads the pointer anew, as the repository has it now.
func (s *tracked) output(ctx context.Context) (*output, error) {
	if err := ctx.Err(); err != nil {
		return nil, fault.New(fault.Cancelled, "read the pointer: %w", err)
	}
	tree, commit := s.o.Tree, ""
	if s.src.Repo != "" {
		var err error
		if tree, commit, err = s.o.Clone(ctx, s.src.Repo, s.src.Revision); err != nil {
			return nil, err
		}
	}
	found, sub, err := find(tree, s.at)
	if err != nil {
		return nil, err
	}
	if found.OID == "" {
		return nil, fault.WithHint(fault.New(fault.Missing, "its pointer does not say what the content is"), "run dvc commit or vishwa data add there, and commit the file")
	}
	if found.NoCache {
		return nil, fault.WithHint(fault.New(fault.Invalid, "it is kept in Git and not by DVC (cache: false)"), "name it as a path of the repository")
	}
	config, err := fs.ReadFile(tree, ".dvc/config")
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("read .dvc/config: %w", err)
	}
	parsed, err := dvc.ParseConfig(".dvc/config", config)
	if err != nil {
		return nil, err
	}
	remote, err := s.o.Remote(ctx, parsed, found.Remote)
	if err != nil {
		return nil, err
	}
	return &output{Out: found, sub: sub, name: path.Base(s.at), commit: commit, remote: remote}, nil
}

// files lists the output. What a file is called is its MD5.
func (s *tracked) files(ctx context.Context, out *output) ([]port.SourceFile, error) {
	if !out.OID.IsDir() {
		o, err := stat(ctx, out.remote, out.OID)
		if err == nil && out.Size >= 0 && o.Size != out.Size {
			err = wrongSize(out.OID, o.Size, out.Size)
		}
		return []port.SourceFile{{Path: out.name, Size: o.Size, ETag: string(out.OID), Version: out.commit, Modified: o.Modified}}, err
	}
	tree, err := manifest(ctx, out)
	if err != nil {
		return nil, err
	}
	var files []port.SourceFile
	for _, f := range tree {
		name := f.Path
		switch {
		case out.sub == "":
		case name == out.sub:
			name = path.Base(name)
		case strings.HasPrefix(name, out.sub+"/"):
			name = strings.TrimPrefix(name, out.sub+"/")
		default:
			continue
		}
		files = append(files, port.SourceFile{Path: name, Size: -1, ETag: string(f.OID), Version: out.commit})
	}
	if len(files) == 0 && out.sub != "" {
		return nil, fault.WithHint(fault.New(fault.Missing, "the directory has no %s", download.Quoted(out.sub)), "correct the path")
	}
	return files, nil
}

// manifest reads what is in a directory, and checks that it is the one that is named.
func manifest(ctx context.Context, out *output) (dvc.Tree, error) {
	body, _, err := object(ctx, out.remote, out.OID, port.All)
	if err != nil {
		return nil, fmt.Errorf("read the directory's manifest: %w", err)
	}
	defer body.Close()
	b, err := io.ReadAll(io.LimitReader(body, largest+1))
	if err != nil {
		return nil, fmt.Errorf("read the directory's manifest: %w", err)
	}
	if len(b) > largest {
		return nil, fault.WithHint(fault.New(fault.Invalid, "the directory's manifest has more than %d bytes", largest), "split the folder into several, and add each: vishwa data add PATH")
	}
	if got := dvccache.SumOf(b).OID + ".dir"; got != out.OID {
		return nil, corrupt("the directory's manifest", got, out.OID)
	}
	return dvc.ParseTree(bytes.TrimSpace(b))
}

func corrupt(what string, got, want dvc.OID) error {
	return fault.WithHint(fault.New(fault.Corrupt, "%s in the remote is %s, and its name is %s", what, got, want), "delete it there and push it again from where it was added")
}

// object reads by DVC 3's name, else by DVC 2's.
func object(ctx context.Context, at port.Objects, oid dvc.OID, r port.Range) (io.ReadCloser, port.Object, error) {
	body, o, err := at.Get(ctx, oid.Key(), r)
	if err == nil || fault.Of(err) != fault.Missing {
		return body, o, err
	}
	body, o, err = at.Get(ctx, oid.LegacyKey(), r)
	return body, o, absent(oid, err)
}

func stat(ctx context.Context, at port.Objects, oid dvc.OID) (port.Object, error) {
	o, err := at.Stat(ctx, oid.Key())
	if err == nil || fault.Of(err) != fault.Missing {
		return o, err
	}
	o, err = at.Stat(ctx, oid.LegacyKey())
	return o, absent(oid, err)
}

func absent(oid dvc.OID, err error) error {
	if err == nil || fault.Of(err) != fault.Missing || errors.Is(err, port.ErrAbsent) {
		return err
	}
	return fault.WithHint(fault.New(fault.Missing, "the remote has no %s", oid), "push it from where it was added: vishwa data push or dvc push")
}

func wrongSize(oid dvc.OID, got, want int64) error {
	return fault.WithHint(fault.New(fault.Corrupt, "the remote has %d bytes under %s, and there should be %d", got, oid, want), "delete it there and push it again from where it was added")
}

func (s *tracked) Fetch(ctx context.Context, look port.Snapshot, dir string, tell func(done, total int64)) error {
	out, err := s.output(ctx)
	if err != nil {
		return s.wrapped("fetch", err)
	}
	if out.token() != look.Token {
		return s.wrapped("fetch", fault.WithHint(fault.New(fault.Conflict, "the pointer has moved since it was looked at"), "run the command again: it looks at the source anew"))
	}
	g := &download.Place{Absent: fault.Missing, Jobs: s.o.jobs(), Pieces: true}
	g.Open = func(ctx context.Context, f port.SourceFile, from, n int64) (io.ReadCloser, error) {
		oid, err := dvc.ParseOID(f.ETag)
		if err != nil {
			return nil, fault.WithHint(fault.New(fault.Invalid, "%s: %w", download.Quoted(f.Path), err), "take the data in anew: vishwa data refresh")
		}
		body, o, err := object(ctx, out.remote, oid, port.Range{Offset: from, Length: n})
		if err == nil && f.Size >= 0 && o.Size != f.Size {
			body.Close()
			return nil, wrongSize(oid, o.Size, f.Size)
		}
		return body, err
	}
	g.Check = func(ctx context.Context, f port.SourceFile, at string) error {
		got, err := dvccache.SumFile(ctx, at, false)
		if err != nil || string(got.OID) == f.ETag {
			return err
		}
		if out.Hash == "" { // as DVC 2 named text
			if got, err = dvccache.SumFile(ctx, at, true); err != nil || string(got.OID) == f.ETag {
				return err
			}
		}
		return corrupt(download.Quoted(f.Path), got.OID, dvc.OID(f.ETag))
	}
	if err := g.Fetch(ctx, look, dir, tell); err != nil {
		return s.wrapped("fetch", err)
	}
	return nil
}
