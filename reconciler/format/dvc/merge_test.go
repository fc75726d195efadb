// What a merge of pointers and locks must never do: lose what one side did, or make up
// what neither did.

package dvc

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/vishwaops/vishwa/reconciler/fault"
)

func oid(n int) OID { return OID(fmt.Sprintf("%032x", n)) }

func pointerOf(md5 OID, more string) []byte {
	return []byte("outs:\n- md5: " + string(md5) + "\n  size: 3\n" + more + "  hash: md5\n  path: raw\n")
}

func anyTree(t *rapid.T, label string) Tree {
	var out Tree
	for _, name := range rapid.SliceOfDistinct(rapid.SampledFrom([]string{"a", "b", "c/d", "c/e", "f"}), rapid.ID[string]).Draw(t, label) {
		out = append(out, File{Path: name, OID: oid(rapid.IntRange(1, 3).Draw(t, label+name)), Size: 1})
	}
	out.Sort()
	return out
}

// TestTreesMergeFileByFile: a file is as the side has it that changed it; what both
// changed in two ways is told, and nothing else is lost or made up.
func TestTreesMergeFileByFile(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		base, ours, theirs := anyTree(t, "base"), anyTree(t, "ours"), anyTree(t, "theirs")
		at := func(tree Tree, p string) OID {
			for _, f := range tree {
				if f.Path == p {
					return f.OID
				}
			}
			return ""
		}
		got, both := MergeTrees(base, ours, theirs)
		for _, p := range []string{"a", "b", "c/d", "c/e", "f"} {
			b, o, th, m := at(base, p), at(ours, p), at(theirs, p), at(got, p)
			switch {
			case o == th && m != o, b == o && m != th, b == th && m != o:
				t.Fatalf("%s: base %q, ours %q, theirs %q became %q", p, b, o, th, m)
			case (o != th && b != o && b != th) != slices.Contains(both, p):
				t.Fatalf("%s: base %q, ours %q, theirs %q: told %v", p, b, o, th, both)
			}
		}
		again, also := MergeTrees(base, theirs, ours)
		if !slices.Equal(got, again) || !slices.Equal(both, also) {
			t.Fatalf("the sides' order counts: %v %v, %v %v", got, both, again, also)
		}
	})
}

// TestAFileWhereTheOtherHasAFolderIsAConflict
func TestAFileWhereTheOtherHasAFolderIsAConflict(t *testing.T) {
	_, both := MergeTrees(nil, Tree{{Path: "a", OID: oid(1)}}, Tree{{Path: "a/b", OID: oid(2)}})
	if !slices.Equal(both, []string{"a"}) {
		t.Fatal(both)
	}
}

