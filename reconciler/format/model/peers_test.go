// Archives and JSON against Python's own readers: a file that is taken for safe shows
// them nothing that the scan did not see.

package model

import (
	"archive/zip"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
)

// archives says of each file what Python's zipfile would read from it: each member,
// by the name under which it is asked for, and a digest of what comes.
const archives = `
import hashlib, io, sys, zipfile
for text in sys.stdin:
    raw, said = bytes.fromhex(text.strip()), []
    try:
        z = zipfile.ZipFile(io.BytesIO(raw))
        for name in z.namelist():
            try: said.append(name.encode().hex() + ":" + hashlib.sha256(z.read(name)).hexdigest())
            except Exception: said.append(name.encode().hex() + ":broken")
    except Exception: said = ["none"]
    print(",".join(said))
`

func TestPythonReadsASkopsFileAsTheScanDoes(t *testing.T) {
	good := [][]byte{real(t, "logistic.skops"), zipOf("schema.json", `{"__class__":"ndarray","__module__":"numpy","__loader__":"NdArrayNode","file":"a.npy"}`,
		"a.npy", string(npyOf("{'descr': '<f8', 'fortran_order': False, 'shape': (1,), }", make([]byte, 8))))}
	var all [][]byte
	for seed := range uint64(6000) {
		next := source(seed*2654435761 + 1)
		b := bytes.Clone(good[next(len(good))])
		end := bytes.LastIndex(b, []byte(endRecord))
		directory := int(le.Uint32(b[end+16:]))
		for range 1 + next(3) {
			at := []int{next(len(b)), directory + next(len(b)-directory), end + next(22), next(64), directory + next(46)}[next(5)]
			switch next(4) {
			case 0:
				b = slices.Insert(b, at, []byte(endRecord + strings.Repeat("\x00", 18))[:next(22)]...)
			case 1:
				b[at] = byte(next(256))
			case 2:
				b[at] ^= 1 << next(8)
			default:
				b = slices.Delete(b, at, min(len(b), at+1+next(3)))
			}
			if end = bytes.LastIndex(b, []byte(endRecord)); end < 0 || len(b) < end+22 || directory >= len(b) {
				break
			}
		}
		all = append(all, b)
	}
	all = append(all, good...)
	safes := 0
	for i, answer := range asked(t, archives, all) {
		if sniffBytes("m", all[i]) != Skops {
			continue
		}
		safes++
		f := file{ReaderAt: bytes.NewReader(all[i]), size: int64(len(all[i]))}
		members, clear := f.directory()
		var seen []string
		for j := range members {
			_, _ = f.place(&members[j])
			in := f.open(members[j])
			content, _ := io.ReadAll(in.part(0, in.size))
			sum := sha256.Sum256(content)
			seen = append(seen, hex.EncodeToString([]byte(members[j].name))+":"+hex.EncodeToString(sum[:]))
		}
		if !clear || strings.Join(seen, ",") != answer && answer != "none" {
			t.Errorf("file %d: Python reads %s, the scan %s", i, answer, seen)
		}
		if z, err := zip.NewReader(f, f.size); err != nil || len(z.File) != len(members) {
			t.Errorf("file %d: Go does not read it: %v", i, err)
		}
	}
	if safes < 2 {
		t.Errorf("%d files are safe, not even those that were not changed", safes)
	}
}

// layers says of each file whether Python's json finds an object whose class_name is
// Lambda: in it, in one of its lines, or in a string of it.
const layers = `
import json, sys
def look(v, deep=0):
    if isinstance(v, str) and deep < 3 and v.strip()[:1] in "{[\"" and v.strip():
        try: return look(json.loads(v), deep + 1)
        except Exception: return False
    if isinstance(v, list): return any(look(x, deep) for x in v)
    if isinstance(v, dict): return v.get("class_name") == "Lambda" or any(look(x, deep) for x in v.values())
    return False
for text in sys.stdin:
    raw, found = bytes.fromhex(text.strip()), False
    for part in [raw] + raw.splitlines():
        for strict in (True, False):
            try: found = found or look(json.loads(part.decode("utf-8-sig"), strict=strict))
            except Exception: pass
    print("lambda" if found else "")
`

func TestALayerThatPythonFindsInJSONIsFound(t *testing.T) {
	var all [][]byte
	for seed := range uint64(6000) {
		next := source(seed*2654435761 + 1)
		pick := func(of ...string) string { return of[next(len(of))] }
		var value func(deep int) string
		value = func(deep int) string {
			switch n := next(9); {
			case n == 0 && deep < 5:
				return "[" + value(deep+1) + pick(",", " , ", ",\n") + value(deep+1) + "]"
			case n == 1 && deep < 5:
				return fmt.Sprintf("%q", value(deep+3))
			case n < 6 && deep < 5:
				return pick("{", "{ ", "{\n") + pick(`"a"`, `"\u0061"`, `""`) + pick(":", " : ") + value(deep+1) + pick(",", "\n,") +
					pick(`"class_name"`, `"class\u005fname"`, `"class_name"`, `"clas"`) + ":" + pick(`"Lambda"`, `"\u004cambda"`, `"Dense"`, `"Lam\u0062da"`, `{"a":1}`) + pick("}", " }", `,"config":{}}`, `,"config":`+value(deep+1)+"}", `,"class_name":"Dense"}`)
			default:
				return pick("1", "-1.5e+3", "NaN", "Infinity", "-Infinity", "null", "true", `"text"`, `"\ud800"`, `"\ud83d\ude00"`, "{}", "[]", "0", "1E5")
			}
		}
		text := pick("", " ", "\n", "\ufeff", "\t") + value(0) + pick("", "\n", " ", "\n"+value(2), "x", "\n}")
		all = append(all, []byte(text))
	}
	found := 0
	for i, answer := range asked(t, layers, all) {
		if answer != "lambda" {
			continue
		}
		found++
		if got := sniffBytes("model.json", all[i]); slices.Contains(safe, got) {
			t.Errorf("%q is %s, and Python finds a Lambda in it", all[i], got)
		}
	}
	if found < 500 {
		t.Errorf("Python finds a Lambda in %d of %d files: they are not good enough", found, len(all))
	}
}
