// The laws of reading modules: what Terraform refuses without a plan is told with its
// place, what it accepts is not, and nobody's file costs more than a little.

package terraform

import (
	"fmt"
	"io/fs"
	"runtime"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"golang.org/x/tools/txtar"
)

// files is a module written as file names and their texts.
func files(text string) fstest.MapFS {
	out := fstest.MapFS{}
	for _, f := range txtar.Parse([]byte(text)).Files {
		out[f.Name] = &fstest.MapFile{Data: f.Data}
	}
	return out
}

func say(all []Problem) string {
	var out []string
	for _, p := range all {
		out = append(out, fmt.Sprintf("%s%s:%d %s", p.Variable, p.File, p.Line, p.Message))
	}
	return strings.Join(out, "\n")
}

func TestBackendsAreSeenWhereTheyAreDeclared(t *testing.T) {
	for name, c := range map[string]struct{ files, want string }{
		"none":                {"-- main.tf --\nresource \"terraform_data\" \"a\" {}", ""},
		"s3":                  {"-- main.tf --\nterraform {\n  required_version = \">= 1\"\n  backend \"s3\" {\n key = \"k\"\n }\n}", "s3"},
		"one line":            {"-- main.tf --\nterraform {\nbackend \"gcs\" {}\n}", "gcs"},
		"cloud":               {"-- x.tf --\nterraform {\n  cloud {\n  }\n}", "cloud"},
		"tofu":                {"-- x.tofu --\nterraform {\n  backend \"http\" {}\n}", "http"},
		"in a comment":        {"-- main.tf --\nterraform {\n # backend \"s3\" {}\n /* backend \"s3\" {} */\n}", ""},
		"in a text":           {"-- main.tf --\nlocals {\n  a = <<E\nterraform {\n  backend \"s3\" {}\n}\nE\n}", ""},
		"after a brace":       {"-- main.tf --\nterraform {\n  required_version = \"}\"\n  backend \"s3\" {}\n}", "s3"},
		"after a comment":     {"-- main.tf --\nterraform {\n  /* # */ backend \"s3\" {}\n}", "s3"},
		"of a resource":       {"-- main.tf --\nterraform {\n}\nresource \"r\" \"n\" {\n  cloud {\n  }\n}", ""},
		"JSON":                {"-- main.tf.json --\n{\"terraform\":{\"backend\":{\"s3\":{}}}}", "s3"},
		"JSON list":           {"-- main.tf.json --\n{\"terraform\":[{\"required_version\":\"1\"},{\"cloud\":{}}]}", "cloud"},
		"JSON none":           {"-- main.tf.json --\n{\"resource\":{}}", ""},
		"broken JSON":         {"-- main.tf.json --\n{", ""},
		"of another module":   {"-- main.tf --\n-- sub/main.tf --\nterraform {\nbackend \"s3\" {}\n}", ""},
		"a file of values":    {"-- main.tf --\n-- x.tfvars --\nterraform {\nbackend \"s3\" {}\n}", ""},
		"overridden":          {"-- a_override.tf --\nterraform {\nbackend \"local\" {}\n}\n-- main.tf --\nterraform {\nbackend \"s3\" {}\n}", "local"},
		"a file set aside":    {"-- main.tf --\n-- .old.tf --\nterraform {\nbackend \"s3\" {}\n}\n-- old.tf~ --\nterraform {\nbackend \"s3\" {}\n}", ""},
		"beside a wrong file": {"-- a.tf --\nresource {\n-- main.tf --\nterraform {\nbackend \"s3\" {}\n}", "s3"},
	} {
		t.Run(name, func(t *testing.T) {
			if got := Backend(files(c.files)); got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}

// cases are modules with what is wrong with them; wrong is what Check says, in part, for
// each problem in turn. No problem: there is none, for Terraform neither.
var cases = map[string]struct {
	files string
	vars  map[string]any
	wrong []string
}{
	"in order": {`
-- main.tf --
variable "size" {}
variable "names" {
  type    = map(object({ a = optional(string) }))
  default = {}
}
variable "kept" { nullable = true }
locals {
  twice = [for s in var.names : s.a if s != null]
}
resource "terraform_data" "a" {
  for_each = var.names
  input    = { size = var.size, kept = var.kept, path = path.module, key = each.key, l = local.twice }
  lifecycle {
    ignore_changes       = [input]
    replace_triggered_by = [terraform_data.b[each.key].id]
  }
}
resource "terraform_data" "b" {
  for_each = var.names
  provisioner "local-exec" {
    command = "echo ${self.id}"
  }
}
module "inner" {
  source = "./inner"
  needed = terraform_data.b
  count  = 2
}
moved {
  from = module.older
  to   = module.inner[0]
}
output "o" {
  value = module.inner[*].out
}
-- values.auto.tfvars --
kept = "x"
-- inner/main.tf --
variable "needed" {}
variable "more" { default = 1 }
output "out" {
  value = var.needed
}
`, map[string]any{"size": 3}, nil},
	"an undeclared variable is used": {"-- main.tf --\nresource \"terraform_data\" \"a\" {\n  input = \"a-${var.nope}\"\n}", nil, []string{`main.tf:2 variable "nope" is used and not declared`}},
	"an undeclared local value":      {"-- main.tf --\nresource \"terraform_data\" \"a\" {\n  input = { a = [local.nope] }\n}", nil, []string{`main.tf:2 local value "nope" is`}},
	"an undeclared module":           {"-- main.tf --\noutput \"a\" {\n\n  value = module.nope.x\n}", nil, []string{`main.tf:3 module "nope" is`}},
	"an undeclared data source":      {"-- main.tf --\noutput \"a\" {\n  value = data.terraform_remote_state.nope.x\n}", nil, []string{`main.tf:2 data source terraform_remote_state.nope is`}},
	"an undeclared resource":         {"-- main.tf --\nresource \"terraform_data\" \"a\" {\n  input = terraform_data.b.id\n}", nil, []string{`main.tf:2 resource terraform_data.b is used and not declared`}},
	"an iterator like a resource":    {"-- main.tf --\nlocals {\n  of_all = [for my_item in [{ a = 1 }] : my_item.a]\n}\nresource \"terraform_data\" \"a\" {\n  input = local.of_all\n  lifecycle {\n    ignore_changes = [triggers_replace]\n  }\n}", nil, nil},
	"undeclared in JSON":             {"-- main.tf.json --\n{\"resource\": {\"terraform_data\": {\"a\": {\n  \"input\": {\"x\": [\"a-${var.nope}\"]}}}}}", nil, []string{`main.tf.json:2 variable "nope" is used and not declared`}},
	"a text of JSON":                 {"-- main.tf.json --\n{\"resource\": {\"terraform_data\": {\"a\": {\"input\": \"$${var.nope}\"}}}, \"variable\": {\"v\": {\"default\": \"1\"}}}", nil, nil},
	"a resource twice":               {"-- a.tf --\nresource \"terraform_data\" \"a\" {}\n-- b.tf --\n\nresource \"terraform_data\" \"a\" {}", nil, []string{`b.tf:2 resource terraform_data.a is declared already, at a.tf:1; rename`}},
	"a variable twice":               {"-- a.tf --\nvariable \"a\" { default = 1 }\nvariable \"a\" { default = 1 }", nil, []string{`a.tf:2 variable "a" is declared already, at a.tf:1`}},
	"a local value twice":            {"-- a.tf --\nlocals {\n  a = 1\n}\nlocals {\n  a = 1\n}", nil, []string{`a.tf:5 local value "a" is declared already, at a.tf:2`}},
	"overridden, and so twice":       {"-- a.tf --\nvariable \"a\" { default = 1 }\n-- a_override.tf --\nvariable \"a\" { default = 2 }", nil, nil},
	"versions of none":               {"-- main.tf --\nterraform {\n  required_version = \"newest\"\n}", nil, []string{`main.tf:2 required_version "newest" is no constraint`}},
	"a check of nothing":             {"-- main.tf --\ncheck \"h\" {\n}", nil, []string{`main.tf:1 check "h" has no assert block`}},
	"a variable without a value":     {"-- main.tf --\n\nvariable \"a\" {}", nil, []string{`main.tf:2 variable "a" has no value`}},
	"an undeclared one is passed":    {"-- main.tf --\nvariable \"a\" {}", map[string]any{"a": 1, "b": 2}, []string{`b:0 the module does not declare`}},
	"a syntax error":                 {"-- main.tf --\nresource \"terraform_data\" {", map[string]any{"x": 1}, []string{`main.tf:1 `}},
	"no name":                        {"-- main.tf --\n\nresource \"terraform_data\" {\n}", nil, []string{`main.tf:2 Missing name for resource`}},
	"JSON that is none":              {"-- main.tf.json --\n{\n  \"a\": ,\n}", nil, []string{`main.tf.json:2 `}},
	"a file of values that is none":  {"-- main.tf --\nvariable \"a\" {}\n-- terraform.tfvars --\na = = 1", nil, []string{`terraform.tfvars:1 `}},
	"a module that is not there":     {"-- main.tf --\nmodule \"m\" {\n  source = \"./gone\"\n}", nil, []string{`main.tf:2 module "m" is "./gone": it is not a folder`}},
	"a module without files":         {"-- main.tf --\nmodule \"m\" {\n  source = \"./sub\"\n}\n-- sub/a.txt --\n", nil, nil},
	"a module that is outside":       {"-- main.tf --\nmodule \"m\" {\n  source = \"./../other\"\n}", nil, []string{`main.tf:2 module "m" is "./../other", which is outside`}},
	"a module that calls itself":     {"-- main.tf --\nmodule \"m\" {\n  source = \"./\"\n}", nil, []string{`main.tf:2 module "m" is "./": it calls itself`}},
	"inside a local module":          {"-- main.tf --\nmodule \"m\" {\n  source = \"./sub\"\n}\n-- sub/a.tf --\noutput \"o\" {\n  value = var.nope\n}", nil, []string{`sub/a.tf:2 variable "nope" is used`}},
	"a syntax error in one":          {"-- main.tf --\nmodule \"m\" {\n  source = \"./sub\"\n  a      = 1\n}\n-- sub/a.tf --\noutput {", nil, []string{`sub/a.tf:1 `}},
	"a value too much for one":       {"-- main.tf --\nmodule \"m\" {\n  source = \"./sub\"\n  a      = 1\n}\n-- sub/a.tf --\n", nil, []string{`main.tf:3 module "m" is given "a", which "./sub" does not declare`}},
	"a value too few for one":        {"-- main.tf --\nmodule \"m\" {\n  source = \"./sub\"\n}\n-- sub/a.tf --\nvariable \"a\" {}", nil, []string{`main.tf:1 module "m" does not give "a"`}},
	"a precondition":                 {"-- main.tf --\nresource \"terraform_data\" \"a\" {\n  lifecycle {\n    precondition {\n      condition     = 1 == 2\n      error_message = \"no\"\n    }\n  }\n}", nil, []string{`main.tf:4 a precondition does not hold`}},
	"a precondition of a value":      {"-- main.tf --\nvariable \"n\" {\n  type = number\n}\nresource \"terraform_data\" \"a\" {\n  lifecycle {\n    precondition {\n      condition     = var.n > 2 && contains([\"a\"], \"a\")\n      error_message = \"no\"\n    }\n  }\n}", map[string]any{"n": "1"}, []string{`main.tf:7 a precondition does not hold`}},
	"a precondition of none":         {"-- main.tf --\nvariable \"n\" { default = 1 }\nresource \"terraform_data\" \"a\" {\n  count = 0\n  lifecycle {\n    precondition {\n      condition     = var.n == 2\n      error_message = \"no\"\n    }\n  }\n}", nil, nil},
	"a validation":                   {"-- main.tf --\nvariable \"n\" {\n  validation {\n    condition     = contains([\"a\", \"b\"], var.n)\n    error_message = \"a or b.\"\n  }\n}", map[string]any{"n": "c"}, []string{`main.tf:3 the value of variable "n" does not pass its validation`}},
	"a validation that holds":        {"-- main.tf --\nvariable \"n\" {\n  validation {\n    condition     = length(var.n) > 9 || contains([\"a\", \"c\"], var.n)\n    error_message = \"a or b.\"\n  }\n}", map[string]any{"n": "c"}, nil},
	"a data source of a check":       {"-- main.tf --\ncheck \"c\" {\n  data \"terraform_remote_state\" \"s\" {\n    backend = \"local\"\n  }\n  assert {\n    condition     = data.terraform_remote_state.s.outputs == {}\n    error_message = \"x\"\n  }\n}", nil, nil},
}

func TestWhatIsWrongWithAModuleIsSaidWithItsPlace(t *testing.T) {
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			got := Check(files(c.files), c.vars, nil)
			if len(got) != len(c.wrong) {
				t.Fatalf("got %d problems:\n%s", len(got), say(got))
			}
			for i, want := range c.wrong {
				if !strings.HasPrefix(say(got[i:i+1]), want) {
					t.Errorf("got %s, want %s", say(got[i:i+1]), want)
				}
			}
		})
	}
}

