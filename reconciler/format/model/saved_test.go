// SavedModels: what TensorFlow writes is known, and what a stranger makes of it is not.

package model

import (
	"bytes"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// written is a SavedModel that TensorFlow 2.21 wrote: two functions, two variables and a table.
func written(t testing.TB) map[string][]byte {
	t.Helper()
	out := map[string][]byte{}
	top := filepath.Join("testdata", "saved")
	for _, name := range []string{"saved_model.pb", "fingerprint.pb", "variables/variables.index", "variables/variables.data-00000-of-00001"} {
		raw, err := os.ReadFile(filepath.Join(top, name))
		if err != nil {
			t.Fatal(err)
		}
		out["m/"+name] = raw
	}
	return out
}

func TestASavedModelIsKnownFileByFile(t *testing.T) {
	files := written(t)
	files["m/assets/words.txt"] = []byte("one\ntwo\n")
	want := map[string]string{"m/saved_model.pb": SavedModel, "m/fingerprint.pb": SavedModelData, "m/variables/variables.index": SavedModelData,
		"m/variables/variables.data-00000-of-00001": SavedModelData, "m/assets/words.txt": Text}
	if got := folder(t, files); !maps.Equal(got, want) {
		t.Errorf("%v", got)
	}
}

// TestWhatIsChangedInASavedModelIsNotTaken: one word of it is another, of the same length.
func TestWhatIsChangedInASavedModelIsNotTaken(t *testing.T) {
	const pb, index, data = "m/saved_model.pb", "m/variables/variables.index", "m/variables/variables.data-00000-of-00001"
	swap := func(from, to string) func(b []byte) []byte {
		return func(b []byte) []byte {
			if len(from) != len(to) || !bytes.Contains(b, []byte(from)) {
				t.Fatalf("%q is not in it", from)
			}
			return bytes.ReplaceAll(b, []byte(from), []byte(to))
		}
	}
	for name, c := range map[string]struct {
		file   string
		change func(b []byte) []byte
		want   map[string]string
	}{
		"an operator that writes":        {pb, swap("\x12\x06MatMul", "\x12\x06PyFunc"), map[string]string{pb: SavedModelOps, index: Unknown, data: Unknown}},
		"a name nobody knows":            {pb, swap("LookupTableFindV2", "LookupTableEvilV2"), map[string]string{pb: SavedModelOps}},
		"it is asked to save":            {pb, swap("StatefulPartitionedCall_1:0", "StatefulPartitionedCall_3:0"), map[string]string{pb: SavedModelOps}},
		"it restores when it is asked":   {pb, swap("StatefulPartitionedCall_1:0", "StatefulPartitionedCall_4:0"), map[string]string{pb: SavedModelOps}},
		"it saves when it is loaded":     {pb, swap("\x1a\x19StatefulPartitionedCall_4", "\x1a\x19StatefulPartitionedCall_3"), map[string]string{pb: SavedModelOps}},
		"it restores from what it names": {pb, swap("\x0a\x10saver_filename:0", "\x0a\x10saver_filenamE:0"), map[string]string{pb: SavedModelOps}},
		"more behind the variables":      {data, func(b []byte) []byte { return append(b, 0x80, 1) }, map[string]string{pb: SavedModel, index: SavedModelData, data: Unknown}},
		"fewer than are named":           {data, func(b []byte) []byte { return b[:len(b)-1] }, map[string]string{index: Unknown, data: Unknown}},
		"an index with more behind it":   {index, func(b []byte) []byte { return append(b, 0) }, map[string]string{index: Unknown, data: Unknown}},
		"an index with more in front":    {index, func(b []byte) []byte { return append([]byte{0}, b...) }, map[string]string{index: Unknown, data: Unknown}},
		"an index that counts other parts": {index, func(b []byte) []byte {
			return bytes.Replace(b, []byte("\x08\x01\x1a\x02\x08\x01"), []byte("\x08\x02\x1a\x02\x08\x01"), 1)
		}, map[string]string{index: Unknown, data: Unknown}},
		"a fingerprint with more":     {"m/fingerprint.pb", func(b []byte) []byte { return append(b, 0x80) }, map[string]string{"m/fingerprint.pb": Unknown}},
		"variables that are a pickle": {data, func([]byte) []byte { return []byte(systemCall) }, map[string]string{data: Pickle, index: Unknown}},
	} {
		t.Run(name, func(t *testing.T) {
			files := written(t)
			files[c.file] = c.change(bytes.Clone(files[c.file]))
			got := folder(t, files)
			for file, want := range c.want {
				if got[file] != want {
					t.Errorf("%s is %s, want %s", file, got[file], want)
				}
			}
		})
	}
}

// graphOf is a SavedModel of nodes and functions, with what else stands in its MetaGraph.
func graphOf(nodes, functions [][]byte, more ...[]byte) []byte {
	var graph, library []byte
	for _, n := range nodes {
		graph = append(graph, message(1, n)...)
	}
	for _, f := range functions {
		library = append(library, message(1, f)...)
	}
	return slices.Concat(number(1, 1), message(2, append([][]byte{message(2, graph, message(2, library))}, more...)...))
}

func nodeNamed(name, op string, inputs []string, calls ...string) []byte {
	out := slices.Concat(message(1, []byte(name)), message(2, []byte(op)))
	for _, in := range inputs {
		out = append(out, message(3, []byte(in))...)
	}
	for _, f := range calls {
		out = append(out, message(5, message(1, []byte("f")), message(2, message(10, message(1, []byte(f)))))...)
	}
	return out
}

func functionNamed(name, argument string, nodes ...[]byte) []byte {
	out := message(1, message(1, []byte(name)), message(2, message(1, []byte(argument))))
	for _, n := range nodes {
		out = append(out, message(3, n)...)
	}
	return out
}

// TestFilesAreTouchedByTheLoadersFunctionsAlone: the author of a model writes its graph.
func TestFilesAreTouchedByTheLoadersFunctionsAlone(t *testing.T) {
	restore := functionNamed("restore", "prefix", nodeNamed("r", "RestoreV2", []string{"prefix", "n:output:0", "s:output:0"}))
	fixed := functionNamed("restore", "prefix", nodeNamed("p", "Const", nil), nodeNamed("r", "RestoreV2", []string{"p:output:0"}))
	save := functionNamed("save", "prefix", nodeNamed("w", "SaveV2", []string{"prefix"}))
	saver := message(3, message(1, []byte("file:0")), message(2, []byte("saves:0")), message(3, []byte("restores")))
	file, restores, saves := nodeNamed("file", "Placeholder", nil), nodeNamed("restores", "StatefulPartitionedCall", []string{"file"}, "restore"), nodeNamed("saves", "StatefulPartitionedCall", []string{"file"}, "save")
	marked := func(f []byte, as string) []byte { return slices.Concat(f, message(5, message(1, []byte(as)))) }
	asked := nodeNamed("x", "PartitionedCall", nil, "clean")
	deep := functionNamed("deep", "x", nodeNamed("c", "PartitionedCall", nil, "deeper"))
	for name, c := range map[string]struct {
		nodes, functions [][]byte
		more             []byte
		want             string
	}{
		"as TensorFlow writes it":        {[][]byte{file, restores, saves}, [][]byte{restore, save}, saver, SavedModel},
		"without variables":              {[][]byte{nodeNamed("a", "Const", nil)}, nil, nil, SavedModel},
		"no saver":                       {[][]byte{file, restores}, [][]byte{restore}, nil, SavedModelOps},
		"two savers":                     {[][]byte{file, restores, saves}, [][]byte{restore, save}, slices.Concat(saver, saver), ""},
		"a file by a constant":           {[][]byte{file, restores, saves}, [][]byte{fixed, save}, saver, SavedModelOps},
		"a file by another node":         {[][]byte{file, nodeNamed("c", "Const", nil), nodeNamed("restores", "StatefulPartitionedCall", []string{"c"}, "restore"), saves}, [][]byte{restore, save}, saver, SavedModelOps},
		"restoring writes":               {[][]byte{file, nodeNamed("restores", "StatefulPartitionedCall", []string{"file"}, "save")}, [][]byte{save}, saver, SavedModelOps},
		"somebody else saves":            {[][]byte{file, restores, saves, nodeNamed("x", "PartitionedCall", []string{"file"}, "save")}, [][]byte{restore, save}, saver, SavedModelOps},
		"somebody else, deeper":          {[][]byte{file, restores, saves, nodeNamed("x", "While", []string{"file"}, "deep")}, [][]byte{deep, functionNamed("deeper", "x", nodeNamed("c", "If", nil, "save")), restore, save}, saver, SavedModelOps},
		"saving is an input":             {[][]byte{file, restores, saves, nodeNamed("x", "Identity", []string{"saves"})}, [][]byte{restore, save}, saver, SavedModelOps},
		"saving comes first":             {[][]byte{file, restores, saves, nodeNamed("x", "NoOp", []string{"^saves"})}, [][]byte{restore, save}, saver, SavedModelOps},
		"an answer is what saving says":  {[][]byte{file, restores, saves}, [][]byte{restore, save}, slices.Concat(saver, message(5, message(1, []byte("s")), message(2, message(2, message(1, []byte("y")), message(2, message(1, []byte("saves:0"))))))), SavedModelOps},
		"an operator of the start saves": {[][]byte{file, restores, saves}, [][]byte{restore, save}, slices.Concat(saver, message(4, message(1, []byte("saved_model_main_op")), message(2, message(1, message(1, []byte("saves")))))), SavedModelOps},
		"Python may call what saves":     {[][]byte{file, restores, saves}, [][]byte{restore, save}, slices.Concat(saver, message(7, message(2, message(1, []byte("save"))))), SavedModelOps},
		"Python may call it bare":        {[][]byte{file, restores, saves}, [][]byte{restore, save}, slices.Concat(saver, message(7, message(1, message(8, message(1, []byte("save")))))), SavedModelOps},
		"a function stands in for another": {[][]byte{file, restores, saves, asked}, [][]byte{restore, save, marked(functionNamed("clean", "x", nodeNamed("n", "NoOp", nil)), "api_implements"),
			marked(functionNamed("writes", "x", nodeNamed("w", "SaveV2", nil)), "api_implements")}, saver, SavedModelOps},
		"what saves stands in for another": {[][]byte{file, restores, saves}, [][]byte{restore, marked(save, "api_implements")}, saver, SavedModelOps},
		"one that computes does":           {[][]byte{file, restores, saves, asked}, [][]byte{restore, marked(save, "_input_shapes"), marked(functionNamed("clean", "x", nodeNamed("n", "NoOp", nil)), "api_implements")}, saver, SavedModel},
		"a function as an operator":        {[][]byte{nodeNamed("a", "MatMul", nil)}, [][]byte{functionNamed("MatMul", "x", nodeNamed("n", "NoOp", nil))}, nil, SavedModelOps},
		"the graph itself restores":        {[][]byte{file, nodeNamed("r", "RestoreV2", []string{"file"})}, nil, saver, SavedModelOps},
		"two nodes of one name":            {[][]byte{file, file}, nil, nil, SavedModelOps},
		"two functions of one name":        {[][]byte{file, restores, saves}, [][]byte{restore, save, save}, saver, SavedModelOps},
		"a function by an operator's name": {[][]byte{nodeNamed("a", "save", nil)}, [][]byte{save}, nil, SavedModelOps},
		"layers of Keras":                  {[][]byte{file}, nil, message(7, message(1, message(4, message(1, []byte("_tf_keras_layer")), message(3, []byte(`{"class_name":"Lambda"}`))))), SavedModelOps},
	} {
		t.Run(name, func(t *testing.T) {
			if got := sniffBytes("saved_model.pb", graphOf(c.nodes, c.functions, c.more)); got != c.want && (c.want != "" || got == SavedModel) {
				t.Errorf("it is %s, want %s", got, c.want)
			}
		})
	}
}

func TestAStrangersGraphCostsLittle(t *testing.T) {
	var functions [][]byte
	for i := range 20_000 { // each calls the next: as deep as can be
		functions = append(functions, functionNamed("f"+strings.Repeat("x", i%7)+string(rune('a'+i%26))+strconv.Itoa(i), "a", nodeNamed("c", "PartitionedCall", nil, "f"+strings.Repeat("x", (i+1)%7)+string(rune('a'+(i+1)%26))+strconv.Itoa(i+1))))
	}
	functions = append(functions, functionNamed("f"+strings.Repeat("x", 20_000%7)+string(rune('a'+20_000%26))+strconv.Itoa(20_000), "a", nodeNamed("w", "SaveV2", nil)))
	b := graphOf([][]byte{nodeNamed("n", "NoOp", nil)}, functions)
	bounded(t, len(b), func() {
		if got := sniffBytes("saved_model.pb", b); got != SavedModelOps {
			t.Error(got)
		}
	})
	many := graphOf(slices.Repeat([][]byte{nodeNamed("n", "NoOp", []string{"a"})}, maxSavedNodes+1), nil)
	bounded(t, len(many), func() {
		if got := sniffBytes("saved_model.pb", many); got != SavedModelOps {
			t.Error(got)
		}
	})
}

// FuzzBundle: whatever an index is, its reading ends, and what it names lies in files of its folder.
func FuzzBundle(f *testing.F) {
	raw := written(f)["m/variables/variables.index"]
	f.Add(raw)
	f.Add(append(bytes.Clone(raw), 0))
	f.Fuzz(func(t *testing.T, b []byte) {
		bounded(t, len(b), func() {
			parts, ok := bundle(inMemory(b))
			if !ok {
				return
			}
			for name, held := range parts {
				if !strings.HasPrefix(name, "variables.data-") || strings.Contains(name, "/") {
					t.Errorf("it names %q", name)
				}
				for _, r := range held {
					if r.from < 0 || r.until < r.from {
						t.Errorf("%+v", r)
					}
				}
			}
		})
	})
}
