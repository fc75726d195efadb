// Git's program, as the mirror runs it: with nothing of anybody's configuration, with
// credentials that are handed over once, for as long as the remote answers, and with
// errors that say who has to act.

package mirror

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"golang.org/x/net/http/httpproxy"

	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/lazyregexp"
	"github.com/vishwaops/vishwa/reconciler/machine/gitremote"
	"github.com/vishwaops/vishwa/reconciler/machine/sandbox"
)

// speaking are the commands that speak to the remote.
var speaking = []string{"fetch", "push"}

// git runs the program in the mirror. Of configuration it sees what the seal left, and
// what stands here, which has the last word; of the environment what a run sees, and the
// credentials where no other process can read them.
func (m *Mirror) git(ctx context.Context, args ...string) (string, error) {
	if err := m.seal(); err != nil {
		return "", err
	}
	speaks, http := slices.Contains(speaking, args[0]), strings.HasPrefix(m.o.URL, "http://") || strings.HasPrefix(m.o.URL, "https://")
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	cmd := exec.CommandContext(ctx, m.o.Git, args...)
	config := m.settings(http)
	if m.o.Credentials != nil && speaks && http {
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
	cmd.Env = m.environ(config)
	// Git has children of its own that speak to the remote: all of them end in time.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = gitremote.Closes
	var out bytes.Buffer
	said := gitremote.Listen(m.o.Paces.OrUsual().Work, speaks, cancel)
	defer said.Done()
	cmd.Stdout, cmd.Stderr = &out, said
	err := cmd.Run()
	if err == nil {
		return out.String(), nil
	}
	if late := said.Why(); late != nil {
		return out.String(), fault.WithHint(fault.New(fault.Transient, "git %s: %s is given up: %w", args[0], gitremote.Redact(m.o.URL), late), "try again when it answers")
	}
	return out.String(), m.classed(ctx, args[0], said.Text(), err)
}

// environ is Git's environment: nothing of the user's configuration (a proxy and
// authorities come by HTTPS_PROXY and SSL_CERT_FILE), and none of the caller's GIT_*.
func (m *Mirror) environ(config [][2]string) []string {
	quiet := max(1, int((m.o.Paces.OrUsual().Work.Window / 15).Seconds()))
	set := map[string]string{
		"GIT_DIR": m.o.Dir, "GIT_CONFIG_NOSYSTEM": "1", "GIT_CONFIG_GLOBAL": os.DevNull, "GIT_ATTR_NOSYSTEM": "1", "GIT_ATTR_SOURCE": emptyTree,
		"GIT_TERMINAL_PROMPT": "0", "GIT_ASKPASS": "", "SSH_ASKPASS": "", "GIT_ALLOW_PROTOCOL": "http:https:ssh:file", "GIT_PROTOCOL_FROM_USER": "0",
		"GIT_NO_REPLACE_OBJECTS": "1", "GIT_GRAFT_FILE": os.DevNull + "/none", "GIT_NO_LAZY_FETCH": "1",
		"LC_ALL": "C", "HOME": os.DevNull, // a .netrc in it would log in
		// It asks nobody, and notices when the other side is gone.
		"GIT_SSH_COMMAND": "ssh -o BatchMode=yes -o ConnectTimeout=10 -o ServerAliveInterval=15 -o ServerAliveCountMax=4", "GIT_SSH_VARIANT": "ssh",
		// A remote that works says so every few seconds (uploadpack.keepAlive).
		"GIT_HTTP_LOW_SPEED_LIMIT": "1", "GIT_HTTP_LOW_SPEED_TIME": fmt.Sprint(quiet),
		"GIT_AUTHOR_NAME": "Vishwa", "GIT_AUTHOR_EMAIL": "vishwa@localhost", "GIT_AUTHOR_DATE": "@1 +0000",
		"GIT_COMMITTER_NAME": "Vishwa", "GIT_COMMITTER_EMAIL": "vishwa@localhost", "GIT_COMMITTER_DATE": "@1 +0000",
		"GIT_CONFIG_COUNT": fmt.Sprint(len(config)),
	}
	for i, c := range config {
		set[fmt.Sprintf("GIT_CONFIG_KEY_%d", i)], set[fmt.Sprintf("GIT_CONFIG_VALUE_%d", i)] = c[0], c[1]
	}
	// Git's own library reads other variables than the rest of the world.
	for theirs, ours := range map[string]string{"GIT_SSL_CAINFO": "SSL_CERT_FILE", "GIT_SSL_CAPATH": "SSL_CERT_DIR"} {
		if v, ok := m.o.Env.Lookup(ours); ok && v != "" {
			set[theirs] = v
		}
	}
	return sandbox.Environ(m.o.Env.Lookup, []string{"SSH_AUTH_SOCK", "SSL_CERT_FILE", "SSL_CERT_DIR"}, set)
}

// settings are read after every file, and win. The seal leaves no file that says
// otherwise: this is for what is written into one between the seal and Git's look.
func (m *Mirror) settings(http bool) [][2]string {
	config := [][2]string{
		{"credential.helper", ""}, // empties the list, that of any address too
		{"core.hooksPath", os.DevNull}, {"core.fsmonitor", "false"}, {"core.askPass", ""}, {"core.attributesFile", os.DevNull}, {"core.excludesFile", os.DevNull},
		{"core.alternateRefsCommand", ":"}, {"core.commitGraph", "false"}, {"core.logAllRefUpdates", "false"}, {"core.bare", "true"},
		{"gc.auto", "0"}, {"maintenance.auto", "false"}, {"gpg.program", "false"}, {"push.gpgSign", "false"}, {"commit.gpgSign", "false"},
		{"http.followRedirects", "false"}, {"http.sslVerify", "true"}, {"http.extraHeader", ""}, {"http.cookieFile", ""}, {"http.saveCookies", "false"}, {"http.emptyAuth", "false"},
		{"remote.origin.uploadpack", "git-upload-pack"}, {"remote.origin.receivepack", "git-receive-pack"}, {"remote.origin.mirror", "false"}, {"remote.origin.prune", "false"},
		{"submodule.recurse", "false"}, {"fetch.recurseSubmodules", "false"}, {"push.recurseSubmodules", "no"}, {"push.followTags", "false"},
		{"fetch.prune", "false"}, {"fetch.writeCommitGraph", "false"}, {"transfer.fsckObjects", "true"}, {"fetch.fsckObjects", "true"},
		// What old programs wrote, and does no harm.
		{"fetch.fsck.zeroPaddedFilemode", "ignore"}, {"fetch.fsck.badTimezone", "ignore"}, {"fetch.fsck.missingSpaceBeforeDate", "ignore"},
	}
	if http { // what is said of an address goes before what is said of all
		for _, c := range [][2]string{{"sslVerify", "true"}, {"extraHeader", ""}, {"cookieFile", ""}, {"followRedirects", "false"}, {"emptyAuth", "false"}, {"proxy", m.proxy()}} {
			config = append(config, [2]string{"http." + m.o.URL + "." + c[0], c[1]})
		}
	}
	return append(config, [2]string{"remote.origin.proxy", m.proxy()})
}

// proxy is the one that the environment names for the remote; "" is none.
func (m *Mirror) proxy() string {
	variable := func(name string) string {
		for _, n := range []string{name, strings.ToLower(name)} {
			if v, ok := m.o.Env.Lookup(n); ok && v != "" {
				return v
			}
		}
		return ""
	}
	all := variable("ALL_PROXY")
	c := httpproxy.Config{HTTPProxy: cmp.Or(variable("HTTP_PROXY"), all), HTTPSProxy: cmp.Or(variable("HTTPS_PROXY"), all), NoProxy: variable("NO_PROXY")}
	at, err := url.Parse(m.o.URL)
	if err != nil {
		return ""
	}
	by, err := c.ProxyFunc()(at)
	if err != nil || by == nil {
		return ""
	}
	return by.String()
}

// handed is a pipe from which the credentials can be read once, as Git's helpers tell them
// (gitcredentials(7)). In the environment they would be seen by all that Git begins, and
// by every process of our user for as long as Git runs.
func handed(user, password string) (*os.File, error) {
	if strings.ContainsAny(user+password, "\n\x00") {
		return nil, fault.WithHint(fault.New(fault.Invalid, "the credentials hold a line break"), "give user and password, or a token, as one line each")
	}
	r, w, err := os.Pipe()
	if err != nil {
		return nil, fault.New(fault.Internal, "hand the credentials to git: %w", err)
	}
	fault.Go(func() {
		defer w.Close()
		_, _ = fmt.Fprintf(w, "username=%s\npassword=%s\n", user, password) // ends too where nobody reads it
	}, func(error) {}) // git says that it was given none
	return r, nil
}

var httpStatus = lazyregexp.New(`returned error: (\d{3})`)

func (m *Mirror) classed(ctx context.Context, what, said string, err error) error {
	text := strings.TrimSpace(gitremote.Redact(said))
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
		return fault.WithHint(fault.New(fault.Invalid, "git %s: %s", what, text), "correct the address %s: https, ssh, or a folder of this machine", gitremote.Redact(m.o.URL))
	case gitremote.Untrusted(low):
		return gitremote.NotTrusted("git "+what, text)
	case status == "401", status == "403", says("authentication failed", "could not read username", "permission denied (", "access denied"):
		return fault.WithHint(fault.New(fault.Denied, "git %s: %s", what, text), "check the credentials of %s", gitremote.Redact(m.o.URL))
	case status == "404", says("' not found", "couldn't find remote ref", "does not appear to be a git repository"):
		return fault.WithHint(fault.New(fault.Missing, "git %s: %s", what, text), "check the address %s, and that the branch is there", gitremote.Redact(m.o.URL))
	case says("fsck error", "error in packed object", "error in object"):
		return fault.WithHint(fault.New(fault.Invalid, "git %s: %s", what, text), "the remote has objects that no Git should accept: find out who pushed them; git fsck names them")
	case says("no space left on device", "disk quota exceeded"):
		return fault.WithHint(fault.New(fault.Transient, "git %s: %s", what, text), "free space below %s", filepath.Dir(m.o.Dir))
	case says("unable to access", "could not read from remote", "early eof", "hung up", "timed out", "rpc failed", "unexpected disconnect"):
		return fault.WithHint(fault.New(fault.Transient, "git %s: %s", what, text), "try again when %s answers", gitremote.Redact(m.o.URL))
	}
	return fault.WithHint(fault.New(fault.Internal, "git %s: %w: %s", what, err, text), "run the same git command in %s to see why; removing that folder has it fetched anew", m.o.Dir)
}
