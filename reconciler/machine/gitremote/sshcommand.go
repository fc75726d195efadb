// The program that the user's own Git reaches servers over SSH by: a key of a smartcard, a jump host or an agent of an employer's is
// often known to it alone.

package gitremote

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/go-git/go-git/v5/plumbing/transport"
	"github.com/go-git/go-git/v5/plumbing/transport/file"

	"github.com/vishwaops/vishwa/reconciler/fault"
)

// SSHCommand is what Git begins to reach a server over SSH, as a line of the shell; "" where it takes its usual one. As Git has it:
// GIT_SSH_COMMAND, then core.sshCommand, then GIT_SSH, which is a program's path.
func (o *Clone) SSHCommand(ctx context.Context) (string, error) {
	if command := os.Getenv("GIT_SSH_COMMAND"); command != "" {
		return command, nil
	}
	set, err := o.Settings(ctx)
	if err != nil {
		return "", err
	}
	if command := set.Last("core.sshcommand"); command != "" {
		return command, nil
	}
	if program := os.Getenv("GIT_SSH"); program != "" {
		return quoted(program), nil
	}
	return "", nil
}

// SSHVariant is what kind of program that is, as Git is told: ssh.variant; "" is that Git finds out.
func (o *Clone) SSHVariant(ctx context.Context) (string, error) {
	set, err := o.Settings(ctx)
	return cmp.Or(os.Getenv("GIT_SSH_VARIANT"), set.Last("ssh.variant")), err
}

// By has r reach its server by the user's command; r is over SSH.
func (r *Reach) By(command, variant string) error {
	if r.wire == nil || command == "" {
		return nil
	}
	to := *r.ep
	if strings.HasPrefix(to.Host, "-") || strings.HasPrefix(to.User, "-") || strings.HasPrefix(to.Path, "-") {
		return fault.WithHint(fault.New(fault.Denied, "the address of the remote begins with a hyphen, which a program would take for an option"), "correct it: git remote set-url REMOTE URL")
	}
	port, err := portOf(to.Port, command, variant)
	if err != nil {
		return err
	}
	if r.scripts, err = os.MkdirTemp("", "vishwa-ssh-"); err != nil {
		return fault.New(fault.Internal, "begin the program of core.sshCommand: %w", err)
	}
	where := to.Host
	if to.User != "" {
		where = to.User + "@" + where
	}
	at := to.Path
	if strings.HasPrefix(at, "/~") {
		at = at[1:]
	}
	for _, service := range []string{transport.UploadPackServiceName, transport.ReceivePackServiceName} {
		// As Git does: the line, with what follows as its arguments, in the shell.
		text := unset() + "set -- " + port + quoted(where) + " " + quoted(service+" "+quoted(at)) + "\n" + command + " \"$@\"\n"
		if err := os.WriteFile(filepath.Join(r.scripts, service), []byte(text), 0o600); err != nil {
			return fault.New(fault.Internal, "begin the program of core.sshCommand: %w", err)
		}
	}
	r.to, r.wire = file.NewClient("sh", "sh"), nil // go-git's way to begin a program, whose argument is the path
	r.ep = &transport.Endpoint{Protocol: "ssh", Host: to.Host}
	r.pace.Whole = max(r.pace.Whole, r.pace.Window) // people touch a key, or type; nothing tells what goes over
	r.pace.Window, r.pace.Least = 0, 0
	return nil
}

// service has r begin the program for a service, where it goes by one.
func (r *Reach) service(name string) *transport.Endpoint {
	if r.scripts == "" {
		return r.ep
	}
	at := *r.ep
	at.Path = filepath.Join(r.scripts, name)
	return &at
}

// portOf are the arguments that name a port; none where it is the usual one.
func portOf(port int, command, variant string) (string, error) {
	if port == 0 || port == 22 {
		return "", nil
	}
	option := "-p"
	switch kind := cmp.Or(variant, "auto"); kind {
	case "simple":
		return "", fault.WithHint(fault.New(fault.Invalid, "ssh.variant is simple, and such a program takes no port; the remote names port %d", port), "set ssh.variant to what the program is, or leave the port to its own configuration")
	case "plink", "putty", "tortoiseplink":
		option = "-P"
	case "auto":
		first, _, _ := strings.Cut(strings.TrimSpace(command), " ")
		if name := strings.TrimSuffix(strings.ToLower(path.Base(strings.Trim(filepath.ToSlash(first), `'"`))), ".exe"); name == "plink" || name == "tortoiseplink" {
			option = "-P"
		}
	}
	return fmt.Sprintf("%s %s ", option, strconv.Itoa(port)), nil
}

// unset keeps what is Vishwa's from the program: it has no business with the password of the keys.
func unset() string {
	var names []string
	for _, v := range os.Environ() {
		if name, _, _ := strings.Cut(v, "="); strings.HasPrefix(name, "VISHWA_") && !strings.ContainsFunc(name, func(r rune) bool {
			return r != '_' && (r < 'A' || r > 'Z') && (r < '0' || r > '9')
		}) {
			names = append(names, name)
		}
	}
	if len(names) == 0 {
		return ""
	}
	return "unset " + strings.Join(names, " ") + "\n"
}

// quoted is s as one word of the shell.
func quoted(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }
