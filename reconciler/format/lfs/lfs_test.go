// What Git LFS writes is found, and nothing else is.

package lfs

import (
	"strings"
	"testing"
)

const id = "4d7a214614ab2935c943f9e0ff69d22eadbb8f32b1258daaa5e2ca24d17e2393"

func TestPointersAreFound(t *testing.T) {
	good := "version https://git-lfs.github.com/spec/v1\noid sha256:" + id + "\nsize 12345\n"
	for text, want := range map[string]bool{
		good:                                   true,
		strings.ReplaceAll(good, "\n", "\r\n"): true,
		strings.TrimSpace(good):                true,
		strings.Replace(good, "git-lfs.github.com", "hawser.github.com", 1): true,
		strings.Replace(good, "oid", "ext-0-crypt sha256:"+id+"\noid", 1):   true,
		"":                                   false,
		"a,b\n1,2\n":                         false,
		"# " + good:                          false,
		strings.Replace(good, id, id[1:], 1): false,
		strings.Replace(good, "size 12345", "size -1", 1): false,
		good + strings.Repeat("x", MaxPointer):            false,
	} {
		p, ok := Parse([]byte(text))
		if ok != want || ok && (p.OID != id || p.Size != 12345) {
			t.Errorf("%q is %v, %v", text, p, ok)
		}
	}
}
