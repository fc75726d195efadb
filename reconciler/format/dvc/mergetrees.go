// Merging folders: of each file the side that changed it, and both where they clash.

package dvc

import (
	"fmt"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// folders puts two folders together; nil where they are none, or where both changed a
// file in two ways: then where ends with the files.
func (m *merging) folders(where []string, base, ours, theirs *yaml.Node) *yaml.Node {
	named := func(n *yaml.Node) OID {
		if c := child(n, "md5"); c != nil {
			return OID(c.Value)
		}
		return ""
	}
	b, o, t := named(base), named(ours), named(theirs)
	if !o.IsDir() || !t.IsDir() || b != "" && !b.IsDir() || m.trees == nil {
		return nil
	}
	var trees [3]Tree
	for i, oid := range []OID{b, o, t} {
		if oid == "" {
			continue
		}
		if hash := child([]*yaml.Node{base, ours, theirs}[i], "hash"); !m.lock && (hash == nil || hash.Value != "md5") {
			return nil // DVC 2 named it, whose names are not put among others
		}
		var err error
		if trees[i], err = m.trees(oid); err != nil {
			m.err = fmt.Errorf("merge %s: %w", strings.Join(where, ": "), err)
			return nil
		}
	}
	merged, both := MergeTrees(trees[0], trees[1], trees[2])
	if len(both) > 0 {
		told := both[:min(len(both), 5)]
		if len(both) > len(told) {
			told = append(slices.Clone(told), fmt.Sprintf("and %d more", len(both)-len(told)))
		}
		where[len(where)-1] += " (" + strings.Join(told, ", ") + ")"
		return nil
	}
	m.made = append(m.made, merged)
	put := &yaml.Node{Kind: yaml.MappingNode, Tag: "!!map"}
	putNode(put, "md5", scalar(string(merged.OID()), "!!str"))
	if n := merged.Size(); n >= 0 {
		count(put, "size", n)
	}
	count(put, "nfiles", int64(len(merged)))
	putNode(put, "hash", scalar("md5", "!!str"))
	return put
}

// MergeTrees puts two folders together that were base once. both lists the paths that
// each side changed in another way, or made a file of where the other has a folder.
func MergeTrees(base, ours, theirs Tree) (merged Tree, both []string) {
	at := func(t Tree) map[string]File {
		m := make(map[string]File, len(t))
		for _, f := range t {
			m[f.Path] = f
		}
		return m
	}
	b, o, t := at(base), at(ours), at(theirs)
	seen := make(map[string]bool, len(o)+len(t))
	for _, all := range []Tree{ours, theirs, base} {
		for _, f := range all {
			if seen[f.Path] {
				continue
			}
			seen[f.Path] = true
			was, mine, other := b[f.Path], o[f.Path], t[f.Path]
			pick := mine
			switch {
			case mine.OID == other.OID, was.OID == other.OID:
			case was.OID == mine.OID:
				pick = other
			default:
				both = append(both, f.Path)
				continue
			}
			if pick.OID != "" {
				merged = append(merged, pick)
			}
		}
	}
	merged.Sort()
	folders := map[string]bool{}
	for _, f := range merged {
		for p := f.Path; ; {
			i := strings.LastIndexByte(p, '/')
			if i < 0 {
				break
			}
			p = p[:i]
			folders[p] = true
		}
	}
	for _, f := range merged {
		if folders[f.Path] {
			both = append(both, f.Path)
		}
	}
	slices.Sort(both)
	return merged, both
}
