// A large model: made and kept, and verified, beside programs that read it once.

package main

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/vishwaops/vishwa/reconciler/port/porttest/beside"
)

const largeModel = `apiVersion: vishwa.dev/v1alpha1
kind: Training
metadata: {name: large}
spec:
  run: [sh, train.sh]
  code: [train.sh]
  params: {round: %[1]d}
  timeout: 1h
---
apiVersion: vishwa.dev/v1alpha1
kind: Model
metadata: {name: large}
spec:
  from: training/large
  select: {metric: score, goal: maximize}
`

// modelPlace is a repository whose training writes zeros as its model, in so many files: what they are costs nothing, and they hash as anything else.
func modelPlace(b *testing.B, program string, files int) (c *comparison, s estate, size int) {
	c = newComparison(b, program)
	s, size = newPlace(program, c.dir), beside.Size(3_000_000_000)
	s.write(b, "vishwa.yaml", "apiVersion: vishwa.dev/v1alpha1\nkind: Project\nmetadata: {name: large}\nspec: {}\n")
	header := fmt.Sprintf(`{"w":{"dtype":"U8","shape":[%[1]d],"data_offsets":[0,%[1]d]}}`, size/files)
	var script strings.Builder
	for i := range files {
		fmt.Fprintf(&script, "{ printf '\\%03o\\0\\0\\0\\0\\0\\0\\0%s'; head -c %d /dev/zero; } > \"$VISHWA_MODEL_DIR/weights-%d.safetensors\" && ", len(header), header, size/files, i+1)
	}
	s.write(b, "train.sh", script.String()+"echo '{\"score\": 1}' > \"$VISHWA_METRICS\"\n")
	s.write(b, "vishwa/large.yaml", fmt.Sprintf(largeModel, 0))
	s.begin(b)
	return c, s, size
}

// applyRow makes the model anew each time, which is written by the training, linked into the store and hashed there; the others write the file,
// copy it and hash the copy, once.
func applyRow(b *testing.B, program string) {
	openssl, cp := beside.Program(b, "openssl"), beside.Program(b, "cp")
	saysItIs(b, openssl, "version")
	c, s, size := modelPlace(b, program, 1)
	round := 0
	ours := s.command(b, program, "apply", "--yes").Side("vishwa")
	ours.Before = func() {
		round++
		c.remove(c.dir, ".local", ".cache") // what was kept of the round before
		s.write(b, "vishwa/large.yaml", fmt.Sprintf(largeModel, round))
		s.run(b, "git", "commit", "--quiet", "--all", "--message", "Train anew")
	}
	other := s.command(b, "/bin/sh", "-c", fmt.Sprintf("head -c %d /dev/zero > ../made && %s ../made ../copy && %s dgst -sha256 ../copy", size, cp, openssl)).Side("head, cp, openssl sha256")
	other.Before = func() { c.remove(c.dir, "made", "copy") }
	other.Goals = map[string]float64{"wall-ratio": 0.62}
	beside.Compare(b, beside.Case{Work: fmt.Sprintf("apply of a training whose model has %d MB", size/1e6), Ours: ours, Others: []beside.Side{other}})
}

// verifyRow verifies a released model: the files against both of the signature and the provenance. model_signing holds them against the
// signature, as we tell people to call it; openssl takes their sums, one after the other.
func verifyRow(b *testing.B, program string) {
	openssl, theirs := beside.Program(b, "openssl"), beside.Program(b, "model_signing")
	saysItIs(b, openssl, "version")
	saysItIs(b, theirs, "--version")
	for _, files := range []int{1, 4} {
		verifyOf(b, program, openssl, theirs, files)
	}
}

func verifyOf(b *testing.B, program, openssl, theirs string, files int) {
	_, s, size := modelPlace(b, program, files)
	s.run(b, program, "apply", "--yes")
	release := filepath.Join(filepath.Dir(s.dir), "release")
	out, _ := s.command(b, program, "verify", "model/large", "--out", release).Run()
	var same string
	for line := range strings.Lines(out) {
		if rest, ok := strings.CutPrefix(strings.TrimSpace(line), "model_signing "); ok {
			same = theirs + " " + rest
		}
	}
	shards, err := filepath.Glob(filepath.Join(release, "model", "weights-*.safetensors"))
	if err != nil || len(shards) != files || same == "" {
		b.Fatalf("%v: no command of model_signing, or not %d files, in\n%s", err, files, out)
	}
	other := s.command(b, "/bin/sh", "-c", same).Side("model_signing")
	other.Goals = map[string]float64{"wall-ratio": 1.5}
	sum := s.command(b, append([]string{openssl, "dgst", "-sha256"}, shards...)...).Side("openssl sha256")
	sum.Goals = map[string]float64{"wall-ratio": 0.95}
	work := fmt.Sprintf("verify a model of %d MB", size/1e6)
	if files > 1 {
		work += fmt.Sprintf(" in %d files", files)
	}
	beside.Compare(b, beside.Case{Work: work, Ours: s.command(b, program, "verify", filepath.Join(release, "model")).Side("vishwa"), Others: []beside.Side{other, sum}})
}