// TestVersionsAreHeldAgainstTheProgram: those of all modules that are read, by the one that reads them.
func TestVersionsAreHeldAgainstTheProgram(t *testing.T) {
	const asks = "terraform {\n  required_version = \"~> 1.6\"\n}"
	for name, c := range map[string]struct {
		files string
		by    Tool
		wrong string
	}{
		"allowed":            {"-- main.tf --\n" + asks, Tool{"terraform", "1.9.2"}, ""},
		"too old":            {"-- main.tf --\n" + asks, Tool{"terraform", "1.5.7"}, `main.tf:2 required_version is "~> 1.6", and terraform 1.5.7 is here; install`},
		"too new":            {"-- main.tf --\n" + asks, Tool{"tofu", "2.0.0"}, `main.tf:2 required_version is "~> 1.6", and tofu 2.0.0`},
		"of a called module": {"-- main.tf --\nmodule \"m\" {\n  source = \"./sub\"\n}\n-- sub/a.tf --\n" + asks, Tool{"terraform", "1.5.7"}, `sub/a.tf:2 required_version`},
		"in JSON":            {"-- main.tf.json --\n{\"terraform\": {\n\"required_version\": \">= 99\"}}", Tool{"terraform", "1.9.2"}, `main.tf.json:2 required_version`},
		"of the other one":   {"-- main.tf --\n" + asks + "\n-- main.tofu --\n", Tool{"tofu", "2.0.0"}, ""},
		"OpenTofu's own":     {"-- main.tofu --\n" + asks, Tool{"terraform", "1.5.7"}, ""},
		"not released":       {"-- main.tf --\n" + asks, Tool{"terraform", "1.5.0-beta1"}, ""},
		"not known":          {"-- main.tf --\n" + asks, Tool{}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			if got := say(Check(files(c.files), nil, func() Tool { return c.by })); !strings.HasPrefix(got, c.wrong) || c.wrong == "" && got != "" {
				t.Errorf("got %q, want %q", got, c.wrong)
			}
		})
	}
	Check(files("-- main.tf --\n"), nil, func() Tool { t.Error("the program is asked for where nothing asks for a version"); return Tool{} })
}

