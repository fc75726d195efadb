// Command generate writes the JSON Schemas of the kinds, of trust.yaml and of the
// controller's file, from Go types and their comments, into schemas/json, and a page of
// each into docs/reference. It is apart from package schemas so that the
// reflection it needs is no part of the vishwa program.
package main

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
)

func main() {
	src := flag.String("src", ".", "folder of package schemas")
	out := flag.String("out", "json", "folder to write to")
	pages := flag.String("pages", "../docs/reference", "folder to write the pages to; their examples are below it")
	flag.Parse()
	if err := write(*src, *out, *pages); err != nil {
		fmt.Fprintln(os.Stderr, "generate:", err)
		os.Exit(1)
	}
}

func write(src, out, to string) error {
	files, err := Files(src)
	if err != nil {
		return err
	}
	pages, err := Pages(files, filepath.Join(to, "examples"))
	if err != nil {
		return err
	}
	for dir, all := range map[string]map[string][]byte{out: files, to: pages} {
		for name, text := range all {
			if err := os.WriteFile(filepath.Join(dir, name), text, 0o644); err != nil {
				return fmt.Errorf("write %s: %w", name, err)
			}
		}
	}
	return nil
}
