// The ways past scanners that were published, one of each class: picklescan's advisories
// (github.com/mmaitre314/picklescan/security), modelscan's issues, and what was written of
// both. They go past lists of names, extensions, and parsers that stop early; here there
// is no list, no extension counts, and what stops early is not known.

package model

import (
	"bytes"
	"slices"
	"strings"
	"testing"
)

func TestPublishedWaysPastScanners(t *testing.T) {
	call := func(module, name string) string { return "c" + module + "\n" + name + "\n(S'true'\ntR." }
	keras := func(config string) []byte {
		return zipOf("config.json", config, "metadata.json", "{}", "model.weights.h5", "\x89HDF\r\n\x1a\n")
	}
	layer := func(inner string) string {
		return `{"class_name":"Sequential","config":{"layers":[{"class_name":"TimeDistributed","config":{"layer":` + inner + `}}]}}`
	}
	cases := map[string]struct {
		name    string
		content []byte
		want    []string
	}{
		"CVE-2025-1889, any extension":                     {"weights.bin", []byte(systemCall), []string{Pickle}},
		"CVE-2025-10155, PyTorch's extension on a pickle":  {"model.pt", []byte(systemCall), []string{Pickle}},
		"GHSA-769v-p64c-89pr, any extension in an archive": {"m.pt", zipOf("archive/config.p", systemCall), []string{TorchZip}},
		"GHSA-9gvj-pp9x-gcfr, names by another way":        {"m", []byte("\x80\x04\x8c\x02os\x94\x8c\x06system\x94h\x00h\x01\x93\x8c\x04true\x85R."), []string{Pickle}},
		"issue 22, names out of the memo":                  {"m", []byte("\x80\x04\x8c\x03abs\x8c\x02os\x94\x8c\x06system\x940h\x00\x8c\x06system\x93\x8c\x04true\x85R."), []string{Pickle}},
		"nullifAI, broken behind the call":                 {"m", []byte("cos\nsystem\n(S'true'\ntR\xff\xff\xff"), []string{Pickle}},
		"nullifAI, 7z in place of zip":                     {"m.pt", []byte("7z\xbc\xaf\x27\x1c\x00\x04"), []string{Compressed}},
		"two pickles, the first one harmless":              {"m", []byte("\x80\x02K\x01." + systemCall), []string{Pickle}},
		"saferpickle, text in front of protocol 0":         {"m", []byte("Vuse strict\n0" + systemCall), []string{Pickle}},
		"a call that an error follows (EOP)":               {"m", []byte("cos\nsystem\n(S'true'\ntR0cnowhere\nnothing\n."), []string{Pickle}},
		"pickled objects in an array in an archive":        {"m.npz", zipOf("a.npy", string(npyOf("{'descr': '|O', 'fortran_order': False, 'shape': (1,), }", []byte(systemCall)))), []string{NumPyObject}},
		"an archive in an archive":                         {"m", zipOf("a.zip", string(zipOf("b", systemCall))), []string{TorchZip}},
		"torch.load's oldest format, a tar":                {"m.pt", tarOf("pickle", systemCall), []string{Tar}},
		"joblib, packed":                                   {"m.joblib", squeezed("zlib", []byte(systemCall)), []string{Compressed}},
		"modelscan, Lambda in a layer":                     {"m.keras", keras(layer(`{"class_name":"Lambda","config":{}}`)), []string{KerasLambda}},
		"modelscan, Lambda in letters that are escaped":    {"m.keras", keras(layer(`{"class_name":"L\u0061mbda","config":{}}`)), []string{KerasLambda}},
		"modelscan, a class that is named twice":           {"m.keras", keras(layer(`{"class_name":"Lambda","class_name":"Dense","config":{}}`)), []string{KerasLambda}},
		"CVE-2025-1550, a function of another module":      {"m.keras", keras(layer(`{"class_name":"function","module":"os","config":"system"}`)), []string{KerasLambda}},
		"CVE-2025-1550, a class of another module":         {"m.keras", keras(layer(`{"class_name":"Popen","module":"subprocess","config":{}}`)), []string{KerasLambda}},
		"modelscan, Keras's JSON without its archive":      {"model.json", []byte(layer(`{"class_name":"Lambda","config":{}}`)), []string{KerasLambda}},
		"Keras's JSON in a string":                         {"model.json", []byte(`"{\"class_name\":\"L\\u0061mbda\",\"config\":{}}"`), []string{KerasLambda}},
		"Keras's JSON behind others":                       {"a.jsonl", []byte("{}\n" + layer(`{"class_name":"Lambda","config":{}}`) + "\n!"), []string{KerasLambda}},
		"Keras's JSON with a number that is none":          {"model.json", []byte(`{"a":NaN,"class_name":"Lambda","config":{"b":-Infinity}}`), []string{KerasLambda}},
		"Keras's YAML":                          {"model.yaml", []byte("class_name: Sequential\nconfig:\n  layers:\n  - {class_name: Lambda, config: {}}\n"), []string{KerasLambda}},
		"Keras's YAML, by an alias":             {"model.yaml", []byte("a: &l Lambda\nclass_name: *l\nconfig: {}\n"), []string{KerasLambda}},
		"modelscan, TensorFlow writes a file":   {"saved_model.pb", savedOf("WriteFile"), []string{SavedModelOps}},
		"TensorFlow reads a file in a function": {"saved_model.pb", slices.Concat(number(1, 1), message(2, message(2, message(2, message(1, message(3, message(2, []byte("ReadFile")))))))), []string{SavedModelOps}},
		"TensorFlow calls Python":               {"saved_model.pb", savedOf("EagerPyFunc"), []string{SavedModelOps}},
		"TensorFlow, written to pass for ONNX":  {"m.onnx", append(savedOf("WriteFile"), onnxOf(nil)...), []string{Unknown}},
		"ONNX, written to pass for TensorFlow":  {"m.onnx", append(onnxOf(nil), savedOf("WriteFile")[2:]...), []string{Unknown}},
	}
	for _, name := range []string{"pip main", "timeit timeit", "pkgutil resolve_name", "idlelib.pyshell ModifiedInterpreter.runcode", "ensurepip _run_pip", "_operator attrgetter", "logging FileHandler", "asyncio.unix_events _UnixSubprocessTransport._start", "importlib import_module", "numpy.testing._private.utils runstring"} {
		module, function, _ := strings.Cut(name, " ")
		cases["CVE-2025-1716 and others, "+name] = struct {
			name    string
			content []byte
			want    []string
		}{"m", []byte(call(module, function)), []string{Pickle}}
	}
	for name, c := range cases {
		if got := sniffBytes(c.name, c.content); !slices.Contains(c.want, got) {
			t.Errorf("%s: %s, want %s", name, got, c.want)
		}
	}
}

