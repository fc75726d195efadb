// The chart is installed on a real cluster by the commands of docs/kubernetes.md, in a namespace that lets in restricted pods alone,
// beside a forge and a store that pods reach.

package main

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"

	"github.com/vishwaops/vishwa/cmd/vishwa-devforge/devforge"
	"github.com/vishwaops/vishwa/reconciler/port/porttest/enginetest"
)

// installation is what the chart is installed with.
type installation struct {
	*enginetest.Kubernetes
	dir    string // of everything here
	clone  string // of the repository
	vishwa string // the program of the image, on this machine
	ref    string // the image
	forge  *devforge.Forge
	url    string // of the forge
	ca     string // file of its authority
	token  string
}

// overTLS serves h where pods reach it, and gives its address and the certificate that is trusted for it.
func overTLS(t *testing.T, h http.Handler) (url string, ca []byte) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	like := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "forge"}, IPAddresses: []net.IP{net.ParseIP(enginetest.Address)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour), IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, like, like, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	l, err := tls.Listen("tcp", enginetest.Address+":0", &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}})
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: h, ReadHeaderTimeout: 10 * time.Second, ErrorLog: log.New(io.Discard, "", 0)}
	go func() { _ = server.Serve(l) }()
	t.Cleanup(func() { server.Close() })
	return "https://" + l.Addr().String(), pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
}

// takeOut writes a program of an image to this machine.
func takeOut(t *testing.T, ref, at, to string) {
	t.Helper()
	d, err := name.NewDigest(ref)
	if err != nil {
		t.Fatal(err)
	}
	image, err := remote.Image(d)
	if err != nil {
		t.Fatal(err)
	}
	in := tar.NewReader(mutate.Extract(image))
	for {
		h, err := in.Next()
		if err != nil {
			t.Fatalf("%s is not in the image: %v", at, err)
		}
		if h.Name != at {
			continue
		}
		out, err := os.OpenFile(to, os.O_CREATE|os.O_WRONLY, 0o755)
		if err == nil {
			_, err = io.Copy(out, in)
			err = errors.Join(err, out.Close())
		}
		if err != nil {
			t.Fatal(err)
		}
		return
	}
}

// do runs a program in the clone.
func (i *installation) do(t *testing.T, program string, args ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Dir = i.clone
	cmd.Env = append(os.Environ(), "HOME="+i.dir, "XDG_STATE_HOME="+i.dir+"/state", "XDG_CONFIG_HOME="+i.dir+"/config", "XDG_CACHE_HOME="+i.dir+"/cache",
		"VISHWA_KEYS="+i.dir+"/keys", "VISHWA_KEY_PASSWORD=a long enough password", "GIT_CONFIG_GLOBAL="+i.dir+"/gitconfig", "GIT_CONFIG_NOSYSTEM=1", "GIT_SSL_CAINFO="+i.ca, "SSL_CERT_FILE="+i.ca)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s %v: %v\n%s", filepath.Base(program), args, err, out)
	}
	return string(out)
}

// edit replaces a text in a file of the clone.
func (i *installation) edit(t *testing.T, file, old, text string) {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join(i.clone, file))
	if err != nil || !bytes.Contains(raw, []byte(old)) {
		t.Fatalf("%s does not have %q: %v", file, old, err)
	}
	write(t, filepath.Join(i.clone, file), strings.Replace(string(raw), old, text, 1))
}

// prepare makes the image with more packages of Debian, a forge, a newcomer's project as it is declared then, the controllers' namespace and the
// Secrets.
func prepare(t *testing.T, packages string, declare func(i *installation)) *installation {
	t.Helper()
	i := &installation{Kubernetes: enginetest.Cluster(t), dir: t.TempDir()}
	i.vishwa, i.clone, i.ca = filepath.Join(i.dir, "vishwa"), filepath.Join(i.dir, "homes"), filepath.Join(i.dir, "ca.crt")
	var err error
	i.ref, err = image(t.Context(), imageOrder{out: filepath.Join(i.dir, "image"), sbom: must(t, "cyclonedx-gomod"), arch: runtime.GOARCH, packages: packages,
		push: enginetest.Registry(t) + "/vishwa/controller", build: build{dir: "../..", version: "v0.0.0-test", commit: "test"}})
	if err != nil {
		t.Fatal(err)
	}
	takeOut(t, i.ref, "usr/local/bin/vishwa", i.vishwa)
	i.serveForge(t)
	i.project(t, declare)
	i.desk(t)
	i.page(t, "create namespace")
	i.gone(t, "controllers")
	i.secret(t, "secret", "generic", "hooks", "--from-literal=now=a secret of hooks")
	i.secret(t, "configmap", "authorities", "--from-file=ca.crt="+i.ca)
	return i
}

