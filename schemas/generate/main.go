// Command generate writes the JSON Schemas of the kinds, from their Go types and
// comments, into schemas/json. It is apart from package schemas so that the
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
	flag.Parse()
	if err := write(*src, *out); err != nil {
		fmt.Fprintln(os.Stderr, "generate:", err)
		os.Exit(1)
	}
}

func write(src, out string) error {
	files, err := Files(src)
	if err != nil {
		return err
	}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(out, name), text, 0o644); err != nil {
			return fmt.Errorf("write schema: %w", err)
		}
	}
	return nil
}
