// A .dvc file: which data stands at which path (doc.dvc.org, ".dvc files"). What is
// read is kept as YAML nodes, so that comments, meta and everything that is not
// modelled here survives an edit.

package dvc

import (
	"path"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/fault"
)

// Out is one output: a file or a directory that is kept in the cache.
type Out struct {
	OID    OID
	Size   int64 // bytes; -1: not stated
	NFiles int64 // of a directory; -1: not stated
	Exec   bool
	Hash   string // "md5", or "" as DVC 2 wrote it, which took carriage returns out of text first
	Path   string // relative to the .dvc file's folder and WDir
	Remote string // the remote that it is kept in, where it is not the default

	NoCache, NoPush, Persist bool

	// Versioned says that a remote with version_aware has it, file by file, and no object does.
	Versioned bool

	// SHA256 names the content beside DVC's MD5: of a directory, its digest.Manifest's.
	// It stands below meta.vishwa, where DVC keeps what others write, with the MD5 that it
	// is said of: what stands there of other data is passed over.
	SHA256 digest.Digest
	Stats  map[string]string // more below meta.vishwa, such as rows
}

// DVC2 is the layout of what DVC 2 wrote: named without the carriage returns of text.
const DVC2 = "dvc2"

// Layout is how the output is kept: "" as DVC 3 does it, or DVC2.
func (o Out) Layout() string {
	if o.Hash == "" {
		return DVC2
	}
	return ""
}

// Dep is what an output was imported from.
type Dep struct {
	OID      OID
	Size     int64 // -1: not stated
	NFiles   int64
	Hash     string
	Path     string
	Repo     *RepoRef
	ETag     string
	Checksum string
	Version  string // version_id
}

// RepoRef is the other repository of an import.
type RepoRef struct{ URL, Rev, RevLock string }

// Pointer is a .dvc file.
type Pointer struct {
	MD5, WDir, Desc string
	Frozen          bool
	Deps            []Dep
	Outs            []Out

	doc *yaml.Node
}

var (
	pointerKeys = []string{"md5", "wdir", "deps", "outs", "locked", "frozen", "meta", "always_changed", "desc"}
	outKeys     = []string{"md5", "size", "nfiles", "isexec", "remote", "hash", "path", "fs_config", "desc", "type", "labels", "meta", "cache", "metric", "plot",
		"persist", "push", "files", "cloud", "etag", "checksum", "version_id", "isdir"}
	depKeys = []string{"md5", "size", "nfiles", "isexec", "hash", "path", "repo", "etag", "checksum", "version_id", "files", "fs_config", "cloud", "db", "isdir"}
)

// ParsePointer reads a .dvc file; name is for messages. An unknown key is Invalid,
// as in DVC.
func ParsePointer(name string, b []byte) (*Pointer, error) {
	doc, root, err := document(name, b)
	if err != nil {
		return nil, err
	}
	p := &Pointer{doc: doc}
	r := reading{name: name}
	r.known(root, pointerKeys)
	p.MD5, p.WDir, p.Desc = r.text(root, "md5"), r.text(root, "wdir"), r.text(root, "desc")
	p.Frozen = r.yes(root, "frozen", false)
	for _, n := range r.list(root, "deps") {
		p.Deps = append(p.Deps, r.dep(n))
	}
	for _, n := range r.list(root, "outs") {
		p.Outs = append(p.Outs, r.out(n))
	}
	if len(p.Outs) == 0 && r.err == nil {
		r.fail(root, "outs is missing")
	}
	if r.err != nil {
		return nil, r.err
	}
	return p, nil
}

func (r *reading) dep(n *yaml.Node) Dep {
	r.known(n, depKeys)
	d := Dep{OID: r.oid(n), Size: r.number(n, "size"), NFiles: r.number(n, "nfiles"), Hash: r.text(n, "hash"), Path: r.text(n, "path"),
		ETag: r.text(n, "etag"), Checksum: r.text(n, "checksum"), Version: r.text(n, "version_id")}
	if repo := child(n, "repo"); repo != nil {
		d.Repo = &RepoRef{URL: r.text(repo, "url"), Rev: r.text(repo, "rev"), RevLock: r.text(repo, "rev_lock")}
	}
	return d
}

func (r *reading) out(n *yaml.Node) Out {
	r.known(n, outKeys)
	o := Out{OID: r.oid(n), Size: r.number(n, "size"), NFiles: r.number(n, "nfiles"), Exec: r.yes(n, "isexec", false), Hash: r.text(n, "hash"),
		Path: r.text(n, "path"), Remote: r.text(n, "remote"), NoCache: !r.yes(n, "cache", true), NoPush: !r.yes(n, "push", true), Persist: r.yes(n, "persist", false)}
	if o.Path == "" {
		r.fail(n, "an output has no path")
	}
	o.Versioned = o.OID == "" && (child(n, "files") != nil || child(n, "cloud") != nil || child(n, "version_id") != nil)
	ours := child(child(n, "meta"), "vishwa")
	if ours == nil || r.text(ours, "md5") != string(o.OID) {
		return o // said of other data: DVC moves its own name and leaves meta as it is
	}
	if s := r.text(ours, "sha256"); s != "" {
		d, err := digest.Parse(s)
		if err != nil {
			r.fail(child(ours, "sha256"), "%v", err)
		}
		o.SHA256 = d
	}
	for i := 0; i+1 < len(ours.Content); i += 2 {
		if k := ours.Content[i].Value; k != "sha256" && k != "md5" {
			if o.Stats == nil {
				o.Stats = map[string]string{}
			}
			o.Stats[k] = ours.Content[i+1].Value
		}
	}
	return o
}

