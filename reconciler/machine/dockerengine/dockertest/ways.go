// Ways to an engine of another machine: a server of SSH, and one of TLS that knows its callers, both in the test's process and in front
// of an engine's socket.

package dockertest

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/knownhosts"
)

// Way is in front of an engine.
type Way struct {
	Host   string // its address
	Folder string // of what a user of it has

	listens net.Listener
	mu      sync.Mutex
	conns   []net.Conn
	let     ssh.PublicKey
	own     ssh.Signer
	config  *ssh.ServerConfig
	reach   []string
}

// Cut ends all connections, as a network does that was away.
func (w *Way) Cut() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, c := range w.conns {
		c.Close()
	}
	w.conns = nil
}

// Close is its end.
func (w *Way) Close() {
	w.listens.Close()
	w.Cut()
}

// Connections is how many there are, or were since the last cut.
func (w *Way) Connections() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.conns)
}

// Reached is what was asked for by SSH.
func (w *Way) Reached() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return append([]string{}, w.reach...)
}

// Bar lets nobody in by SSH any more.
func (w *Way) Bar() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.let = nil
}

// Certify has the machine show a certificate of an authority for a name, besides its key, before anybody connects; it gives the authority's key.
func (w *Way) Certify(t testing.TB, name string) ssh.PublicKey {
	t.Helper()
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	authority := must[ssh.Signer](t)(ssh.NewSignerFromKey(key))
	cert := &ssh.Certificate{Key: w.own.PublicKey(), CertType: ssh.HostCert, ValidPrincipals: []string{name}, ValidBefore: ssh.CertTimeInfinity}
	if err := cert.SignCert(rand.Reader, authority); err != nil {
		t.Fatal(err)
	}
	both := must[ssh.Signer](t)(ssh.NewCertSigner(cert, w.own))
	w.mu.Lock()
	defer w.mu.Unlock()
	w.config.AddHostKey(both)
	return authority.PublicKey()
}

func (w *Way) accept(t testing.TB, l net.Listener, serve func(net.Conn)) {
	w.listens = l
	t.Cleanup(w.Close)
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			w.mu.Lock()
			w.conns = append(w.conns, c)
			w.mu.Unlock()
			go serve(c)
		}
	}()
}

