// TensorFlow's SavedModel: a graph of operators and the functions that it calls. What it may hold is a list of
// operators that compute (savedops.txt), and none that reads or writes files, calls Python or other machines. One pair
// of functions is let through: the one that saves the variables, which no server runs, and the one that restores them,
// where it reads the file that its loader names and nothing else.

package model

import (
	_ "embed"
	"path"
	"slices"
	"strings"
)

// savedSchema is a SavedModel, as far as it says what is run (saved_model.proto, meta_graph.proto, graph.proto,
// function.proto and saved_object_graph.proto of TensorFlow 2.21).
var savedSchema = map[string]map[uint64]field{
	"saved":     {1: {kind: varint}, 2: many("meta")},
	"meta":      {1: {kind: blob}, 2: one("graph"), 3: one("saver"), 4: many("collection"), 5: many("signature"), 6: blobs, 7: one("objects")},
	"graph":     {1: many("node"), 2: one("library"), 3: {kind: varint}, 4: {kind: blob}, 5: {kind: blob}},
	"node":      {1: {kind: text}, 2: {kind: text}, 3: texts, 4: {kind: text}, 5: many("attribute"), 6: {kind: blob}, 7: {kind: blob}},
	"attribute": {1: {kind: text}, 2: one("value")},
	"value": {1: one("list"), 2: {kind: blob}, 3: {kind: varint}, 4: {kind: narrow}, 5: {kind: varint}, 6: {kind: varint}, 7: {kind: blob},
		8: {kind: blob}, 9: {kind: text}, 10: one("called")},
	"list":     {2: blobs, 3: {kind: numbers, many: true}, 4: {kind: narrows, many: true}, 5: {kind: numbers, many: true}, 6: {kind: numbers, many: true}, 7: blobs, 8: blobs, 9: many("called")},
	"called":   {1: {kind: text}, 2: many("attribute")},
	"library":  {1: many("function"), 2: many("gradient"), 3: blobs},
	"gradient": {1: {kind: text}, 2: {kind: text}},
	"function": {1: one("form"), 3: many("node"), 4: blobs, 5: many("attribute"), 6: blobs, 7: blobs, 8: blobs},
	"form": {1: {kind: text}, 2: many("argument"), 3: blobs, 4: blobs, 5: {kind: text}, 6: {kind: text}, 8: {kind: blob}, 16: {kind: varint},
		17: {kind: varint}, 18: {kind: varint}, 19: {kind: varint}, 20: texts, 21: {kind: varint}},
	"argument": {1: {kind: text}, 2: {kind: text}, 3: {kind: varint}, 4: {kind: text}, 5: {kind: text}, 6: {kind: text}, 7: blobs, 16: {kind: varint}, 17: {kind: blob}},
	"saver":    {1: {kind: text}, 2: {kind: text}, 3: {kind: text}, 4: {kind: varint}, 5: {kind: varint}, 6: {kind: narrow}, 7: {kind: varint}},

	// What names something to run.
	"collection": {1: {kind: text}, 2: one("items")},
	"items":      {1: one("names"), 2: {kind: blob}, 3: {kind: blob}, 4: {kind: blob}, 5: {kind: blob}},
	"names":      {1: texts},
	"signature":  {1: {kind: text}, 2: one("asked")},
	"asked":      {1: many("slot"), 2: many("slot"), 3: {kind: text}, 4: blobs},
	"slot":       {1: {kind: text}, 2: one("info")},
	"info":       {1: {kind: text}, 2: {kind: varint}, 3: {kind: blob}, 4: one("parts"), 5: one("composite")},
	"parts":      {1: {kind: text}, 2: {kind: text}, 3: {kind: text}},
	"composite":  {1: {kind: blob}, 2: many("info")},
	"objects":    {1: many("object"), 2: many("concrete")},
	"object": {1: blobs, 3: blobs, 4: one("user"), 5: {kind: blob}, 6: one("functions"), 7: {kind: blob}, 8: one("bare"), 9: {kind: blob}, 10: {kind: blob},
		11: blobs, 12: {kind: blob}, 13: {kind: text}, 14: {kind: blob}, 15: blobs, 16: {kind: text}},
	"user":      {1: {kind: text}, 2: {kind: blob}, 3: {kind: text}},
	"functions": {1: texts, 2: {kind: blob}},
	"bare":      {1: {kind: text}, 2: texts, 3: {kind: varint}, 4: {kind: blob}},
	"concrete":  {1: {kind: text}, 2: {kind: blob}},
}

var blobs = field{kind: blob, many: true}

//go:embed savedops.txt
var savedList string

// savedOps are the operators that compute, and do nothing else.
var savedOps = func() map[string]bool {
	out := map[string]bool{}
	for line := range strings.Lines(savedList) {
		if strings.HasPrefix(line, "#") {
			continue
		}
		for _, op := range strings.Fields(line) {
			out[op] = true
		}
	}
	return out
}()