// Place is where an output stands, as a path from the repository's root; file is
// the .dvc file's own path from there. One that leads out of the repository, or is
// no local path, is Invalid.
func (p *Pointer) Place(file string, o Out) (string, error) {
	if path.IsAbs(o.Path) || strings.Contains(o.Path, "://") {
		return "", fault.WithHint(fault.New(fault.Invalid, "%s: path %s is outside the repository, which is not supported", file, o.Path), "move the data below the repository and add it there: vishwa data add")
	}
	at := path.Join(path.Dir(file), p.WDir, o.Path)
	if at == ".." || strings.HasPrefix(at, "../") {
		return "", fault.WithHint(fault.New(fault.Invalid, "%s: path %s leads outside the repository", file, o.Path), "move the data below the repository and add it there: vishwa data add")
	}
	for part := range strings.SplitSeq(at, "/") {
		if part == "." || strings.EqualFold(part, ".git") || strings.EqualFold(part, ".dvc") {
			return "", fault.WithHint(fault.New(fault.Invalid, "%s: path %s is Git's or DVC's own", file, o.Path), "keep data in a folder of its own and add it there: vishwa data add")
		}
	}
	return at, nil
}

// Bytes is the file as DVC 3 writes it, with what else stood in it.
func (p *Pointer) Bytes() []byte {
	root := &yaml.Node{Kind: yaml.MappingNode, Tag: "!!map"}
	doc := &yaml.Node{Kind: yaml.DocumentNode, Content: []*yaml.Node{root}}
	if p.doc != nil {
		doc, root = p.doc, p.doc.Content[0]
	}
	setText(root, "md5", p.MD5)
	setText(root, "wdir", p.WDir)
	setText(root, "desc", p.Desc)
	if p.Frozen {
		putNode(root, "frozen", scalar("true", "!!bool"))
	}
	putList(root, "deps", len(p.Deps), func(i int, n *yaml.Node) { p.Deps[i].write(n) })
	putList(root, "outs", len(p.Outs), func(i int, n *yaml.Node) { p.Outs[i].write(n) })
	return encode(doc)
}

func (d Dep) write(n *yaml.Node) {
	setText(n, "md5", string(d.OID))
	count(n, "size", d.Size)
	count(n, "nfiles", d.NFiles)
	setText(n, "etag", d.ETag)
	setText(n, "checksum", d.Checksum)
	setText(n, "version_id", d.Version)
	setText(n, "hash", d.Hash)
	setText(n, "path", d.Path)
	if d.Repo != nil {
		repo := child(n, "repo")
		if repo == nil {
			repo = &yaml.Node{Kind: yaml.MappingNode, Tag: "!!map"}
			putNode(n, "repo", repo)
		}
		setText(repo, "url", d.Repo.URL)
		setText(repo, "rev", d.Repo.Rev)
		setText(repo, "rev_lock", d.Repo.RevLock)
	}
}

func (o Out) write(n *yaml.Node) {
	if was := child(n, "md5"); o.OID != "" && (was == nil || was.Value != string(o.OID)) {
		for _, key := range []string{"files", "cloud", "etag", "version_id"} { // of the data that was
			drop(n, key)
		}
	}
	setText(n, "md5", string(o.OID))
	count(n, "size", o.Size)
	count(n, "nfiles", o.NFiles)
	flag(n, "isexec", o.Exec, "true")
	setText(n, "hash", o.Hash)
	setText(n, "path", o.Path)
	flag(n, "cache", o.NoCache, "false")
	flag(n, "persist", o.Persist, "true")
	setText(n, "remote", o.Remote)
	flag(n, "push", o.NoPush, "false")
	meta := child(n, "meta")
	if o.SHA256 == "" && len(o.Stats) == 0 {
		if meta == nil {
			return
		}
		if drop(meta, "vishwa"); len(meta.Content) == 0 {
			drop(n, "meta")
		}
		return
	}
	if meta == nil {
		meta = &yaml.Node{Kind: yaml.MappingNode, Tag: "!!map"}
		putNode(n, "meta", meta)
	}
	ours := &yaml.Node{Kind: yaml.MappingNode, Tag: "!!map"}
	setText(ours, "md5", string(o.OID))     // that it is said of
	setText(ours, "sha256", o.SHA256.Hex()) // shorter than the width at which DVC folds lines
	for _, k := range sortedKeys(o.Stats) {
		setText(ours, k, o.Stats[k])
	}
	putNode(meta, "vishwa", ours)
}
