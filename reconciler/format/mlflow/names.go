// The names that MLflow's REST API takes.

package mlflow

import (
	"strings"

	"github.com/vishwaops/vishwa/reconciler/digest"
)

// MostName bounds the name of a parameter, of a metric and of a data set, in bytes.
const MostName = 250

// Names are names that MLflow takes, no two alike: what it does not know in a name is an underscore,
// and a name that another one comes to as well has a piece of its digest behind it. A colon is known from MLflow 3 on.
func Names(names []string, colons bool) map[string]string {
	letters := "_-. /"
	if colons {
		letters += ":"
	}
	out, taken := map[string]string{}, map[string]bool{}
	for _, plain := range []bool{true, false} { // names that stay as they are go first
		for _, name := range names {
			as := asName(name, letters)
			if (as == name) != plain {
				continue
			}
			if taken[as] || as != name && len(name) > MostName {
				as = strings.TrimRight(as[:min(len(as), MostName-9)], "/") + "-" + digest.Of([]byte(name)).Hex()[:8]
			}
			out[name], taken[as] = as, true
		}
	}
	return out
}

// asName is a name of Latin letters, digits and these others, which is no path that leads elsewhere.
func asName(name, letters string) string {
	as := strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune(letters, r) {
			return r
		}
		return '_'
	}, name)
	parts := strings.Split(as, "/")
	for i, p := range parts {
		if p == "" || p == "." || p == ".." {
			parts[i] = strings.Repeat("_", max(1, len(p)))
		}
	}
	as = strings.Join(parts, "/")
	as = as[:min(len(as), MostName)]
	if cut, ends := strings.CutSuffix(as, "/"); ends { // where it was cut
		as = cut + "_"
	}
	return as
}

// Alias is an environment's alias. MLflow keeps latest and v1, v2 for itself.
func Alias(env string) string {
	digits := len(env) > 1 && env[0] == 'v'
	for _, c := range env[min(1, len(env)):] {
		digits = digits && c >= '0' && c <= '9'
	}
	if env == "latest" || digits {
		return env + "-environment"
	}
	return env
}