// savedFiles are the operators of the functions that save and restore.
var savedFiles = []string{"RestoreV2", "SaveV2", "MergeV2Checkpoints"}

const (
	maxSavedText  = 8 << 20 // bytes of names that are kept
	maxSavedNodes = 1 << 17
)

// savedNode is a node of the graph itself.
type savedNode struct{ inputs, calls []string }

// savedFunction is a function of its library.
type savedFunction struct {
	arguments, calls []string
	files            []string // operators of savedFiles
	prefixes         []string // what is read, of each RestoreV2
	marked           bool     // it has an attribute that is not one of savedMarks
}

// savedMarks are the attributes of functions that TensorFlow writes to those that save and restore. By others, such as
// api_implements, its grappler puts one function in the place of another that the graph calls.
var savedMarks = []string{"_input_shapes", "_construction_context"}

// saved gathers what a SavedModel runs.
type saved struct {
	p     *protoReader
	kept  int
	nodes int
	no    bool // it holds what is not on the list, or more than is looked at

	graph     map[string]savedNode
	functions map[string]savedFunction
	runs      []string // names of nodes and functions that somebody may run
	saver     [4]string
	savers    int

	name, op        string // of the node that is read
	inputs, calls   []string
	form            string // of the function that is read
	arguments       []string
	files, prefixes []string
	within          []string // what the function calls
	marked          bool
}

// savedModel walks f; "" is none.
func savedModel(f file) string {
	s := &saved{graph: map[string]savedNode{}, functions: map[string]savedFunction{}}
	s.p = newProto(f, savedSchema)
	s.p.each, s.p.visit = s.text, s.end
	switch {
	case !s.p.message("saved", f.size, 0) || s.nodes == 0:
		return ""
	case s.no || !s.restoresItself():
		return SavedModelOps
	default:
		return SavedModel
	}
}

// text is one text of a message that is being read.
func (s *saved) text(message string, number uint64, text string) {
	switch {
	case message == "node" && number == 1:
		s.name = s.keep(text)
	case message == "node" && number == 2:
		s.op = text
	case message == "node" && number == 3:
		s.inputs = append(s.inputs, s.keep(text))
	case message == "called" && number == 1:
		s.calls = append(s.calls, s.keep(text))
	case message == "form" && number == 1:
		s.form = s.keep(text)
	case message == "attribute" && s.p.within[len(s.p.within)-2] == "function":
		s.marked = s.marked || !slices.Contains(savedMarks, text)
	case message == "argument" && number == 1:
		s.arguments = append(s.arguments, s.keep(text))
	case message == "saver" && number < 4:
		s.saver[number] = s.keep(text)
	case slices.Contains([]string{"gradient", "names", "concrete", "functions", "bare"}, message):
		s.runs = append(s.runs, s.keep(text))
	case message == "info", message == "parts":
		s.runs = append(s.runs, nodeOf(s.keep(text)))
	case message == "user" && number == 3 && text != "": // Keras's layers, which may be bytecode
		s.no = true
	}
}

// keep is a name, as long as there are not too many.
func (s *saved) keep(text string) string {
	if s.kept += len(text) + 16; s.no || s.kept > maxSavedText || text == longTerm {
		s.no = true
		return ""
	}
	return text
}

// end is the end of a message.
func (s *saved) end(message string, _ map[uint64]string) {
	switch message {
	case "node":
		s.node()
	case "function":
		if _, twice := s.functions[s.form]; twice || s.form == "" || savedOps[s.form] || slices.Contains(savedFiles, s.form) {
			s.no = true
		} else if !s.no {
			s.functions[s.form] = savedFunction{s.arguments, append(s.within, s.calls...), s.files, s.prefixes, s.marked}
		}
		s.form, s.arguments, s.files, s.prefixes, s.within, s.calls, s.marked = "", nil, nil, nil, nil, nil, false
	case "saver":
		s.savers++
	}
}

func (s *saved) node() {
	s.nodes++
	file := slices.Contains(savedFiles, s.op)
	s.no = s.no || s.nodes > maxSavedNodes || !savedOps[s.op] && !file
	if s.op == "RestoreV2" && len(s.inputs) > 0 {
		s.prefixes = append(s.prefixes, s.inputs[0])
	}
	switch {
	case s.no:
	case slices.Contains(s.p.within, "function"):
		s.within = append(s.within, s.calls...)
		if file {
			s.files = append(s.files, s.op)
		}
	default:
		_, twice := s.graph[s.name]
		s.no = twice || file // what TensorFlow 1 writes, whose restoring is no function of its own
		s.graph[s.name] = savedNode{s.inputs, s.calls}
	}
	s.name, s.op, s.inputs, s.calls = "", "", nil, nil
}