func savedOf(op string) []byte {
	return slices.Concat(number(1, 1), message(2, message(1, []byte("\x22\x05serve")), message(2, message(1, message(1, []byte("n")), message(2, []byte(op))))))
}

func TestWhatStandsInASafeFormatIsHeldToIt(t *testing.T) {
	node := func(op, domain string) []byte { return message(1, message(4, []byte(op)), message(7, []byte(domain))) }
	outside := func(key, value string) []byte {
		return slices.Concat(number(1, 8), message(7, message(5, message(8, []byte("w")), message(13, message(1, []byte(key)), message(2, []byte(value))))), message(8, number(2, 17)))
	}
	skops := func(nodes string, more ...string) []byte {
		return zipOf(append([]string{"schema.json", nodes}, more...)...)
	}
	of := func(loader, name, rest string) string {
		module, class, _ := strings.Cut(name, ":")
		return `{"__class__":"` + class + `","__module__":"` + module + `","__loader__":"` + loader + `"` + rest + `}`
	}
	array := string(npyOf("{'descr': '<f8', 'fortran_order': False, 'shape': (1,), }", make([]byte, 8)))
	tiny := real(t, "tiny.gguf")
	for name, c := range map[string]struct {
		content []byte
		want    string
	}{
		"ONNX": {onnxOf([]byte("abcd"), node("Relu", "")), ONNX}, "ONNX, an operator of ONNX Runtime": {onnxOf(nil, node("FusedConv", "com.microsoft")), ONNX},
		"ONNX, an operator of somebody's":            {onnxOf(nil, node("F", "org.evil")), ONNXCustom},
		"ONNX, Python by ONNX Runtime":               {onnxOf(nil, node("PythonOp", "com.microsoft")), ONNXCustom},
		"ONNX, Python by its extensions":             {onnxOf(nil, node("PyOp", "ai.onnx.contrib")), ONNXCustom},
		"ONNX, PyTorch's own operators":              {onnxOf(nil, node("aten", "org.pytorch.aten")), ONNXCustom},
		"ONNX, an operator that the model defines":   {append(onnxOf(nil, node("F", "loc")), message(25, message(1, []byte("F")), message(10, []byte("loc")))...), ONNX},
		"ONNX, one more that it does not define":     {append(onnxOf(nil, node("F", "loc"), node("G", "loc")), message(25, message(1, []byte("F")), message(10, []byte("loc")))...), ONNXCustom},
		"ONNX, an operator in a branch":              {onnxOf(nil, message(1, message(4, []byte("If")), message(5, message(6, node("F", "evil"))))), ONNXCustom},
		"ONNX, weights beside it":                    {outside("location", "w/model.bin"), ONNX},
		"ONNX, weights above it":                     {outside("location", "../model.bin"), ONNXOutside},
		"ONNX, weights above it, in the middle":      {outside("location", "a/../../b"), ONNXOutside},
		"ONNX, weights anywhere":                     {outside("location", "/etc/passwd"), ONNXOutside},
		"ONNX, weights on another system":            {outside("location", `..\b`), ONNXOutside},
		"ONNX, weights on a drive":                   {outside("location", "c:b"), ONNXOutside},
		"ONNX, a key that sets something else":       {outside("basepath", "/etc"), ONNXOutside},
		"ONNX, a field that is not known":            {append(onnxOf(nil), message(99, []byte("x"))...), Unknown},
		"ONNX, two graphs":                           {append(onnxOf(nil), message(7, message(2, []byte("g")))...), Unknown},
		"ONNX, a number that is longer than need be": {append(onnxOf(nil), 0x28, 0x80, 0x00), Unknown},
		"GGUF":                                        {ggufOf(32, []byte("abcd")), GGUF},
		"GGUF, cut in its tensors":                    {tiny[:len(tiny)-8], Unknown},
		"GGUF, something behind":                      {append(bytes.Clone(tiny), 1), Unknown},
		"GGUF, something between":                     {edit(tiny, bytes.LastIndex(tiny, []byte("t\x01"))+30, 1), Unknown},
		"GGUF, more tensors than there are":           {edit(tiny, 8, 2), Unknown},
		"GGUF, a key twice":                           {ggufOf(32, nil, "a", "b", "a", "c"), Unknown},
		"GGUF, a type that is not known":              {edit(tiny, bytes.LastIndex(tiny, []byte("t\x01"))+13, 200), Unknown},
		"GGUF, no more than its header":               {[]byte("GGUF\x03\x00\x00\x00" + strings.Repeat("\x00", 16)), GGUF},
		"safetensors, a type that is not known":       {safetensors(`{"w":{"dtype":"OBJ","shape":[4],"data_offsets":[0,4]}}`, 4), Unknown},
		"safetensors, a shape that does not fit":      {safetensors(`{"w":{"dtype":"U8","shape":[5],"data_offsets":[0,4]}}`, 4), Unknown},
		"safetensors, a shape that runs over":         {safetensors(`{"w":{"dtype":"F32","shape":[4611686018427387905],"data_offsets":[0,4]}}`, 4), Unknown},
		"safetensors, something that is not a tensor": {safetensors(`{"w":{"dtype":"U8","shape":[4],"data_offsets":[0,4],"code":"x"}}`, 4), Unknown},
		"safetensors, a name twice":                   {safetensors(`{"w":{"dtype":"U8","shape":[2],"data_offsets":[0,2]},"w":{"dtype":"U8","shape":[2],"data_offsets":[2,4]}}`, 4), Unknown},
		"safetensors, two headers":                    {safetensors(`{"w":{"dtype":"U8","shape":[4],"data_offsets":[0,4]}}{}`, 4), Unknown},
		"safetensors, metadata that is not text":      {safetensors(`{"__metadata__":{"a":1}}`, 0), Unknown},
		"skops":                                       {skops(of("ListNode", "builtins:list", `,"content":[`+of("NdArrayNode", "numpy:ndarray", `,"type":"numpy","file":"1.npy"`)+`]`), "1.npy", array), Skops},
		"skops, a member that no node names":          {skops(of("ListNode", "builtins:list", `,"content":[]`), "1.npy", array), Zip},
		"skops, a node that names no member":          {skops(of("NdArrayNode", "numpy:ndarray", `,"type":"numpy","file":"1.npy"`)), SkopsForeign},
		"skops, a member that is no array":            {skops(of("BytesNode", "builtins:bytes", `,"file":"1.txt"`), "1.txt", "text"), Zip},
		"skops, a type of Python's that acts":         {skops(of("TypeNode", "builtins:eval", "")), SkopsForeign},
		"skops, a function":                           {skops(of("FunctionNode", "os:system", "")), SkopsForeign},
		"skops, a function of NumPy's that reads":     {skops(of("FunctionNode", "numpy:load", "")), SkopsForeign},
		"skops, a function of numbers":                {skops(of("FunctionNode", "numpy:log1p", "")), Skops},
		"skops, a call by a tree":                     {skops(of("TreeNode", "sklearn.tree._export:export_graphviz", "")), SkopsForeign},
		"skops, a call by a constructor":              {skops(of("ConstructorFromReduceNode", "sklearn.datasets._base:load_files", "")), SkopsForeign},
		"skops, a method":                             {skops(of("MethodNode", "sklearn.svm._classes:SVC", `,"content":{"func":"fit","obj":{}}`)), SkopsForeign},
		"skops, an operator (CVE-2025-54412)":         {skops(of("OperatorFuncNode", "builtins:int", `,"attrs":{}`)), SkopsForeign},
		"skops, a class of somebody's":                {skops(of("ObjectNode", "mycode:Model", "")), SkopsForeign},
		"skops, a class in letters that are escaped":  {skops(of("ObjectNode", `my\u0063ode:Model`, "")), SkopsForeign},
		"skops, a class twice":                        {skops(of("ObjectNode", "sklearn.svm._classes:SVC", `,"__module__":"os"`)), SkopsForeign},
		"skops, a path to a class":                    {skops(of("ObjectNode", "sklearn.svm:_base.os.X", "")), SkopsForeign},
		"skops, Keras beside it":                      {skops(of("ListNode", "builtins:list", `,"content":[]`), "config.json", "{}"), Zip},
		"skops without nodes":                         {skops("{}"), SkopsForeign},
		"NumPy, a type in letters that are escaped":   {npyOf(`{'descr': '\x7cO', 'fortran_order': False, 'shape': (1,), }`, make([]byte, 8)), NumPyObject},
		"NumPy, a type by its long name":              {npyOf(`{'descr': 'object', 'fortran_order': False, 'shape': (1,), }`, make([]byte, 8)), NumPyObject},
		"NumPy, objects in a structure":               {npyOf(`{'descr': [('a', '<i4'), ('b', '|O')], 'fortran_order': False, 'shape': (1,), }`, make([]byte, 12)), NumPyObject},
		"NumPy, a structure":                          {npyOf(`{'descr': [('a', '<i4'), ('b', '<f8', (2,))], 'fortran_order': False, 'shape': (2,), }`, make([]byte, 40)), NumPy},
		"NumPy, something behind":                     {npyOf(`{'descr': '<i4', 'fortran_order': False, 'shape': (1,), }`, make([]byte, 5)), Unknown},
		"a pointer of Git LFS":                        {[]byte("version https://git-lfs.github.com/spec/v1\noid sha256:aa\nsize 3\n"), LFSPointer},
		"R's objects, with a line in front":           {[]byte("\nA\n2\n197888\n131840\n"), RDS},
		"a tar without its magic word":                {oldTar(), Tar},
		"zlib of another level":                       {[]byte("x^" + string(squeezed("zlib", []byte(systemCall))[2:])), Compressed},
		"JSON that nests deeper than Python":          {[]byte(strings.Repeat("[", 5000) + strings.Repeat("]", 5000)), Unknown},
		"a letter that begins with A":                 {[]byte("A\nquick fox\n"), Text},
		"prose with marks":                            {[]byte("Take care! !important\nor !not: it is <b>.\n"), Text},
	} {
		if got := sniffBytes("model", c.content); got != c.want {
			t.Errorf("%s: %s, want %s", name, got, c.want)
		}
	}
}

