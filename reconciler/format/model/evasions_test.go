// Ways past this scanner that were tried and got through, each with what it is now, and their
// harmless neighbours.

package model

import (
	"bytes"
	"strings"
	"testing"
)

func TestFormatsThatRunCodeFromTextAreFound(t *testing.T) {
	const graph = `meta_graphs { meta_info_def { tags: "serve" } graph_def { node { name: "n" op: "WriteFile" } } }`
	for name, c := range map[string]struct {
		path, content, format, carries string
	}{
		"jsonpickle, a call":                      {"m.json", `{"a": [{"py/reduce": [{"py/function": "os.system"}, {"py/tuple": ["id"]}]}]}`, JSONObject, ""},
		"jsonpickle, an object":                   {"m.json", `{"py\u002fobject": "subprocess.Popen", "py/newargs": ["id"]}`, JSONObject, ""},
		"jsonpickle, in a name":                   {"m.json", `{"json://{\"py/object\": \"a.B\"}": 1}`, JSONObject, ""},
		"jsonpickle, and more behind":             {"m.json", `{"py/type": "os.system"} x`, JSONObject, ""},
		"PMML with a file of the host":            {"m.pmml", `<?xml version="1.0"?><!DOCTYPE PMML [<!ENTITY a SYSTEM "file:///etc/passwd">]><PMML>&a;</PMML>`, XMLEntities, ""},
		"its type stands elsewhere":               {"m.xml", "\ufeff<!-- -->\n<!DOCTYPE net SYSTEM 'http://example.com/net.dtd'>\n<net/>", XMLEntities, ""},
		"XML in UTF-7":                            {"m.xml", `<?xml version='1.0' encoding = 'UTF-7'?>+ADwAIQ-DOCTYPE a SYSTEM "b"+AD4APA-a/>`, XMLEntities, ""},
		"XML in EBCDIC, far behind":               {"m.xml", `<?xml version="1.0"` + strings.Repeat(" ", 9999) + `encoding="IBM037"?><a/>`, XMLEntities, ""},
		"XML in Latin 1":                          {"m.xml", `<?xml version="1.0" encoding="ISO-8859-1"?><a/>`, Text, ""},
		"a web page":                              {"card.html", "<!DOCTYPE html>\n<title>Model card</title>\n", Text, ""},
		"a net of OpenVINO":                       {"net.xml", `<?xml version="1.0"?><net name="m" version="11"><layers/></net>`, Text, ""},
		"entities behind a comment of a megabyte": {"m.xml", "<!--" + strings.Repeat("<", 1<<20) + "--><!DOCTYPE a\n[\n<!ENTITY % b 'c'>]><a/>", XMLEntities, ""},
		"jsonpickle, as YAML":                     {"m.yaml", "a:\n  py/object: os.system\n", YAMLObject, ""},
		"jsonpickle, data alone":                  {"m.json", `{"a": {"py/tuple": [1, 2]}, "py": "py/object"}`, JSON, ""},
		"SavedModel as text, by its name":         {"1/Saved_Model.pbtxt", "# nothing", SavedModelOps, ""},
		"SavedModel as text":                      {"m.txt", graph, SavedModelOps, ""},
		"SavedModel as text, after a long remark": {"m.txt", strings.Repeat("# don't \"look\n", 200_000) + graph, SavedModelOps, ""},
		"SavedModel as text, a remark between":    {"m.txt", "meta_graphs # {\n:\n[<\n>]", SavedModelOps, ""},
		"a graph as text":                         {"graph.pbtxt", "versions { producer: 1 }\nnode <\n  op\n: 'ReadFile' >", SavedModelOps, ""},
		"a MetaGraphDef as text":                  {"m.meta", `meta_info_def { } graph_def: { }`, SavedModelOps, ""},
		"a graph in a string":                     {"m.txt", `a: "node { op: 'x' }"`, YAML, ""},
		"prose of graphs":                         {"README.md", "Each node has an op; see `meta_graphs`.\nnode: an op\n", Text, ""},
		"prose with a graph in it":                {"README.md", "# How to\n\nA graph looks like\n\n    node { name: \"x\" op: \"Placeholder\" }\n", Text, ""},
		"prose of a node and an op":               {"notes.txt", "the node [3] failed, so op 'x' was taken\n", Text, ""},
		"a list that is called node":              {"conf.yaml", "node: [1, 2]\nop: \"add\"\n", YAML, ""},
		"a graph as text, all forms of fields":    {"m.txt", "\ufeff[a.b/c] : -1e-3, node : [{ name: 'x' 'y' op\t: # c\n \"Read\" \"File\" }, <>]", SavedModelOps, ""},
		"a graph as text, a remark in a name":     {"m.txt", "a { [b.c/d # ]\n] { e: 1 } }\ngraph_def { }", SavedModelOps, ""},
		"a graph as text, of functions":           {"m.txt", "library { function { node_def { op: 'ReadFile' } } }", SavedModelOps, ""},
		"jsonpickle, in a long key":               {"m.json", `{"json://{\"py/reduce\": [` + strings.Repeat(" ", 2000) + `]}": 1}`, JSONObject, ""},
		"DOT":                                     {"g.dot", "digraph {\n  node [shape=box]\n  a -> b [label=\"op\"]\n}\n", Text, ""},
		"Hydra":                                   {"config.json", `{"optim": {"_target_": "os.system", "command": "id"}}`, JSON, CallByName},
		"Hydra, as YAML":                          {"config.yaml", "optim:\n  _target_: os.system\n  command: id\n", YAML, CallByName},
		"Lightning":                               {"config.yaml", "model:\n  class_path: os.system\n  init_args: {command: id}\n", YAML, CallByName},
		"torchtune":                               {"config.yaml", "m: {_component_: os.system}\n", YAML, CallByName},
		"Transformers, a pipeline of the model's": {"config.json", `{"custom_pipelines": {"t": {"impl": "p.P"}}}`, JSON, RemoteCode},
		"PEFT, a library by name":                 {"adapter_config.json", `{"auto_mapping": {"parent_library": "x"}}`, JSON, RemoteCode},
		"MLServer's settings":                     {"m/model-settings.json", `{"name": "m", "implementation": "os.system"}`, JSON, CallByName},
		"settings of something else":              {"settings.json", `{"implementation": "fast"}`, JSON, ""},
		"a class and its path":                    {"a.json", `{"class_path": "/usr/share/java"}`, JSON, ""},
	} {
		got := Inspect(c.path, bytes.NewReader([]byte(c.content)), int64(len(c.content)))
		if got.Format != c.format || strings.Join(got.Carries, ",") != c.carries {
			t.Errorf("%s: %+v, want %s that carries %q", name, got, c.format, c.carries)
		}
	}
}