// TestPointersMerge: one side's change is taken whole, folders are put together, and the
// rest says what people have to decide.
func TestPointersMerge(t *testing.T) {
	trees := map[OID]Tree{}
	dir := func(files ...string) OID {
		var out Tree
		for _, f := range files {
			name, content, _ := strings.Cut(f, "=")
			out = append(out, File{Path: name, OID: oid(len(content)), Size: int64(len(content))})
		}
		out.Sort()
		trees[out.OID()] = out
		return out.OID()
	}
	base, one, other := dir("a=1", "b=1"), dir("a=1", "b=1", "c=12"), dir("a=123", "b=1")
	clash := dir("a=12345")
	read := func(o OID) (Tree, error) {
		if tree, ok := trees[o]; ok {
			return tree, nil
		}
		return nil, fault.New(fault.Missing, "%s is nowhere", o)
	}
	for name, c := range map[string]struct {
		base, ours, theirs []byte
		want               []string
		conflicts          []string
	}{
		"one side": {pointerOf(oid(1), ""), pointerOf(oid(1), ""), pointerOf(oid(2), ""), []string{"md5: " + string(oid(2))}, nil},
		"folders": {pointerOf(base, "  nfiles: 2\n"), pointerOf(one, "  nfiles: 3\n"), pointerOf(other, "  nfiles: 2\n"),
			[]string{"md5: " + string(dir("a=123", "b=1", "c=12")), "nfiles: 3", "size: 6"}, nil},
		"folders that both added": {nil, pointerOf(dir("x=1"), ""), pointerOf(dir("y=1"), ""), []string{"md5: " + string(dir("x=1", "y=1")), "nfiles: 2"}, nil},
		"a file in two ways": {pointerOf(oid(1), ""), pointerOf(oid(2), ""), pointerOf(oid(3), ""),
			[]string{"<<<<<<< ours: outs: raw\n- md5: " + string(oid(2)), "=======\n- md5: " + string(oid(3)), ">>>>>>> theirs: outs: raw\n"}, []string{"outs: raw"}},
		"a file of a folder in two ways": {pointerOf(base, ""), pointerOf(other, ""), pointerOf(clash, ""), []string{"<<<<<<< ours: outs: raw (a)"}, []string{"outs: raw (a)"}},
		"another field":                  {pointerOf(oid(1), "  desc: was\n"), pointerOf(oid(2), "  desc: was\n"), pointerOf(oid(1), "  desc: is\n"), []string{"md5: " + string(oid(2)), "desc: is"}, nil},
		"comments":                       {pointerOf(oid(1), ""), []byte("# mine\n" + string(pointerOf(oid(1), ""))), pointerOf(oid(2), ""), []string{"# mine", "md5: " + string(oid(2))}, nil},
		"deleted and changed": {[]byte("outs:\n- {md5: " + string(oid(1)) + ", path: x}\n- {md5: " + string(oid(1)) + ", path: y}\n"), []byte("outs:\n- {md5: " + string(oid(1)) + ", path: y}\n"),
			[]byte("outs:\n- {md5: " + string(oid(2)) + ", path: x}\n- {md5: " + string(oid(1)) + ", path: y}\n"), []string{"<<<<<<< ours: outs: x\n=======\n"}, []string{"outs: x"}},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := MergePointer(Sides{"raw.dvc", c.base, c.ours, c.theirs}, read)
			if err != nil || !slices.Equal(got.Conflicts, c.conflicts) {
				t.Fatalf("%v, conflicts %q:\n%s", err, got.Conflicts, got.Text)
			}
			for _, w := range c.want {
				if !strings.Contains(string(got.Text), w) {
					t.Errorf("no %q in\n%s", w, got.Text)
				}
			}
			if len(c.conflicts) == 0 {
				if _, err := ParsePointer("raw.dvc", got.Text); err != nil {
					t.Error(err)
				}
			}
		})
	}
}

func lockOf(stages ...string) []byte {
	return []byte("schema: '2.0'\nstages:\n" + strings.Join(stages, ""))
}

func stageOf(name string, dep, out int) string {
	return fmt.Sprintf("  %s:\n    cmd: run %s\n    deps:\n    - path: in.csv\n      md5: %s\n    outs:\n    - path: %s.pkl\n      md5: %s\n", name, name, oid(dep), name, oid(out))
}