// gone has a namespace away after the test, before the next one makes it.
func (i *installation) gone(t *testing.T, namespace string) {
	t.Helper()
	t.Cleanup(func() { i.Kubectl(t, "", "delete", "namespace", namespace, "--timeout=3m") })
}

// secret makes something of the controllers' namespace.
func (i *installation) secret(t *testing.T, args ...string) {
	t.Helper()
	i.Kubectl(t, "", append([]string{"-n", "controllers", "create"}, args...)...)
}

// chart installs it as the page says, with more of the repository's configuration and more values.
func (i *installation) chart(t *testing.T, repository, values string) {
	t.Helper()
	name, digest, _ := strings.Cut(i.ref, "@")
	write(t, filepath.Join(i.dir, "desk", "values.yaml"), fmt.Sprintf(`
image: {repository: %q, digest: %q}
scratch: {size: 1Gi}
config:
  poll: 3s
  lease: {duration: 20s}
  repositories: [{url: %[3]q, name: homes, branches: [main], github: {api: %[4]q, token: {file: secrets/token}}%[5]s}]
secrets:
  keys: vishwa-keys
  keyPassword: {name: vishwa, key: password}
  sealKey: {name: vishwa, key: seal}
  webhook: {name: hooks, key: now}
  files: {token: {name: vishwa, key: token}}
certificates: {configMap: authorities}
resources: {requests: {cpu: 10m, memory: 64Mi}, limits: {memory: 1Gi}}
`, name, digest, i.url+"/acme/homes.git", i.url+"/api/v3", repository)+values)
	i.page(t, "helm install")
}

// install has runs that are Jobs and a store in S3, which several replicas may share.
func install(t *testing.T) *installation {
	t.Helper()
	endpoint := enginetest.MinIO(t)
	c, err := minio.New(strings.TrimPrefix(endpoint, "http://"), &minio.Options{Creds: credentials.NewStaticV4("minioadmin", "minioadmin", "")})
	if err == nil {
		err = c.MakeBucket(t.Context(), "artifacts", minio.MakeBucketOptions{})
	}
	if err != nil {
		t.Fatal(err)
	}
	i := prepare(t, "", func(i *installation) {
		i.edit(t, "vishwa.yaml", "spec:\n", fmt.Sprintf(`spec:
  store: {s3: {url: "s3://artifacts/vishwa", endpoint: %q}}
  clusters: {here: {namespace: models}}
  runners: {pods: {kubernetes: {cluster: here, worker: %q}}}
  defaults: {image: %q}
`, endpoint, i.ref, enginetest.Python(t)))
		i.edit(t, "vishwa/model.yaml", "  run: [python3, src/train.py]\n", "  run: [python3, src/train.py]\n  runner: pods\n  resources: {cpu: 100m, memory: 128Mi}\n")
		raw, err := os.ReadFile(filepath.Join(i.clone, "vishwa/model.yaml"))
		if err != nil {
			t.Fatal(err)
		}
		kept, _, cut := strings.Cut(string(raw), "---\napiVersion: vishwa.dev/v1alpha1\nkind: Deployment\n")
		if !cut {
			t.Fatal("the scaffold has no deployment any more")
		}
		write(t, filepath.Join(i.clone, "vishwa/model.yaml"), kept)
	})
	i.Kubectl(t, `{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "models", "labels": {"pod-security.kubernetes.io/enforce": "restricted"}}}`, "create", "-f", "-")
	i.gone(t, "models")
	i.secret(t, "secret", "generic", "s3", "--from-literal=user=minioadmin", "--from-literal=password=minioadmin")
	write(t, filepath.Join(i.dir, "desk", "scale.yaml"), "replicas: 2\nconfig: {replicas: {repository: homes}}\n")
	i.chart(t, ", clusters: [{namespaces: [models]}]", `
persistence: {enabled: false}
env: [{name: AWS_ACCESS_KEY_ID, secret: s3, key: user}, {name: AWS_SECRET_ACCESS_KEY, secret: s3, key: password}]
runners: [{namespace: models}]
`)
	return i
}

