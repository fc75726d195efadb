// What the file says of what a repository may use.

package config

import (
	"slices"
	"testing"
)

const lent = head + `spec:
  webhook: {secret: {env: WEBHOOK_SECRET}}
  repositories:
    - path: /churn
      pass: [READ_ONLY]
      variables: [HF_TOKEN, AWS_ACCESS_KEY_ID=CHURN_ID, AWS_SECRET_ACCESS_KEY=CHURN_KEY]
      tokens: {VISHWA_SOURCE_API: ["https://api.example.com", "kafka://kafka-1.example.org:9093"]}
      storage: ["s3://acme/churn", "https://minio.example.com:9000/acme", "oci://registry.example.com/churn", "kafka://kafka-1.example.org:9093/asked", "kafka://[::1]:9092", /srv/churn, "git@github.com:acme/data.git", "ssh://git@github.com/acme/data.git"]
      hosts: [churn.example.com, "*.churn.example.com", models.example.com/churn, "*"]
      infrastructure: true
    - path: /payroll
      variables: []
    - path: /plain
`

func TestARepositoryHasCredentialsOfItsOwn(t *testing.T) {
	c, err := Parse("c.yaml", []byte(lent))
	if err != nil {
		t.Fatal(err)
	}
	vars := map[string]string{"HF_TOKEN": "hf", "AWS_ACCESS_KEY_ID": "all", "AWS_SECRET_ACCESS_KEY": "all", "AWS_SESSION_TOKEN": "all", "AWS_PROFILE": "all", "CHURN_ID": "churn", "CHURN_KEY": "secret", "HOME": "/h"}
	look := func(name string) (string, bool) { v, ok := vars[name]; return v, ok }
	churn, payroll, plain := c.Repositories[0], c.Repositories[1], c.Repositories[2]
	for name, want := range map[string]string{"AWS_ACCESS_KEY_ID": "churn", "AWS_SECRET_ACCESS_KEY": "secret", "HF_TOKEN": "hf", "HOME": "/h", "CHURN_ID": "churn"} {
		if v, ok := churn.Sees(look)(name); !ok || v != want {
			t.Errorf("%s is %q", name, v)
		}
	}
	for _, name := range []string{"AWS_SESSION_TOKEN", "AWS_PROFILE"} { // of the credentials that it does not have
		if v, ok := churn.Sees(look)(name); ok {
			t.Errorf("%s is %q, which belongs to other credentials", name, v)
		}
	}
	if v, _ := payroll.Sees(look)("AWS_ACCESS_KEY_ID"); v != "all" {
		t.Errorf("without its own it sees %q", v)
	}
	if p := churn.Passes(); p == nil || !slices.Equal(*p, []string{"READ_ONLY", "HF_TOKEN", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"}) {
		t.Errorf("it passes %v", p)
	}
	if p := payroll.Passes(); p == nil || len(*p) > 0 {
		t.Errorf("an empty list is %v", p)
	}
	if p := plain.Passes(); p != nil {
		t.Errorf("no list is %v", *p)
	}
	if got := c.SecretVariables(); !slices.Equal(got, []string{"WEBHOOK_SECRET"}) {
		t.Errorf("the controller's own are %v", got)
	}
}

func TestWhatCannotBeLentIsRefused(t *testing.T) {
	for given, want := range map[string]string{
		`variables: ["AWS_KEY=hunter2 "]`:                              `c.yaml:4:20: spec.repositories.0.variables.0: is not a name of a variable; write NAME, or NAME=OTHER for the controller's OTHER, and never a value`,
		`variables: [A, A=B]`:                                          `c.yaml:4:23: spec.repositories.0.variables.1: "A" is listed twice; remove one`,
		`tokens: {API: ["https://a.example"]}`:                         `c.yaml:4:17: spec.repositories.0.tokens.API: is not a variable that declarations may send; its name begins with VISHWA_SOURCE_, in capitals`,
		`tokens: {VISHWA_SOURCE_A: ["https://me:hunter2@a.example"]}`:  `c.yaml:4:35: spec.repositories.0.tokens.VISHWA_SOURCE_A.0: this is not the address of a source; write it as https://api.example.com, or kafka://host:port for a broker, without a user`,
		`storage: ["s3://a/../b"]`:                                     `c.yaml:4:18: spec.repositories.0.storage.0: this is not a place; write s3://bucket/prefix, https://HOST/bucket/prefix, oci://registry.example.com/team, kafka://host:port/topic, a whole path of a folder, or the address of a repository of Git, without a password`,
		`storage: ["https://me:hunter2@minio.example.com/b"]`:          `c.yaml:4:18: spec.repositories.0.storage.0: this is not a place; write s3://bucket/prefix, https://HOST/bucket/prefix, oci://registry.example.com/team, kafka://host:port/topic, a whole path of a folder, or the address of a repository of Git, without a password`,
		`storage: ["kafka://me:hunter2@kafka.example.org:9093/asked"]`: `c.yaml:4:18: spec.repositories.0.storage.0: this is not a place; write s3://bucket/prefix, https://HOST/bucket/prefix, oci://registry.example.com/team, kafka://host:port/topic, a whole path of a folder, or the address of a repository of Git, without a password`,
		`storage: ["kafka://kafka.example.org/asked"]`:                 `c.yaml:4:18: spec.repositories.0.storage.0: this is not a place; write s3://bucket/prefix, https://HOST/bucket/prefix, oci://registry.example.com/team, kafka://host:port/topic, a whole path of a folder, or the address of a repository of Git, without a password`,
		`hosts: ["Churn.example.com"]`:                                 `c.yaml:4:16: spec.repositories.0.hosts.0: "Churn.example.com" is no host; write churn.example.com, *.churn.example.com for all names below it, or models.example.com/churn for what is at a path and below, in lower case and without a port; a name of other letters as DNS has it, xn--...`,
		`hosts: ["*.example.com/a/.."]`:                                `c.yaml:4:16: spec.repositories.0.hosts.0: "*.example.com/a/.." is no host; write churn.example.com, *.churn.example.com for all names below it, or models.example.com/churn for what is at a path and below, in lower case and without a port; a name of other letters as DNS has it, xn--...`,
		`storage: ["data"]`:                                            `c.yaml:4:18: spec.repositories.0.storage.0: this is not a place; write s3://bucket/prefix, https://HOST/bucket/prefix, oci://registry.example.com/team, kafka://host:port/topic, a whole path of a folder, or the address of a repository of Git, without a password`,
	} {
		_, err := Parse("c.yaml", []byte(head+"spec: {repositories: [{path: /repo,\n       "+given+"}]}\n"))
		if err == nil || err.Error() != want {
			t.Errorf("%s:\ngot  %v\nwant %s", given, err, want)
		}
	}
}

func TestTheNetworkOfRunsIsOneOfTwo(t *testing.T) {
	_, err := Parse("c.yaml", []byte(head+"spec:\n  repositories:\n    - {path: /repo, network: declare}\n"))
	if err == nil || err.Error() != `c.yaml:5:21: spec.repositories.0.network: "declare" is not allowed; did you mean declared?` {
		t.Error(err)
	}
}

func TestADeclaredNetworkNeedsIsolation(t *testing.T) {
	file := func(level, network string) error {
		_, err := Parse("c.yaml", []byte(head+"spec:\n  isolation: {level: "+level+"}\n  repositories:\n    - {path: /plain}\n    - {path: /repo, network: "+network+"}\n"))
		return err
	}
	if err := file("none", "declared"); err == nil || err.Error() != `c.yaml:7:21: spec.repositories.1.network: nothing holds runs to the hosts that they declare while spec.isolation.level is none; remove that level, or write network: all` {
		t.Error(err)
	}
	for _, c := range [][2]string{{"none", "all"}, {"best", "declared"}, {"landlock", "declared"}} {
		if err := file(c[0], c[1]); err != nil {
			t.Errorf("isolation %s, network %s: %v", c[0], c[1], err)
		}
	}
}
