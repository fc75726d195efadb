// vishwa init --monitoring: rules for Prometheus and dashboards for Grafana.

package main

import (
	"fmt"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/plural"
	"github.com/vishwaops/vishwa/templates"
)

// monitoringFiles writes the folder monitoring below dir. What is there stays as it is.
func (a *cli) monitoringFiles(dir string) error {
	files, err := templates.Monitoring()
	if err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fault.WithHint(fault.New(fault.Invalid, "make the folder: %w", err), "name a folder that you may write to")
	}
	var wrote, left []string
	for _, name := range slices.Sorted(maps.Keys(files)) {
		at := path.Join("monitoring", name)
		if _, err := os.Lstat(filepath.Join(dir, filepath.FromSlash(at))); err == nil {
			left = append(left, at)
			continue
		}
		if err := writeNew(dir, at, files[name]); err != nil {
			return err
		}
		wrote = append(wrote, at)
	}
	fmt.Fprintf(a.out, "Wrote %s to %s.\n", plural.Of(len(wrote), "file"), filepath.Join(dir, "monitoring"))
	if len(left) > 0 {
		fmt.Fprintf(a.out, "Not changed, as they already existed:\n\n  %s\n", strings.Join(left, "\n  "))
	}
	return nil
}
