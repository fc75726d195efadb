// The environment that the program gets: named variables and nothing else, so
// that TF_CLI_ARGS or TF_VAR_* in the caller's shell cannot change what a
// declaration means, and no credential goes where it is not wanted.

package provisioner

import (
	"errors"
	"io/fs"
	"os"
	"strings"

	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/machine/sandbox"
)

// given are the caller's variables that the program always sees: where it finds
// other programs, its own configuration and the network.
var given = []string{
	"PATH", "HOME", "USER", "LOGNAME", "LANG", "LC_ALL", "TZ", "TMPDIR",
	"HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy", "all_proxy", "ALL_PROXY",
	"SSL_CERT_FILE", "SSL_CERT_DIR", "XDG_CONFIG_HOME", "XDG_DATA_HOME",
	"TF_PLUGIN_CACHE_DIR", "TF_CLI_CONFIG_FILE",
}

// environ builds the program's environment. passed are the values of the stack's Pass,
// which may be credentials.
func environ(lookup func(string) (string, bool), pass []string) (env map[string]string, passed []string, err error) {
	env = map[string]string{"CHECKPOINT_DISABLE": "1"}
	for _, name := range given {
		if v, ok := lookup(name); ok && v != "" {
			env[name] = v
		}
	}
	// Both programs go on without a file that is not there; tofu warns of it amid its JSON.
	if _, err := os.Stat(env["TF_CLI_CONFIG_FILE"]); errors.Is(err, fs.ErrNotExist) {
		delete(env, "TF_CLI_CONFIG_FILE")
	}
	for _, name := range pass {
		if steers(name) {
			return nil, nil, fault.WithHint(fault.New(fault.Invalid, "%s may not be passed to a module: it is Vishwa's own, or changes what a declaration means", name),
				"remove it, and say what it said in the declaration")
		}
		if v, ok := lookup(name); ok {
			env[name] = v
			passed = append(passed, v)
		}
	}
	return env, passed, nil
}

// steers tells whether a variable changes what Terraform does rather than with
// whose credentials; new ones of its namespace count until they are known.
func steers(name string) bool {
	switch {
	case name == "" || strings.ContainsAny(name, "=\x00"), sandbox.Own(name): // a password of Vishwa's, or mark
		return true
	case strings.HasPrefix(name, "TF_TOKEN_"), name == "TF_PLUGIN_CACHE_DIR", name == "TF_CLI_CONFIG_FILE":
		return false
	default:
		return strings.HasPrefix(name, "TF_") || strings.HasPrefix(name, "TOFU_")
	}
}
