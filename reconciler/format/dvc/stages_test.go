// dvc.lock read with dvc.yaml: paths and switches as DVC has them.

package dvc

import (
	"fmt"
	"io/fs"
	"strings"
	"testing"
)

const emptyMD5 = "d41d8cd98f00b204e9800998ecf8427e"

// loadOuts reads a lock of one stage with outs beside a dvc.yaml, and tells what stands where.
func loadOuts(t *testing.T, yaml, params, stage string, outs ...string) (string, error) {
	t.Helper()
	lock := "schema: '2.0'\nstages:\n  " + stage + ":\n    cmd: x\n    outs:\n"
	for _, o := range outs {
		lock += "    - {path: " + o + ", hash: md5, md5: " + emptyMD5 + ", size: 0}\n"
	}
	files := map[string]string{"p/dvc.lock": lock, "p/dvc.yaml": yaml, "p/params.yaml": params}
	l, err := LoadLock("p/dvc.lock", func(name string) ([]byte, error) {
		if files[name] == "" {
			return nil, fmt.Errorf("read %s: %w", name, fs.ErrNotExist)
		}
		return []byte(files[name]), nil
	})
	if err != nil {
		return "", err
	}
	var b strings.Builder
	for _, s := range l.Stages {
		for _, o := range s.Outs {
			b.WriteString(o.Path)
			if o.NoCache {
				b.WriteString(" nocache")
			}
			if o.NoPush {
				b.WriteString(" nopush")
			}
			if o.Persist {
				b.WriteString(" persist")
			}
			if o.Remote != "" {
				b.WriteString(" remote=" + o.Remote)
			}
			b.WriteString(";")
			if at, ok := l.Out(o.Path); !ok || at.NoPush != o.NoPush {
				t.Errorf("Out(%s) is another", o.Path)
			}
		}
	}
	return b.String(), nil
}

func TestLockIsReadWithItsPipeline(t *testing.T) {
	for name, c := range map[string]struct{ yaml, params, stage, out, want, fails string }{
		"no dvc.yaml":     {out: "m", want: "m;"},
		"plain":           {yaml: "stages: {s: {cmd: x, outs: [m]}}", out: "m", want: "m;"},
		"wdir":            {yaml: "stages: {s: {cmd: x, wdir: sub, outs: [m]}}", out: "m", want: "sub/m;"},
		"wdir above":      {yaml: "stages: {s: {cmd: x, wdir: ../q, outs: [./m]}}", out: "m", want: "../q/m;"},
		"switches":        {yaml: "stages: {s: {cmd: x, outs: [m: {cache: false, push: false, persist: true, remote: r}]}}", out: "m", want: "m nocache nopush persist remote=r;"},
		"metrics":         {yaml: "stages: {s: {cmd: x, metrics: [m: {cache: false}]}}", out: "m", want: "m nocache;"},
		"plots":           {yaml: "stages: {s: {cmd: x, plots: [m: {x: a, push: false}]}}", out: "m", want: "m nopush;"},
		"a folder":        {yaml: "stages: {s: {cmd: x, outs: [m/: {persist: true}]}}", out: "m", want: "m persist;"},
		"an alias":        {yaml: "a: &a {cmd: x, wdir: sub, outs: [m]}\nstages: {s: *a}", out: "m", want: "sub/m;"},
		"stage gone":      {yaml: "stages: {t: {cmd: x, outs: [m]}}", out: "m", want: ""},
		"output gone":     {yaml: "stages: {s: {cmd: x, outs: [n]}}", out: "m", want: ""},
		"vars":            {yaml: "vars: [{d: {e: sub}}]\nstages: {s: {cmd: x, wdir: '${d.e}', outs: ['${d.e}.m']}}", out: "sub.m", want: "sub/sub.m;"},
		"params":          {yaml: "stages: {s: {cmd: x, wdir: '${d}', outs: [m]}}", params: "d: sub", out: "m", want: "sub/m;"},
		"stage's vars":    {yaml: "stages: {s: {cmd: x, vars: [{d: sub}], wdir: '${d}', outs: [m]}}", out: "m", want: "sub/m;"},
		"foreach list":    {yaml: "stages: {s: {foreach: [a, b], do: {cmd: x, wdir: '${item}', outs: ['${item}.m': {push: false}]}}}", stage: "s@b", out: "b.m", want: "b/b.m nopush;"},
		"foreach mapping": {yaml: "stages: {s: {foreach: {u: {d: a}}, do: {cmd: x, wdir: '${item.d}/${key}', outs: [m]}}}", stage: "s@u", out: "m", want: "a/u/m;"},
		"foreach of maps": {yaml: "stages: {s: {foreach: [{d: a}, {d: b}], do: {cmd: x, wdir: '${item.d}', outs: [m]}}}", stage: "s@1", out: "m", want: "b/m;"},
		"foreach params":  {yaml: "stages: {s: {foreach: '${l}', do: {cmd: x, wdir: '${item}', outs: [m]}}}", params: "l: [a, b]", stage: "s@a", out: "m", want: "a/m;"},
		"foreach itself":  {yaml: "stages: {s: {foreach: '${item}', do: {cmd: x, wdir: '${item.d}', outs: [m]}}}", stage: "s@a", out: "m", fails: "not known"},
		"matrix":          {yaml: "stages: {s: {matrix: {k: [a-b, a], l: [c, b-c]}, cmd: x, wdir: '${item.k}/${item.l}', outs: [m]}}", stage: "s@a-b-c", out: "m", want: "a-b/c/m;"},
		"matrix itself":   {yaml: "stages: {s: {matrix: {k: ['${item.k}']}, cmd: x, wdir: '${item.k}', outs: [m]}}", stage: "s@a", out: "m", fails: "not known"},
		"unknown wdir":    {yaml: "stages: {s: {cmd: x, wdir: '${nowhere}', outs: [m]}}", out: "m", fails: `the value of "${nowhere}" is not known`},
		"unknown path":    {yaml: "stages: {s: {cmd: x, outs: ['${nowhere}.m': {cache: false}]}}", out: "v.m", want: "v.m nocache;"},
		"no mapping":      {yaml: "stages: {s: {cmd: x, outs: [[m]]}}", out: "m", fails: "neither a name nor a mapping"},
		"no switch":       {yaml: "stages: {s: {cmd: x, outs: [m: {push: 7}]}}", out: "m", fails: "neither true nor false"},
	} {
		t.Run(name, func(t *testing.T) {
			stage := c.stage
			if stage == "" {
				stage = "s"
			}
			got, err := loadOuts(t, c.yaml, c.params, stage, c.out)
			if c.fails != "" {
				if err == nil || !strings.Contains(err.Error(), c.fails) {
					t.Fatalf("got %q, %v; want an error with %q", got, err, c.fails)
				}
				return
			}
			if err != nil || got != c.want {
				t.Errorf("got %q, %v; want %q", got, err, c.want)
			}
		})
	}
}

// A matrix of a stranger ends soon: 100 to the power of 20 combinations have that name's beginning.
func TestMatrixOfAStrangerEnds(t *testing.T) {
	keys, name := "", ""
	for i := range 20 {
		keys += fmt.Sprintf("k%d: [%s], ", i, strings.Repeat("a, ", 100))
		name += "a-"
	}
	_, err := loadOuts(t, "stages: {s: {matrix: {"+keys+"}, cmd: x, wdir: '${item.k0}', outs: [m]}}", "", "s@"+name+"b", "m")
	if err == nil {
		t.Error("a combination that is not there was found")
	}
}