// restoresItself tells whether files are touched by nothing but what saves the variables, and what restores them from
// the file that the loader names.
func (s *saved) restoresItself() bool {
	touching := s.touching()
	if len(touching) == 0 {
		return true
	}
	filename, save, restore := nodeOf(s.saver[1]), nodeOf(s.saver[2]), nodeOf(s.saver[3])
	for name := range touching {
		if s.functions[name].marked {
			return false
		}
	}
	if s.savers != 1 || filename == "" || save == restore || save == filename || restore == filename {
		return false
	}
	acts := map[string]bool{}
	for name, n := range s.graph {
		if !slices.ContainsFunc(n.calls, func(c string) bool { return touching[c] }) {
			continue
		}
		if acts[name] = true; name != save && (name != restore || !s.restores(n, filename)) {
			return false
		}
	}
	for _, n := range s.graph { // nobody else has them run
		if slices.ContainsFunc(n.inputs, func(in string) bool { return acts[nodeOf(in)] }) {
			return false
		}
	}
	return !slices.ContainsFunc(s.runs, func(name string) bool { return acts[name] || touching[name] })
}

// touching are the functions that touch files, by themselves or by what they call.
func (s *saved) touching() map[string]bool {
	callers, next := map[string][]string{}, []string{}
	for name, f := range s.functions {
		for _, called := range f.calls {
			callers[called] = append(callers[called], name)
		}
		if len(f.files) > 0 {
			next = append(next, name)
		}
	}
	out := map[string]bool{}
	for len(next) > 0 {
		name := next[len(next)-1]
		if next = next[:len(next)-1]; !out[name] {
			out[name] = true
			next = append(next, callers[name]...)
		}
	}
	return out
}

// restores tells whether a node reads what its loader names, by one function, and no other file.
func (s *saved) restores(n savedNode, filename string) bool {
	if len(n.calls) != 1 {
		return false
	}
	f := s.functions[n.calls[0]]
	if slices.ContainsFunc(f.files, func(op string) bool { return op != "RestoreV2" }) || slices.ContainsFunc(f.calls, func(c string) bool { return len(s.functions[c].files)+len(s.functions[c].calls) > 0 }) {
		return false
	}
	for _, prefix := range f.prefixes {
		i := slices.Index(f.arguments, prefix)
		if i < 0 || i >= len(n.inputs) || nodeOf(n.inputs[i]) != filename || strings.HasPrefix(n.inputs[i], "^") {
			return false
		}
	}
	return true
}

// nodeOf is the node that a tensor or an input names.
func nodeOf(tensor string) string {
	name, _, _ := strings.Cut(strings.TrimPrefix(tensor, "^"), ":")
	return name
}

// savedParts are the files beside a SavedModel that belong to it, where they hold its variables and nothing else.
func savedParts(files []Member, reports []Report, scans []scan, at map[string]int) error {
	for i, m := range files {
		if reports[i].Format != SavedModel || path.Base(m.Path) != "saved_model.pb" {
			continue
		}
		beside := func(name string) int {
			to, there := at[path.Join(path.Dir(m.Path), name)]
			if !there || !scans[to].raw || reports[to].Format != Unknown {
				return -1
			}
			return to
		}
		if to := beside("fingerprint.pb"); to >= 0 {
			is, err := opened(files[to], isFingerprint)
			if err != nil {
				return err
			}
			if is {
				reports[to].Format = SavedModelData
			}
		}
		index := beside("variables/variables.index")
		if index < 0 {
			continue
		}
		var parts map[string][]reference
		whole, err := opened(files[index], func(f file) (ok bool) {
			parts, ok = bundle(f)
			return ok
		})
		if err != nil {
			return err
		}
		for name, held := range parts {
			to := beside("variables/" + name)
			if whole = whole && to >= 0 && !slices.ContainsFunc(held, func(r reference) bool { return r.until > files[to].Size }); !whole {
				break
			}
			all, err := covered(files[to], held)
			if err != nil {
				return err
			}
			if all {
				reports[to].Format = SavedModelData
			}
		}
		if whole {
			reports[index].Format = SavedModelData
		}
	}
	return nil
}

func opened(m Member, is func(f file) bool) (bool, error) {
	in, err := m.Open()
	if err != nil {
		return false, err
	}
	defer in.Close()
	return is(file{m.Path, in, m.Size}), nil
}

// isFingerprint tells whether f is a FingerprintDef (fingerprint.proto).
func isFingerprint(f file) bool {
	n := field{kind: varint}
	return newProto(f, map[string]map[uint64]field{"print": {1: n, 2: n, 3: n, 4: n, 5: n, 6: one("versions"), 7: {kind: text}},
		"versions": {1: n, 2: n, 3: {kind: numbers, many: true}}}).message("print", f.size, 0)
}
