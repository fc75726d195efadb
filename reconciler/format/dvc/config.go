// .dvc/config: DVC's configuration, in ini as configobj writes it. Edits change the
// lines that they are about and no others, so that comments and order stay.

package dvc

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/vishwaops/vishwa/reconciler/fault"
)

// Config is one configuration file.
type Config struct {
	lines []configLine
}

type configLine struct {
	text    string // as it stands
	section string // that it begins, or is in: core, remote "name"
	key     string // "" of a section's head, a comment or an empty line
	value   string
}

// ParseConfig reads a configuration file; name is for messages.
func ParseConfig(name string, b []byte) (*Config, error) {
	c := &Config{}
	section := ""
	for i, text := range strings.Split(strings.TrimSuffix(string(b), "\n"), "\n") {
		l := configLine{text: strings.TrimSuffix(text, "\r"), section: section}
		s := strings.TrimSpace(l.text)
		switch {
		case s == "" || s[0] == '#' || s[0] == ';':
		case s[0] == '[':
			end := strings.LastIndexByte(s, ']')
			if end < 0 {
				return nil, fault.WithHint(fault.New(fault.Invalid, "%s:%d: a section has no closing bracket", name, i+1), "correct the line: vishwa data remote list shows what is read")
			}
			section = unquoted(strings.TrimSpace(s[1:end]))
			l.section = section
		default:
			key, value, ok := strings.Cut(s, "=")
			if !ok || section == "" {
				return nil, fault.WithHint(fault.New(fault.Invalid, "%s:%d: want a section or key = value", name, i+1), "correct the line, or remove it")
			}
			l.key, l.value = strings.ToLower(unquoted(strings.TrimSpace(key))), unquoted(strings.TrimSpace(value))
		}
		if text != "" || len(b) > 0 {
			c.lines = append(c.lines, l)
		}
	}
	return c, nil
}

// unquoted takes off one pair of quotes.
func unquoted(s string) string {
	if len(s) >= 2 && (s[0] == '\'' || s[0] == '"') && s[len(s)-1] == s[0] {
		return s[1 : len(s)-1]
	}
	if i := strings.Index(s, " #"); i >= 0 { // configobj takes the rest for a comment
		return strings.TrimSpace(s[:i])
	}
	return s
}

// Bytes is the file.
func (c *Config) Bytes() []byte {
	var b strings.Builder
	for _, l := range c.lines {
		b.WriteString(l.text + "\n")
	}
	return []byte(b.String())
}

// Get is a value; it is false where there is none.
func (c *Config) Get(section, key string) (string, bool) {
	for _, l := range slices.Backward(c.lines) {
		if l.section == section && l.key == strings.ToLower(key) && l.key != "" {
			return l.value, true
		}
	}
	return "", false
}

// Sections lists the sections in their order.
func (c *Config) Sections() (out []string) {
	for _, l := range c.lines {
		if l.section != "" && !slices.Contains(out, l.section) {
			out = append(out, l.section)
		}
	}
	return out
}

// Keys are the keys and values of a section.
func (c *Config) Keys(section string) map[string]string {
	out := map[string]string{}
	for _, l := range c.lines {
		if l.section == section && l.key != "" {
			out[l.key] = l.value
		}
	}
	return out
}

// Set gives a key a value, in its section, which is made where it is not there.
func (c *Config) Set(section, key, value string) {
	key = strings.ToLower(key)
	l := configLine{text: "    " + key + " = " + quoted(value), section: section, key: key, value: value}
	last := -1
	for i, old := range c.lines {
		if old.section != section {
			continue
		}
		if old.key == key {
			c.lines[i] = l
			return
		}
		if strings.TrimSpace(old.text) != "" {
			last = i
		}
	}
	if last >= 0 {
		c.lines = slices.Insert(c.lines, last+1, l)
		return
	}
	head := "[" + section + "]"
	if strings.ContainsAny(section, `"' `) {
		head = "['" + section + "']"
	}
	c.lines = append(c.lines, configLine{text: head, section: section}, l)
}

// quoted is a value as configobj would write it.
func quoted(v string) string {
	if v == "" || strings.ContainsAny(v, "#,\"'") || strings.TrimSpace(v) != v {
		if !strings.Contains(v, `"`) {
			return `"` + v + `"`
		}
		return "'" + v + "'"
	}
	return v
}

