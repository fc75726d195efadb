// The schemas that are committed are those that the types say.

package main

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
)

func TestSchemasAreFresh(t *testing.T) {
	files, err := Files("../../../schemas")
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range files {
		got, err := os.ReadFile(filepath.Join("../../../schemas/json", name))
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, want) {
			t.Errorf("%s is stale; run go generate ./schemas", name)
		}
	}
	pages, err := Pages(files, "../../../docs/reference/examples")
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range pages {
		got, err := os.ReadFile(filepath.Join("../../../docs/reference", name))
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("docs/reference/%s is stale (%v); run go generate ./schemas", name, err)
		}
	}
	if have, err := filepath.Glob("../../../schemas/json/*"); err != nil || len(have) != len(files) {
		t.Errorf("%d files stand where %d are made (%v); remove the others", len(have), len(files), err)
	}
}
