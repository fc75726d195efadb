// Outputs of a dvc.lock that stands in no folder above them.

package graph

import (
	"fmt"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/vishwaops/vishwa/schemas"
)

func TestAnOutputIsFoundWhereverItsPipelineStands(t *testing.T) {
	const md5 = "d41d8cd98f00b204e9800998ecf8427e"
	lock := func(out string) *fstest.MapFile {
		return &fstest.MapFile{Data: []byte("schema: '2.0'\nstages:\n  s: {cmd: x, outs: [{path: '" + out + "', hash: md5, md5: " + md5 + ", size: 0}]}\n")}
	}
	yaml := func(wdir, out string) *fstest.MapFile {
		return &fstest.MapFile{Data: []byte("stages:\n  s: {cmd: x, wdir: '" + wdir + "', outs: ['" + out + "']}\n")}
	}
	many := fstest.MapFS{}
	for i := range maxLocks + 1 {
		many[fmt.Sprintf("p%04d/dvc.lock", i)] = lock("x")
	}
	for name, c := range map[string]struct {
		tree fstest.MapFS
		want string // the file that names it, or what is wrong
	}{
		"beside it, by wdir":             {fstest.MapFS{"pipelines/train/dvc.yaml": yaml("../..", "models/m"), "pipelines/train/dvc.lock": lock("models/m")}, "pipelines/train/dvc.lock"},
		"beside it, by its path":         {fstest.MapFS{"pipelines/dvc.yaml": yaml(".", "../models/m"), "pipelines/dvc.lock": lock("../models/m")}, "pipelines/dvc.lock"},
		"above it":                       {fstest.MapFS{"dvc.lock": lock("models/m"), "z/dvc.lock": lock("../models/m")}, "dvc.lock"},
		"by two":                         {fstest.MapFS{"a/dvc.lock": lock("../models/m"), "b/dvc.lock": lock("../models/m")}, "a/dvc.lock and b/dvc.lock both have models/m"},
		"nowhere":                        {fstest.MapFS{"a/dvc.lock": lock("m")}, "no models/m.dvc and no dvc.lock has models/m; add the data"},
		"in data, which is not read":     {fstest.MapFS{"raw.dvc": {Data: []byte("outs: [{path: raw, md5: " + md5 + ".dir}]")}, "raw/x/dvc.lock": lock("../../models/m")}, "no dvc.lock has models/m"},
		"in a repository of its own":     {fstest.MapFS{"sub/.dvc/config": {}, "sub/dvc.lock": lock("../models/m")}, "no dvc.lock has models/m"},
		"out of the repository":          {fstest.MapFS{"a/dvc.lock": lock("../../models/m")}, "no dvc.lock has models/m"},
		"beside one that cannot be read": {fstest.MapFS{"a/dvc.lock": {Data: []byte("stages: [")}, "b/dvc.lock": lock("../models/m")}, "b/dvc.lock"},
		"perhaps in one that cannot be":  {fstest.MapFS{"a/dvc.lock": {Data: []byte("stages: [")}}, "as far as they can be read: a/dvc.lock"},
		"among too many":                 {many, "were looked at"},
	} {
		t.Run(name, func(t *testing.T) {
			d := tracked("models/m")
			pins, problems := Survey(c.tree, []schemas.Declaration{d})
			got := ""
			for _, p := range pins.Points {
				got = p.File + " " + p.Path
			}
			if len(problems) > 0 {
				got = problems[0].Message
			}
			if !strings.Contains(got, c.want) {
				t.Errorf("%q, want %q", got, c.want)
			}
			if len(problems) == 0 && !strings.HasSuffix(got, " models/m") {
				t.Errorf("it is placed at %q", got)
			}
		})
	}
}
