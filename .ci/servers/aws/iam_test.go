// What examples/iam says, done: Vishwa provisions it by Terraform and the provider beside this file on a moto that asks everybody for leave, its policies
// refuse what is worse, and a MinIO with the very policies that were made lets each identity do what it is for, and nothing else.

package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/minio/madmin-go/v3"
	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"
)

const (
	data   = "acme-ml-data"
	models = "acme-ml-models"
)

// program is one that make put where a variable says.
func program(t *testing.T, variable string) string {
	t.Helper()
	path := os.Getenv(variable)
	if path == "" {
		t.Fatalf("%s is not set: make test-iam sets it", variable)
	}
	return path
}

// serve starts a server on a port of its own, and waits until it answers.
func serve(t *testing.T, env []string, health string, command func(host, port string) []string) string {
	t.Helper()
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := free.Addr().String()
	free.Close()
	host, port, _ := strings.Cut(address, ":")
	args := command(host, port)
	var said bytes.Buffer
	cmd := exec.CommandContext(context.WithoutCancel(t.Context()), args[0], args[1:]...)
	cmd.Env, cmd.Stdout, cmd.Stderr = append(os.Environ(), env...), &said, &said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait() // it was killed
	})
	for deadline := time.Now().Add(2 * time.Minute); ; time.Sleep(100 * time.Millisecond) {
		resp, err := http.Get("http://" + address + health)
		if err == nil {
			resp.Body.Close()
			if resp.StatusCode == http.StatusOK {
				return "http://" + address
			}
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s does not answer: %v", args[0], err)
		}
	}
}

// place is a project with the example, and a machine of its own.
type place struct {
	t           *testing.T
	dir, vishwa string
	env         []string
}

// run runs a command in the project, and wants this exit code of it.
func (p place) run(code int, args ...string) string {
	p.t.Helper()
	cmd := exec.CommandContext(p.t.Context(), args[0], args[1:]...)
	cmd.Dir, cmd.Env = p.dir, p.env
	out, err := cmd.CombinedOutput()
	var ended *exec.ExitError
	if err != nil && !errors.As(err, &ended) || cmd.ProcessState.ExitCode() != code {
		p.t.Fatalf("%s: %v, want exit code %d\n%s", strings.Join(args, " "), err, code, out)
	}
	return string(out)
}

// says wants each of the parts in a text.
func (p place) says(text string, parts ...string) {
	p.t.Helper()
	for _, part := range parts {
		if !strings.Contains(text, part) {
			p.t.Errorf("it does not say %q:\n%s", part, text)
		}
	}
}

// edit replaces text of a file of the project.
func (p place) edit(name, old, now string) {
	p.t.Helper()
	file := filepath.Join(p.dir, name)
	raw, err := os.ReadFile(file)
	if err != nil || !strings.Contains(string(raw), old) {
		p.t.Fatalf("%s does not hold %q: %v", name, old, err)
	}
	if err := os.WriteFile(file, []byte(strings.ReplaceAll(string(raw), old, now)), 0o644); err != nil {
		p.t.Fatal(err)
	}
}

// user makes a user of moto with an inline policy, and is its key.
func user(t *testing.T, c *client, name, policy string) (id, secret string) {
	t.Helper()
	var key struct {
		ID     string `xml:"CreateAccessKeyResult>AccessKey>AccessKeyId"`
		Secret string `xml:"CreateAccessKeyResult>AccessKey>SecretAccessKey"`
	}
	err := errors.Join(c.iam(t.Context(), nil, "CreateUser", "UserName", name),
		c.iam(t.Context(), nil, "PutUserPolicy", "UserName", name, "PolicyName", "own", "PolicyDocument", policy),
		c.iam(t.Context(), &key, "CreateAccessKey", "UserName", name))
	if err != nil || key.ID == "" {
		t.Fatalf("make user %s: %v", name, err)
	}
	return key.ID, key.Secret
}

const provisioner = `{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Resource": "*", "Action": [
  "s3:CreateBucket", "s3:HeadBucket", "s3:ListBucket", "s3:GetObject", "s3:PutObject", "s3:HeadObject", "s3:PutPublicAccessBlock", "s3:GetPublicAccessBlock", "s3:PutBucketPublicAccessBlock", "s3:GetBucketPublicAccessBlock",
  "iam:CreatePolicy", "iam:GetPolicy", "iam:GetPolicyVersion", "iam:CreateRole", "iam:GetRole", "iam:UpdateAssumeRolePolicy", "iam:PutRolePolicy", "iam:GetRolePolicy",
  "iam:CreateUser", "iam:PutUserPolicy", "iam:CreateAccessKey"]}]}`

const nobody = `{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Resource": "*", "Action": ["s3:ListBucket"]}]}`

