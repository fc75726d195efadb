// Git's program, as the mirror runs it: with nothing of the user's configuration, with
// credentials that are handed over once, and with errors that say who has to act.
package repo

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/vishwaops/vishwa/reconciler/adapter/sandbox"
	"github.com/vishwaops/vishwa/reconciler/fault"
)

// git runs the program without anything of the user's configuration, and with the
// credentials where no other process can read them.
func (m *Mirror) git(ctx context.Context, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, m.o.Git, args...)
	set := map[string]string{
		"GIT_CONFIG_NOSYSTEM": "1", "GIT_CONFIG_GLOBAL": os.DevNull, "GIT_TERMINAL_PROMPT": "0", "GIT_ALLOW_PROTOCOL": "http:https:ssh:file",
		"LC_ALL": "C", "HOME": filepath.Dir(m.o.Dir), "GIT_NO_REPLACE_OBJECTS": "1",
		"GIT_AUTHOR_NAME": "Vishwa", "GIT_AUTHOR_EMAIL": "vishwa@localhost", "GIT_AUTHOR_DATE": "@1 +0000",
		"GIT_COMMITTER_NAME": "Vishwa", "GIT_COMMITTER_EMAIL": "vishwa@localhost", "GIT_COMMITTER_DATE": "@1 +0000",
	}
	if args[0] != "init" {
		set["GIT_DIR"] = m.o.Dir
	}
	config := [][2]string{{"core.hooksPath", os.DevNull}, {"gc.auto", "0"}, {"http.followRedirects", "false"}, {"fetch.recurseSubmodules", "false"}, {"fetch.fsckObjects", "true"},
		// What old programs wrote, and does no harm.
		{"fetch.fsck.zeroPaddedFilemode", "ignore"}, {"fetch.fsck.badTimezone", "ignore"}, {"fetch.fsck.missingSpaceBeforeDate", "ignore"}}
	// Only what speaks to the remote can ask how to log in.
	if m.o.Credentials != nil && strings.HasPrefix(m.o.URL, "http") && slices.Contains([]string{"fetch", "push", "ls-remote"}, args[0]) {
		user, password, err := m.o.Credentials(ctx)
		if err != nil {
			return "", err
		}
		once, err := handed(user, password)
		if err != nil {
			return "", err
		}
		defer once.Close()
		cmd.ExtraFiles = []*os.File{once} // Git's number 3
		config = append(config, [2]string{"credential." + m.o.URL + ".helper", "!cat <&3 #"})
	}
	set["GIT_CONFIG_COUNT"] = fmt.Sprint(len(config))
	for i, c := range config {
		set[fmt.Sprintf("GIT_CONFIG_KEY_%d", i)], set[fmt.Sprintf("GIT_CONFIG_VALUE_%d", i)] = c[0], c[1]
	}
	// Git's own library reads other variables than the rest of the world.
	for theirs, ours := range map[string]string{"GIT_SSL_CAINFO": "SSL_CERT_FILE", "GIT_SSL_CAPATH": "SSL_CERT_DIR"} {
		if v, ok := m.o.Env.Lookup(ours); ok && v != "" {
			set[theirs] = v
		}
	}
	cmd.Env = sandbox.Environ(m.o.Env.Lookup, []string{"SSH_AUTH_SOCK", "SSL_CERT_FILE", "SSL_CERT_DIR"}, set)
	// Git has children of its own that speak to the remote: all of them end in time.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = time.Second
	var out, said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &said
	err := cmd.Run()
	if err == nil {
		return out.String(), nil
	}
	return out.String(), m.classed(ctx, args[0], said.String(), err)
}

// handed is a pipe from which the credentials can be read once, as Git's helpers tell them
// (gitcredentials(7)). In the environment they would be seen by all that Git begins, and
// by every process of our user for as long as Git runs.
func handed(user, password string) (*os.File, error) {
	if strings.ContainsAny(user+password, "\n\x00") {
		return nil, fault.Hint(fault.New(fault.Invalid, "the credentials hold a line break"), "give user and password, or a token, as one line each")
	}
	r, w, err := os.Pipe()
	if err != nil {
		return nil, fault.New(fault.Internal, "hand the credentials to git: %w", err)
	}
	go func() {
		_, _ = fmt.Fprintf(w, "username=%s\npassword=%s\n", user, password) // ends too where nobody reads it
		_ = w.Close()
	}()
	return r, nil
}

var httpStatus = regexp.MustCompile(`returned error: (\d{3})`)

func (m *Mirror) classed(ctx context.Context, what, said string, err error) error {
	text := strings.TrimSpace(redact(said))
	if ctx.Err() != nil {
		return fault.New(fault.Cancelled, "git %s: %w", what, context.Cause(ctx))
	}
	low, status := strings.ToLower(text), ""
	if m := httpStatus.FindStringSubmatch(low); m != nil {
		status = m[1]
	}
	says := func(any ...string) bool {
		return slices.ContainsFunc(any, func(s string) bool { return strings.Contains(low, s) })
	}
	switch {
	case says("' not allowed", "strange hostname", "strange pathname", "unable to find remote helper"):
		return fault.Hint(fault.New(fault.Invalid, "git %s: %s", what, text), "correct the address %s: https, ssh, or a folder of this machine", redact(m.o.URL))
	case untrusted(low):
		return notTrusted("git "+what, text)
	case status == "401", status == "403", says("authentication failed", "could not read username", "permission denied (", "access denied"):
		return fault.Hint(fault.New(fault.Denied, "git %s: %s", what, text), "check the credentials of %s", redact(m.o.URL))
	case status == "404", says("' not found", "couldn't find remote ref", "does not appear to be a git repository"):
		return fault.Hint(fault.New(fault.Missing, "git %s: %s", what, text), "check the address %s, and that the branch is there", redact(m.o.URL))
	case says("fsck error", "error in packed object", "error in object"):
		return fault.Hint(fault.New(fault.Invalid, "git %s: %s", what, text), "the remote has objects that no Git should take in: find out who pushed them; git fsck names them")
	case says("no space left on device", "disk quota exceeded"):
		return fault.Hint(fault.New(fault.Transient, "git %s: %s", what, text), "free space below %s", filepath.Dir(m.o.Dir))
	case says("unable to access", "could not read from remote", "early eof", "hung up", "timed out", "rpc failed", "unexpected disconnect"):
		return fault.Hint(fault.New(fault.Transient, "git %s: %s", what, text), "try again when %s answers", redact(m.o.URL))
	}
	return fault.New(fault.Internal, "git %s: %w: %s", what, err, text)
}
