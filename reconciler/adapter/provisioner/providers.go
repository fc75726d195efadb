// Where a pull request's plan takes providers from: the mirrors and caches of this
// machine, read only, and a registry where the base branch lets it be reached. The
// owner's own configuration of the program holds tokens, so it is not shown: of it, what
// says where providers are is written anew.

package provisioner

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/lazyregexp"
	"github.com/vishwaops/vishwa/reconciler/machine/wall"
)

// providers are the configuration that says where they are, and what of this machine it
// names.
type providers struct {
	text  string
	reads []string
}

// login is a user with a password in an address.
var login = lazyregexp.New(`://[^/@"\s]*@`)

// findProviders goes by the caller's configuration of the program
// (https://developer.hashicorp.com/terraform/cli/config/config-file).
func findProviders(lookup func(string) (string, bool), product string, hosts []string) (p providers, err error) {
	get := func(name string) string { v, _ := lookup(name); return v }
	settings := block{}
	if file := cliConfig(get, product); file != "" {
		raw, err := os.ReadFile(file)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return p, fault.WithHint(fault.New(fault.Invalid, "read the configuration of %s: %w", product, err), "make it readable, or unset TF_CLI_CONFIG_FILE")
		}
		if settings, err = readBlock(string(raw)); err != nil {
			return p, fault.WithHint(fault.New(fault.Invalid, "read the configuration of %s, %s: %w", product, file, err), "write it in HCL, as the documentation of %s has it", product)
		}
	}
	var text strings.Builder
	cache := get("TF_PLUGIN_CACHE_DIR")
	if cache == "" {
		cache = os.Expand(settings.value("plugin_cache_dir"), get)
	}
	cached := p.mirror(&text, cache)
	if own := settings.inner("provider_installation"); own != nil {
		p.declared(&text, *own, hosts)
	} else {
		p.implied(&text, folders(get, product), cached, hosts)
	}
	p.text = "provider_installation {\n" + text.String() + "}\n"
	defer func() { p.text = login.ReplaceAllString(p.text, "://") }()
	for _, b := range settings.blocks {
		if b.kind == "host" { // where a registry's services are; tokens are elsewhere
			p.text += "host " + b.label + " {" + b.body + "}\n"
		}
	}
	return p, nil
}

// cliConfig is the file that the program itself would read; "" where there is none.
func cliConfig(get func(string) string, product string) string {
	for _, name := range []string{"TF_CLI_CONFIG_FILE", "TERRAFORM_CONFIG"} {
		if file := get(name); file != "" {
			return file
		}
	}
	all := []string{filepath.Join(get("HOME"), ".terraformrc")}
	if product == "tofu" {
		all = []string{filepath.Join(get("HOME"), ".tofurc"), all[0]}
		if dir := get("XDG_CONFIG_HOME"); dir != "" {
			all = append(all, filepath.Join(dir, "opentofu", "tofurc"))
		}
	}
	for _, file := range all {
		if _, err := os.Stat(file); err == nil && filepath.IsAbs(file) {
			return file
		}
	}
	return ""
}

// mirror adds a folder of providers, and tells which it has.
func (p *providers) mirror(text *strings.Builder, dir string) []string {
	if !filepath.IsAbs(dir) {
		return nil
	}
	dir = filepath.Clean(dir)
	found := providersIn(dir)
	if len(found) == 0 {
		return nil
	}
	fmt.Fprintf(text, "  filesystem_mirror {\n    path = %q\n    include = [%s]\n  }\n", dir, quoted(found))
	p.reads = append(p.reads, dir)
	return found
}

// declared keeps what the owner declares. Without a network, what would only fail to be
// reached is left out: it would keep what is here from being taken.
func (p *providers) declared(text *strings.Builder, own block, hosts []string) {
	for _, b := range own.blocks {
		if len(hosts) == 0 && (b.kind == "direct" || b.kind == "network_mirror") {
			continue
		}
		fmt.Fprintf(text, "  %s {%s}\n", b.kind, b.body)
		for _, s := range b.strings() {
			if _, err := os.Stat(s); err == nil && filepath.IsAbs(s) {
				p.reads = append(p.reads, filepath.Clean(s))
			}
		}
	}
}

// folders are those that the program looks for providers in by itself. OpenTofu looks in
// Terraform's, too (implicitProviderSource of both).
func folders(get func(string) string, product string) []string {
	dirs := []string{"/usr/local/share/terraform/plugins", "/usr/share/terraform/plugins"}
	if home := get("HOME"); home != "" {
		dirs = append(dirs, home+"/.terraform.d/plugins", home+"/.local/share/terraform/plugins")
	}
	if data := get("XDG_DATA_HOME"); data != "" {
		dirs = append(dirs, data+"/terraform/plugins")
		if product == "tofu" {
			dirs = append(dirs, data+"/opentofu/plugins")
		}
	}
	return dirs
}

// implied is what the program does by itself: providers that lie in certain folders are
// taken from there, and others from their registry.
func (p *providers) implied(text *strings.Builder, dirs, found, hosts []string) {
	for _, dir := range dirs {
		found = append(found, p.mirror(text, dir)...)
	}
	if len(hosts) == 0 {
		return
	}
	out := slices.DeleteFunc(found, func(address string) bool { // newer ones are looked for where they can be
		host, _, _ := strings.Cut(address, "/")
		return wall.Reaches(hosts, net.JoinHostPort(host, "443"))
	})
	fmt.Fprintf(text, "  direct {\n    exclude = [%s]\n  }\n", quoted(out))
}

// providersIn lists host/namespace/type for what lies in a mirror or a cache.
func providersIn(dir string) (found []string) {
	all, _ := filepath.Glob(filepath.Join(escaped(dir), "*.*", "*", "*")) // the pattern is in order
	for _, path := range all {
		rel, err := filepath.Rel(dir, path)
		info, statErr := os.Stat(path)
		if err == nil && statErr == nil && info.IsDir() {
			found = append(found, filepath.ToSlash(rel))
		}
	}
	return found
}

// escaped is a path as a part of a pattern.
func escaped(path string) string {
	return strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`).Replace(path)
}

func quoted(all []string) string {
	var out []string
	for _, s := range all {
		out = append(out, fmt.Sprintf("%q", s))
	}
	return strings.Join(out, ", ")
}
