// How a machine is known over SSH, and how we are: files of the user, as any SSH has them.

package dockerengine

import (
	"cmp"
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/knownhosts"

	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/harmless"
)

// keyFiles are what a user of SSH has: those of them that need no password are shown to a machine.
var keyFiles = []string{"id_ed25519", "id_ecdsa", "id_rsa"}

// Ready tells whether what the engine is reached with is there: over SSH, the machine is known and there is a key. Nothing is asked.
func (e *Engine) Ready() error {
	if e.tunnel == nil {
		return nil
	}
	if _, _, err := e.tunnel.known(); err != nil {
		return err
	}
	_, err := e.tunnel.keys()
	return err
}

// known is how the machine is known, and the kinds of keys that it is known by.
func (t *tunnel) known() (ssh.HostKeyCallback, []string, error) {
	var files []string
	for _, file := range []string{filepath.Join(t.folder, "known_hosts"), "/etc/ssh/ssh_known_hosts"} {
		if _, err := os.Stat(file); err == nil {
			files = append(files, file)
		}
	}
	strange := fault.WithHint(fault.New(fault.Denied, "%s is not in %s, so that nobody knows whether it is that machine", t.addr, filepath.Join(t.folder, "known_hosts")),
		"connect once by hand as the controller's user (ssh %s), and compare the key that it shows", t.byHand())
	if len(files) == 0 {
		return nil, nil, strange
	}
	known, err := knownhosts.New(files...)
	if err != nil {
		return nil, nil, fault.WithHint(fault.New(fault.Invalid, "read known_hosts: %s", harmless.Line(err.Error())), "correct that line, or remove it")
	}
	// A key that is nobody's has it tell what it knows: the machine is asked for a key of that kind, and not for one that it may have besides.
	nobody, _, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, nil, fault.New(fault.Internal, "make a key: %w", err)
	}
	public, err := ssh.NewPublicKey(nobody)
	if err != nil {
		return nil, nil, fault.New(fault.Internal, "make a key: %w", err)
	}
	var knows *knownhosts.KeyError
	if err := known(t.addr, &net.TCPAddr{}, public); !errors.As(err, &knows) || len(knows.Want) == 0 {
		return nil, nil, strange
	}
	var algorithms, certified []string
	for _, k := range knows.Want {
		of := []string{k.Key.Type()}
		switch {
		case ofAuthority(k):
			certified = []string{ssh.CertAlgoED25519v01, ssh.CertAlgoECDSA256v01, ssh.CertAlgoECDSA384v01, ssh.CertAlgoECDSA521v01, ssh.CertAlgoRSASHA512v01, ssh.CertAlgoRSASHA256v01}
			continue
		case of[0] == ssh.KeyAlgoRSA:
			of = []string{ssh.KeyAlgoRSASHA512, ssh.KeyAlgoRSASHA256}
		}
		algorithms = append(algorithms, of...)
	}
	slices.Sort(algorithms)
	return t.certified(known), append(certified, slices.Compact(algorithms)...), nil
}

// ofAuthority tells whether a line of known_hosts is the key of who signs those of machines, which is no machine's own.
func ofAuthority(k knownhosts.KnownKey) bool {
	raw, err := os.ReadFile(k.Filename)
	if lines := strings.Split(string(raw), "\n"); err == nil && k.Line >= 1 && k.Line <= len(lines) {
		return strings.HasPrefix(strings.TrimSpace(lines[k.Line-1]), "@cert-authority")
	}
	return false
}

// certified says what is wrong with a machine's certificate. The key that it is about may be known by itself, as for any SSH.
func (t *tunnel) certified(known ssh.HostKeyCallback) ssh.HostKeyCallback {
	return func(name string, remote net.Addr, key ssh.PublicKey) error {
		err := known(name, remote, key)
		cert, is := key.(*ssh.Certificate)
		if err == nil || !is {
			return err
		}
		if known(name, remote, cert.Key) == nil {
			return nil
		}
		return fault.WithHint(fault.New(fault.Denied, "%s shows a certificate that does not count: %s", t.addr, harmless.Line(err.Error())),
			"have the authority that known_hosts names sign the machine's key, for that name and from now on; or write the machine's own key into known_hosts")
	}
}

// byHand is what people say to their own SSH.
func (t *tunnel) byHand() string {
	host, port, _ := net.SplitHostPort(t.addr)
	if port == "22" {
		return t.user + "@" + host
	}
	return "-p " + port + " " + t.user + "@" + host
}

// keys are the user's.
func (t *tunnel) keys() (all []ssh.Signer, err error) {
	way := fmt.Sprintf("make one for Vishwa: ssh-keygen -t ed25519 -N '' -f %s; a program that serves for ever has nobody to ask for a password, and asks no agent", filepath.Join(t.folder, keyFiles[0]))
	var wrong error
	for _, name := range keyFiles {
		raw, err := os.ReadFile(filepath.Join(t.folder, name))
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		if err != nil {
			wrong = cmp.Or(wrong, fault.WithHint(fault.New(fault.Denied, "read the key for SSH: %s", harmless.Line(err.Error())), "let the controller's user read it"))
			continue
		}
		key, err := ssh.ParsePrivateKey(raw)
		var password *ssh.PassphraseMissingError
		switch {
		case err == nil:
			all = append(all, key)
		case errors.As(err, &password):
			wrong = cmp.Or(wrong, fault.WithHint(fault.New(fault.Denied, "the key %s needs a password", filepath.Join(t.folder, name)), "%s", way))
		default:
			wrong = cmp.Or(wrong, fault.WithHint(fault.New(fault.Invalid, "%s is no key for SSH", filepath.Join(t.folder, name)), "%s", way))
		}
	}
	if len(all) > 0 {
		return all, nil
	}
	return nil, cmp.Or(wrong, fault.WithHint(fault.New(fault.Missing, "there is no key for SSH in %s", t.folder), "%s", way))
}
