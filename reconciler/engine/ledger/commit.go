// Commits are read from their raw bytes, strictly: a header that stands twice,
// or one that is not expected, could mean one thing here and another to git.

package ledger

import (
	"crypto/sha1" //nolint:gosec // Git's own object names; content is named by SHA-256
	"encoding/hex"
	"fmt"
	"strings"
)

// Commit is a Git commit of the ledger.
type Commit struct {
	Tree      string
	Parent    string // none for the first
	Author    string // "Name <email> seconds zone"
	Committer string
	Signature string // armored, as it stood in the gpgsig header
	Signed    string // the bytes that Signature is over: the commit without it
	Message   string
}

// CommitID is the name that Git gives to a commit's bytes.
func CommitID(raw []byte) string {
	h := sha1.New() //nolint:gosec // see the import
	fmt.Fprintf(h, "commit %d\x00", len(raw))
	h.Write(raw)
	return hex.EncodeToString(h.Sum(nil))
}

const sigHeader = "gpgsig "

// String is the commit's raw bytes: the inverse of ParseCommit. Signed is
// derived, and not looked at.
func (c Commit) String() string {
	if c.Signature == "" {
		return c.headers() + "\n" + c.Message
	}
	folded := strings.ReplaceAll(strings.TrimSuffix(c.Signature, "\n"), "\n", "\n ")
	return c.headers() + sigHeader + folded + "\n\n" + c.Message
}

func (c Commit) headers() string {
	s := "tree " + c.Tree + "\n"
	if c.Parent != "" {
		s += "parent " + c.Parent + "\n"
	}
	return s + "author " + c.Author + "\ncommitter " + c.Committer + "\n"
}

// ParseCommit reads a commit that has exactly a tree, at most one parent, an
// author, a committer and one signature, in this order.
func ParseCommit(raw []byte) (Commit, error) {
	head, message, ok := strings.Cut(string(raw), "\n\n")
	if !ok || strings.ContainsRune(head, 0) {
		return Commit{}, fmt.Errorf("its commit has no message")
	}
	c := Commit{Message: message}
	lines := strings.Split(head, "\n")
	next := func(name string) (string, bool) {
		if len(lines) == 0 {
			return "", false
		}
		v, ok := strings.CutPrefix(lines[0], name)
		if !ok {
			return "", false
		}
		lines = lines[1:]
		return v, true
	}
	var tree, author, committer, signed bool
	c.Tree, tree = next("tree ")
	parent, hasParent := next("parent ")
	c.Author, author = next("author ")
	c.Committer, committer = next("committer ")
	sig, signed := next(sigHeader)
	if !tree || !author || !committer || !gitID.MatchString(c.Tree) || hasParent && !gitID.MatchString(parent) {
		return Commit{}, fmt.Errorf("its commit is not a tree, at most one parent, an author and a committer")
	}
	if !signed {
		return Commit{}, fmt.Errorf("its commit is not signed")
	}
	c.Parent = parent
	c.Signature = sig + "\n"
	for len(lines) > 0 && strings.HasPrefix(lines[0], " ") {
		c.Signature += lines[0][1:] + "\n"
		lines = lines[1:]
	}
	if len(lines) > 0 {
		name, _, _ := strings.Cut(lines[0], " ")
		return Commit{}, fmt.Errorf("its commit has a header %q that does not belong there, or is given twice", name)
	}
	c.Signed = c.headers() + "\n" + c.Message
	if c.String() != string(raw) {
		return Commit{}, fmt.Errorf("its commit has more than one spelling")
	}
	return c, nil
}