// settle makes the project, and the provider's place in a mirror.
func settle(t *testing.T, endpoint, id, secret string) place {
	t.Helper()
	root := t.TempDir()
	p := place{t: t, dir: filepath.Join(root, "project"), vishwa: program(t, "VISHWA_PROGRAM")}
	if err := errors.Join(os.CopyFS(p.dir, os.DirFS("../../../examples/iam")), os.Mkdir(filepath.Join(root, "home"), 0o755)); err != nil {
		t.Fatal(err)
	}
	mirror := filepath.Join(root, "mirror")
	at := filepath.Join(mirror, "registry.terraform.io", "hashicorp", "aws", "6.0.0", runtime.GOOS+"_"+runtime.GOARCH)
	if err := errors.Join(os.MkdirAll(at, 0o755), copied(program(t, "VISHWA_PROVIDER"), filepath.Join(at, "terraform-provider-aws_v6.0.0"))); err != nil {
		t.Fatal(err)
	}
	rc := filepath.Join(root, "terraformrc")
	if err := os.WriteFile(rc, []byte("provider_installation {\n  filesystem_mirror {\n    path = \""+mirror+"\"\n  }\n}\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	p.env = []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + filepath.Join(root, "home"), "XDG_STATE_HOME=" + filepath.Join(root, "state"), "XDG_CACHE_HOME=" + filepath.Join(root, "cache"),
		"XDG_CONFIG_HOME=" + filepath.Join(root, "config"), "VISHWA_KEY_PASSWORD=correct horse battery staple", "GIT_CONFIG_GLOBAL=" + os.DevNull, "GIT_CONFIG_NOSYSTEM=1",
		"GIT_AUTHOR_NAME=Alice", "GIT_AUTHOR_EMAIL=alice@example.com", "GIT_COMMITTER_NAME=Alice", "GIT_COMMITTER_EMAIL=alice@example.com",
		"TF_CLI_CONFIG_FILE=" + rc, "AWS_ENDPOINT_URL=" + endpoint, "AWS_ACCESS_KEY_ID=" + id, "AWS_SECRET_ACCESS_KEY=" + secret,
	}
	p.run(0, "git", "init", "-q", "-b", "main")
	p.run(0, p.vishwa, "keys", "generate")
	p.commit("Declare who may do what")
	return p
}

func (p place) commit(subject string) {
	p.t.Helper()
	p.run(0, "git", "add", "-A")
	p.run(0, "git", "commit", "-qm", subject)
}

func copied(from, to string) error {
	raw, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	return os.WriteFile(to, raw, 0o755)
}

func TestIdentitiesDoWhatTheyAreFor(t *testing.T) {
	moto := serve(t, []string{"INITIAL_NO_AUTH_ACTION_COUNT=3"}, "/moto-api/", func(host, port string) []string {
		return []string{program(t, "VISHWA_MOTO"), "-H", host, "-p", port}
	})
	c := &client{endpoint: moto, region: "eu-central-1"}
	c.key.AccessKeyID, c.key.SecretAccessKey = "first", "first" // its first three actions are let through
	id, secret := user(t, c, "provisioner", provisioner)
	c.key.AccessKeyID, c.key.SecretAccessKey = id, secret
	p := settle(t, moto, id, secret)

	t.Run("they are made", func(t *testing.T) { p := p; p.t = t; p.provisioned(c) })
	t.Run("who reads what is reported", func(t *testing.T) { p := p; p.t = t; p.reported(c) })
	t.Run("who may not make them is refused", func(t *testing.T) { p := p; p.t = t; p.unauthorised(c) })
	t.Run("what is worse is refused", func(t *testing.T) { p := p; p.t = t; p.judged() })
	t.Run("they do what they are for, and no more", func(t *testing.T) { refusals(t, c) })
}

func (p place) provisioned(c *client) {
	p.run(0, p.vishwa, "policy", "test")
	p.says(p.run(0, p.vishwa, "plan"), "aws_iam_role.training (create)", "aws_s3_bucket.models (create)", "tests: 3 passed")
	p.run(0, p.vishwa, "apply", "--yes")
	p.says(p.run(0, p.vishwa, "apply", "--yes"), "Nothing to do")
	v := values{"name": "ml-training"}
	if err := role.read(p.t.Context(), c, v); err != nil || v["permissions_boundary"] != "arn:aws:iam::123456789012:policy/ml-boundary" {
		p.t.Errorf("the role of trainings is %v, %v", v, err)
	}
	open := values{"bucket": models}
	if err := block.read(p.t.Context(), c, open); err != nil || open["restrict_public_buckets"] != "true" {
		p.t.Errorf("the bucket of models is open: %v, %v", open, err)
	}
	// Drift is found, and put right.
	if err := putRolePolicy(p.t.Context(), c, values{"role": "ml-serving", "name": "serving", "policy": provisioner}); err != nil {
		p.t.Fatal(err)
	}
	p.says(p.run(0, p.vishwa, "plan"), "drift: aws_iam_role_policy.serving")
	p.run(0, p.vishwa, "apply", "--yes")
	p.says(p.run(0, p.vishwa, "plan"), "Nothing to do")
}

// reported asks who can read a dataset that lies in the bucket.
func (p place) reported(c *client) {
	if err := c.s3(p.t.Context(), http.MethodPut, data+"/datasets/students.csv", []byte("hours\n3\n"), nil); err != nil {
		p.t.Fatal(err)
	}
	file := filepath.Join(p.dir, "vishwa", "students.yaml")
	declared := "apiVersion: vishwa.dev/v1alpha1\nkind: Dataset\nmetadata: {name: students}\nspec:\n  source: {s3: {url: \"s3://" + data + "/datasets/students.csv\", endpoint: \"" + c.endpoint + "\", region: eu-central-1}, pin: data/students.csv.dvc}\n"
	if err := os.WriteFile(file, []byte(declared), 0o644); err != nil {
		p.t.Fatal(err)
	}
	defer os.Remove(file)
	p.run(0, p.vishwa, "data", "init")
	p.run(0, p.vishwa, "data", "refresh", "--in-place", "--allow", "127.0.0.1")
	defer p.run(0, "git", "clean", "-fdq")
	defer p.run(0, "git", "reset", "-q", "--hard")
	out := p.run(0, p.vishwa, "access")
	p.says(out, "dataset/students in s3://"+data+"/datasets/students.csv", "arn:aws:iam::123456789012:role/ml-training reads all, by aws_iam_role_policy.training")
	if strings.Contains(out, "ml-serving") || strings.Contains(out, c.key.SecretAccessKey) {
		p.t.Errorf("it says %s", out)
	}
	p.says(p.run(0, p.vishwa, "access", "--format", "json"), `"identity": "arn:aws:iam::123456789012:role/ml-training"`)
}

func (p place) unauthorised(c *client) {
	id, secret := user(p.t, c, "nobody", nobody)
	p.env = append(p.env, "AWS_ACCESS_KEY_ID="+id, "AWS_SECRET_ACCESS_KEY="+secret)
	out := p.run(1, p.vishwa, "plan")
	p.says(out, "infrastructure/identities", "credentials")
	if strings.Contains(out, secret) {
		p.t.Error("it tells a secret")
	}
	wrong := *c
	wrong.key.SecretAccessKey = "wrong"
	if err := wrong.iam(p.t.Context(), nil, "GetRole", "RoleName", "ml-training"); err == nil {
		p.t.Error("moto lets in whoever asks: nothing that it allows proves anything")
	}
}

// judged makes the module worse in one way after another. None of it is applied.
func (p place) judged() {
	const reads = `Action = ["s3:GetObject"], Resource = ["${local.models}/store/*"] }]`
	for name, c := range map[string]struct{ old, now, rule, message string }{
		"every resource":         {reads, `Action = ["s3:GetObject"], Resource = ["*"] }]`, "terraform/iam", `allows every resource ("*")`},
		"every action":           {reads, `Action = ["*"], Resource = ["${local.models}/store/*"] }]`, "terraform/iam", `allows every action ("*")`},
		"a way to more rights":   {reads, `Action = ["s3:GetObject", "iam:PassRole", "iam:PutRolePolicy"], Resource = ["${local.models}/store/*", "arn:aws:iam::*:role/*"] }]`, "terraform/escalation", "allows iam:PutRolePolicy"},
		"everybody assumes it":   {`Principal = { AWS = "arn:aws:iam::${var.account}:role/${var.controller}" }`, `Principal = "*", Condition = { Bool = { "aws:MultiFactorAuthPresent" = "true" } }`, "terraform/escalation", "can be assumed by everybody"},
		"a bucket that is open":  {"restrict_public_buckets = true", "restrict_public_buckets = false", "terraform/public-storage", "turns restrict_public_buckets off"},
		"no boundary":            {"permissions_boundary = local.boundary", "permissions_boundary = null", "team/boundary", "without the permissions boundary"},
		"serving reads datasets": {reads, `Action = ["s3:GetObject"], Resource = ["${local.models}/store/*", "${local.data}/*"] }]`, "terraform/test", "the policy of serving names the bucket of datasets"},
	} {
		p.t.Run(name, func(t *testing.T) {
			p := p
			p.t = t
			p.edit("infra/main.tf", c.old, c.now)
			defer p.run(0, "git", "checkout", "-q", "--", ".")
			p.says(p.run(3, p.vishwa, "policy", "check"), "deny "+c.rule+" infrastructure/identities", c.message)
		})
	}
}

// refusals has a MinIO hold each identity to the policy that was made.
func refusals(t *testing.T, c *client) {
	ctx := t.Context()
	store := t.TempDir()
	endpoint := serve(t, []string{"MINIO_ROOT_USER=minioadmin", "MINIO_ROOT_PASSWORD=minioadmin", "MINIO_BROWSER=off", "HOME=" + t.TempDir()}, "/minio/health/ready", func(host, port string) []string {
		return []string{program(t, "VISHWA_MINIO"), "server", "--quiet", "--address", host + ":" + port, "--console-address", "127.0.0.1:0", store}
	})
	address := strings.TrimPrefix(endpoint, "http://")
	admin, err := madmin.New(address, "minioadmin", "minioadmin", false)
	if err != nil {
		t.Fatal(err)
	}
	as := func(id, secret string) *minio.Client {
		m, err := minio.New(address, &minio.Options{Creds: credentials.NewStaticV4(id, secret, "")})
		if err != nil {
			t.Fatal(err)
		}
		return m
	}
	put := func(m *minio.Client, bucket, key string) error {
		_, err := m.PutObject(ctx, bucket, key, strings.NewReader("bytes"), 5, minio.PutObjectOptions{})
		return err
	}
	root := as("minioadmin", "minioadmin")
	for _, err := range []error{
		root.MakeBucket(ctx, data, minio.MakeBucketOptions{}), root.MakeBucket(ctx, models, minio.MakeBucketOptions{}),
		put(root, data, "datasets/students.csv"), put(root, data, "payroll.csv"), put(root, models, "store/sha256/aa"), put(root, models, "other/aa"),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	who := map[string]*minio.Client{}
	for _, name := range []string{"training", "serving"} {
		v := values{"role": "ml-" + name, "name": name}
		if err := rolePolicy.read(ctx, c, v); err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(admin.AddCannedPolicy(ctx, name, []byte(v["policy"])), admin.AddUser(ctx, name, "secret-of-"+name)); err != nil {
			t.Fatal(err)
		}
		if _, err := admin.AttachPolicy(ctx, madmin.PolicyAssociationReq{Policies: []string{name}, User: name}); err != nil {
			t.Fatal(err)
		}
		who[name] = as(name, "secret-of-"+name)
	}
	read := func(bucket, key string) func(*minio.Client) error {
		return func(m *minio.Client) error {
			o, err := m.GetObject(ctx, bucket, key, minio.GetObjectOptions{})
			if err == nil {
				_, err = io.ReadAll(o)
			}
			return err
		}
	}
	write := func(bucket, key string) func(*minio.Client) error {
		return func(m *minio.Client) error { return put(m, bucket, key) }
	}
	list := func(bucket, prefix string) func(*minio.Client) error {
		return func(m *minio.Client) error {
			for o := range m.ListObjects(ctx, bucket, minio.ListObjectsOptions{Prefix: prefix}) {
				if o.Err != nil {
					return o.Err
				}
			}
			return nil
		}
	}
	remove := func(bucket, key string) func(*minio.Client) error {
		return func(m *minio.Client) error { return m.RemoveObject(ctx, bucket, key, minio.RemoveObjectOptions{}) }
	}
	for _, c := range []struct {
		what              string
		do                func(*minio.Client) error
		training, serving bool
	}{
		{"read a dataset", read(data, "datasets/students.csv"), true, false},
		{"list datasets", list(data, "datasets/"), true, false},
		{"read the store", read(models, "store/sha256/aa"), true, true},
		{"write the store", write(models, "store/sha256/bb"), true, false},
		{"read what is no dataset", read(data, "payroll.csv"), false, false},
		{"list all of the bucket", list(data, ""), false, false},
		{"change a dataset", write(data, "datasets/students.csv"), false, false},
		{"write beside the store", write(models, "other/bb"), false, false},
		{"read beside the store", read(models, "other/aa"), false, false},
		{"delete a model", remove(models, "store/sha256/aa"), false, false},
		{"list the store", list(models, "store/"), false, false},
		{"open a bucket", func(m *minio.Client) error {
			return m.SetBucketPolicy(ctx, models, `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":"*","Action":["s3:GetObject"],"Resource":["arn:aws:s3:::`+models+`/*"]}]}`)
		}, false, false},
	} {
		for name, may := range map[string]bool{"training": c.training, "serving": c.serving} {
			err := c.do(who[name])
			switch code := minio.ToErrorResponse(err).Code; {
			case may && err != nil:
				t.Errorf("%s cannot %s: %v", name, c.what, err)
			case !may && code != "AccessDenied":
				t.Errorf("%s can %s: %v", name, c.what, err)
			}
		}
	}
}