func TestALinkAmongAModulesFilesIsRefused(t *testing.T) {
	tree := fstest.MapFS{"main.tf": {Data: []byte("../secret.tf"), Mode: fs.ModeSymlink}, "b.tf": {Data: []byte("output \"a\" {\n  value = var.x\n}")}}
	if got := say(Check(tree, nil, nil)); !strings.HasPrefix(got, "main.tf:0 is not a plain file") || strings.Contains(got, "\n") {
		t.Error(got)
	}
}

// What hangs together as no person wrote it costs neither stack nor time, and says so or
// is left to Terraform.
func TestAModuleOfAStrangerCostsLittle(t *testing.T) {
	fill := func(before, again, after string) string {
		return before + strings.Repeat(again, (maxFile-len(before)-len(after))/len(again)) + after
	}
	for name, text := range map[string]string{
		"brackets":     fill("locals {\n  a = ", "(", "\n}"),
		"lists":        fill("locals {\n  a = ", "[", "\n}"),
		"objects":      fill("locals {\n  a = ", "{a=", "\n}"),
		"not":          fill("locals {\n  a = ", "!", "1\n}"),
		"not, in rows": fill("locals {\n  a = (", "!\n", "1)\n}"),
		"minus":        fill("locals {\n  a = ", "- ", "1\n}"),
		"conditions":   fill("locals {\n  a = ", "1?1:", "1\n}"),
		"sums":         fill("locals {\n  a = 1", "+1", "\n}"),
		"templates":    fill("locals {\n  a = \"", "${\"", "\"\n}"),
		"directives":   fill("locals {\n  a = \"", "%{if 1}", "\"\n}"),
		"loops":        fill("locals {\n  a = \"", "%{for a in b}", "\"\n}"),
		"indexes":      fill("locals {\n  a = b", "[b]", "\n}"),
		"splats":       fill("locals {\n  a = b", "[*]", "\n}"),
		"calls":        fill("locals {\n  a = ", "f(", "\n}"),
		"loops in":     fill("locals {\n  a = ", "[for a in ", "\n}"),
		"blocks":       fill("", "a {\n", ""),
		"empty blocks": fill("", "locals {}\n", ""),
		"variables":    fill("", "variable \"a\" {}\n", ""),
		"uses":         fill("locals {\n  a = [", "var.x,", "]\n}"),
		"heredocs":     fill("locals {\n", "a = <<E\n", "}"),
		"unknown":      fill("", "\x00\xff", ""),
	} {
		t.Run(name, func(t *testing.T) {
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			start := time.Now()
			Check(fstest.MapFS{"main.tf": {Data: []byte(text)}}, nil, nil)
			runtime.ReadMemStats(&after)
			if took, used := time.Since(start), after.TotalAlloc-before.TotalAlloc; took > time.Minute || used > 2<<30 {
				t.Errorf("%s and %d MiB", took, used>>20)
			}
		})
	}
	for name, text := range map[string]string{
		"lists": fill(`{"locals":`, "[", ""), "objects": fill(`{"locals":`, `{"a":`, ""), "expressions": fill(`{"module":{"a":{"source":"./`, "${", `"}}}`),
	} {
		t.Run("JSON "+name, func(t *testing.T) { Check(fstest.MapFS{"main.tf.json": {Data: []byte(text)}}, nil, nil) })
	}
	many := fstest.MapFS{}
	for i := range 300 {
		many[fmt.Sprintf("m%d/main.tf", i)] = &fstest.MapFile{Data: fmt.Appendf(nil, "module \"a\" {\n  source = \"../m%d\"\n}\nmodule \"b\" {\n  source = \"../m%d\"\n}", i+1, i+1)}
	}
	many["main.tf"] = &fstest.MapFile{Data: []byte("module \"a\" {\n  source = \"./m0\"\n}")}
	if got := Check(many, nil, nil); len(got) != 0 {
		t.Error(say(got))
	}
}

