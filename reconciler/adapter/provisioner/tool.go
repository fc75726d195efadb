// Which program does the work: terraform or tofu, found once, asked for its
// product and version, and refused where it is too old.

package provisioner

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/hashicorp/go-version"

	"github.com/vishwaops/vishwa/reconciler/fault"
	format "github.com/vishwaops/vishwa/reconciler/format/terraform"
	"github.com/vishwaops/vishwa/reconciler/lazyregexp"
)

// tool is the program that was found. The two products count their versions
// apart, so nothing may be concluded from the number alone.
type tool struct {
	path    string
	product string // terraform or tofu
	version string
}

func (t tool) String() string { return t.product + " " + t.version }

// oldest is the first version of each product with all that is used here: JSON
// messages from plan and apply, complete drift in the plan, terraform_data.
var oldest = map[string]*version.Version{
	"terraform": version.Must(version.NewVersion("1.4.0")),
	"tofu":      version.Must(version.NewVersion("1.6.0")),
}

const install = "install Terraform 1.4 or newer (https://developer.hashicorp.com/terraform/install) or OpenTofu 1.6 or newer (https://opentofu.org/docs/intro/install), and see that its folder is on PATH; in a checkout of Vishwa, make demo and make test build and use an OpenTofu of their own"

// tool finds the program once for all stacks.
func (t *Stacks) tool(ctx context.Context, env map[string]string) (tool, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.found.path != "" {
		return t.found, nil
	}
	path, err := find(t.cfg.Tool, env["PATH"])
	if err != nil {
		return tool{}, err
	}
	found, err := probe(ctx, path, env)
	if err != nil {
		return tool{}, err
	}
	t.cfg.Env.Log.Debug("provisioning tool found", "tool", found.String(), "path", path)
	t.found = found
	return found, nil
}

// find looks for the program in the given PATH, not in this process's own.
func find(override, path string) (string, error) {
	if override != "" {
		if !executable(override) {
			return "", fault.WithHint(fault.New(fault.Missing, "find terraform or tofu: %s is not a program that can be run", override), "%s", install)
		}
		return filepath.Abs(override)
	}
	for _, name := range []string{"terraform", "tofu"} {
		for _, dir := range filepath.SplitList(path) {
			// A relative folder on PATH would run whatever a repository puts there.
			if file := filepath.Join(dir, name); filepath.IsAbs(dir) && executable(file) {
				return file, nil
			}
		}
	}
	return "", fault.WithHint(fault.New(fault.Missing, "neither terraform nor tofu is on PATH"), "%s", install)
}

func executable(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular() && info.Mode()&0o111 != 0
}

var banner = lazyregexp.New(`(?m)^(Terraform|OpenTofu) v([0-9]+\.[0-9]+\.[0-9]+[-.+0-9A-Za-z]*)`)

// probe reads the product and version from the banner: `version -json` names the
// number terraform_version in both products.
func probe(ctx context.Context, path string, env map[string]string) (tool, error) {
	cmd := exec.CommandContext(ctx, path, "version")
	for k, v := range env {
		cmd.Env = append(cmd.Env, k+"="+v)
	}
	var said bytes.Buffer
	cmd.Stderr = &said
	out, err := cmd.Output()
	if ctx.Err() != nil {
		return tool{}, fault.New(fault.Cancelled, "ask %s for its version: %w", path, ctx.Err())
	}
	m := banner.FindSubmatch(out)
	if m == nil {
		if err == nil {
			err = fmt.Errorf("it does not answer like Terraform or OpenTofu")
		}
		return tool{}, fault.WithHint(fault.New(fault.Missing, "ask %s for its version: %w", path, err), "%s", install)
	}
	found := tool{path: path, product: "terraform", version: string(m[2])}
	if string(m[1]) == "OpenTofu" {
		found.product = "tofu"
	}
	// Problems with its configuration stand before the JSON of every command of tofu's. They may quote what is in the file.
	if found.product == "tofu" && strings.Contains(said.String(), "problems with the CLI configuration") {
		return tool{}, fault.WithHint(fault.New(fault.Invalid, "the configuration of %s has problems", found), "run tofu version to see them, and correct the file that it names")
	}
	have, err := version.NewVersion(found.version)
	if err != nil {
		return tool{}, fault.WithHint(fault.New(fault.Invalid, "read version of %s: %w", path, err), "see that terraform, or tofu, on PATH is the real program: vishwa doctor tells which is used")
	}
	if need := oldest[found.product]; have.Core().LessThan(need) {
		return tool{}, fault.WithHint(fault.New(fault.Invalid, "%s at %s is too old: %s or newer is needed", found, path, need), "%s", install)
	}
	return found, nil
}

// Look tells which program would do the work: terraform or tofu of this PATH, with its
// version. One that is not there, or too old, is an error with the way out.
func Look(ctx context.Context, lookup func(string) (string, bool)) (format.Tool, error) {
	env, _, err := environ(lookup, nil)
	if err != nil {
		return format.Tool{}, err
	}
	path, err := find("", env["PATH"])
	if err != nil {
		return format.Tool{}, err
	}
	found, err := probe(ctx, path, env)
	return format.Tool{Name: found.product, Version: found.version}, err
}