// onVolume has everything in the controller's own pod, whose state is on a volume.
func onVolume(t *testing.T) *installation {
	t.Helper()
	i := prepare(t, "python3", func(i *installation) {
		i.edit(t, "vishwa/model.yaml", "      run: [python3, src/serve.py]\n", "      run: [python3, src/serve.py]\n      port: 8090\n")
	})
	dir := filepath.Join(i.dir, "volume")
	// Its group is the pod's: a folder of the node is not given to it as other volumes are.
	if err := errors.Join(os.Mkdir(dir, 0o770), os.Chown(dir, 0, 65532), os.Chmod(dir, 0o2770)); err != nil {
		t.Fatal(err)
	}
	i.Kubectl(t, fmt.Sprintf(`{"apiVersion": "v1", "kind": "PersistentVolume", "metadata": {"name": "homes"}, "spec": {"capacity": {"storage": "20Gi"}, "accessModes": ["ReadWriteOnce"],
		"persistentVolumeReclaimPolicy": "Retain", "hostPath": {"path": %q, "type": "Directory"}}}`, dir), "create", "-f", "-")
	t.Cleanup(func() { i.Kubectl(t, "", "delete", "persistentvolume", "homes", "--wait=false") })
	i.chart(t, "", "")
	return i
}

// desk is a folder in which the page's commands run.
func (i *installation) desk(t *testing.T) {
	t.Helper()
	desk := filepath.Join(i.dir, "desk")
	templates, err := filepath.Abs("../../templates")
	if err == nil {
		err = errors.Join(os.MkdirAll(filepath.Join(desk, "bin"), 0o755), os.Symlink(templates, filepath.Join(desk, "templates")), os.Symlink(must(t, "helm"), filepath.Join(desk, "bin", "helm")))
	}
	if err == nil {
		err = os.WriteFile(filepath.Join(desk, "bin", "kubectl"), []byte("#!/bin/sh\nexec "+must(t, "kubeone")+" kubectl \"$@\"\n"), 0o755)
	}
	if err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(desk, "password.txt"), "a long enough password")
	write(t, filepath.Join(desk, "token.txt"), i.token)
}

// page runs the block of docs/kubernetes.md that has these words.
func (i *installation) page(t *testing.T, words string) string {
	t.Helper()
	raw, err := os.ReadFile("../../docs/kubernetes.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, part := range strings.Split(string(raw), "\n```sh\n")[1:] {
		block, _, _ := strings.Cut(part, "\n```\n")
		if !strings.Contains(block, words) {
			continue
		}
		cmd := exec.CommandContext(t.Context(), "sh", "-euxc", block)
		cmd.Dir = filepath.Join(i.dir, "desk")
		cmd.Env = append(os.Environ(), "HOME="+cmd.Dir, "KUBECONFIG="+i.Kubeconfig, "VISHWA_KEYS="+i.dir+"/keys", "PATH="+filepath.Join(cmd.Dir, "bin")+":"+os.Getenv("PATH"))
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("the page's commands: %v\n%s\n%s", err, out, i.logs(t))
		}
		return string(out)
	}
	t.Fatalf("docs/kubernetes.md has no commands with %q", words)
	return ""
}

// logs are what there is to know of pods, for who waited in vain.
func (i *installation) logs(t *testing.T) string {
	t.Helper()
	return i.Kubectl(t, "", "get", "pods", "-A", "-o", "wide") + i.Kubectl(t, "", "logs", "-n", "controllers", "-l", "app.kubernetes.io/name=vishwa", "--tail=60", "--prefix", "--ignore-errors")
}

func (i *installation) serveForge(t *testing.T) {
	t.Helper()
	late := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { i.forge.ServeHTTP(w, r) })
	url, ca := overTLS(t, late)
	forge, err := devforge.New(devforge.Options{Dir: filepath.Join(i.dir, "forge"), URL: url})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = forge.Close() })
	i.forge, i.url = forge, url
	write(t, i.ca, string(ca))
	if err := forge.CreateRepo("acme", "homes"); err != nil {
		t.Fatal(err)
	}
	i.token = forge.Token("acme")
}

// project is a newcomer's, as it is declared then, pushed to the forge.
func (i *installation) project(t *testing.T, declare func(i *installation)) {
	t.Helper()
	if err := os.MkdirAll(i.clone, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{"user.name", "Asha"}, {"user.email", "asha@example.com"}, {"init.defaultBranch", "main"}} {
		i.do(t, "git", append([]string{"config", "--global"}, args...)...)
	}
	i.do(t, i.vishwa, "init", ".")
	i.do(t, i.vishwa, "keys", "generate")
	declare(i)
	i.do(t, "git", "add", "-A")
	i.do(t, "git", "commit", "-qm", "Declare the first model")
	i.do(t, "git", "remote", "add", "origin", strings.Replace(i.url, "https://", "https://acme:"+i.token+"@", 1)+"/acme/homes.git")
	i.do(t, "git", "push", "-q", "origin", "main")
}
