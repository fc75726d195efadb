// Laws of where a pull request's plan takes providers from: what the machine's owner
// says of mirrors counts, and of tokens nothing is shown.

package provisioner

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func put(t *testing.T, file, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestProvidersComeFromWhereTheOwnerSays(t *testing.T) {
	dir := t.TempDir()
	for _, p := range []string{"cache/registry.terraform.io/acme/a/1.0.0/x", "home/.terraform.d/plugins/registry.terraform.io/acme/b/1.0.0/x", "mirror/registry.terraform.io/acme/c/1.0.0/x"} {
		put(t, filepath.Join(dir, p), "a program")
	}
	const rc = `# a comment with a { brace and a "quote
plugin_cache_dir = "$HOME/../cache" // another }
/* credentials "x" { token = "in a comment" } */
credentials "app.terraform.io" {
  token = "T0KEN-1"
}
credentials_helper "pass" { args = ["T0KEN-2"] }
host "registry.corp" {
  services = { "providers.v1" = "https://registry.corp/v1/" }
}
provider_installation {
  filesystem_mirror {
    path    = "%DIR%/mirror" # } not here
    include = ["registry.terraform.io/acme/*"]
  }
  network_mirror { url = "https://me:T0KEN-3@mirror.corp/" }
  direct { exclude = ["registry.terraform.io/acme/*"] }
}
`
	for name, one := range map[string]struct {
		rc    string
		cache bool
		hosts []string
		has   []string
		not   []string
		reads []string
	}{
		"nothing said":          {"", false, nil, []string{`home/.terraform.d/plugins"`, `include = ["registry.terraform.io/acme/b"]`}, []string{"direct"}, []string{"home/.terraform.d/plugins"}},
		"a cache":               {"", true, nil, []string{`cache"`, "acme/a"}, []string{"direct"}, []string{"cache", "home/.terraform.d/plugins"}},
		"hosts":                 {"", true, []string{"other.corp:443"}, []string{"direct {", `exclude = ["registry.terraform.io/acme/a", "registry.terraform.io/acme/b"]`}, nil, nil},
		"the registry":          {"", true, []string{"registry.terraform.io:443"}, []string{"direct {", "exclude = []"}, nil, nil},
		"a file":                {rc, false, nil, []string{`mirror"`, `acme/a"`, `host "registry.corp"`}, []string{"direct", "network_mirror", "acme/b"}, []string{"cache", "mirror"}},
		"a file and the hosts":  {rc, false, []string{"mirror.corp:443"}, []string{"network_mirror", "https://mirror.corp/", "direct"}, nil, nil},
		"a token and no mirror": {`credentials "x" { token = "T0KEN-1" }`, false, nil, nil, []string{"credentials"}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			env := map[string]string{"HOME": filepath.Join(dir, "home")}
			if one.rc != "" {
				env["TF_CLI_CONFIG_FILE"] = filepath.Join(t.TempDir(), "rc")
				put(t, env["TF_CLI_CONFIG_FILE"], strings.ReplaceAll(one.rc, "%DIR%", dir))
			}
			if one.cache {
				env["TF_PLUGIN_CACHE_DIR"] = filepath.Join(dir, "cache")
			}
			p, err := findProviders(func(name string) (string, bool) { v, ok := env[name]; return v, ok }, "terraform", one.hosts)
			if err != nil {
				t.Fatal(err)
			}
			for _, text := range one.has {
				if !strings.Contains(p.text, text) {
					t.Errorf("no %q in\n%s", text, p.text)
				}
			}
			for _, text := range append(one.not, "T0KEN", "credentials") {
				if strings.Contains(p.text, text) {
					t.Errorf("%q in\n%s", text, p.text)
				}
			}
			for _, below := range one.reads {
				if !slices.Contains(p.reads, filepath.Join(dir, below)) {
					t.Errorf("reads %v, not %s", p.reads, below)
				}
			}
		})
	}
	for name, text := range map[string]string{"JSON": `{"plugin_cache_dir": "/x"}`, "open": "provider_installation {", "closed": "}", "string": "a = \"b\n"} {
		file := filepath.Join(t.TempDir(), "rc")
		put(t, file, text)
		if _, err := findProviders(func(name string) (string, bool) { return file, name == "TF_CLI_CONFIG_FILE" }, "terraform", nil); err == nil {
			t.Errorf("%s was read", name)
		}
	}
}

// FuzzReadBlock: whatever is written, a block is read or refused.
func FuzzReadBlock(f *testing.F) {
	for _, s := range []string{"", "a \"b\" {\n c = \"}\\\"\" # {\n}\n", "/* { */ x = {\n}\n", "a {{}", "\"\\", "#"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		b, err := readBlock(text)
		if err != nil {
			return
		}
		for _, inner := range b.blocks {
			if !strings.Contains(b.body, inner.body) {
				t.Errorf("%q is not of %q", inner.body, b.body)
			}
		}
	})
}
