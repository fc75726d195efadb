// The fields of trust.yaml, and what each must be.

package trust

import (
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/schemas"
)

func (r *reader) trust(root *yaml.Node, t *Trust) {
	version, kind := false, false
	r.fields(root, "", map[string]func(*yaml.Node){
		"apiVersion": func(n *yaml.Node) { version = true; r.exactly(n, "apiVersion", schemas.APIVersion) },
		"kind":       func(n *yaml.Node) { kind = true; r.exactly(n, "kind", Kind) },
		"principals": func(n *yaml.Node) {
			r.mapping(n, "principals", func(k, v *yaml.Node) { r.principal(k, v, t) })
		},
		"controllers": func(n *yaml.Node) {
			r.mapping(n, "controllers", func(k, v *yaml.Node) { r.controller(k, v, t) })
		},
	})
	if !version {
		r.report(root, "apiVersion", "is missing; write apiVersion: %s", schemas.APIVersion)
	}
	if !kind {
		r.report(root, "kind", "is missing; write kind: %s", Kind)
	}
}

func (r *reader) exactly(n *yaml.Node, field, want string) {
	if got, ok := r.text(n, field); ok && got != want {
		r.report(n, field, "is %q; write %s", got, want)
	}
}

func (r *reader) principal(k, v *yaml.Node, t *Trust) {
	field, owner := join("principals", k.Value), "principal "+k.Value
	if !r.name(k, field) {
		return
	}
	p := Principal{Forge: map[string]string{}}
	r.fields(v, field, r.term(&p.Term, field, map[string]func(*yaml.Node){
		"emails": func(n *yaml.Node) {
			r.texts(n, field+".emails", func(at *yaml.Node, f, s string) {
				s = strings.ToLower(s)
				if user, host, ok := strings.Cut(s, "@"); !ok || user == "" || host == "" || strings.ContainsAny(s, " \t<>,;") || strings.Contains(host, "@") {
					r.report(at, f, "%q is not an address; write name@host", s)
				} else if r.once(at, f, "address", s, owner) {
					p.Emails = append(p.Emails, s)
				}
			})
		},
		"ssh": func(n *yaml.Node) {
			r.texts(n, field+".ssh", func(at *yaml.Node, f, s string) {
				key, err := sshKey(s)
				if err != nil {
					r.report(at, f, "%v", err)
				} else if r.once(at, f, "key", string(key.Marshal()), owner) {
					p.Keys = append(p.Keys, key)
					t.people[string(key.Marshal())] = k.Value
				}
			})
		},
		"forge": func(n *yaml.Node) {
			r.fields(n, field+".forge", map[string]func(*yaml.Node){
				"github": func(n *yaml.Node) {
					if s, ok := r.text(n, field+".forge.github"); ok && r.once(n, field+".forge.github", "login", strings.ToLower(s), owner) {
						p.Forge["github"] = strings.ToLower(s)
					}
				},
			})
		},
		"roles": func(n *yaml.Node) {
			r.texts(n, field+".roles", func(at *yaml.Node, f, s string) {
				if !namePattern.MatchString(s) {
					r.report(at, f, "%q is not a role: want lower-case letters, digits, hyphens, dots and underscores", s)
				} else if !slices.Contains(p.Roles, s) {
					p.Roles = append(p.Roles, s)
				}
			})
		},
	}))
	t.Principals[k.Value] = p
}

func (r *reader) controller(k, v *yaml.Node, t *Trust) {
	field, owner := join("controllers", k.Value), "controller "+k.Value
	if !r.name(k, field) {
		return
	}
	c, signs := Controller{Keys: map[port.Role][]byte{}}, false
	roles := map[string]func(*yaml.Node){}
	for _, role := range []port.Role{port.Build, port.Deploy, port.Refuse} {
		f := field + ".keys." + string(role)
		roles[string(role)] = func(n *yaml.Node) {
			s, ok := r.text(n, f)
			if !ok {
				return
			}
			pem, id, err := pemKey(s)
			if err != nil {
				r.report(n, f, "%v", err)
			} else if r.once(n, f, "key", id, owner+" as "+string(role)) {
				c.Keys[role] = pem
			}
		}
	}
	r.fields(v, field, r.term(&c.Term, field, map[string]func(*yaml.Node){
		"ssh": func(n *yaml.Node) {
			signs = true
			s, ok := r.text(n, field+".ssh")
			if !ok {
				return
			}
			key, err := sshKey(s)
			if err != nil {
				r.report(n, field+".ssh", "%v", err)
			} else if r.once(n, field+".ssh", "key", string(key.Marshal()), owner) {
				c.SSH = key
				t.robots[string(key.Marshal())] = k.Value
			}
		},
		"keys": func(n *yaml.Node) { r.fields(n, field+".keys", roles) },
	}))
	if !signs {
		r.report(k, field+".ssh", "is missing; write the public key that signs the ledger's commits")
	}
	t.Controllers[k.Value] = c
}
