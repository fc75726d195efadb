// The checksum of a .dvc file that says where its data comes from: DVC holds the file
// against it, and calls it changed where they differ (dvc/stage/utils.py, compute_md5).

package dvc

import (
	"bytes"
	"crypto/md5"
	"encoding/hex"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// uncounted are the keys that the checksum does not take in, wherever they stand.
var uncounted = []string{"desc", "type", "labels", "meta", "locked", "frozen", "metric", "persist", "isexec", "size", "nfiles"}

// Checksum is what the key md5 of the file should be.
func (p *Pointer) Checksum() string {
	c := *p
	c.MD5, c.doc = "", nil
	if c.WDir == "." {
		c.WDir = ""
	}
	_, root, err := document("", c.Bytes())
	if err != nil {
		return "" // what we write can be read
	}
	var b bytes.Buffer
	python(&b, root)
	sum := md5.Sum(b.Bytes())
	return hex.EncodeToString(sum[:])
}

// python writes n as Python's json.dumps does with sorted keys.
func python(b *bytes.Buffer, n *yaml.Node) {
	switch n.Kind {
	case yaml.MappingNode:
		names := keys(n)
		slices.Sort(names)
		b.WriteByte('{')
		first := true
		for _, k := range names {
			if slices.Contains(uncounted, k) {
				continue
			}
			if !first {
				b.WriteString(", ")
			}
			first = false
			quote(b, k)
			b.WriteString(": ")
			python(b, child(n, k))
		}
		b.WriteByte('}')
	case yaml.SequenceNode:
		b.WriteByte('[')
		for i, c := range n.Content {
			if i > 0 {
				b.WriteString(", ")
			}
			python(b, c)
		}
		b.WriteByte(']')
	default:
		switch n.ShortTag() {
		case "!!null":
			b.WriteString("null")
		case "!!bool":
			b.WriteString(strings.ToLower(n.Value))
		case "!!int":
			if v, err := strconv.ParseInt(n.Value, 0, 64); err == nil {
				b.WriteString(strconv.FormatInt(v, 10))
				return
			}
			quote(b, n.Value)
		default:
			quote(b, n.Value)
		}
	}
}