func must[T any](t testing.TB) func(T, error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func listen(t testing.TB) net.Listener {
	return must[net.Listener](t)(net.Listen("tcp", "127.0.0.1:0"))
}

func write(t testing.TB, file string, data []byte) {
	t.Helper()
	if err := os.WriteFile(file, data, 0o600); err != nil {
		t.Fatal(err)
	}
}

func copies(a, b io.ReadWriteCloser) {
	var both sync.WaitGroup
	for _, way := range [][2]io.ReadWriteCloser{{a, b}, {b, a}} {
		both.Go(func() {
			_, _ = io.Copy(way[0], way[1])
			if half, ok := way[0].(interface{ CloseWrite() error }); ok {
				_ = half.CloseWrite()
			}
		})
	}
	both.Wait()
	a.Close()
	b.Close()
}

// SSH leads to what this machine reaches, as sshd does, and names the engine's socket.
func SSH(t testing.TB, socket string) *Way {
	t.Helper()
	_, own, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	_, users, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	signer, user := must[ssh.Signer](t)(ssh.NewSignerFromKey(own)), must[ssh.Signer](t)(ssh.NewSignerFromKey(users))
	l := listen(t)
	w := &Way{Host: "ssh://tester@" + l.Addr().String() + socket, Folder: t.TempDir(), let: user.PublicKey()}
	write(t, filepath.Join(w.Folder, "known_hosts"), []byte(knownhosts.Line([]string{l.Addr().String()}, signer.PublicKey())+"\n"))
	write(t, filepath.Join(w.Folder, "id_ed25519"), pem.EncodeToMemory(must[*pem.Block](t)(ssh.MarshalPrivateKey(users, ""))))
	config := &ssh.ServerConfig{PublicKeyCallback: func(_ ssh.ConnMetadata, key ssh.PublicKey) (*ssh.Permissions, error) {
		w.mu.Lock()
		defer w.mu.Unlock()
		if w.let == nil || string(key.Marshal()) != string(w.let.Marshal()) {
			return nil, fmt.Errorf("no such key")
		}
		return nil, nil
	}}
	config.AddHostKey(signer)
	w.own, w.config = signer, config
	w.accept(t, l, func(c net.Conn) {
		w.mu.Lock()
		now := *config // Certify may add to it
		w.mu.Unlock()
		_, channels, requests, err := ssh.NewServerConn(c, &now)
		if err != nil {
			return
		}
		go ssh.DiscardRequests(requests)
		for asked := range channels {
			go w.forward(asked)
		}
	})
	return w
}

// forward connects a channel to where it asks for.
func (w *Way) forward(asked ssh.NewChannel) {
	network, addr := "", ""
	switch asked.ChannelType() {
	case "direct-tcpip":
		var to struct {
			Host   string
			Port   uint32
			From   string
			FromAt uint32
		}
		_ = ssh.Unmarshal(asked.ExtraData(), &to)
		network, addr = "tcp", net.JoinHostPort(to.Host, fmt.Sprint(to.Port))
	case "direct-streamlocal@openssh.com":
		var to struct {
			Path     string
			Reserved string
			Nothing  uint32
		}
		_ = ssh.Unmarshal(asked.ExtraData(), &to)
		network, addr = "unix", to.Path
	default:
		_ = asked.Reject(ssh.UnknownChannelType, "no shell here")
		return
	}
	w.mu.Lock()
	w.reach = append(w.reach, addr)
	w.mu.Unlock()
	there, err := net.Dial(network, addr)
	if err != nil {
		_ = asked.Reject(ssh.ConnectionFailed, "open failed")
		return
	}
	channel, requests, err := asked.Accept()
	if err != nil {
		there.Close()
		return
	}
	go ssh.DiscardRequests(requests)
	copies(channel, there)
}

// TLS is in front of the engine's socket, for callers whose certificate it knows.
func TLS(t testing.TB, socket string) *Way {
	t.Helper()
	w := &Way{Folder: t.TempDir()}
	ca := certificate(t, nil, "ca", x509.ExtKeyUsageAny)
	server, user := certificate(t, ca, "engine", x509.ExtKeyUsageServerAuth), certificate(t, ca, "user", x509.ExtKeyUsageClientAuth)
	key := must[[]byte](t)(x509.MarshalECPrivateKey(user.PrivateKey.(*ecdsa.PrivateKey)))
	for name, block := range map[string]*pem.Block{
		"ca.pem": {Type: "CERTIFICATE", Bytes: ca.Leaf.Raw}, "cert.pem": {Type: "CERTIFICATE", Bytes: user.Leaf.Raw}, "key.pem": {Type: "EC PRIVATE KEY", Bytes: key},
	} {
		write(t, filepath.Join(w.Folder, name), pem.EncodeToMemory(block))
	}
	known := x509.NewCertPool()
	known.AddCert(ca.Leaf)
	l := listen(t)
	w.Host = "tcp://" + l.Addr().String()
	w.accept(t, l, func(c net.Conn) {
		secure := tls.Server(c, &tls.Config{Certificates: []tls.Certificate{*server}, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: known, MinVersion: tls.VersionTLS12})
		if secure.Handshake() != nil {
			c.Close()
			return
		}
		there, err := net.Dial("unix", socket)
		if err != nil {
			c.Close()
			return
		}
		copies(secure, there)
	})
	return w
}

func certificate(t testing.TB, by *tls.Certificate, name string, usage x509.ExtKeyUsage) *tls.Certificate {
	t.Helper()
	key := must[*ecdsa.PrivateKey](t)(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))
	of := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign, ExtKeyUsage: []x509.ExtKeyUsage{usage}, BasicConstraintsValid: true, IsCA: by == nil,
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	parent, signs := of, key
	if by != nil {
		parent, signs = by.Leaf, by.PrivateKey.(*ecdsa.PrivateKey)
	}
	raw := must[[]byte](t)(x509.CreateCertificate(rand.Reader, of, parent, &key.PublicKey, signs))
	return &tls.Certificate{Certificate: [][]byte{raw}, PrivateKey: key, Leaf: must[*x509.Certificate](t)(x509.ParseCertificate(raw))}
}
