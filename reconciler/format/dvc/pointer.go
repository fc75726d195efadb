// A .dvc file: which data stands at which path (doc.dvc.org, ".dvc files"). What is
// read is kept as YAML nodes, so that comments, meta and everything that is not
// modelled here survives an edit.

package dvc

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"path"
	"slices"
	"strconv"
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

func document(name string, b []byte) (doc, root *yaml.Node, err error) {
	if at := conflicted(b); at > 0 {
		return nil, nil, fault.WithHint(fault.New(fault.Invalid, "%s:%d: Git's conflict markers are in it", name, at), "keep one side of each, or put both together, and git add it")
	}
	dec := yaml.NewDecoder(bytes.NewReader(b))
	doc = &yaml.Node{}
	if err := dec.Decode(doc); err != nil {
		if errors.Is(err, io.EOF) {
			return nil, nil, fault.New(fault.Invalid, "%s: is empty", name)
		}
		return nil, nil, fault.New(fault.Invalid, "%s: %s", name, strings.TrimPrefix(err.Error(), "yaml: "))
	}
	if len(doc.Content) != 1 || doc.Content[0].Kind != yaml.MappingNode {
		return nil, nil, fault.New(fault.Invalid, "%s:1: is not a mapping", name)
	}
	return doc, doc.Content[0], nil
}

// conflicted is the line of Git's first conflict marker; zero where there is none.
func conflicted(b []byte) int {
	n := 0
	for line := range bytes.Lines(b) {
		if n++; bytes.HasPrefix(line, []byte("<<<<<<< ")) {
			return n
		}
	}
	return 0
}

// reading reads nodes and keeps the first thing that is wrong.
type reading struct {
	name string
	err  error
}

func (r *reading) fail(n *yaml.Node, format string, args ...any) {
	if r.err == nil {
		r.err = fault.WithHint(fault.New(fault.Invalid, "%s:%d: %s", r.name, max(1, n.Line), fmt.Sprintf(format, args...)), "restore the file from Git, or correct it")
	}
}

func child(n *yaml.Node, key string) *yaml.Node {
	if n == nil || n.Kind != yaml.MappingNode {
		return nil
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		if n.Content[i].Value == key {
			return n.Content[i+1]
		}
	}
	return nil
}

func (r *reading) known(n *yaml.Node, keys []string) {
	if n.Kind != yaml.MappingNode {
		r.fail(n, "want a mapping")
		return
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		k := n.Content[i]
		if !slices.Contains(keys, k.Value) {
			r.fail(k, "%q is not a key that DVC knows here; your own go below meta", k.Value)
		}
	}
}

func (r *reading) text(n *yaml.Node, key string) string {
	c := child(n, key)
	if c == nil || c.Tag == "!!null" {
		return ""
	}
	if c.Kind != yaml.ScalarNode {
		r.fail(c, "%s is not text", key)
		return ""
	}
	return c.Value
}

func (r *reading) yes(n *yaml.Node, key string, otherwise bool) bool {
	c := child(n, key)
	if c == nil {
		return otherwise
	}
	v, err := strconv.ParseBool(strings.ToLower(c.Value))
	if err != nil {
		r.fail(c, "%s is neither true nor false", key)
	}
	return v
}

func (r *reading) number(n *yaml.Node, key string) int64 {
	c := child(n, key)
	if c == nil || c.Tag == "!!null" {
		return -1
	}
	v, err := strconv.ParseInt(c.Value, 10, 64)
	if err != nil || v < 0 {
		r.fail(c, "%s is not a count", key)
	}
	return v
}

func (r *reading) list(n *yaml.Node, key string) []*yaml.Node {
	c := child(n, key)
	if c == nil || c.Tag == "!!null" {
		return nil
	}
	if c.Kind != yaml.SequenceNode {
		r.fail(c, "%s is not a list", key)
		return nil
	}
	return c.Content
}

