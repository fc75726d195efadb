// vishwa keys: a controller's keys, and their place in trust.yaml.

package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"
	"go.yaml.in/yaml/v3"

	"github.com/vishwaops/vishwa/reconciler/adapter/repo"
	"github.com/vishwaops/vishwa/reconciler/adapter/signer"
	"github.com/vishwaops/vishwa/reconciler/app"
	"github.com/vishwaops/vishwa/reconciler/engine/trust"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/pass"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/schemas"
)

func (a *cli) keysVerb() *cobra.Command {
	cmd := &cobra.Command{Use: "keys", Short: "Make a controller's keys and have the repository trust them", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() }}
	cmd.AddCommand(a.keysGenerateVerb(), a.keysTrustVerb())
	return cmd
}

func (a *cli) keysGenerateVerb() *cobra.Command {
	var name string
	cmd := &cobra.Command{
		Use:   "generate",
		Short: "Make a controller's keys, and add their public halves to trust.yaml",
		Long: `Make a controller's keys in VISHWA_KEYS, or below the user's configuration directory:
one for what is built, one for what is deployed and one for what is refused, in
cosign's encrypted format, and an SSH key for the ledger's commits. The password
comes from VISHWA_KEY_PASSWORD or is asked for, twice. Nothing is ever overwritten.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			r, paths, err := a.keyPlace()
			if err != nil {
				return err
			}
			defer r.Close()
			if err := a.mayGenerate(r, paths.Keys, name, cmd.Flags().Changed("name")); err != nil {
				return err
			}
			pass, err := a.newSecret("VISHWA_KEY_PASSWORD", "New password of the controller's keys")
			if err != nil {
				return err
			}
			if err := signer.Generate(paths.Keys, pass); err != nil {
				return err
			}
			fmt.Fprintf(a.out, "Made a controller's keys in %s. Keep them and the password safe.\n", paths.Keys)
			a.warnOfWorkTree(cmd.Context(), r, paths.Keys)
			return a.trustKeys(r, paths.Keys, name)
		},
	}
	cmd.Flags().StringVar(&name, "name", "main", "the controller's `NAME` in trust.yaml")
	return cmd
}

// mayGenerate refuses keys that would not help before any are made: where this machine has some
// already, and where the trust file has other keys under the name. The hint is the next command.
func (a *cli) mayGenerate(r *repo.Repo, dir, name string, named bool) error {
	file, old, err := trustFile(r)
	if err != nil {
		return err
	}
	if !trust.ValidName(name) {
		return fault.WithHint(fault.New(fault.Invalid, "%q is not a name of a controller: want lower-case letters, digits, hyphens, dots and underscores, at most 63", name), "choose another --name")
	}
	if len(bytes.TrimSpace(old)) > 0 {
		if _, problems := trust.Load(old, file); len(problems) > 0 {
			return fault.WithHint(fault.New(fault.Invalid, "%w", pass.Problems(problems)), "correct %s, or move it away; no keys were made", file)
		}
	}
	under, holder := trustedAs(old, file, dir, name)
	if _, err := os.Stat(filepath.Join(dir, signer.LedgerKey)); err == nil {
		err := fault.New(fault.Conflict, "this machine already has keys in %s", absolute(dir))
		const others = "for others, set VISHWA_KEYS to an empty folder"
		switch {
		case under != "":
			return fault.WithHint(fault.New(fault.Conflict, "%w, and %s trusts them as the controller %q", err, file, under), "there is nothing to do here; %s", others)
		case holder:
			return fault.WithHint(err, "%s has another controller %q; to trust these keys as well: vishwa keys trust --name NAME; %s", file, name, others)
		case named:
			return fault.WithHint(err, "to trust them in this repository: vishwa keys trust --name %s; %s", name, others)
		}
		return fault.WithHint(err, "to trust them in this repository: vishwa keys trust; %s", others)
	}
	if holder {
		return nameTaken(file, name, "vishwa keys generate --name NAME")
	}
	return nil
}

// warnOfWorkTree tells of keys that git add would add.
func (a *cli) warnOfWorkTree(ctx context.Context, r *repo.Repo, dir string) {
	rel, err := filepath.Rel(r.Dir(), resolved(absolute(dir)))
	if err != nil || !filepath.IsLocal(rel) {
		return
	}
	if _, err := gitIn(ctx, r.Dir(), "", "check-ignore", "--quiet", "--", rel); err != nil { // it is not ignored
		fmt.Fprintf(a.err, "vishwa: the keys are in the work tree, and git add would add them\n  move %s out of it and set VISHWA_KEYS, or put the folder into .gitignore before you commit\n", rel)
	}
}

// resolved is dir without symbolic links, where it is there.
func resolved(dir string) string {
	if to, err := filepath.EvalSymlinks(dir); err == nil {
		return to
	}
	return dir
}

func absolute(dir string) string {
	if abs, err := filepath.Abs(dir); err == nil {
		return abs
	}
	return dir
}

// nameTaken says that the trust file knows another controller by that name. Most who meet it
// are the second person in a repository, and need no controller's keys.
func nameTaken(file, name, command string) error {
	return fault.WithHint(fault.New(fault.Conflict, "%s already has a controller %q, with other keys", file, name),
		"to add yours under another name: %s. To approve, and to plan, you need no controller's keys: have your SSH key added below principals in %s", command, file)
}

// trustFile is the work tree's trust file by its name, and what it holds: nothing where it is not there.
func trustFile(r *repo.Repo) (file string, old []byte, err error) {
	project, _, err := pass.Settings(r.Worktree())
	if err != nil && fault.Of(err) != fault.Missing {
		return "", nil, err
	}
	file = "trust.yaml"
	if project != nil && project.Trust != "" {
		file = project.Trust
	}
	old, err = os.ReadFile(filepath.Join(r.Dir(), filepath.FromSlash(file)))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", nil, fault.WithHint(fault.New(fault.Invalid, "read %s: %w", file, err), "let this user read %s", file)
	}
	return file, old, nil
}

// trustedAs is the name under which a trust file has the keys of dir, or ""; and whether it has
// other keys under name.
func trustedAs(raw []byte, file, dir, name string) (under string, holder bool) {
	t, problems := trust.Load(raw, file)
	if t == nil || len(problems) > 0 {
		return "", false // what is wrong is said when it is written to
	}
	if pub, err := os.ReadFile(filepath.Join(dir, string(port.Build)+".pub")); err == nil {
		for known, c := range t.Controllers {
			if signer.Hint(c.Keys[port.Build]) == signer.Hint(pub) {
				under = known
			}
		}
	}
	_, holder = t.Controllers[name]
	return under, holder && under != name
}

func (a *cli) keysTrustVerb() *cobra.Command {
	var name string
	cmd := &cobra.Command{
		Use:   "trust",
		Short: "Add the public halves of keys that already exist to trust.yaml",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			r, paths, err := a.keyPlace()
			if err != nil {
				return err
			}
			defer r.Close()
			return a.trustKeys(r, paths.Keys, name)
		},
	}
	cmd.Flags().StringVar(&name, "name", "main", "the controller's `NAME` in trust.yaml")
	return cmd
}

func (a *cli) keyPlace() (*repo.Repo, app.Paths, error) {
	r, err := repo.Open(a.dir, repo.Options{})
	if err != nil {
		return nil, app.Paths{}, err
	}
	if r.Bare() {
		r.Close()
		return nil, app.Paths{}, fault.WithHint(fault.New(fault.Invalid, "a bare repository has no trust.yaml to write to"), "run this in a clone")
	}
	paths, err := app.FindPaths(a.lookup, r.ID())
	return r, paths, err
}

// trustKeys adds the keys of dir to the work tree's trust file, and leaves it to a
// person to commit that: whom to trust is reviewed.
func (a *cli) trustKeys(r *repo.Repo, dir, name string) error {
	file, old, err := trustFile(r)
	if err != nil {
		return err
	}
	path := filepath.Join(r.Dir(), filepath.FromSlash(file))
	if _, err := os.Stat(filepath.Join(dir, signer.LedgerKey+".pub")); errors.Is(err, fs.ErrNotExist) {
		return noKeys(old, file, dir, name)
	}
	switch under, holder := trustedAs(old, file, dir, name); {
	case under != "":
		fmt.Fprintf(a.out, "%s already trusts the keys in %s, as the controller %q.\n", file, absolute(dir), under)
		return nil
	case holder:
		return nameTaken(file, name, "vishwa keys trust --name NAME")
	}
	raw, err := withController(old, name, dir)
	if err != nil {
		return err
	}
	if _, problems := trust.Load(raw, file); len(problems) > 0 {
		return fault.WithHint(fault.New(fault.Invalid, "%w", pass.Problems(problems)), "choose another --name, or correct %s", file)
	}
	if err := os.WriteFile(path, raw, 0o644); err != nil {
		return fault.WithHint(fault.New(fault.Invalid, "write %s: %w", file, err), "let this user write %s", file)
	}
	fmt.Fprintf(a.out, "%s trusts them as the controller %q. Commit it.\n", file, name)
	return nil
}

// noKeys says that there is nothing to trust, and how to make some under a name that the trust file leaves free.
func noKeys(old []byte, file, dir, name string) error {
	err := fault.New(fault.Missing, "there are no keys in %s", absolute(dir))
	if _, holder := trustedAs(old, file, dir, name); holder {
		return fault.WithHint(err, "%s has another controller %q: make keys with vishwa keys generate --name NAME, or set VISHWA_KEYS to their folder", file, name)
	}
	return fault.WithHint(err, "make keys with vishwa keys generate, or set VISHWA_KEYS to their folder")
}

// withController is a trust file with one more controller; comments stay.
func withController(old []byte, name, dir string) ([]byte, error) {
	if len(bytes.TrimSpace(old)) == 0 {
		old = fmt.Appendf(nil, "# Whose approval counts: people by their SSH keys, controllers by theirs.\napiVersion: %s\nkind: %s\nprincipals: {}\n", schemas.APIVersion, trust.Kind)
	}
	var doc yaml.Node
	if err := yaml.Unmarshal(old, &doc); err != nil || len(doc.Content) != 1 || doc.Content[0].Kind != yaml.MappingNode {
		return nil, fault.WithHint(fault.New(fault.Invalid, "the trust file is not a YAML mapping"), "let it begin with apiVersion: vishwa.dev/v1alpha1, or move it away")
	}
	top := doc.Content[0]
	controllers := child(top, "controllers")
	if controllers.Kind != yaml.MappingNode {
		return nil, fault.WithHint(fault.New(fault.Invalid, "the trust file's controllers are not a mapping"), "write each as NAME: {ssh: ..., keys: {}}, or remove the field: this command writes it")
	}
	controllers.Style = 0
	for i := 0; i < len(controllers.Content); i += 2 {
		if controllers.Content[i].Value == name {
			return nil, fault.WithHint(fault.New(fault.Conflict, "the trust file has a controller %q already", name), "choose another --name")
		}
	}
	entry := struct {
		SSH  string            `yaml:"ssh"`
		Keys map[string]string `yaml:"keys"`
	}{Keys: map[string]string{}}
	read := func(file string) (string, error) {
		b, err := os.ReadFile(filepath.Join(dir, file))
		if err != nil {
			return "", fault.WithHint(fault.New(fault.Missing, "read the public key %s: %w", file, err), "make keys with vishwa keys generate")
		}
		return string(b), nil
	}
	sshKey, err := read(signer.LedgerKey + ".pub")
	if err != nil {
		return nil, err
	}
	entry.SSH = string(bytes.TrimSpace([]byte(sshKey)))
	for _, role := range signer.Roles {
		if entry.Keys[string(role)], err = read(string(role) + ".pub"); err != nil {
			return nil, err
		}
	}
	var value yaml.Node
	if err := value.Encode(entry); err != nil {
		return nil, fault.New(fault.Internal, "encode controller: %w", err)
	}
	controllers.Content = append(controllers.Content, &yaml.Node{Kind: yaml.ScalarNode, Value: name}, &value)
	var out bytes.Buffer
	enc := yaml.NewEncoder(&out)
	enc.SetIndent(2)
	if err := enc.Encode(&doc); err != nil {
		return nil, fault.New(fault.Internal, "encode trust file: %w", err)
	}
	return out.Bytes(), nil
}

// child is the value of key in a mapping; a mapping is added where there is none.
func child(mapping *yaml.Node, key string) *yaml.Node {
	for i := 0; i < len(mapping.Content); i += 2 {
		if mapping.Content[i].Value == key {
			return mapping.Content[i+1]
		}
	}
	v := &yaml.Node{Kind: yaml.MappingNode}
	mapping.Content = append(mapping.Content, &yaml.Node{Kind: yaml.ScalarNode, Value: key}, v)
	return v
}