func edit(b []byte, at int, to byte) []byte {
	b = bytes.Clone(b)
	b[at] = to
	return b
}

// oldTar is a header of text alone, of before tar's headers had a word of their own.
func oldTar() []byte {
	b := []byte(strings.Repeat(" ", 512))
	copy(b, "pickle")
	for i := range 2 { // the sum stands in the text that it is of, as spaces
		sum := 0
		for _, c := range b {
			sum += int(c)
		}
		if i == 0 {
			copy(b[148:], octal(sum))
		}
	}
	return b
}

func octal(n int) string {
	out := ""
	for ; n > 0; n /= 8 {
		out = string(rune('0'+n%8)) + out
	}
	return out
}

func TestYAMLTagsAreResolved(t *testing.T) {
	long := strings.Repeat("key: value of some length\n", 8000)
	for text, want := range map[string]string{
		"w: !!%70ython/object/apply:os.system ['true']\n":                              YAMLObject,
		"%TAG ! tag:yaml.org,2002:pyth\n---\nw: !on/object/apply:os.system ['true']\n": YAMLObject,
		"%TAG !e! tag:yaml.org,2002:python/\n---\nw: !e!name:os.system\n":              YAMLObject,
		"w: !<%74ag:yaml.org,2002:python/object/apply:os.system> ['true']\n":           YAMLObject,
		"w: !<tag:yaml.org,2002:python/name:os.system>\n":                              YAMLObject,
		"!!javax.script.ScriptEngineManager [!!java.net.URLClassLoader [[]]]\n":        YAMLObject,
		"!<%74ag:yaml.org,2002:python/name:os.system> x\n]\n":                          YAMLObject,
		"w: !ruby/object:Gem::Installer\n":                                             YAMLObject,
		"a: 1\n---\nw: !!python/name:os.system\n":                                      YAMLObject,
		"w: !!python/name:os.system\n---\n]\n":                                         YAMLObject,
		"w: !!python/name:os.system\nw: [}\n":                                          YAMLObject,
		"{a: !!python/name:os.system , ]":                                              YAMLObject,
		"\ufeffw: !!python/name:os.system\n":                                           YAMLObject,
		"# a long one\n" + long + "w: !!python/name:os.system\n":                       YAMLObject,
		long + "w: !!%50ython/name:os.system\n":                                        YAMLObject,
		long + "%TAG ! x\n":                                                            YAMLObject,
		long + "class_name: Lambda\n":                                                  Unknown,
		"a: !!str 1\nb: !!set {x}\nc: !!binary aGk=\n":                                 YAML,
		"a: 1\n": YAML,
		strings.Repeat("! !\n!! !!\nab cd\n", 30000):      Text,
		"Done!!  It works! !really, it does !yes.\n- a\n": Text,
	} {
		if got := sniffBytes("model.yaml", []byte(text)); got != want {
			t.Errorf("%.60q is %s, want %s", text, got, want)
		}
	}
}

