// What outlives a job: a runner is thrown away, and whatever was on its disk with it.

package ci

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"regexp"
	"slices"
	"strings"

	"github.com/vishwaops/vishwa/schemas"
)

// LocalStateProblems lists the infrastructure whose Terraform state the job would leave on
// its machine's disk: the next job would not find it, and would make everything
// again. Hosted machines keep nothing; on others a declared path is taken at its word.
func LocalStateProblems(decls []schemas.Declaration, tree fs.FS, hosted bool) (out []schemas.Problem) {
	for _, d := range decls {
		stack, ok := d.Spec.(schemas.Provisioned)
		if !ok {
			continue
		}
		spec := stack.Stack()
		if spec.State.Path != "" && !hosted {
			continue
		}
		module, err := fs.Sub(tree, spec.Module)
		if err != nil {
			continue // a module that is not there is reported by who loads it
		}
		if kind := backend(module); kind != "" && kind != "local" {
			continue
		}
		out = append(out, schemas.Problem{Pos: position(d, "spec.state"), Field: "spec.state", Message: fmt.Sprintf(
			"the Terraform state of %s would be on the runner's disk, which the next job does not find; declare a remote backend in the module %s, as in terraform { backend \"s3\" {} }, and configure it in spec.state.backend",
			d.Ref(), spec.Module)})
	}
	return out
}

// EphemeralWarnings says what of the declarations ends with the job, in whole sentences.
func EphemeralWarnings(decls []schemas.Declaration, hosted bool) (out []string) {
	if !hosted {
		return nil
	}
	var local []string
	for _, d := range decls {
		if spec, ok := d.Spec.(schemas.Serves); ok && spec.Serves().Local {
			local = append(local, d.Ref().String())
		}
	}
	if project := schemas.ProjectOf(decls); project != nil && project.Store != nil && project.Store.Dir != "" {
		out = append(out, "The store (spec.store.dir) is a folder of the runner, which is thrown away: keep it between jobs with the cache of GitHub Actions, or run on machines of your own.")
	}
	if len(local) > 0 {
		slices.Sort(local)
		out = append(out, "What is served by the runner itself ends with the job (target local): "+strings.Join(local, ", ")+".")
	}
	return out
}

func position(d schemas.Declaration, field string) schemas.Position {
	if d.Fields == nil {
		return d.Pos
	}
	return d.Fields(field)
}

var (
	noise    = regexp.MustCompile(`(?s)/\*.*?\*/|(?m)(?:#|//).*$`)
	settings = regexp.MustCompile(`(?m)^\s*terraform\s*\{`)
	remote   = regexp.MustCompile(`(?m)^\s*(?:backend\s+"?([-\w]+)"?|(cloud))\s*\{`)
)

// backend is the kind of backend that a module declares, "cloud", or "". It reads
// names and not HCL: where it is wrong, Terraform's own view decides later.
func backend(module fs.FS) string {
	entries, _ := fs.ReadDir(module, ".") // what cannot be read declares nothing
	for _, e := range entries {
		name := e.Name()
		inJSON := strings.HasSuffix(name, ".tf.json") || strings.HasSuffix(name, ".tofu.json")
		if !inJSON && !strings.HasSuffix(name, ".tf") && !strings.HasSuffix(name, ".tofu") || e.Type()&fs.ModeSymlink != 0 {
			continue
		}
		raw, err := fs.ReadFile(module, name)
		if err != nil {
			continue
		}
		kind := ""
		if inJSON {
			kind = backendInJSON(raw)
		} else {
			kind = backendInHCL(string(noise.ReplaceAll(raw, nil)))
		}
		if kind != "" {
			return kind
		}
	}
	return ""
}

func backendInHCL(text string) string {
	for _, at := range settings.FindAllStringIndex(text, -1) {
		body := text[at[1]:]
		depth := 1
		end := strings.IndexFunc(body, func(r rune) bool {
			switch r {
			case '{':
				depth++
			case '}':
				depth--
			}
			return depth == 0
		})
		if end >= 0 {
			body = body[:end]
		}
		if m := remote.FindStringSubmatch(body); m != nil {
			return m[1] + m[2]
		}
	}
	return ""
}

// backendInJSON reads Terraform's JSON syntax, in which a block is an object or a
// list of objects.
func backendInJSON(raw []byte) string {
	type block struct {
		Backend map[string]json.RawMessage `json:"backend"`
		Cloud   json.RawMessage            `json:"cloud"`
	}
	var one struct {
		Terraform block `json:"terraform"`
	}
	var many struct {
		Terraform []block `json:"terraform"`
	}
	if json.Unmarshal(raw, &one) == nil {
		many.Terraform = []block{one.Terraform}
	} else if json.Unmarshal(raw, &many) != nil {
		return ""
	}
	for _, b := range many.Terraform {
		for kind := range b.Backend {
			return kind
		}
		if b.Cloud != nil {
			return "cloud"
		}
	}
	return ""
}