func FuzzCheck(f *testing.F) {
	for _, c := range cases {
		for name, file := range files(c.files) {
			f.Add(strings.HasSuffix(name, ".json"), file.Data)
		}
	}
	f.Fuzz(func(t *testing.T, inJSON bool, text []byte) {
		name := "main.tf"
		if inJSON {
			name = "main.tf.json"
		}
		tree := fstest.MapFS{name: {Data: text}, "terraform.tfvars": {Data: text}}
		for _, p := range Check(tree, map[string]any{"a": "b"}, nil) {
			if p.Message == "" || p.File == "" && p.Variable == "" {
				t.Errorf("%+v", p)
			}
		}
		Backend(tree)
	})
}

// TestATemplateOfJSONThatIsNestedTooDeeplyIsLeftToTerraform: the reader would run out of stack.
func TestATemplateOfJSONThatIsNestedTooDeeplyIsLeftToTerraform(t *testing.T) {
	deep := "${" + strings.Repeat("(", 100_000) + "var.nope" + strings.Repeat(")", 100_000) + "}"
	in := "-- main.tf.json --\n{\"resource\": {\"terraform_data\": {\"a\": {\"input\": \"" + deep + "\"}}}}"
	if got := Check(files(in), nil, nil); len(got) != 0 {
		t.Errorf("%d problems", len(got))
	}
}

// TestIteratorsOfDynamicBlocksAreNoResources, whatever they are called.
func TestIteratorsOfDynamicBlocksAreNoResources(t *testing.T) {
	in := "-- main.tf --\nresource \"aws_security_group\" \"g\" {\n  provider = my_aws.west\n  dynamic \"ip_range\" {\n    for_each = [1]\n    content {\n      cidr = ip_range.value\n    }\n  }\n" +
		"  dynamic \"x\" {\n    for_each = [1]\n    iterator = my_own\n    content {\n      y = my_own.value\n    }\n  }\n}"
	if got := Check(files(in), nil, nil); len(got) != 0 {
		t.Error(say(got))
	}
}
