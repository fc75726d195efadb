// What a controller does not begin without; and the names of its configuration, as the
// tests here write them.

package controller

import (
	"strings"
	"testing"

	"github.com/vishwaops/vishwa/reconciler/controller/config"
	"github.com/vishwaops/vishwa/reconciler/fault"
)

type (
	Config           = config.Spec
	ConfigRepository = config.Repository
	Webhook          = config.Webhook
	Secret           = config.Secret
	GitHub           = config.GitHub
	Shutdown         = config.Shutdown
)

const (
	Finish   = config.Finish
	HandBack = config.HandBack
)

var gitFolder = config.GitFolder

// TestAControllerDoesNotBeginWithoutItsSecret: webhooks that anybody may send are not served.
func TestAControllerDoesNotBeginWithoutItsSecret(t *testing.T) {
	c, err := config.Parse("c.yaml", []byte("apiVersion: vishwa.dev/v1alpha1\nkind: Controller\nspec: {webhook: {secret: {env: HOOK}}, repositories: [{path: /repo}]}"))
	if err != nil {
		t.Fatal(err)
	}
	err = New(Options{Config: c, Lookup: func(string) (string, bool) { return "", false }}).Run(t.Context())
	if fault.Of(err) != fault.Missing || !strings.Contains(err.Error(), "HOOK") {
		t.Errorf("it begins: %v", err)
	}
	c.Webhook.Secret = nil
	c.Repositories[0].GitHub = &GitHub{Token: &Secret{Env: "T"}}
	if err := New(Options{Config: c}).Run(t.Context()); fault.Of(err) != fault.Invalid {
		t.Errorf("it begins: %v", err)
	}
}