// Unset removes a key; with an empty key, the whole section. It tells whether it was there.
func (c *Config) Unset(section, key string) bool {
	n := len(c.lines)
	c.lines = slices.DeleteFunc(c.lines, func(l configLine) bool {
		return l.section == section && (key == "" || l.key == strings.ToLower(key))
	})
	return len(c.lines) < n
}

// Rename gives a section another name, and tells whether it was there.
func (c *Config) Rename(section, to string) (found bool) {
	for i, l := range c.lines {
		if l.section != section {
			continue
		}
		if found = true; l.key == "" && strings.HasPrefix(strings.TrimSpace(l.text), "[") {
			c.lines[i].text = "['" + to + "']"
		}
		c.lines[i].section = to
	}
	return found
}

// Merge lays configurations over each other, the later ones on top.
func Merge(layers ...*Config) *Config {
	out := &Config{}
	for _, c := range layers {
		if c == nil {
			continue
		}
		for _, l := range c.lines {
			if l.key != "" {
				out.Set(l.section, l.key, l.value)
			}
		}
	}
	return out
}

// RemoteConfig is a remote as it is configured.
type RemoteConfig struct {
	Name    string
	URL     string
	Options map[string]string // all but url; may hold secrets
}

// RemoteSection names the section of a remote.
func RemoteSection(name string) string { return fmt.Sprintf(`remote "%s"`, name) }

// Remotes lists the remotes in their order.
func (c *Config) Remotes() (out []RemoteConfig) {
	for _, s := range c.Sections() {
		name, ok := strings.CutPrefix(s, `remote "`)
		if !ok {
			continue
		}
		r := RemoteConfig{Name: strings.TrimSuffix(name, `"`), Options: c.Keys(s)}
		r.URL = r.Options["url"]
		delete(r.Options, "url")
		out = append(out, r)
	}
	return out
}

// mostBases is how many remotes one may go through.
const mostBases = 10

// Remote finds a remote; "" is the default, core.remote. One whose url is remote://NAME/PATH is
// below that one, and has its options but for its own, as in DVC.
func (c *Config) Remote(name string) (RemoteConfig, error) {
	chain, err := c.Chain(name)
	if err != nil {
		return RemoteConfig{}, err
	}
	out := RemoteConfig{Options: map[string]string{}}
	for _, r := range slices.Backward(chain) {
		at := r.URL
		if _, below, is := base(at); is {
			at = strings.TrimSuffix(out.URL, "/") + "/" + below
		}
		maps.Copy(out.Options, r.Options)
		out.Name, out.URL = r.Name, at
	}
	return out, nil
}

// base is the remote that an address is below, and what follows.
func base(address string) (name, below string, is bool) {
	rest, is := strings.CutPrefix(address, "remote://")
	name, below, _ = strings.Cut(rest, "/")
	return name, strings.TrimLeft(below, "/"), is
}

// Chain is a remote, the one that it is below, and so on, each as it is configured; "" is the default.
func (c *Config) Chain(name string) ([]RemoteConfig, error) {
	if name == "" {
		if name, _ = c.Get("core", "remote"); name == "" {
			return nil, fault.WithHint(fault.New(fault.Missing, "no remote is named and there is no default"), "name one with -r, or set the default: vishwa data remote default NAME")
		}
	}
	all := c.Remotes()
	var out []RemoteConfig
	for next, more := name, true; more; {
		i := slices.IndexFunc(all, func(r RemoteConfig) bool { return r.Name == next })
		switch {
		case i < 0 && len(out) > 0:
			return nil, fault.WithHint(fault.New(fault.Missing, "remote %s is below the remote %q, and there is none of that name", out[len(out)-1].Name, next), "correct it: vishwa data remote modify %s url URL", out[len(out)-1].Name)
		case i < 0:
			names := make([]string, len(all))
			for i, r := range all {
				names[i] = r.Name
			}
			return nil, fault.WithHint(fault.New(fault.Missing, "there is no remote %q", next), "name one of: %s; or add it: vishwa data remote add %s URL", strings.Join(names, ", "), next)
		case len(out) == mostBases:
			return nil, fault.WithHint(fault.New(fault.Invalid, "remote %s is below more than %d others, or below itself", name, mostBases), "give it an address of its own: vishwa data remote modify %s url URL", name)
		}
		out = append(out, all[i])
		next, _, more = base(all[i].URL)
	}
	return out, nil
}