func (r *reading) oid(n *yaml.Node) OID {
	s := r.text(n, "md5")
	if s == "" {
		return ""
	}
	oid, err := ParseOID(s)
	if err != nil {
		r.fail(child(n, "md5"), "%v", err)
	}
	return oid
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
		return "", fault.New(fault.Invalid, "%s: path %s is outside the repository, which is not supported", file, o.Path)
	}
	at := path.Join(path.Dir(file), p.WDir, o.Path)
	if at == ".." || strings.HasPrefix(at, "../") {
		return "", fault.New(fault.Invalid, "%s: path %s leads outside the repository", file, o.Path)
	}
	for part := range strings.SplitSeq(at, "/") {
		if part == "." || strings.EqualFold(part, ".git") || strings.EqualFold(part, ".dvc") {
			return "", fault.New(fault.Invalid, "%s: path %s is Git's or DVC's own", file, o.Path)
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
	put(root, "md5", p.MD5)
	put(root, "wdir", p.WDir)
	put(root, "desc", p.Desc)
	if p.Frozen {
		putNode(root, "frozen", scalar("true", "!!bool"))
	}
	putList(root, "deps", len(p.Deps), func(i int, n *yaml.Node) { p.Deps[i].write(n) })
	putList(root, "outs", len(p.Outs), func(i int, n *yaml.Node) { p.Outs[i].write(n) })
	return encode(doc)
}

func encode(doc *yaml.Node) []byte {
	var b bytes.Buffer
	enc := yaml.NewEncoder(&b)
	enc.SetIndent(2)
	enc.CompactSeqIndent()
	if err := enc.Encode(doc); err != nil {
		panic(err) // what was decoded, and strings and numbers, always encode
	}
	return b.Bytes()
}

func (d Dep) write(n *yaml.Node) {
	put(n, "md5", string(d.OID))
	count(n, "size", d.Size)
	count(n, "nfiles", d.NFiles)
	put(n, "etag", d.ETag)
	put(n, "checksum", d.Checksum)
	put(n, "version_id", d.Version)
	put(n, "hash", d.Hash)
	put(n, "path", d.Path)
	if d.Repo != nil {
		repo := child(n, "repo")
		if repo == nil {
			repo = &yaml.Node{Kind: yaml.MappingNode, Tag: "!!map"}
			putNode(n, "repo", repo)
		}
		put(repo, "url", d.Repo.URL)
		put(repo, "rev", d.Repo.Rev)
		put(repo, "rev_lock", d.Repo.RevLock)
	}
}

func (o Out) write(n *yaml.Node) {
	put(n, "md5", string(o.OID))
	count(n, "size", o.Size)
	count(n, "nfiles", o.NFiles)
	flag(n, "isexec", o.Exec, "true")
	put(n, "hash", o.Hash)
	put(n, "path", o.Path)
	flag(n, "cache", o.NoCache, "false")
	flag(n, "persist", o.Persist, "true")
	put(n, "remote", o.Remote)
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
	put(ours, "md5", string(o.OID))     // that it is said of
	put(ours, "sha256", o.SHA256.Hex()) // shorter than the width at which DVC folds lines
	for _, k := range sortedKeys(o.Stats) {
		put(ours, k, o.Stats[k])
	}
	putNode(meta, "vishwa", ours)
}

func sortedKeys(m map[string]string) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

func scalar(v, tag string) *yaml.Node { return &yaml.Node{Kind: yaml.ScalarNode, Tag: tag, Value: v} }

// put sets a text; the empty one takes the key away.
func put(n *yaml.Node, key, v string) {
	if v == "" {
		drop(n, key)
		return
	}
	if old := child(n, key); old != nil && old.Kind == yaml.ScalarNode && old.Value == v {
		return // as it was spelt
	}
	s := &yaml.Node{}
	s.SetString(v)
	putNode(n, key, s)
}

func count(n *yaml.Node, key string, v int64) {
	if v < 0 {
		drop(n, key)
		return
	}
	putNode(n, key, scalar(strconv.FormatInt(v, 10), "!!int"))
}

func flag(n *yaml.Node, key string, set bool, as string) {
	if !set {
		drop(n, key)
		return
	}
	putNode(n, key, scalar(as, "!!bool"))
}

func putNode(n *yaml.Node, key string, v *yaml.Node) {
	for i := 0; i+1 < len(n.Content); i += 2 {
		if n.Content[i].Value == key {
			v.HeadComment, v.LineComment, v.FootComment = n.Content[i+1].HeadComment, n.Content[i+1].LineComment, n.Content[i+1].FootComment
			n.Content[i+1] = v
			return
		}
	}
	n.Content = append(n.Content, scalar(key, "!!str"), v)
}

func drop(n *yaml.Node, key string) {
	for i := 0; i+1 < len(n.Content); i += 2 {
		if n.Content[i].Value == key {
			n.Content = slices.Delete(n.Content, i, i+2)
			return
		}
	}
}

// putList has a list of n mappings, each written over what stands there.
func putList(root *yaml.Node, key string, n int, write func(i int, n *yaml.Node)) {
	if n == 0 {
		drop(root, key)
		return
	}
	list := child(root, key)
	if list == nil || list.Kind != yaml.SequenceNode {
		list = &yaml.Node{Kind: yaml.SequenceNode, Tag: "!!seq"}
		putNode(root, key, list)
	}
	for len(list.Content) < n {
		list.Content = append(list.Content, &yaml.Node{Kind: yaml.MappingNode, Tag: "!!map"})
	}
	list.Content = list.Content[:n]
	for i := range n {
		write(i, list.Content[i])
	}
}
