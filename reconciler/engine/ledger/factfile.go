// Fact files are the newest fact of each ref in YAML, for people who browse the
// ledger branch. Nothing is read back from them.

package ledger

import (
	"fmt"
	"reflect"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/vishwaops/vishwa/reconciler/harmless"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/schemas"
)

type factFile struct {
	Ref      string              `yaml:"ref"`
	Action   Action              `yaml:"action"`
	Entry    string              `yaml:"entry"` // path of the entry that says so, signed
	Time     string              `yaml:"time"`
	Key      string              `yaml:"key,omitempty"`
	Revision string              `yaml:"revision,omitempty"`
	Author   string              `yaml:"author,omitempty"`
	Plan     string              `yaml:"plan,omitempty"`
	Policy   string              `yaml:"policy,omitempty"`
	Actor    string              `yaml:"actor"`
	Behalf   string              `yaml:"onBehalf,omitempty"` // pull-request:N@HEAD
	Approved []string            `yaml:"approvedBy,omitempty"`
	Reason   string              `yaml:"reason,omitempty"`
	Outputs  map[string]factItem `yaml:"outputs,omitempty"`
	Metrics  map[string]float64  `yaml:"metrics,omitempty"`
	Model    *factModel          `yaml:"model,omitempty"`
	Stack    *factStack          `yaml:"stack,omitempty"`
	Release  *factRelease        `yaml:"release,omitempty"`
}

type factItem struct {
	Name   string `yaml:"name,omitempty"`
	Digest string `yaml:"digest"`
	Size   int64  `yaml:"size"`
}

type factModel struct {
	Candidate  string   `yaml:"candidate"`
	Artifact   factItem `yaml:"artifact"`
	Signature  string   `yaml:"signature,omitempty"`
	Provenance string   `yaml:"provenance,omitempty"`
}

type factStack struct {
	Tool    string   `yaml:"tool"`
	Done    []string `yaml:"done,omitempty"`
	Outputs []string `yaml:"outputs,omitempty"`
}

type factRelease struct {
	Environment string `yaml:"environment"`
	URL         string `yaml:"url,omitempty"`
	Replaced    string `yaml:"replaced,omitempty"`
	Restores    int64  `yaml:"restores,omitempty"`
}

// FactFile is the file that tells people of e: facts/model/enrollment.yaml, or
// facts/training/enrollment/xgboost.yaml for an output. An entry that makes
// nothing so has no path. The same entry has the same bytes. It is shown by git and
// cat, so nothing in it steers a terminal; the entry holds what was there.
func FactFile(e Entry) (path string, text []byte, err error) {
	if !e.Action.makes() || e.Ref == (schemas.Ref{}) || e.Duplicate {
		return "", nil, nil
	}
	path = "facts/" + string(e.Ref.Kind) + "/" + e.Ref.Name
	if e.Ref.Output != "" {
		path += "/" + e.Ref.Output
	}
	f := factFile{
		Ref: e.Ref.String(), Action: e.Action, Entry: Path(e.Seq), Time: e.Time.UTC().Format(time.RFC3339),
		Key: string(e.Key), Revision: e.Revision, Author: e.Author, Plan: string(e.Plan), Policy: string(e.Policy),
		Actor: e.Actor, Approved: e.Approved, Reason: e.Reason, Metrics: e.Metrics,
		Behalf: e.PullRequest.String(),
	}
	if len(e.Outputs) > 0 {
		f.Outputs = map[string]factItem{}
		for _, a := range e.Outputs {
			f.Outputs[a.As] = item(a.Artifact)
		}
	}
	if m := e.Model; m != nil {
		f.Model = &factModel{m.Candidate.String(), item(m.Artifact), string(m.Signature), string(m.Provenance)}
	}
	if s := e.Stack; s != nil {
		f.Stack = &factStack{Tool: s.Tool, Outputs: s.Outputs}
		for _, a := range s.Done {
			f.Stack.Done = append(f.Stack.Done, a.Action+" "+a.Address)
		}
	}
	if r := e.Release; r != nil {
		f.Release = &factRelease{r.Environment, r.URL, string(r.Replaced), r.Restores}
	}
	tame(reflect.ValueOf(&f).Elem())
	text, err = yaml.Marshal(f)
	if err != nil {
		return "", nil, fmt.Errorf("write %s: %w", path, err)
	}
	return path + ".yaml", append([]byte("# Written by Vishwa for people; the signed entry is "+Path(e.Seq)+".\n"), text...), nil
}

// tame makes every text in v harmless, and one line: before it is written, as YAML for
// some texts of several lines cannot be read back.
func tame(v reflect.Value) {
	switch v.Kind() {
	case reflect.String:
		v.SetString(shown(v.String()))
	case reflect.Pointer:
		if !v.IsNil() {
			tame(v.Elem())
		}
	case reflect.Struct:
		for i := range v.NumField() {
			tame(v.Field(i))
		}
	case reflect.Slice:
		v.Set(reflect.AppendSlice(reflect.Zero(v.Type()), v)) // what is the entry's own stays as it is
		for i := range v.Len() {
			tame(v.Index(i))
		}
	case reflect.Map:
		if v.IsNil() {
			return
		}
		out := reflect.MakeMap(v.Type())
		for it := v.MapRange(); it.Next(); {
			key, value := reflect.New(v.Type().Key()).Elem(), reflect.New(v.Type().Elem()).Elem()
			key.SetString(shown(it.Key().String()))
			value.Set(it.Value())
			tame(value)
			out.SetMapIndex(key, value)
		}
		v.Set(out)
	}
}

func shown(text string) string { return harmless.Text(harmless.Line(text)) }

func item(a port.Artifact) factItem { return factItem{a.Name, string(a.Digest), a.Size} }