// TestLocksMergeByStage: what one side ran is taken whole, and two runs of one stage are
// never mixed.
func TestLocksMergeByStage(t *testing.T) {
	base := lockOf(stageOf("train", 1, 1), stageOf("score", 1, 1))
	got, err := MergeLock(Sides{"dvc.lock", base, lockOf(stageOf("train", 2, 2), stageOf("score", 1, 1)), lockOf(stageOf("train", 1, 1), stageOf("score", 3, 3), stageOf("plot", 4, 4))})
	if err != nil || len(got.Conflicts) > 0 {
		t.Fatal(err, got.Conflicts)
	}
	l, err := ParseLock("dvc.lock", got.Text)
	if err != nil || len(l.Stages) != 3 || l.Stages[0].Outs[0].OID != oid(2) || l.Stages[1].Outs[0].OID != oid(3) || l.Stages[2].Name != "plot" {
		t.Fatalf("%+v, %v", l, err)
	}
	// Each changed another part of one stage: nobody ran them together.
	got, err = MergeLock(Sides{"dvc.lock", base, lockOf(stageOf("train", 2, 1), stageOf("score", 1, 1)), lockOf(stageOf("train", 1, 2), stageOf("score", 1, 1))})
	want := []string{"stages: train: deps: in.csv: md5", "stages: train: outs: train.pkl: md5"}
	if err != nil || !slices.Equal(got.Conflicts, want) {
		t.Fatalf("%v, %q\n%s", err, got.Conflicts, got.Text)
	}
	for _, w := range []string{"      <<<<<<<", "md5: " + string(oid(2)) + "\n=======\n"} {
		if strings.Contains(string(got.Text), w) == strings.HasPrefix(w, " ") {
			t.Errorf("markers: %q in\n%s", w, got.Text)
		}
	}
}

// TestAMergeWithItselfIsItself, and with a side that did nothing is the other side.
func TestAMergeWithItselfIsItself(t *testing.T) {
	a, b := lockOf(stageOf("train", 1, 1)), lockOf(stageOf("train", 2, 2), stageOf("plot", 1, 1))
	for _, c := range [][3][]byte{{a, b, b}, {a, a, b}, {a, b, a}, {nil, b, b}} {
		got, err := MergeLock(Sides{"dvc.lock", c[0], c[1], c[2]})
		if err != nil || len(got.Conflicts) > 0 || string(got.Text) != string(b) {
			t.Errorf("%v\n%s", err, got.Text)
		}
	}
}

func FuzzMerge(f *testing.F) {
	f.Add(string(lockOf(stageOf("train", 1, 1))), string(lockOf(stageOf("train", 2, 1))), string(lockOf(stageOf("train", 1, 2))))
	f.Add(string(pointerOf(oid(1), "")), string(pointerOf(oid(2), "")), string(pointerOf(oid(3), "")))
	f.Fuzz(func(t *testing.T, base, ours, theirs string) {
		s := Sides{"f", []byte(base), []byte(ours), []byte(theirs)}
		none := func(OID) (Tree, error) { return Tree{}, nil }
		for _, got := range []func() (Merged, error){func() (Merged, error) { return MergeLock(s) }, func() (Merged, error) { return MergePointer(s, none) }} {
			m, err := got()
			if err != nil && fault.Of(err) == fault.Internal {
				t.Fatal(err)
			}
			if err == nil && len(m.Text) == 0 {
				t.Fatal("nothing came of it")
			}
		}
	})
}

// TestFoldersOfDVC2AreNotPutAmongOthers: their names mean something else.
func TestFoldersOfDVC2AreNotPutAmongOthers(t *testing.T) {
	trees := map[OID]Tree{}
	side := func(old bool, names ...string) []byte {
		var tree Tree
		for _, n := range names {
			tree = append(tree, File{Path: n, OID: oid(1), Size: 1})
		}
		trees[tree.OID()] = tree
		text := string(pointerOf(tree.OID(), ""))
		if old {
			text = strings.Replace(text, "  hash: md5\n", "", 1)
		}
		return []byte(text)
	}
	for _, old := range [][3]bool{{true, true, true}, {true, true, false}, {false, false, false}} {
		s := Sides{Name: "data.dvc", Base: side(old[0], "a"), Ours: side(old[1], "a", "b"), Theirs: side(old[2], "a", "c")}
		m, err := MergePointer(s, func(o OID) (Tree, error) { return trees[o], nil })
		if err != nil {
			t.Fatal(err)
		}
		if together := len(m.Conflicts) == 0; together != !old[0] {
			t.Errorf("%v: together %v\n%s", old, together, m.Text)
		}
	}
}