func TestWhatASafeFileCarriesIsToldApart(t *testing.T) {
	for name, c := range map[string]struct {
		content []byte
		format  string
		carries string
	}{
		"GGUF":              {ggufOf(32, nil, "tokenizer.chat_template", "{{ x }}"), GGUF, ChatTemplate},
		"GGUF, one of many": {ggufOf(32, nil, "tokenizer.chat_template.tool_use", "{{ x }}"), GGUF, ChatTemplate},
		"GGUF without":      {ggufOf(32, nil, "general.name", "x"), GGUF, ""},
		"tokenizer":         {[]byte(`{"a":{"chat_templat\u0065":"{{ x }}"}}`), JSON, ChatTemplate},
		"configuration":     {[]byte(`{"auto_map":{"AutoModel":"somebody/repo--modeling.Model"}}`), JSON, RemoteCode},
		"template":          {[]byte("{% for m in messages %}{{ m }}{% endfor %}\n"), Text, ChatTemplate},
		"YAML":              {[]byte("chat_template: x\n"), YAML, ChatTemplate},
	} {
		got := Inspect("model", bytes.NewReader(c.content), int64(len(c.content)))
		if got.Format != c.format || strings.Join(got.Carries, ",") != c.carries {
			t.Errorf("%s: %+v, want %s that carries %s", name, got, c.format, c.carries)
		}
	}
}
