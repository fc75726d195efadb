// Building: the same commit gives the same bytes, whoever builds it and in whichever
// folder. So nothing of the machine goes into a program: no path, no C compiler's work,
// no state of the version control but what is given here.

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"strings"

	"github.com/vishwaops/vishwa/reconciler/fault"
)

// platform is a program, and what a release builds it for.
type platform struct{ program, os, arch string }

// platforms are all of them. The worker runs in containers alone, beside the name that vishwa looks for.
var platforms = []platform{
	{"vishwa", "linux", "amd64"}, {"vishwa", "linux", "arm64"}, {"vishwa", "darwin", "amd64"}, {"vishwa", "darwin", "arm64"},
	{"vishwa-worker", "linux", "amd64"}, {"vishwa-worker", "linux", "arm64"},
}

func (p platform) file() string { return p.program + "-" + p.os + "-" + p.arch }

// build is what goes into every program of a release.
type build struct {
	dir             string // of the sources; "": here
	version, commit string
}

// program builds the program for p at path.
func (b build) program(ctx context.Context, p platform, path string) error {
	stamp := fmt.Sprintf("-s -w -buildid= -X main.version=%s -X main.builtFrom=%s", b.version, b.commit)
	cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-buildvcs=false", "-gcflags=all=-dwarf=false", "-ldflags", stamp, "-o", path, "./cmd/"+p.program)
	cmd.Dir = b.dir
	// Settings of the machine that would change what is built.
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS="+p.os, "GOARCH="+p.arch, "GOFLAGS=", "GOEXPERIMENT=", "GOAMD64=v1", "GOARM64=v8.0", "GOFIPS140=off", "GOWORK=off")
	if said, err := cmd.CombinedOutput(); err != nil {
		return fault.WithHint(fault.New(fault.Invalid, "build %s for %s/%s: %w\n%s", p.program, p.os, p.arch, err, said), "make it build: go build ./cmd/%s", p.program)
	}
	return nil
}

// materials writes the software bill of materials of the program at path beside it, in
// CycloneDX: the modules that are in it, with their digests.
func materials(ctx context.Context, tool, path, version string) error {
	at := path + ".cdx.json"
	cmd := exec.CommandContext(ctx, tool, "bin", "-json", "-std", "-noserial", "-version", version, "-output", at, path)
	if said, err := cmd.CombinedOutput(); err != nil {
		return fault.WithHint(fault.New(fault.Invalid, "list what is in %s: %w\n%s", path, err, said), "name the program cyclonedx-gomod with --sbom; make release installs it")
	}
	raw, err := os.ReadFile(at)
	if err != nil {
		return fault.New(fault.Invalid, "read the bill of materials: %w", err)
	}
	if raw, err = timeless(raw); err != nil {
		return fault.New(fault.Invalid, "read the bill of materials of %s: %w", path, err)
	}
	return os.WriteFile(at, raw, 0o644)
}

// timeless is a bill of materials without the time at which it was written and without
// the digests of the tool that wrote it: both would differ where the program does not.
func timeless(raw []byte) ([]byte, error) {
	var bom map[string]any
	in := json.NewDecoder(bytes.NewReader(raw))
	in.UseNumber()
	if err := in.Decode(&bom); err != nil {
		return nil, err
	}
	meta, ok := bom["metadata"].(map[string]any)
	parts, listed := bom["components"].([]any)
	if !ok || !listed || len(parts) == 0 {
		return nil, fmt.Errorf("it lists nothing")
	}
	delete(meta, "timestamp")
	if tools, ok := meta["tools"].([]any); ok {
		for _, t := range tools {
			if tool, ok := t.(map[string]any); ok {
				delete(tool, "hashes")
			}
		}
	}
	var out strings.Builder
	enc := json.NewEncoder(&out)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	if err := enc.Encode(bom); err != nil {
		return nil, err
	}
	return []byte(out.String()), nil
}
